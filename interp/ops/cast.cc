// Cast (ONNX opset 6, 9, 13) and CastLike (15).
//
// In the double domain every real type is a double and casts between them change nothing; in the
// field they are the identity. What a cast to integers does there is described in elementwise.h.
#include <charconv>
#include <cstdlib>

#include "interp/ops/elementwise.h"

namespace assay {
namespace {

constexpr DTypeSet kCast6 = kFloats16 | kInts | kBoolSet, kCast9 = kCast6 | Bit(DType::kString),
                   kCast13 = kCast9 | kBfloat16Set;

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

Status EvalCast(KernelContext& c) {
  const Tensor& in = c.in(0);
  if (c.out_dtype(0) == in.dtype()) {
    c.Set(0, in);
    return {};
  }
  Tensor* out = TRY(c.Out(0, in.shape()));
  if (in.dtype() == DType::kString) return ParseNumbers(in, out);
  if (out->dtype() == DType::kString) return PrintNumbers(in, out);
  return CastNumbers(in, out);
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
  std::erase(to, from);
  d.Set("to", static_cast<int64_t>(choices.Pick(to)));
  return true;
}

OpSpec CastRow(int since, DTypeSet types) {
  return Op("Cast", since)
      .In("input", "T1", types)
      .Out("output", "T2", types)
      .Attr({"to", AttrType::kInt, true, std::nullopt, {.ints = Numbers(types)}})
      .Rule(CastRule)
      .Eval(EvalCast)
      .Draw(DrawCast)
      .Traits(kElementwise | kDiscontinuous);
}

}  // namespace

std::vector<OpSpec> ops_cast() {
  std::vector<OpSpec> rows;
  rows.push_back(CastRow(6, kCast6));
  rows.push_back(CastRow(9, kCast9));
  rows.push_back(CastRow(13, kCast13));
  rows.push_back(Op("CastLike", 15)
                     .In("input", "T1", kCast13)
                     .In("target_type", "T2", kCast13)
                     .Out("output", "T2", kCast13)
                     .Rule(CastLikeRule)
                     .Eval(EvalCast)
                     .Traits(kElementwise | kDiscontinuous));
  return rows;
}

}  // namespace assay
