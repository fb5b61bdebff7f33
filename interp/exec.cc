#include "interp/exec.h"

#include <algorithm>
#include <chrono>

#include "interp/functions.h"
#include "interp/kernels.h"
#include "interp/onnx_io.h"

namespace assay {
namespace {

bool IsHalf(DType t) { return t == DType::kFloat16 || t == DType::kBfloat16; }

// float16/bfloat16 held as float while a kernel computes, rounded to the type afterwards.
Tensor Widen(const Tensor& t) { return t.To(Store::kFloat); }
Tensor Narrow(const Tensor& t) { return t.To(Store::kNative); }

// Operands as kernels want them: float16 and bfloat16 widened, unless the row takes bits as they are.
class Operands {
 public:
  Operands(const OpSpec& spec, const std::vector<const Tensor*>& inputs) : given_(inputs) {
    if (spec.Has(kMovesData) || spec.Has(kRunsGraphs)) return;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i] || !IsHalf(inputs[i]->dtype()) || inputs[i]->store() != Store::kNative) continue;
      if (args_.empty()) args_ = inputs, widened_.resize(inputs.size());
      widened_[i] = Widen(*inputs[i]);
      args_[i] = &widened_[i];
    }
  }
  const std::vector<const Tensor*>& given() const { return given_; }
  const std::vector<const Tensor*>& args() const { return args_.empty() ? given_ : args_; }

 private:
  const std::vector<const Tensor*>& given_;
  std::vector<const Tensor*> args_;  // empty: as given
  std::vector<Tensor> widened_;
};

Result<std::vector<TypeInfo>> InferArgs(const OpSpec& spec, const Node& node, const std::vector<const Tensor*>& args, int opset,
                                        uint32_t* values_read) {
  std::vector<TypeInfo> types(args.size());
  std::vector<const TypeInfo*> type_ptrs(args.size(), nullptr);
  for (size_t i = 0; i < args.size(); ++i) {
    if (!args[i]) continue;
    types[i] = TypeInfo::Of(*args[i]);
    type_ptrs[i] = &types[i];
  }
  std::vector<TypeInfo> inferred = TRY(InferNodeAt(opset, spec, node, type_ptrs, args, nullptr, values_read));
  // What a node with subgraphs makes is known when they have run.
  if (spec.Has(kRunsGraphs)) inferred.assign(node.outputs.size(), TypeInfo{});
  return inferred;
}

Result<std::vector<Tensor>> EvalWith(const OpSpec& spec, const Node& node, const Operands& operands,
                                     std::span<const TypeInfo> inferred, Store store, const Limits& limits, int opset,
                                     uint32_t constants, bool may_overwrite, const Bounds* bounds) {
  if (!spec.eval) return Unsupported("operator " + spec.name + " has no kernel");
  KernelContext context(spec, node, operands.args(), inferred, store, limits, opset, constants);
  context.TakeBounds(bounds);
  if (may_overwrite && (spec.traits & (kElementwise | kInPlace))) context.Overwrite(operands.given()[0]);
  TRY(spec.eval(context));
  std::vector<Tensor>& out = context.results();
  for (size_t i = 0; i < out.size(); ++i) {
    if (!context.WantsOutput(static_cast<int>(i))) continue;
    if (!out[i].defined()) return Unsupported("output " + std::to_string(i) + " of " + spec.name + " is not supported");
    if (IsHalf(out[i].dtype()) && out[i].store() == Store::kFloat) out[i] = Narrow(out[i]);
  }
  return std::move(out);
}

