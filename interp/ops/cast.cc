// Cast (ONNX opset 6, 9, 13, 19, 21, 23, 24, 25) and CastLike (15, 19, 21, 23, 24, 25).
//
// In the double domain every real type is a double and casts between them change nothing; in the
// field they are the identity. What a cast to integers does there is described in elementwise.h.
#include <charconv>
#include <cstdlib>

#include "interp/draw.h"
#include "interp/ops/elementwise.h"
#include "interp/small_float.h"

namespace assay {
namespace {

constexpr DTypeSet kCast6 = kFloats16 | kInts | kBoolSet, kCast9 = kCast6 | Bit(DType::kString),
                   kCast13 = kCast9 | kBfloat16Set, kCast19 = kCast13 | kFloats8,
                   kCast21 = kCast19 | kInts4, kCast23 = kCast21 | Bit(DType::kFloat4E2M1),
                   kCast24 = kCast23 | Bit(DType::kFloat8E8M0), kCast25 = kCast24 | kInts2;
constexpr DTypeSet kSmallInts = kInts4 | kInts2;

// Any number to any number; bool is the functors' own affair.
template <class To, class From>
To ConvertTo(From x) {
  if constexpr (std::is_same_v<To, From>)
    return x;
  else if constexpr (std::is_integral_v<To>)
    return IntegerFrom<To>(x);
  else if constexpr (std::is_integral_v<From>)
    return FromInteger<To>(x);
  else if constexpr (kIsFp<From>)
    return To();  // a kernel never sees the field beside real numbers
  else
    return static_cast<To>(x);
}

// Calls f with the C++ type of the numbers in t; bool counts as uint8_t.
template <class F>
Status VisitNumbers(const Tensor& t, F&& f) {
  if (t.dtype() == DType::kBool) return f(uint8_t{});
  return VisitNumeric(t, f);
}

Status CastNumbers(const Tensor& in, Tensor* out) {
  bool from_bool = in.dtype() == DType::kBool, to_bool = out->dtype() == DType::kBool;
  return VisitNumbers(in, [&](auto from) -> Status {
    using From = decltype(from);
    const From* x = in.data<From>();
    if (to_bool) {
      bool* y = out->mutable_data<bool>();
      for (int64_t i = 0; i < in.size(); ++i) y[i] = x[i] != From();
      return {};
    }
    return VisitNumbers(*out, [&](auto to) -> Status {
      using To = decltype(to);
      To* y = out->mutable_data<To>();
      for (int64_t i = 0; i < in.size(); ++i)
        y[i] = ConvertTo<To>(from_bool ? From(x[i] != From()) : x[i]);
      return {};
    });
  });
}

// A number as text: shortest decimal that reads back the same; NaN, INF, -INF.
template <class T>
std::string Print(T x) {
  char buffer[64];
  if constexpr (kIsFp<T>) {
    double v;
    return RealValueOf(x, &v) ? Print(v) : "r" + std::to_string(static_cast<int64_t>(x.r));
  } else {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(x)) return "NaN";
      if (std::isinf(x)) return x > 0 ? "INF" : "-INF";
    }
    return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, x).ptr);
  }
}

Status PrintNumbers(const Tensor& in, Tensor* out) {
  std::vector<std::string>& y = out->mutable_strings();
  bool narrow = in.dtype() != DType::kDouble;
  return VisitNumbers(in, [&](auto from) -> Status {
    using From = decltype(from);
    const From* x = in.data<From>();
    for (int64_t i = 0; i < in.size(); ++i) {
      // In the double domain too a float has the digits of a float.
      if constexpr (std::is_same_v<From, double>)
        y[i] = narrow ? Print(static_cast<float>(x[i])) : Print(x[i]);
      else
        y[i] = Print(x[i]);
    }
    return {};
  });
}

// Reads all of `text`, spaces around it aside, as a number of type T.
template <class T>
bool Read(std::string_view text, T* value) {
  size_t begin = text.find_first_not_of(" \t\n"), end = text.find_last_not_of(" \t\n");
  if (begin == std::string_view::npos) return false;
  text = text.substr(begin, end - begin + 1);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  if constexpr (std::is_floating_point_v<T>) {
    // Too large or too small: infinity or zero, which from_chars leaves out.
    if (error == std::errc::result_out_of_range) {
      *value = static_cast<T>(std::strtod(std::string(text).c_str(), nullptr));
      return true;
    }
  }
  return error == std::errc() && stop == text.data() + text.size();
}

// A number of type To from text; "3.7" as an integer is 3. Integers are read exactly where they are
// written so.
template <class To>
bool Parse(const std::string& text, To* value) {
  double real;
  if constexpr (std::is_integral_v<To>) {
    if (Read(text, value)) return true;
    if (!Read(text, &real)) return false;
    *value = TruncateTo<To>(real);
    return true;
  } else if constexpr (std::is_same_v<To, float>) {
    return Read(text, value);
  } else {
    if (!Read(text, &real)) return false;
    *value = To(real);
    return true;
  }
}

