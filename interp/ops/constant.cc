// Tensors made of attributes and shapes: Constant (opset 1 to 25), ConstantOfShape (9 to 25),
// EyeLike (9, 22) and Range (11, 27).
#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/versions.h"

namespace assay {
namespace {

// ---- Constant. Version 1 allows floats only; PyTorch's early exporters wrote integers into it,
// and every runtime takes them, so all types pass.

// The tensor that a Constant node holds; undefined for a sparse one.
Tensor ValueOf(const Node& node) {
  if (node.attrs.size() != 1) return {};
  const AttrValue& v = node.attrs[0].value;
  if (auto t = std::get_if<Tensor>(&v)) return *t;
  if (auto f = std::get_if<float>(&v)) return Tensor::ScalarFloat(*f);
  if (auto f = std::get_if<std::vector<float>>(&v))
    return Tensor::Floats({static_cast<int64_t>(f->size())}, *f);
  if (auto i = std::get_if<int64_t>(&v)) return Tensor::Ints({}, {*i});
  if (auto i = std::get_if<std::vector<int64_t>>(&v)) return Tensor::Vector(*i);
  if (auto s = std::get_if<std::string>(&v)) return Tensor::Strings({}, {*s});
  if (auto s = std::get_if<std::vector<std::string>>(&v))
    return Tensor::Strings({static_cast<int64_t>(s->size())}, *s);
  return {};
}

void ConstantRule(RuleContext& c) {
  c.Require(c.node().attrs.size() == 1, "exactly one attribute holds the value");
  Tensor t = ValueOf(c.node());
  if (!t.defined()) return c.OutUnranked(0, DType::kUndefined);
  c.Require(Contains(c.spec().outputs[0].types, t.dtype()),
            "the element type of value is allowed by this version");
  c.Out(0, t.dtype(), TypeInfo::Of(t).dims);
}

Status ConstantKernel(KernelContext& c) {
  Tensor t = ValueOf(c.node());
  if (!t.defined()) return Unsupported("sparse_value is not supported");
  c.Set(0, c.store() == Store::kNative ? t : t.To(c.store()));
  return {};
}

bool DrawConstant(Choices& choices, Draft& d) {
  d.attrs.clear();
  Shape shape;
  for (uint64_t k = choices.Below(4); k > 0; --k) shape.push_back(DrawExtent(choices, 8));
  DType dtype =
      d.spec->since < 9
          ? DType::kFloat
          : choices.PickOf<DType>({DType::kFloat, DType::kFloat, DType::kInt64, DType::kInt32});
  d.Set("value", RandomConstant(choices, dtype, shape));
  return true;
}

// ---- ConstantOfShape: Y[..] = value

// The `value` attribute, a one-element tensor; float 0 when absent.
Tensor FillValue(const Node& node) {
  const AttrValue* v = node.Find("value");
  return v ? std::get<Tensor>(*v) : Tensor::Floats({1}, {0.0f});
}

void ConstantOfShapeRule(RuleContext& c) {
  Tensor value = FillValue(c.node());
  c.Require(value.size() == 1, "value has one element");
  c.Require(Contains(c.spec().outputs[0].types, value.dtype()),
            "the element type of value is allowed");
  if (c.Ranked(0)) c.Require(c.Rank(0) == 1, "input has one axis");
  std::vector<int64_t> want;
  if (c.KnownInts(0, &want)) {
    c.Require(static_cast<int64_t>(want.size()) <= kMaxRank, "the output has at most 64 axes");
    for (int64_t v : want) c.Require(v >= 0, "extents are at least 0");
    if (!c.failed()) c.Out(0, value.dtype(), std::vector<Dim>(want.begin(), want.end()));
    return;
  }
  Dim rank = c.Ranked(0) && c.Rank(0) == 1 ? c.In(0, 0) : Dim::Unknown();
  c.Require(rank <= Dim(kMaxRank), "the output has at most 64 axes");
  if (!rank.known() || rank.value() > kMaxRank) return c.OutUnranked(0, value.dtype());
  c.Out(0, value.dtype(), std::vector<Dim>(static_cast<size_t>(rank.value())));
}

Status ConstantOfShapeKernel(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  Tensor value = FillValue(c.node());
  return FillWith(c.store() == Store::kNative ? value : value.To(c.store()), *y);
}

bool DrawConstantOfShape(Choices& choices, Draft& d) {
  d.attrs.clear();
  std::vector<int64_t> shape;
  for (int64_t k = choices.Between(1, 4); k > 0; --k) shape.push_back(DrawExtent(choices, 8));
  d.SetConstant(0, Tensor::Vector(shape));
  DType type = choices.PickOf<DType>({DType::kFloat, DType::kInt64});
  if (d.anything && choices.Chance(0.3))
    type = choices.PickOf<DType>({DType::kDouble, DType::kFloat16, DType::kInt32, DType::kUint8,
                                  DType::kInt8, DType::kUint64, DType::kBool});
  if (choices.Chance(0.8)) d.Set("value", RandomConstant(choices, type, {1}));
  return true;
}

// ---- EyeLike: Y[i, j] = 1 where j = i + k, else 0

constexpr DTypeSet kEyeTypes = kFloats16 | kInts | Bit(DType::kBool);

void EyeLikeRule(RuleContext& c) {
  int64_t wanted = c.HasAttr("dtype") ? c.IntValue("dtype") : static_cast<int64_t>(c.dtype(0));
  bool fits = wanted > 0 && wanted < kDTypeCount &&
              Contains(c.spec().outputs[0].types, static_cast<DType>(wanted));
  c.Require(fits, "dtype is one that EyeLike makes");
  if (c.Ranked(0)) c.Require(c.Rank(0) == 2, "input has two axes");
  if (c.failed()) return;
  c.Out(0, static_cast<DType>(wanted), c.Ranked(0) ? c.Dims(0) : std::vector<Dim>(2));
}

Status EyeLikeKernel(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  Tensor zero = TRY(c.Scratch(y->dtype(), {1}));
  zero.Set(0, 0);
  TRY(FillWith(zero, *y));
  int64_t rows = y->dim(0), columns = y->dim(1);
  int64_t k = std::clamp<int64_t>(c.Int("k"), -rows, columns);
  for (int64_t i = std::max<int64_t>(0, -k); i < rows && i + k < columns; ++i)
    y->Set(i * columns + i + k, 1);
  return {};
}

bool DrawEyeLike(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (d.inputs[0].dims.size() != 2) return false;
  if (choices.Chance(0.5)) d.Set("k", choices.Between(-2, 2));
  if (choices.Chance(0.5))
    d.Set("dtype", static_cast<int64_t>(
                       choices.PickOf<DType>({DType::kFloat, DType::kDouble, DType::kInt64})));
  return true;
}

// ---- Range: Y[i] = start + i * delta for i < max(ceil((limit - start) / delta), 0)

Dim CountOfInts(int64_t start, int64_t limit, int64_t delta) {
  __int128 span = static_cast<__int128>(limit) - start, step = delta;
  if (step < 0) span = -span, step = -step;
  __int128 n = span <= 0 ? 0 : (span + step - 1) / step;
  return n > Dim::kMax ? Dim::Undefined() : Dim(static_cast<int64_t>(n));
}

Dim CountOfReals(double start, double limit, double delta, DType dtype) {
  // The difference is taken in the operator's own type, as runtimes do.
  double span = limit - start;
  if (dtype != DType::kDouble) span = static_cast<float>(span);
  if (dtype == DType::kFloat16) span = HalfToFloat(FloatToHalf(static_cast<float>(span)));
  if (dtype == DType::kBfloat16) span = Bfloat16ToFloat(FloatToBfloat16(static_cast<float>(span)));
  double n = std::ceil(span / delta);
  if (std::isnan(n) || n >= 0x1p62) return Dim::Undefined();
  return Dim(n > 0 ? static_cast<int64_t>(n) : 0);
}

void RangeRule(RuleContext& c) {
  for (int i = 0; i < 3; ++i) {
    if (c.Ranked(i)) c.Require(Product(c.Dims(i)) == Dim(1), "start, limit and delta are scalars");
  }
  Dim count = Dim::Unknown();
  if (IsFloat(c.dtype(0))) {
    std::vector<double> s, l, d;
    if (c.KnownReals(0, &s) && c.KnownReals(1, &l) && c.KnownReals(2, &d) && !c.failed()) {
      c.Require(d[0] != 0, "delta is not 0");
      if (!c.failed()) count = CountOfReals(s[0], l[0], d[0], c.dtype(0));
    }
  } else {
    std::vector<int64_t> s, l, d;
    if (c.KnownInts(0, &s) && c.KnownInts(1, &l) && c.KnownInts(2, &d) && !c.failed()) {
      c.Require(d[0] != 0, "delta is not 0");
      if (!c.failed()) count = CountOfInts(s[0], l[0], d[0]);
    }
  }
  c.Require(count >= Dim(0), "the range is finite");
  if (!c.failed()) c.Out(0, c.dtype(0), {count});
}

Status RangeKernel(KernelContext& c) {
  if (!IsFloat(c.out_dtype(0))) {
    Tensor* y = TRY(c.Out(0));
    int64_t start = c.in(0).AsInt(0), delta = c.in(2).AsInt(0);
    return VisitInt(*y, [&](auto zero) -> Status {
      using T = decltype(zero);
      for (int64_t i = 0; i < y->size(); ++i)
        y->mutable_data<T>()[i] = static_cast<T>(WrapAdd(start, WrapMul(i, delta)));
      return {};
    });
  }
  std::vector<double> start, limit, delta;
  if (!RealsOf(c.in(0), &start) || !RealsOf(c.in(1), &limit) || !RealsOf(c.in(2), &delta)) {
    return Unsupported("start, limit or delta has no value in this domain");
  }
  Tensor* y = TRY(c.Out(0));
  return VisitFloat(*y, [&](auto zero) -> Status {
    using T = decltype(zero);
    T first = T(start[0]), step = T(delta[0]);
    for (int64_t i = 0; i < y->size(); ++i) y->mutable_data<T>()[i] = first + T(i) * step;
    return {};
  });
}

bool DrawRange(Choices& choices, Draft& d) {
  d.attrs.clear();
  DType dtype = d.inputs.empty() || d.inputs[0].dtype == DType::kUndefined ? DType::kInt64
                                                                           : d.inputs[0].dtype;
  // Halves and integers: the count is the same in every precision.
  double unit = IsFloat(dtype) && choices.Chance(0.4) ? 0.5 : 1;
  int64_t start = choices.Between(-4, 4), delta = choices.PickOf<int64_t>({1, 1, 2, 3, -1, -2}),
          n = choices.Between(1, 8);
  int64_t limit = start + delta * n - (delta > 1 ? 1 : 0);
  int64_t values[3] = {start, limit, delta};
  for (size_t i = 0; i < 3; ++i) {
    Tensor t = Tensor::Make(dtype, {}).value();
    t.Set(0, static_cast<double>(values[i]) * unit);
    d.SetConstant(i, t);
  }
  return true;
}

void AddConstantVersions(std::vector<OpSpec>& rows) {
  OpSpec row = Op("Constant", 1)
                   .Out("output", "T", kAll7)
                   .Rule(ConstantRule)
                   .Eval(ConstantKernel)
                   .Draw(DrawConstant)
                   .Traits(kMovesData)
                   .Class(Accuracy::kExact);
  OpSpec needed = row;
  needed.Attr({"value", AttrType::kTensor, true, std::nullopt, {}});
  rows.push_back(needed);
  rows.push_back(needed.Since(9).Types("T", kAll7));
  row.Attr({"value", AttrType::kTensor, false, std::nullopt, {}})
      .Attr({"sparse_value", AttrType::kOpaque, false, std::nullopt, {}});
  rows.push_back(row.Since(11).Types("T", kAll7));
  row.Attr({"value_float", AttrType::kFloat, false, std::nullopt, {}})
      .Attr({"value_floats", AttrType::kFloats, false, std::nullopt, {}})
      .Attr({"value_int", AttrType::kInt, false, std::nullopt, {}})
      .Attr({"value_ints", AttrType::kInts, false, std::nullopt, {}})
      .Attr({"value_string", AttrType::kString, false, std::nullopt, {}})
      .Attr({"value_strings", AttrType::kStrings, false, std::nullopt, {}});
  rows.push_back(row.Since(12).Types("T", kAll7));
  PushAllTypes(rows, row, "T", {13, 19, 21, 23, 24, 25});
}

}  // namespace

std::vector<OpSpec> ops_constant() {
  std::vector<OpSpec> rows;
  AddConstantVersions(rows);
  OpSpec filled = Op("ConstantOfShape", 9)
                      .In("input", "T1", Bit(DType::kInt64))
                      .Out("output", "T2", kEyeTypes)
                      .Attr({"value", AttrType::kTensor, false, std::nullopt, {}})
                      .Rule(ConstantOfShapeRule)
                      .Eval(ConstantOfShapeKernel)
                      .Draw(DrawConstantOfShape)
                      .Traits(kMovesData)
                      .Class(Accuracy::kExact);
  rows.push_back(filled);
  constexpr DTypeSet kNever = Bit(DType::kString) | kComplexes;
  for (int since : {20, 21, 23, 24, 25})
    rows.push_back(filled.Since(since).Types("T2", AllTypesAt(since) & ~kNever));
  OpSpec eye = Op("EyeLike", 9)
                   .In("input", "T1", kEyeTypes)
                   .Out("output", "T2", kEyeTypes)
                   .Attr({"dtype", AttrType::kInt, false, std::nullopt, {.ints = {1, 6, 7, 11}}})
                   .Int("k", 0, {.lo = -4, .hi = 4})
                   .Rule(EyeLikeRule)
                   .Eval(EyeLikeKernel)
                   .Draw(DrawEyeLike)
                   .Traits(kMovesData | kReadsShape)
                   .Class(Accuracy::kExact);
  constexpr DTypeSet kEye22 = kEyeTypes | Bit(DType::kBfloat16);
  rows.insert(rows.end(), {eye, eye.Since(22).Types("T1", kEye22).Types("T2", kEye22)});
  constexpr DTypeSet kRangeTypes = Bit(DType::kFloat) | Bit(DType::kDouble) | Bit(DType::kInt16) |
                                   Bit(DType::kInt32) | Bit(DType::kInt64);
  OpSpec range = Op("Range", 11)
                     .In("start", "T", kRangeTypes)
                     .In("limit", "T", kRangeTypes)
                     .In("delta", "T", kRangeTypes)
                     .Out("output", "T", kRangeTypes)
                     .Parameter("start")
                     .Parameter("limit")
                     .Parameter("delta")
                     .Rule(RangeRule)
                     .Eval(RangeKernel)
                     .Draw(DrawRange);
  constexpr DTypeSet kHalves = Bit(DType::kFloat16) | Bit(DType::kBfloat16);
  rows.insert(rows.end(), {range, range.Since(27).Types("T", kRangeTypes | kHalves)});
  return rows;
}

}  // namespace assay