Result<std::vector<Tensor>> EvalOnce(const OpSpec& spec, const Node& node, const std::vector<const Tensor*>& inputs,
                                     Store store, const Limits& limits, int opset, uint32_t constants, bool may_overwrite,
                                     const Bounds* bounds) {
  Operands operands(spec, inputs);
  Result<std::vector<TypeInfo>> inferred = InferArgs(spec, node, operands.args(), opset, nullptr);
  if (!inferred.ok()) return inferred.error().In(NodeLabel(node));
  Result<std::vector<Tensor>> out =
      EvalWith(spec, node, operands, *inferred, store, limits, opset, constants, may_overwrite, bounds);
  if (!out.ok()) return out.error().In(NodeLabel(node));
  return out;
}

}  // namespace

Result<std::vector<Tensor>> EvalNode(const OpSpec& spec, const Node& node, const std::vector<const Tensor*>& inputs,
                                     Store store, const Limits& limits, int opset, uint32_t constants,
                                     bool may_overwrite) {
  return EvalOnce(spec, node, inputs, store, limits, opset, constants, may_overwrite, nullptr);
}

Result<std::vector<TypeInfo>> InferOperands(const OpSpec& spec, const Node& node, const std::vector<const Tensor*>& inputs,
                                            int opset, uint32_t* values_read) {
  return InferArgs(spec, node, Operands(spec, inputs).args(), opset, values_read);
}

Result<std::vector<Tensor>> EvalInferred(const OpSpec& spec, const Node& node, const std::vector<const Tensor*>& inputs,
                                         const std::vector<TypeInfo>& inferred, Store store, const Limits& limits,
                                         int opset) {
  return EvalWith(spec, node, Operands(spec, inputs), inferred, store, limits, opset, 0, false, nullptr);
}

Result<Program> Program::Compile(const Model& model) { return CompileWith(model, false); }

Result<Program> Program::CompileBody(const Graph& body, const std::vector<std::string>& captured,
                                     const std::map<std::string, int>& opsets) {
  Model m;
  m.graph = body;
  m.opsets = opsets;
  for (const std::string& name : captured) {
    if (!m.graph.FindInput(name)) m.graph.inputs.push_back({name, DType::kUndefined, std::nullopt, {}});
  }
  return CompileWith(m, true);
}

Result<Program> Program::CompileWith(const Model& model, bool body) {
  if (NeedsInlining(model)) return CompileWith(TRY(Inlined(model)), body);
  Program p;
  p.model_ = model;
  p.body_ = body;
  const Graph& g = p.model_.graph;
  auto slot = [&](const std::string& name) {
    auto [it, fresh] = p.slots_.emplace(name, static_cast<int>(p.slot_names_.size()));
    if (fresh) p.slot_names_.push_back(name);
    return it->second;
  };
  p.required_ = g.RequiredInputs();
  for (const ValueInfo& v : p.required_) {
    if (!body && v.dtype == DType::kUndefined && ListTypeOf(v).kind == DType::kUndefined) {
      return Unsupported("input '" + v.name + "' is not a tensor");
    }
    p.input_slots_.push_back(slot(v.name));
  }
  for (size_t i = 0; i < g.initializers.size(); ++i) {
    const Initializer& c = g.initializers[i];
    if (!c.value.defined()) return Unsupported("initializer '" + c.name + "' is of an element type that is not supported");
    size_t at = static_cast<size_t>(slot(c.name));
    p.initializer_of_.resize(std::max(p.initializer_of_.size(), at + 1), -1);
    p.initializer_of_[at] = static_cast<int>(i);
  }
  std::vector<NodePtr> order = TRY(Sorted(g));
  // Constants first: who asks whether a later operand is constant finds it made.
  std::stable_partition(order.begin(), order.end(), [](const NodePtr& n) { return n->op == "Constant" && n->domain.empty(); });
  for (const NodePtr& n : order) {
    const OpSpec* row = TRY(RowFor(model, *n));
    Step step{n, row, {}, {}, model.Opset(n->domain)};
    for (const std::string& i : OperandsOf(*n)) {
      auto made = i.empty() ? p.slots_.end() : p.slots_.find(i);
      if (!i.empty() && made == p.slots_.end()) return Invalid("nothing makes input '" + i + "'", NodeLabel(*n));
      step.inputs.push_back(i.empty() ? -1 : made->second);
    }
    for (const std::string& o : n->outputs) step.outputs.push_back(o.empty() ? -1 : slot(o));
    p.steps_.push_back(std::move(step));
  }
  for (const ValueInfo& o : g.outputs) {
    auto made = p.slots_.find(o.name);
    if (made == p.slots_.end()) return Invalid("nothing makes graph output '" + o.name + "'");
    p.output_slots_.push_back(made->second);
  }
  p.initializer_of_.resize(p.slot_names_.size(), -1);
  p.last_use_.assign(p.slot_names_.size(), -1);
  for (size_t s = 0; s < p.steps_.size(); ++s) {
    for (int i : p.steps_[s].inputs) {
      if (i >= 0) p.last_use_[i] = static_cast<int>(s);
    }
  }
  for (int o : p.output_slots_) p.last_use_[o] = static_cast<int>(p.steps_.size());
  p.FindBounds();
  return p;
}