Status ParseNumbers(const Tensor& in, Tensor* out) {
  const std::vector<std::string>& x = in.strings();
  bool to_bool = out->dtype() == DType::kBool;
  return VisitNumbers(*out, [&](auto to) -> Status {
    using To = decltype(to);
    To* y = out->mutable_data<To>();
    for (int64_t i = 0; i < in.size(); ++i) {
      if (!Parse(x[i], &y[i])) return Invalid("'" + x[i].substr(0, 40) + "' is not a number");
      if (to_bool) y[i] = To(y[i] != To());
    }
    return {};
  });
}

// ---- types of 8 bits and less: on their way from and to other types they are float, int8 or uint8

// An ordinary type that holds every value of `t`.
DType Carrier(DType t) {
  if (IsSmallFloat(t)) return DType::kFloat;
  if (!Contains(kSmallInts, t)) return t;
  return t == DType::kInt4 || t == DType::kInt2 ? DType::kInt8 : DType::kUint8;
}

Result<Tensor> Widened(KernelContext& c, const Tensor& in) {
  if (Contains(kSmallInts, in.dtype())) return in.WithDType(Carrier(in.dtype()));
  if (!IsSmallFloat(in.dtype())) return in;
  Tensor out = TRY(c.Scratch(DType::kFloat, in.shape()));
  for (int64_t i = 0; i < in.size(); ++i)
    out.Set(i, SmallFloatValue(in.dtype(), in.data<uint8_t>()[i]));
  return out;
}

// The low bits of an integer, as runtimes keep them of one out of range.
void NarrowInts(const Tensor& in, Tensor* out) {
  const int bits = Contains(kInts2, out->dtype()) ? 2 : 4, mask = (1 << bits) - 1;
  const bool is_signed = out->dtype() == DType::kInt4 || out->dtype() == DType::kInt2;
  for (int64_t i = 0; i < in.size(); ++i) {
    int v = static_cast<int>(in.AsInt(i)) & mask;
    if (is_signed && v > mask / 2) v -= mask + 1;
    out->mutable_raw()[i] = static_cast<std::byte>(v);
  }
}

// In the field a residue without a real value gives the bits of a hash.
void NarrowFloats(KernelContext& c, const Tensor& in, Tensor* out) {
  const bool saturate = c.Int("saturate") != 0;
  const std::string mode = c.spec().FindAttr("round_mode") ? c.String("round_mode") : "up";
  const PowerRounding powers = mode == "up"     ? PowerRounding::kUp
                               : mode == "down" ? PowerRounding::kDown
                                                : PowerRounding::kNearest;
  const int64_t patterns = out->dtype() == DType::kFloat4E2M1 ? 16 : 256;
  uint8_t* bits = out->mutable_data<uint8_t>();
  for (int64_t i = 0; i < in.size(); ++i) {
    double v = in.AsDouble(i);
    bool real = in.store() != Store::kField || RealValueOf(Fp::Raw(v), &v);
    bits[i] = real ? SmallFloatBits(out->dtype(), v, saturate, powers)
                   : static_cast<uint8_t>(HashedInteger("Cast", Fp::Raw(v), patterns));
  }
}

Status CastOrdinary(const Tensor& in, Tensor* out) {
  if (in.dtype() == DType::kString) return ParseNumbers(in, out);
  if (out->dtype() == DType::kString) return PrintNumbers(in, out);
  return CastNumbers(in, out);
}

Status EvalCast(KernelContext& c) {
  const Tensor& in = c.in(0);
  if (c.out_dtype(0) == in.dtype()) {
    c.Set(0, in);
    return {};
  }
  Tensor* out = TRY(c.Out(0, in.shape()));
  DType carrier = Carrier(out->dtype());
  if (carrier == out->dtype()) {
    Tensor wide = TRY(Widened(c, in));
    if (wide.dtype() == out->dtype()) {
      c.Set(0, wide);
      return {};
    }
    return CastOrdinary(wide, out);
  }
  // Real numbers keep their precision on the way to a small float: each is rounded once.
  bool direct = IsSmallFloat(out->dtype()) && IsFloat(in.dtype());
  Tensor wide = TRY(Widened(c, in));
  if (!direct && wide.dtype() != carrier) {
    Tensor narrow = TRY(c.Scratch(carrier, in.shape()));
    TRY(CastOrdinary(wide, &narrow));
    wide = narrow;
  }
  if (IsSmallFloat(out->dtype()))
    NarrowFloats(c, wide, out);
  else
    NarrowInts(wide, out);
  return {};
}

