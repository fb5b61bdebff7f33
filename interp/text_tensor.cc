// Tensors as text.
#include <cmath>
#include <cstring>

#include "interp/choices.h"
#include "interp/text_internal.h"

namespace assay::text {
namespace {

// A decimal, inf, nan, or nan:<bits>. T float or double.
template <class T, class Bits>
bool ParseFloat(std::string_view s, T* out) {
  if (s.rfind("nan:", 0) == 0) {
    Bits bits = 0;
    bool whole = WholeHex(s.substr(4), &bits);
    std::memcpy(out, &bits, sizeof(bits));
    return whole && std::isnan(*out);
  }
  return WholeNumber(s, out);
}

// A 16-bit float from its text; `round` is FloatToHalf or FloatToBfloat16, `widen` the way back.
bool ParseFloat16(std::string_view s, uint16_t (*round)(float), float (*widen)(uint16_t),
                  uint16_t* out) {
  if (s.rfind("nan:", 0) == 0) {
    return WholeHex(s.substr(4), out) && std::isnan(widen(*out));
  }
  float v;
  if (!WholeNumber(s, &v)) return false;
  *out = round(v);
  return true;
}

template <class T>
bool SetInt(Tensor* t, int64_t i, std::string_view s) {
  return WholeNumber(s, &t->mutable_data<T>()[i]);
}
// Values of fewer bits than their byte.
bool SetSmall(Tensor* t, int64_t i, std::string_view s, int lo, int hi) {
  int v = 0;
  if (!WholeNumber(s, &v) || v < lo || v > hi) return false;
  t->mutable_raw()[i] = static_cast<std::byte>(v);
  return true;
}

// Sets number i of a tensor (complex tensors count parts); false when the word is not a value of
// its type.
bool SetElement(Tensor* t, int64_t i, std::string_view s) {
  auto* raw32 = reinterpret_cast<float*>(t->mutable_raw());
  auto* raw64 = reinterpret_cast<double*>(t->mutable_raw());
  switch (t->dtype()) {
    case DType::kFloat:
    case DType::kComplex64:
      return ParseFloat<float, uint32_t>(s, raw32 + i);
    case DType::kDouble:
    case DType::kComplex128:
      return ParseFloat<double, uint64_t>(s, raw64 + i);
    case DType::kFloat16:
      return ParseFloat16(s, FloatToHalf, HalfToFloat, t->mutable_data<uint16_t>() + i);
    case DType::kBfloat16:
      return ParseFloat16(s, FloatToBfloat16, Bfloat16ToFloat, t->mutable_data<uint16_t>() + i);
    case DType::kBool:
      if (s == "true" || s == "false") s = s == "true" ? "1" : "0";
      return SetSmall(t, i, s, 0, 1);
    case DType::kUint4:
    case DType::kFloat4E2M1:
      return SetSmall(t, i, s, 0, 15);
    case DType::kInt4:
      return SetSmall(t, i, s, -8, 7);
    case DType::kUint2:
      return SetSmall(t, i, s, 0, 3);
    case DType::kInt2:
      return SetSmall(t, i, s, -2, 1);
    case DType::kInt8:
      return SetInt<int8_t>(t, i, s);
    case DType::kInt16:
      return SetInt<int16_t>(t, i, s);
    case DType::kUint16:
      return SetInt<uint16_t>(t, i, s);
    case DType::kInt32:
      return SetInt<int32_t>(t, i, s);
    case DType::kUint32:
      return SetInt<uint32_t>(t, i, s);
    case DType::kInt64:
      return SetInt<int64_t>(t, i, s);
    case DType::kUint64:
      return SetInt<uint64_t>(t, i, s);
    default:
      return SetInt<uint8_t>(t, i, s);  // uint8, and 8-bit floats by their bits
  }
}

int64_t NumbersIn(const Tensor& t) {
  bool two = t.dtype() == DType::kComplex64 || t.dtype() == DType::kComplex128;
  return two ? t.size() * 2 : t.size();
}

// random(seed): floats k/128 in [-1, 1], integers 0 to 3 (indices, mostly), fair bools.
void FillRandom(uint64_t seed, Tensor* t) {
  constexpr uint64_t kSteps = 257, kInts = 4;
  bool fractions = IsFloat(t->dtype());
  for (int64_t i = 0; i < t->size(); ++i) {
    uint64_t r = Mix(seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(i) + 1);
    t->Set(i, fractions ? (static_cast<double>(r % kSteps) - 128) / 128
                        : static_cast<double>(r % kInts));
  }
}

class TensorReader {
 public:
  TensorReader(TokenReader* in, const Limits& limits, int64_t* bytes)
      : in_(in), limits_(limits), bytes_(bytes) {}

