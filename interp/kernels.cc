#include "interp/kernels.h"

#include "interp/exec.h"

namespace assay {

namespace {
template <class V>
const V* AttrOr(const OpSpec& spec, const Node& node, const char* name) {
  if (const AttrValue* v = node.Find(name)) {
    if (auto x = std::get_if<V>(v)) return x;
  }
  const AttrSpec* a = spec.FindAttr(name);
  return a && a->otherwise ? std::get_if<V>(&*a->otherwise) : nullptr;
}
}  // namespace

int64_t KernelContext::Int(const char* name) const {
  const int64_t* v = AttrOr<int64_t>(spec_, node_, name);
  return v ? *v : 0;
}
float KernelContext::Float(const char* name) const {
  const float* v = AttrOr<float>(spec_, node_, name);
  return v ? *v : 0;
}
std::string KernelContext::String(const char* name) const {
  const std::string* v = AttrOr<std::string>(spec_, node_, name);
  return v ? *v : std::string();
}
std::vector<int64_t> KernelContext::Ints(const char* name) const {
  const std::vector<int64_t>* v = AttrOr<std::vector<int64_t>>(spec_, node_, name);
  return v ? *v : std::vector<int64_t>{};
}
std::vector<float> KernelContext::FloatList(const char* name) const {
  const std::vector<float>* v = AttrOr<std::vector<float>>(spec_, node_, name);
  return v ? *v : std::vector<float>{};
}

// While float16 and bfloat16 are computed with they are stored as float; rows that only move bits keep them.
Store KernelContext::ScratchStore(DType dtype) const {
  if (!IsFloat(dtype) || store_ != Store::kNative) return store_;
  bool half = dtype == DType::kFloat16 || dtype == DType::kBfloat16;
  return half && !spec_.Has(kMovesData) ? Store::kFloat : Store::kNative;
}

Result<Tensor*> KernelContext::Out(int i) {
  const TypeInfo& t = inferred_[i];
  if (!t.Static()) return Error{Code::kInternal, "the rule left the shape of output " + std::to_string(i) + " open", {}};
  return Out(i, t.StaticShape());
}

Result<Tensor*> KernelContext::Out(int i, Shape shape) {
  CHECK(i < outputs());
  bool fits = i == 0 && spare_ && spare_->dtype() == inferred_[0].dtype && spare_->shape() == shape &&
              spare_->store() == StoreOf(inferred_[0].dtype, ScratchStore(inferred_[0].dtype));
  if (fits) {
    outputs_[0] = spare_->Overwritten();
    return &outputs_[0];
  }
  outputs_[i] = TRY(Tensor::Make(inferred_[i].dtype, std::move(shape), ScratchStore(inferred_[i].dtype), limits_));
  return &outputs_[i];
}

Result<KernelContext::Body> KernelContext::MakeBody(const char* attr) const {
  const AttrValue* value = node_.Find(attr);
  auto graph = value ? std::get_if<std::shared_ptr<const Graph>>(value) : nullptr;
  if (!graph || !*graph) return Invalid(std::string("attribute '") + attr + "' is not a graph");
  Body body;
  // Bodies use the node's operator set, and the newest we know of others.
  int newest = spec_.domain.empty() ? opset_ : kNewestOpset;
  std::map<std::string, int> opsets = {{"", newest}, {"ai.onnx.ml", 5}, {"com.microsoft", 1}};
  std::vector<std::string> operands = OperandsOf(node_), captured;
  for (size_t i = node_.inputs.size(); i < operands.size() && i < inputs_.size(); ++i) {
    if ((*graph)->FindInput(operands[i]) || !inputs_[i]) continue;
    captured.push_back(operands[i]);
    body.captured_.push_back(*inputs_[i]);
  }
  body.inputs_ = (*graph)->inputs.size();
  body.outputs_ = (*graph)->outputs.size();
  Program program = TRY(Program::CompileBody(**graph, captured, opsets));
  body.program_ = std::make_shared<const Program>(std::move(program));
  body.store_ = store_;
  body.limits_ = limits_;
  body.start_ = std::chrono::steady_clock::now();
  return body;
}

DType KernelContext::Body::output_dtype(size_t i) const { return program_->model().graph.outputs[i].dtype; }

Result<std::vector<Tensor>> KernelContext::Body::Run(std::vector<Tensor> inputs) const {
  if (inputs.size() != inputs_) {
    return Invalid("the subgraph has " + std::to_string(inputs_) + " inputs and is given " + std::to_string(inputs.size()));
  }
  ExecOptions options;
  options.store = store_;
  options.limits = limits_;
  std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start_;
  options.limits.seconds -= taken.count();
  if (options.limits.seconds <= 0) return LimitHit("the subgraph takes more than the time limit");
  inputs.insert(inputs.end(), captured_.begin(), captured_.end());
  Execution run = TRY(program_->Run(inputs, options));
  return std::move(run.outputs);
}

Status KernelContext::Charge(std::initializer_list<int64_t> factors) const {
  int64_t work = ElementCount(Shape(factors));
  if (work >= 0 && work <= limits_.flops) return {};
  return LimitHit("the node takes more than " + std::to_string(limits_.flops) + " multiply-adds");
}

Shape BroadcastStrides(const Shape& shape, const Shape& out) {
  Shape strides(out.size(), 0);
  int64_t step = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    size_t from = shape.size() - 1 - i, to = out.size() - 1 - i;
    strides[to] = shape[from] == 1 ? 0 : step;
    step = WrapMul(step, shape[from]);  // wraps only beside an extent of 0
  }
  return strides;
}

}  // namespace assay
