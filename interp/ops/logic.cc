// And, Or, Xor (ONNX opset 7), Not (1) and Where (9, 16), with numpy broadcasting.
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

struct AndFn {
  bool operator()(bool a, bool b) const { return a && b; }
};
struct OrFn {
  bool operator()(bool a, bool b) const { return a || b; }
};
struct XorFn {
  bool operator()(bool a, bool b) const { return a != b; }
};

// C = fn(A, B). Bools are read as bytes: a file may hold any non-zero one for true.
template <class Fn>
Status Logical(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  bool* y = out->mutable_data<bool>();
  const uint8_t* a = c.data<uint8_t>(0);
  const uint8_t* b = c.data<uint8_t>(1);
  ForBroadcast2(out->shape(), c.in(0).shape(), c.in(1).shape(),
                [&](int64_t i, int64_t ia, int64_t ib) { y[i] = Fn()(a[ia] != 0, b[ib] != 0); });
  return {};
}

Status EvalNot(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  bool* y = out->mutable_data<bool>();
  const uint8_t* x = c.data<uint8_t>(0);
  for (int64_t i = 0; i < out->size(); ++i) y[i] = x[i] == 0;
  return {};
}

// output = condition ? X : Y, all three broadcast.
Status EvalWhere(KernelContext& c) {
  c.Overwrite(nullptr);  // both passes read the condition
  Tensor* out = TRY(c.Out(0));
  const uint8_t* condition = c.data<uint8_t>(0);
  return VisitBytes(c.in(1), [&](auto zero) -> Status {
    using T = decltype(zero);
    T* y = MutableElementsOf<T>(*out);
    for (int side : {1, 2}) {
      const T* x = ElementsOf<T>(c.in(side));
      ForBroadcast2(out->shape(), c.in(0).shape(), c.in(side).shape(),
                    [&](int64_t i, int64_t ic, int64_t ix) {
                      if ((condition[ic] != 0) == (side == 1)) y[i] = x[ix];
                    });
    }
    return {};
  });
}

void WhereRule(RuleContext& c) {
  if (!c.Ranked(0) || !c.Ranked(1) || !c.Ranked(2)) return c.OutUnranked(0, c.dtype(1));
  c.Out(0, c.dtype(1), BroadcastDims(c, BroadcastDims(c, c.Dims(0), c.Dims(1)), c.Dims(2)));
}

OpSpec Connective(const char* name, EvalFn eval) {
  return Op(name, 7)
      .In("A", "T", kBoolSet)
      .In("B", "T", kBoolSet)
      .Out("C", "T1", kBoolSet)
      .Rule(BroadcastToBool)
      .Eval(eval)
      .Class(Accuracy::kExact)
      .Traits(kElementwise | kBroadcasts | kCommutative);
}

}  // namespace

std::vector<OpSpec> ops_logic() {
  std::vector<OpSpec> rows;
  rows.push_back(Connective("And", Logical<AndFn>));
  rows.push_back(Connective("Or", Logical<OrFn>));
  rows.push_back(Connective("Xor", Logical<XorFn>));
  rows.push_back(Op("Not", 1)
                     .In("X", "T", kBoolSet)
                     .Out("Y", "T", kBoolSet)
                     .Rule(SameAsInput0)
                     .Eval(EvalNot)
                     .Traits(kElementwise)
                     .Class(Accuracy::kExact));
  OpSpec where = Op("Where", 9)
                     .In("condition", "B", kBoolSet)
                     .In("X", "T", kAll7)
                     .In("Y", "T", kAll7)
                     .Out("output", "T", kAll7)
                     .Rule(WhereRule)
                     .Eval(EvalWhere)
                     .Traits(kElementwise | kBroadcasts | kMovesData)
                     .Class(Accuracy::kExact);
  PushVersions(rows, where, "T", {{16, kAll13}});
  return rows;
}

}  // namespace assay