  // "float[2,1] {1, 2}", "... fill(0.5)", "... random(7)", "... hex"0011"", or "undefined".
  Result<Tensor> Read() {
    Token start = in_->token();
    std::string type = TRY(in_->Take(Kind::kWord, "a type"));
    if (type == "undefined") return Tensor();
    if (!in_->Is("[")) return in_->Unexpected("'['");
    Shape shape;
    std::vector<DimDecl> dims = TRY(in_->TakeDims());
    for (const DimDecl& d : dims) {
      if (d.value < 0) return in_->At(start, "a tensor has numbers for extents");
      shape.push_back(d.value);
    }
    Result<Tensor> t = Tensor::Make(DTypeFromName(type), std::move(shape), Store::kNative, limits_);
    if (!t.ok()) return t.error().In(in_->At(start, "").where);
    *bytes_ += t->dtype() == DType::kString ? t->size() * static_cast<int64_t>(sizeof(std::string))
                                            : t->bytes();
    if (*bytes_ > limits_.bytes) return in_->Limit(start, "the tensors take too many bytes");
    TRY(FillTensor(&*t));
    return t;
  }

 private:
  Status FillTensor(Tensor* t) {
    if (in_->Is("{")) return FillList(t);
    Token start = in_->token();
    std::string how = TRY(in_->Take(Kind::kWord, "'{', fill, random or hex"));
    if (how == "hex" && t->dtype() != DType::kString) {
      std::string bytes = TRY(in_->TakeHex());
      if (static_cast<int64_t>(bytes.size()) != t->bytes())
        return in_->At(start, "hex has not the size of the tensor");
      if (!bytes.empty()) std::memcpy(t->mutable_raw(), bytes.data(), bytes.size());
      return CheckSmall(*t, start);
    }
    bool random =
        how == "random" && (IsFloat(t->dtype()) || IsInt(t->dtype()) || t->dtype() == DType::kBool);
    if (!random && how != "fill")
      return in_->At(start, "wanted '{', fill(value), random(seed) or hex\"bytes\"");
    TRY(in_->Expect("("));
    if (random) {
      int64_t seed = TRY(in_->TakeInt(0, INT64_MAX));
      FillRandom(static_cast<uint64_t>(seed), t);
    } else {
      TRY(FillAll(t));
    }
    return in_->Expect(")");
  }

  // Bytes of 2- and 4-bit types and bools must hold such values: kernels rely on it.
  Status CheckSmall(const Tensor& t, const Token& at) {
    int lo = 0, hi = 1;
    switch (t.dtype()) {
      case DType::kBool:
        break;
      case DType::kUint2:
        hi = 3;
        break;
      case DType::kInt2:
        lo = -2;
        break;
      case DType::kUint4:
      case DType::kFloat4E2M1:
        hi = 15;
        break;
      case DType::kInt4:
        lo = -8, hi = 7;
        break;
      default:
        return {};
    }
    for (int64_t i = 0; i < t.size(); ++i) {
      int v = static_cast<int8_t>(t.raw()[i]);
      if (v < lo || v > hi)
        return in_->At(at, std::string("hex holds bytes that are not ") + DTypeName(t.dtype()));
    }
    return {};
  }

  Status OneElement(Tensor* t, int64_t i) {
    if (t->dtype() == DType::kString) {
      t->mutable_strings()[i] = TRY(in_->Take(Kind::kString, "a string"));
      return {};
    }
    if (in_->token().kind != Kind::kWord || !SetElement(t, i, in_->token().text)) {
      return in_->Unexpected(std::string("a value of type ") + DTypeName(t->dtype()));
    }
    return in_->Advance();
  }

  Status FillAll(Tensor* t) {
    Tensor one = Tensor::Make(t->dtype(), {1}).value();
    if (t->dtype() == DType::kString) {
      TRY(OneElement(&one, 0));
      for (std::string& s : t->mutable_strings()) s = one.strings()[0];
      return {};
    }
    for (int64_t k = 0; k < NumbersIn(one); ++k) {
      if (k) TRY(in_->Expect(","));
      TRY(OneElement(&one, k));
    }
    size_t step = static_cast<size_t>(one.bytes());
    for (int64_t i = 0; i < t->size(); ++i)
      std::memcpy(t->mutable_raw() + i * step, one.raw(), step);
    return {};
  }

  Status FillList(Tensor* t) {
    Token start = in_->token();
    int64_t want = NumbersIn(*t), have = 0;
    TRY(in_->Expect("{"));
    while (!in_->Is("}")) {
      if (have) TRY(in_->Expect(","));
      if (have == want)
        return in_->At(start,
                       "more than the " + std::to_string(want) + " numbers of " + t->TypeString());
      TRY(OneElement(t, have++));
    }
    if (have < want) {
      return in_->At(start, std::to_string(have) + " of the " + std::to_string(want) +
                                " numbers of " + t->TypeString());
    }
    return in_->Advance();
  }

  TokenReader* in_;
  const Limits& limits_;
  int64_t* bytes_;
};

}  // namespace

bool ParseFloat32(std::string_view s, float* out) { return ParseFloat<float, uint32_t>(s, out); }

Result<Tensor> TakeTensor(TokenReader* in, const Limits& limits, int64_t* bytes) {
  return TensorReader(in, limits, bytes).Read();
}

}  // namespace assay::text
