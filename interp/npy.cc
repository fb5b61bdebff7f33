#include "interp/npy.h"

#include <cstring>

#include "interp/onnx_io.h"

namespace assay {
namespace {

struct NpyType {
  const char* descr;
  DType dtype;
};
constexpr NpyType kTypes[] = {
    {"<f4", DType::kFloat},     {"<f8", DType::kDouble},      {"<f2", DType::kFloat16},
    {"|b1", DType::kBool},      {"|i1", DType::kInt8},        {"|u1", DType::kUint8},
    {"<i2", DType::kInt16},     {"<u2", DType::kUint16},      {"<i4", DType::kInt32},
    {"<u4", DType::kUint32},    {"<i8", DType::kInt64},       {"<u8", DType::kUint64},
    {"<c8", DType::kComplex64}, {"<c16", DType::kComplex128},
};
constexpr std::string_view kMagic = "\x93NUMPY";

// The text after `'key':` in the header's dictionary, blanks skipped; empty when absent.
std::string_view Field(std::string_view header, const std::string& key) {
  size_t at = header.find("'" + key + "'");
  if (at == std::string_view::npos) return {};
  at = header.find(':', at);
  if (at == std::string_view::npos) return {};
  at = header.find_first_not_of(' ', at + 1);
  return at == std::string_view::npos ? std::string_view() : header.substr(at);
}

// "(2, 3)", "(5,)" or "()".
Result<Shape> ParseShape(std::string_view text) {
  if (text.empty() || text[0] != '(') return Invalid("the header has no shape");
  Shape shape;
  int64_t value = -1;
  for (char c : text.substr(1)) {
    if (c >= '0' && c <= '9') {
      value = std::max<int64_t>(value, 0);
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, c - '0', &value)) {
        return Invalid("an extent overflows");
      }
    } else if (c == ',' || c == ')') {
      if (value >= 0) shape.push_back(value);
      value = -1;
      if (c == ')') return shape;
    } else if (c != ' ' && c != 'L') {
      break;
    }
  }
  return Invalid("the header's shape is malformed");
}

struct Header {
  std::string_view text;
  size_t data = 0;  // where the elements start
};
Result<Header> ParseHeader(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic || bytes.size() < 10)
    return Invalid("is not an .npy file");
  size_t length_bytes = bytes[6] == 1 ? 2 : 4;
  size_t start = 8 + length_bytes, length = 0;
  if (bytes.size() < start) return Invalid("the header is truncated");
  for (size_t i = 0; i < length_bytes; ++i) {
    length |= static_cast<size_t>(static_cast<unsigned char>(bytes[8 + i])) << (8 * i);
  }
  if (length > bytes.size() - start) return Invalid("the header is truncated");
  return Header{bytes.substr(start, length), start + length};
}

// Elements from column-major to row-major order.
void FromFortran(const char* from, Tensor* t) {
  size_t bytes = static_cast<size_t>(t->element_bytes());
  Shape index(t->shape().size(), 0);
  for (int64_t i = 0; i < t->size(); ++i) {
    int64_t to = 0;
    for (size_t d = 0; d < index.size(); ++d) to = to * t->shape()[d] + index[d];
    std::memcpy(t->mutable_raw() + static_cast<size_t>(to) * bytes,
                from + static_cast<size_t>(i) * bytes, bytes);
    for (size_t d = 0; d < index.size() && ++index[d] == t->shape()[d]; ++d) index[d] = 0;
  }
}

Result<Tensor> Parse(std::string_view bytes, const Limits& limits) {
  Header header = TRY(ParseHeader(bytes));
  std::string_view descr = Field(header.text, "descr");
  size_t end = descr.empty() ? 0 : descr.find(descr[0], 1);
  if (end == 0 || end == std::string_view::npos) return Invalid("the header has no descr");
  std::string name(descr.substr(1, end - 1));
  DType dtype = DType::kUndefined;
  for (const NpyType& t : kTypes) {
    if (name == t.descr) dtype = t.dtype;
  }
  if (dtype == DType::kUndefined) return Unsupported("NumPy type '" + name + "'");
  Shape shape = TRY(ParseShape(Field(header.text, "shape")));
  int64_t elements = ElementCount(shape), need = 0;
  int64_t have = static_cast<int64_t>(bytes.size() - header.data);
  if (elements < 0 || __builtin_mul_overflow(elements, ElementBytes(dtype), &need) ||
      need != have) {
    return Invalid("shape " + ShapeToString(shape) + " of '" + name + "' does not fit " +
                   std::to_string(have) + " bytes");
  }
  Tensor t = TRY(Tensor::Make(dtype, std::move(shape), Store::kNative, limits));
  const char* from = bytes.data() + header.data;
  if (Field(header.text, "fortran_order").substr(0, 4) == "True")
    FromFortran(from, &t);
  else if (need > 0)
    std::memcpy(t.mutable_raw(), from, static_cast<size_t>(need));
  if (dtype == DType::kBool) {
    for (int64_t i = 0; i < t.size(); ++i)
      t.mutable_raw()[i] = std::byte{t.raw()[i] != std::byte{0}};
  }
  return t;
}

}  // namespace

Result<Tensor> ParseNpy(std::string_view bytes, const std::string& where, const Limits& limits) {
  Result<Tensor> t = Parse(bytes, limits);
  if (!t.ok()) return t.error().In(where);
  return t;
}

Result<Tensor> LoadNpy(const std::string& path, const Limits& limits) {
  std::string bytes = TRY(ReadFile(path, limits.bytes));
  return ParseNpy(bytes, path, limits);
}

Result<std::string> SerializeNpy(const Tensor& tensor) {
  Tensor t = tensor.To(Store::kNative);
  const char* descr = nullptr;
  for (const NpyType& type : kTypes) {
    if (type.dtype == t.dtype()) descr = type.descr;
  }
  if (!descr) return Unsupported(std::string("NumPy has no type for ") + DTypeName(t.dtype()));
  std::string shape;
  for (int64_t d : t.shape()) shape += std::to_string(d) + (t.rank() == 1 ? "," : ", ");
  if (t.rank() > 1) shape.resize(shape.size() - 2);
  std::string dict =
      std::string("{'descr': '") + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  constexpr size_t kFixed = 10, kAlign = 64;  // the elements start at a multiple of 64
  dict.resize((kFixed + dict.size() + 1 + kAlign - 1) / kAlign * kAlign - kFixed - 1, ' ');
  dict += '\n';
  std::string out(kMagic);
  out += std::string("\x01\x00", 2);
  out += static_cast<char>(dict.size() & 0xff);
  out += static_cast<char>(dict.size() >> 8);
  out += dict;
  return out.append(reinterpret_cast<const char*>(t.raw()), static_cast<size_t>(t.bytes()));
}

Status SaveNpy(const Tensor& tensor, const std::string& path) {
  std::string bytes = TRY(SerializeNpy(tensor));
  return WriteFile(path, bytes);
}

}  // namespace assay