void Program::FindBounds() {
  std::vector<int> reads(slot_names_.size(), 0);
  made_by_constant_.assign(slot_names_.size(), false);
  for (const Step& s : steps_) {
    for (int o : s.outputs) {
      if (o >= 0 && s.spec->name == "Constant") made_by_constant_[o] = true;
    }
    for (int i : s.inputs) {
      if (i >= 0) ++reads[i];
    }
  }
  for (Step& s : steps_) {
    if (!s.spec->Has(kTakesBounds) || s.outputs.size() != 1 || s.outputs[0] < 0 || reads[s.outputs[0]] != 1) continue;
    int reader = last_use_[s.outputs[0]];
    if (reader >= static_cast<int>(steps_.size())) continue;
    const Step& r = steps_[reader];
    bool alike = r.spec->bounds && r.inputs[0] == s.outputs[0] && r.outputs.size() == 1;
    if (alike) s.bounded_by = reader;
  }
}

std::vector<const Tensor*> Program::ConstantsOf(const Step& step, const std::vector<Tensor>& values) const {
  std::vector<const Tensor*> constants(step.inputs.size(), nullptr);
  for (size_t k = 1; k < step.inputs.size(); ++k) {
    int i = step.inputs[k];
    if (i >= 0 && initializer_of_[i] >= 0)
      constants[k] = &model_.graph.initializers[initializer_of_[i]].value;
    else if (i >= 0 && made_by_constant_[i] && values[i].defined())
      constants[k] = &values[i];
  }
  return constants;
}

Status Program::CheckInputs(const std::vector<Tensor>& inputs) const {
  if (inputs.size() != required_.size()) {
    return Invalid("the model has " + std::to_string(required_.size()) + " inputs; got " + std::to_string(inputs.size()));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueInfo& want = required_[i];
    const Tensor& got = inputs[i];
    // A subgraph gets what its node computed; the declaration of a list is kept elsewhere.
    if (body_ || (want.dtype == DType::kUndefined && IsList(got.dtype()))) continue;
    bool fits = want.dtype == got.dtype();
    if (fits && want.shape) {
      fits = want.shape->size() == got.shape().size();
      for (size_t d = 0; fits && d < got.shape().size(); ++d) {
        int64_t declared = (*want.shape)[d].value;
        fits = declared < 0 || declared == got.shape()[d];
      }
    }
    if (fits) continue;
    std::string declared = DTypeName(want.dtype);
    if (want.shape) {
      declared += "[";
      for (size_t d = 0; d < want.shape->size(); ++d) {
        const DimDecl& x = (*want.shape)[d];
        declared += (d ? "," : "") + (x.value >= 0 ? std::to_string(x.value) : x.symbol.empty() ? "?" : x.symbol);
      }
      declared += "]";
    }
    return Invalid("input '" + want.name + "' is declared " + declared + "; got " + got.TypeString());
  }
  return {};
}