void CastRule(RuleContext& c) {
  int64_t to = c.IntValue("to");
  bool known =
      to > 0 && to < kDTypeCount && Contains(c.spec().outputs[0].types, static_cast<DType>(to));
  c.Require(known, "'to' is an element type that this version casts to");
  OutLike(c, 0, known ? static_cast<DType>(to) : c.dtype(0));
}

void CastLikeRule(RuleContext& c) { OutLike(c, 0, c.dtype(1)); }

std::vector<int64_t> Numbers(DTypeSet types) {
  std::vector<int64_t> list;
  for (int i = 1; i < kDTypeCount; ++i) {
    if (Contains(types, static_cast<DType>(i))) list.push_back(i);
  }
  return list;
}

// On request, of what the specification decides: integers to any integer, small floats and from
// them, integers and bools as text.
std::vector<DType> RareTargets(const OpSpec& spec, DType from) {
  DTypeSet to = IsFloat(from) || IsSmallFloat(from)
                    ? kFloatsBf16 | kFloats8 | Bit(DType::kFloat4E2M1)
                    : kFloatsBf16 | kInts | kInts4 | kInts2 | kBoolSet;
  if (IsInt(from)) to |= Bit(DType::kString);
  to &= spec.outputs[0].types;
  std::vector<DType> list;
  for (int64_t i : Numbers(to)) list.push_back(static_cast<DType>(i));
  return list;
}

// Types that hold what models cast: to narrow or unsigned ones only from where no value can fall
// out of range, since there the specification leaves the result open; not to bfloat16, which
// runtimes hardly take as an output.
bool DrawCast(Choices& choices, Draft& d) {
  DType from = d.inputs[0].dtype;
  if (from == DType::kString) return false;
  std::vector<DType> to = {DType::kFloat,  DType::kFloat,   DType::kFloat,
                           DType::kDouble, DType::kFloat16, DType::kInt64,
                           DType::kInt64,  DType::kInt32,   DType::kBool};
  if (from == DType::kBool) {
    for (DType t : {DType::kUint8, DType::kInt8, DType::kUint32, DType::kInt16, DType::kUint16})
      to.push_back(t);
  }
  if (from == DType::kUint8) {
    for (DType t : {DType::kUint16, DType::kUint32, DType::kUint64, DType::kInt16}) to.push_back(t);
  }
  if (d.anything && choices.Chance(0.5)) to = RareTargets(*d.spec, from);
  if (!choices.Chance(0.1)) std::erase(to, from);  // a Cast to the same type is what optimizers drop
  if (to.empty()) return false;
  DType target = choices.Pick(to);
  d.Set("to", static_cast<int64_t>(target));
  if (Contains(kFloats8, target)) MaybeSet(choices, d, "saturate");
  if (target == DType::kFloat8E8M0) MaybeSet(choices, d, "round_mode");
  return true;
}

// `saturate` (opset 19) and `round_mode` (24) are about small floats.
void AddModes(OpSpec& row) {
  if (row.since >= 19) row.Int("saturate", 1, {.ints = {1, 0}});
  if (row.since >= 24) row.String("round_mode", "up", {.strings = {"up", "down", "nearest"}});
}

OpSpec CastRow(int since, DTypeSet types) {
  OpSpec row = Op("Cast", since)
                   .In("input", "T1", types)
                   .Out("output", "T2", types)
                   .Attr({"to", AttrType::kInt, true, std::nullopt, {.ints = Numbers(types)}})
                   .Rule(CastRule)
                   .Eval(EvalCast)
                   .Draw(DrawCast)
                   .Traits(kElementwise | kDiscontinuous);
  AddModes(row);
  return row;
}

OpSpec CastLikeRow(int since, DTypeSet types) {
  OpSpec row = Op("CastLike", since)
                   .In("input", "T1", types)
                   .In("target_type", "T2", types)
                   .Out("output", "T2", types)
                   .Rule(CastLikeRule)
                   .Eval(EvalCast)
                   .Traits(kElementwise | kDiscontinuous);
  AddModes(row);
  return row;
}

}  // namespace

std::vector<OpSpec> ops_cast() {
  std::vector<OpSpec> rows;
  rows.push_back(CastRow(6, kCast6));
  rows.push_back(CastRow(9, kCast9));
  for (const TypesSince& v : std::initializer_list<TypesSince>{{13, kCast13},
                                                               {19, kCast19},
                                                               {21, kCast21},
                                                               {23, kCast23},
                                                               {24, kCast24},
                                                               {25, kCast25}})
    rows.push_back(CastRow(v.version, v.types));
  for (const TypesSince& v : std::initializer_list<TypesSince>{{15, kCast13},
                                                               {19, kCast19},
                                                               {21, kCast21},
                                                               {23, kCast23},
                                                               {24, kCast24},
                                                               {25, kCast25}})
    rows.push_back(CastLikeRow(v.version, v.types));
  return rows;
}

}  // namespace assay
