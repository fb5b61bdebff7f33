// Writers of fuzz/operands.h: one operand, attribute or input as the opset wants it.
#include "fuzz/operands.h"

namespace assay {

std::string AddNode(Edit& e, const std::string& what, const std::string& op,
                    std::vector<std::string> in, std::vector<Attribute> attrs, const Into& into) {
  if (into.name.empty()) return e.Add(what, op, std::move(in), std::move(attrs));
  e.AddMaking(what, {into.name}, op, std::move(in), std::move(attrs));
  return into.name;
}
std::string AddTranspose(Edit& e, const std::string& what, const std::string& x,
                         const std::vector<int64_t>& perm, const Into& into) {
  return AddNode(e, what, "Transpose", {x}, {Attr("perm", perm)}, into);
}
std::string AddReshape(Edit& e, const std::string& what, const std::string& x,
                       const std::vector<int64_t>& shape, const Into& into) {
  return AddNode(e, what, "Reshape", {x, e.Ints(what + "_shape", shape)}, {}, into);
}

namespace {
std::string AddWithAxes(Edit& e, const std::string& what, const std::string& op,
                        const std::string& x, const std::vector<int64_t>& axes,
                        std::vector<Attribute> attrs, int input_since, const Into& into) {
  if (e.view().opset() >= input_since) {
    return AddNode(e, what, op, {x, e.Ints(what + "_axes", axes)}, std::move(attrs), into);
  }
  attrs.push_back(Attr("axes", axes));
  return AddNode(e, what, op, {x}, std::move(attrs), into);
}
}  // namespace

std::string AddSqueeze(Edit& e, const std::string& what, const std::string& x,
                       const std::vector<int64_t>& axes, const Into& into) {
  return AddWithAxes(e, what, "Squeeze", x, axes, {}, 13, into);
}
std::string AddUnsqueeze(Edit& e, const std::string& what, const std::string& x,
                         const std::vector<int64_t>& axes, const Into& into) {
  return AddWithAxes(e, what, "Unsqueeze", x, axes, {}, 13, into);
}
std::string AddReduce(Edit& e, const std::string& what, const std::string& op, const std::string& x,
                      const std::vector<int64_t>& axes, bool keepdims, const Into& into) {
  return AddWithAxes(e, what, op, x, axes, {Attr("keepdims", keepdims ? 1 : 0)},
                     op == "ReduceSum" ? 13 : 18, into);
}
std::string AddSlice(Edit& e, const std::string& what, const std::string& x, const SliceOperands& s,
                     const Into& into) {
  if (e.view().opset() < 10) {
    return AddNode(e, what, "Slice", {x},
                   {Attr("axes", s.axes), Attr("starts", s.starts), Attr("ends", s.ends)}, into);
  }
  return AddNode(e, what, "Slice",
                 {x, e.Ints(what + "_starts", s.starts), e.Ints(what + "_ends", s.ends),
                  e.Ints(what + "_axes", s.axes), e.Ints(what + "_steps", s.steps)},
                 {}, into);
}
std::string AddPad(Edit& e, const std::string& what, const std::string& x, DType dtype,
                   const PadOperands& p, const Into& into) {
  if (e.view().opset() < 11) {
    return AddNode(
        e, what, "Pad", {x},
        {Attr("mode", p.mode), Attr("pads", p.pads), Attr("value", static_cast<float>(p.value))},
        into);
  }
  std::vector<std::string> in = {x, e.Ints(what + "_pads", p.pads)};
  if (p.mode == "constant") in.push_back(AddScalar(e, what + "_value", dtype, p.value));
  return AddNode(e, what, "Pad", std::move(in), {Attr("mode", p.mode)}, into);
}
std::string AddClip(Edit& e, const std::string& what, const std::string& x, DType dtype,
                    const ClipOperands& b, const Into& into) {
  if (e.view().opset() < 11) {
    std::vector<Attribute> attrs;
    if (b.lo) attrs.push_back(Attr("min", static_cast<float>(*b.lo)));
    if (b.hi) attrs.push_back(Attr("max", static_cast<float>(*b.hi)));
    return AddNode(e, what, "Clip", {x}, std::move(attrs), into);
  }
  std::vector<std::string> in = {x};
  if (b.lo || b.hi) in.push_back(b.lo ? AddScalar(e, what + "_min", dtype, *b.lo) : "");
  if (b.hi) in.push_back(AddScalar(e, what + "_max", dtype, *b.hi));
  return AddNode(e, what, "Clip", std::move(in), {}, into);
}
std::vector<std::string> AddSplit(Edit& e, const std::string& what, const std::string& x,
                                  int64_t axis, const std::vector<int64_t>& sizes,
                                  std::vector<std::string> outputs) {
  outputs.resize(sizes.size());
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (outputs[k].empty()) outputs[k] = e.Fresh(what + std::to_string(k));
  }
  if (e.view().opset() < 13) {
    e.AddMaking(what, outputs, "Split", {x}, {Attr("axis", axis), Attr("split", sizes)});
  } else {
    e.AddMaking(what, outputs, "Split", {x, e.Ints(what + "_sizes", sizes)}, {Attr("axis", axis)});
  }
  return outputs;
}
std::string AddScalar(Edit& e, const std::string& what, DType dtype, double value) {
  Tensor t = Tensor::Make(dtype, {}).value();
  t.Set(0, value);
  return e.Constant(what, std::move(t));
}

}  // namespace assay