namespace {
bool StaysNative(const Formal& formal, const Tensor& constant, Store store) {
  return formal.parameter ||
         (formal.stays_float && store == Store::kDouble && constant.dtype() == DType::kFloat);
}
}  // namespace

Result<Execution> Program::Run(const std::vector<Tensor>& inputs, const ExecOptions& options) const {
  const Graph& g = model_.graph;
  TRY(CheckInputs(inputs));
  auto in_store = [&](const Tensor& t) {
    return t.store() == Store::kNative && options.store != Store::kNative ? t.To(options.store) : t;
  };
  std::vector<const Tensor*> overrides;  // by slot; empty: none
  if (options.overrides) {
    overrides.resize(slot_names_.size(), nullptr);
    for (const auto& [name, tensor] : *options.overrides) {
      if (auto it = slots_.find(name); it != slots_.end()) overrides[it->second] = &tensor;
    }
  }
  auto overridden = [&](int slot) { return overrides.empty() ? nullptr : overrides[slot]; };
  std::vector<Tensor> values(slot_names_.size());
  int64_t live = 0;
  for (size_t i = 0; i < inputs.size(); ++i) values[input_slots_[i]] = in_store(inputs[i]);
  // Initializers are converted when first read, so that a large model is never held twice.
  auto load = [&](int slot) {
    if (values[slot].defined() || initializer_of_[slot] < 0) return;
    const Tensor* o = overridden(slot);
    values[slot] = o ? *o : in_store(g.initializers[initializer_of_[slot]].value);
  };
  auto start = std::chrono::steady_clock::now();
  // Where somebody wants to see or to change single nodes, each runs on its own.
  bool whole = options.keep_all || options.before_node || options.after_node || options.overrides ||
               options.instead || options.store == Store::kField;
  std::vector<bool> done(steps_.size(), false);
  Execution result;
  std::vector<const Tensor*> args;
  for (size_t s = 0; s < steps_.size(); ++s) {
    const Step& step = steps_[s];
    if (done[s]) continue;
    if (options.cancelled && options.cancelled()) return Error{Code::kInterrupted, "the run was cancelled", {}};
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > options.limits.seconds) {
      return LimitHit("the run takes more than its time limit", NodeLabel(*step.node));
    }
    args.clear();
    for (size_t k = 0; k < step.inputs.size(); ++k) {
      int i = step.inputs[k];
      if (i >= 0 && initializer_of_[i] >= 0 && !overridden(i) && k < step.spec->inputs.size()) {
        const Tensor& constant = g.initializers[initializer_of_[i]].value;
        if (StaysNative(step.spec->inputs[k], constant, options.store)) {
          args.push_back(&constant);
          continue;
        }
      }
      if (i >= 0) load(i);
      args.push_back(i < 0 ? nullptr : &values[i]);
    }
    if (options.before_node) options.before_node(*step.node, args);
    const Node* node = step.node.get();
    if (options.instead) {
      if (auto it = options.instead->find(node); it != options.instead->end()) node = it->second.get();
    }
    int first = step.inputs.empty() ? -1 : step.inputs[0];
    bool may_overwrite = !options.keep_all && first >= 0 && args[0] == &values[first] &&
                         last_use_[first] == static_cast<int>(s) && values[first].Unshared() &&
                         std::count(step.inputs.begin(), step.inputs.end(), first) == 1;
    std::optional<Bounds> bounds;
    std::vector<const Tensor*> reader_args;
    if (!whole && step.bounded_by >= 0 && args[0] && IsFloat(args[0]->dtype())) {
      const Step& reader = steps_[step.bounded_by];
      reader_args = ConstantsOf(reader, values);
      bounds = reader.spec->bounds(*reader.node, reader_args);
    }
    std::vector<Tensor> out = TRY(EvalOnce(*step.spec, *node, args, options.store, options.limits, step.opset, 0,
                                               may_overwrite, bounds ? &*bounds : nullptr));
    if (options.after_node) options.after_node(*step.node, out);
    const Step& maker = bounds ? steps_[step.bounded_by] : step;
    if (bounds) {
      // The reader's kernel does not run; its rule still says whether it may stand there.
      done[step.bounded_by] = true;
      reader_args[0] = &out[0];
      Result<std::vector<TypeInfo>> valid =
          InferArgs(*maker.spec, *maker.node, reader_args, maker.opset, nullptr);
      if (!valid.ok()) return valid.error().In(NodeLabel(*maker.node));
    }
    for (size_t i = 0; i < maker.outputs.size(); ++i) {
      int o = maker.outputs[i];
      if (o < 0) continue;
      const Tensor* replaced = overridden(o);
      values[o] = replaced ? *replaced : std::move(out[i]);
      live += values[o].bytes();
    }
    if (live > options.limits.bytes) return LimitHit("live tensors exceed the byte limit", NodeLabel(*step.node));
    if (options.keep_all) continue;
    for (const std::vector<int>* list : {&step.inputs, &maker.outputs}) {
      for (int i : *list) {
        if (i >= 0 && last_use_[i] <= static_cast<int>(s) && values[i].defined()) {
          if (initializer_of_[i] < 0) live -= values[i].bytes();
          values[i] = Tensor();
        }
      }
    }
  }
  for (int o : output_slots_) {
    load(o);
    result.outputs.push_back(values[o]);
  }
  if (options.keep_all) {
    for (size_t i = 0; i < values.size(); ++i) {
      load(static_cast<int>(i));
      if (values[i].defined()) result.values.emplace(slot_names_[i], std::move(values[i]));
    }
  }
  return result;
}

Result<Execution> Run(const Model& model, const std::vector<Tensor>& inputs, const ExecOptions& options) {
  Program p = TRY(Program::Compile(model));
  return p.Run(inputs, options);
}

namespace {
// `store`: of floating-point inputs, which are drawn when it is native alone.
Result<std::vector<Tensor>> DrawInputs(const Model& model, uint64_t seed, int64_t symbol_extent, Store store) {
  std::vector<Tensor> inputs;
  uint64_t index = 0;
  for (const ValueInfo& v : model.graph.RequiredInputs()) {
    if (v.dtype == DType::kUndefined) return Unsupported("input '" + v.name + "' is not a tensor");
    if (!v.shape) return Unsupported("input '" + v.name + "' has no declared rank");
    Shape shape;
    for (const DimDecl& d : *v.shape) shape.push_back(d.value >= 0 ? d.value : symbol_extent);
    Tensor t = TRY(Tensor::Make(v.dtype, shape, store));
    Choices choices(MixSeeds(seed, index++));
    for (int64_t i = 0; i < t.size(); ++i) {
      if (IsFloat(t.dtype()) && store != Store::kNative) break;
      if (t.dtype() == DType::kString) t.mutable_strings()[i] = std::string(1, static_cast<char>('a' + choices.Below(26)));
      else if (IsFloat(t.dtype())) t.Set(i, choices.Normal());
      else if (t.dtype() == DType::kBool) t.Set(i, static_cast<double>(choices.Below(2)));
      else t.Set(i, static_cast<double>(choices.Below(4)));
    }
    inputs.push_back(std::move(t));
  }
  return inputs;
}
}  // namespace

Result<std::vector<Tensor>> RandomInputs(const Model& model, uint64_t seed, int64_t symbol_extent) {
  return DrawInputs(model, seed, symbol_extent, Store::kNative);
}

Result<std::vector<Tensor>> RandomIntegerInputs(const Model& model, uint64_t seed, int64_t symbol_extent, Store store) {
  CHECK(store != Store::kNative);
  return DrawInputs(model, seed, symbol_extent, store);
}

}  // namespace assay
