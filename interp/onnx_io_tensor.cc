// TensorProto <-> Tensor (ONNX IR, "Tensor"; onnx.proto says which field holds which element type).
#include <onnx/onnx_pb.h>
#include <sys/stat.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <limits>

#include "interp/onnx_io_internal.h"

namespace assay::onnx_io {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

std::string Num(int64_t v) { return std::to_string(v); }

// Which typed field of TensorProto holds an element type.
enum class Field { kFloat, kInt32, kInt64, kDouble, kUint64, kString };
Field FieldOf(DType t) {
  switch (t) {
    case DType::kFloat:
    case DType::kComplex64:
      return Field::kFloat;
    case DType::kInt64:
      return Field::kInt64;
    case DType::kDouble:
    case DType::kComplex128:
      return Field::kDouble;
    case DType::kUint32:
    case DType::kUint64:
      return Field::kUint64;
    case DType::kString:
      return Field::kString;
    default:
      return Field::kInt32;
  }
}
const char* FieldName(Field f) {
  switch (f) {
    case Field::kFloat:
      return "float_data";
    case Field::kInt32:
      return "int32_data";
    case Field::kInt64:
      return "int64_data";
    case Field::kDouble:
      return "double_data";
    case Field::kUint64:
      return "uint64_data";
    case Field::kString:
      return "string_data";
  }
  return "";
}
int64_t FieldSize(const onnx::TensorProto& p, Field f) {
  switch (f) {
    case Field::kFloat:
      return p.float_data_size();
    case Field::kInt32:
      return p.int32_data_size();
    case Field::kInt64:
      return p.int64_data_size();
    case Field::kDouble:
      return p.double_data_size();
    case Field::kUint64:
      return p.uint64_data_size();
    case Field::kString:
      return p.string_data_size();
  }
  return 0;
}
// Entries that `elements` elements take in their typed field.
int64_t FieldEntries(DType t, int64_t elements) {
  if (t == DType::kComplex64 || t == DType::kComplex128) return elements * 2;
  return IsPacked(t) ? RawSize(t, elements) : elements;
}

// How many elements of a packed type share a byte.
int64_t PerByte(DType t) { return t == DType::kInt2 || t == DType::kUint2 ? 4 : 2; }

// Two or four elements a byte, the first in the lowest bits (ONNX IR, "4bit types"); signed ones
// are sign-extended.
void Unpack(DType t, const char* packed, int64_t elements, std::byte* out) {
  const int64_t per_byte = PerByte(t);
  const unsigned bits = static_cast<unsigned>(8 / per_byte), mask = (1u << bits) - 1;
  const bool is_signed = t == DType::kInt4 || t == DType::kInt2;
  for (int64_t i = 0; i < elements; ++i) {
    unsigned b = static_cast<unsigned char>(packed[i / per_byte]);
    unsigned v = b >> (static_cast<unsigned>(i % per_byte) * bits) & mask;
    if (is_signed && v > mask / 2) v |= 0xffu & ~mask;
    out[i] = static_cast<std::byte>(v);
  }
}

// Bytes in ONNX's raw form into a tensor of the right size.
void FillRaw(const char* raw, Tensor* t) {
  if (IsPacked(t->dtype())) {
    Unpack(t->dtype(), raw, t->size(), t->mutable_raw());
  } else if (t->dtype() == DType::kBool) {  // any byte but 0 is true; kernels rely on 0 and 1
    for (int64_t i = 0; i < t->size(); ++i) t->mutable_raw()[i] = std::byte{raw[i] != 0};
  } else if (t->bytes() > 0) {
    std::memcpy(t->mutable_raw(), raw, static_cast<size_t>(t->bytes()));
  }
}

template <class To, class From>
Status Narrow(const From& from, Tensor* t) {
  // Bit patterns may come sign- or zero-extended; anything else is not of the declared type.
  constexpr int64_t kLo = std::is_same_v<To, bool> ? 0 : -(int64_t{1} << (8 * sizeof(To) - 1));
  constexpr int64_t kHi = std::is_same_v<To, bool> ? 1 : (int64_t{1} << (8 * sizeof(To))) - 1;
  To* out = t->mutable_data<To>();
  for (int64_t i = 0; i < t->size(); ++i) {
    int64_t v = from.Get(static_cast<int>(i));
    if (v < kLo || v > kHi) {
      return Invalid("int32_data[" + Num(i) + "] = " + Num(v) + " is not a " +
                     DTypeName(t->dtype()));
    }
    out[i] = static_cast<To>(v);
  }
  return {};
}

Status FillInt32(const onnx::TensorProto& p, Tensor* t) {
  if (IsPacked(t->dtype())) {
    std::string packed;
    for (int32_t v : p.int32_data()) {
      if (v < -128 || v > 255) {
        return Invalid("int32_data holds " + Num(v) + ", not a packed byte");
      }
      packed += static_cast<char>(v);
    }
    Unpack(t->dtype(), packed.data(), t->size(), t->mutable_raw());
    return {};
  }
  if (t->dtype() == DType::kBool) return Narrow<bool>(p.int32_data(), t);
  switch (t->element_bytes()) {
    case 1:
      return Narrow<uint8_t>(p.int32_data(), t);
    case 2:
      return Narrow<uint16_t>(p.int32_data(), t);
    default:
      return Narrow<uint32_t>(p.int32_data(), t);
  }
}

Status FillTyped(const onnx::TensorProto& p, Tensor* t) {
  if (t->size() == 0) return {};
  size_t bytes = static_cast<size_t>(t->bytes());
  switch (FieldOf(t->dtype())) {
    case Field::kFloat:
      std::memcpy(t->mutable_raw(), p.float_data().data(), bytes);
      return {};
    case Field::kDouble:
      std::memcpy(t->mutable_raw(), p.double_data().data(), bytes);
      return {};
    case Field::kInt64:
      std::memcpy(t->mutable_raw(), p.int64_data().data(), bytes);
      return {};
    case Field::kInt32:
      return FillInt32(p, t);
    case Field::kString:
      return {};  // taken by TakeStrings
    case Field::kUint64:
      break;
  }
  if (t->dtype() == DType::kUint64) {
    std::memcpy(t->mutable_raw(), p.uint64_data().data(), bytes);
    return {};
  }
  for (int i = 0; i < p.uint64_data_size(); ++i) {
    if (p.uint64_data(i) > UINT32_MAX) return Invalid("uint64_data holds more than a uint32");
    t->mutable_data<uint32_t>()[i] = static_cast<uint32_t>(p.uint64_data(i));
  }
  return {};
}

Result<int64_t> ParseCount(const std::string& text, const char* key) {
  int64_t v = 0;
  bool ok = !text.empty() && text.size() <= 18;
  for (char c : text) ok = ok && c >= '0' && c <= '9';
  if (!ok)
    return Invalid(std::string("external data: bad ") + key + " '" + text.substr(0, 40) + "'");
  for (char c : text) v = v * 10 + (c - '0');
  return v;
}

// A location is a relative path below the model's folder.
Status CheckLocation(const std::string& location) {
  bool bad = location.empty() || location[0] == '/' || location.find('\0') != std::string::npos;
  for (size_t at = 0; !bad && at <= location.size();) {
    size_t end = std::min(location.find('/', at), location.size());
    bad = location.compare(at, end - at, "..") == 0;
    at = end + 1;
  }
  if (bad)
    return Invalid("external data: location '" + location + "' is not below the model's folder");
  return {};
}

struct External {
  std::string location;
  int64_t offset = 0;
  int64_t length = -1;  // -1: to the end of the tensor
};
Result<External> ExternalOf(const onnx::TensorProto& p) {
  External e;
  for (const auto& entry : p.external_data()) {
    if (entry.key() == "location") e.location = entry.value();
    if (entry.key() == "offset") e.offset = TRY(ParseCount(entry.value(), "offset"));
    if (entry.key() == "length") e.length = TRY(ParseCount(entry.value(), "length"));
  }
  TRY(CheckLocation(e.location));
  return e;
}

// Checks an external file against what the tensor needs; returns its path.
Result<std::string> CheckExternal(const External& e, int64_t need, const LoadState& state) {
  if (!state.has_folder) return Invalid("external data can't be read from bytes without a folder");
  std::string path = state.folder + e.location;
  struct stat st;
  if (stat(path.c_str(), &st) != 0) {
    return Invalid("external data: can't read '" + path + "': " + std::strerror(errno));
  }
  if (!S_ISREG(st.st_mode)) return Invalid("external data: '" + path + "' is not a regular file");
  if (e.length >= 0 && e.length != need) {
    return Invalid("external data: length " + Num(e.length) + ", but type and dims need " +
                   Num(need) + " bytes");
  }
  if (e.offset > st.st_size || need > st.st_size - e.offset) {
    return Invalid("external data: '" + path + "' has " + Num(st.st_size) +
                   " bytes, the tensor needs " + Num(need) + " from " + Num(e.offset));
  }
  return path;
}

Status ReadExternal(const std::string& path, int64_t offset, int64_t need, Tensor* t) {
  std::ifstream in(path, std::ios::binary);
  in.seekg(offset);
  bool in_place = !IsPacked(t->dtype()) && t->dtype() != DType::kBool;
  std::string buffer(in_place ? 0 : static_cast<size_t>(need), '\0');
  char* to = in_place ? reinterpret_cast<char*>(t->mutable_raw()) : buffer.data();
  in.read(to, need);
  if (!in || in.gcount() != need) return Invalid("external data: reading '" + path + "' fails");
  if (!in_place) FillRaw(buffer.data(), t);
  return {};
}

Status CountBytes(int64_t bytes, LoadState* state) {
  if (__builtin_add_overflow(state->bytes, bytes, &state->bytes) ||
      state->bytes > state->limits.bytes) {
    return LimitHit("the tensors take more than " + Num(state->limits.bytes) + " bytes");
  }
  return {};
}

// The sizes of what is there against what dtype and dims need, before anything is allocated.
Status CheckData(const onnx::TensorProto& p, DType dtype, int64_t elements, bool external) {
  Field field = FieldOf(dtype);
  int64_t used = 0;
  for (Field f : {Field::kFloat, Field::kInt32, Field::kInt64, Field::kDouble, Field::kUint64,
                  Field::kString}) {
    if (FieldSize(p, f) == 0) continue;
    ++used;
    if (f != field) return Invalid(std::string(DTypeName(dtype)) + " data in " + FieldName(f));
  }
  used += !p.raw_data().empty() + external;
  if (used > 1) return Invalid("data in more than one field");
  if (dtype == DType::kString && (external || !p.raw_data().empty())) {
    return Invalid("string data belongs into string_data");
  }
  if (external) return {};
  int64_t have, need;
  if (p.has_raw_data() && used == static_cast<int64_t>(!p.raw_data().empty()) &&
      dtype != DType::kString) {
    have = static_cast<int64_t>(p.raw_data().size());
    need = RawSize(dtype, elements);
    if (have != need) {
      return Invalid("raw_data has " + Num(have) + " bytes, type and dims need " + Num(need));
    }
    return {};
  }
  have = FieldSize(p, field);
  need = FieldEntries(dtype, elements);
  if (have != need) {
    return Invalid(std::string(FieldName(field)) + " has " + Num(have) +
                   " entries, type and dims need " + Num(need));
  }
  return {};
}

void ClearTaken(onnx::TensorProto* p) {
  p->clear_dims();
  p->clear_data_type();
  p->clear_float_data();
  p->clear_int32_data();
  p->clear_int64_data();
  p->clear_double_data();
  p->clear_uint64_data();
  p->clear_string_data();
  p->clear_raw_data();
  p->clear_external_data();
  p->clear_data_location();
}

Result<Shape> DimsOf(const onnx::TensorProto& p) {
  Shape shape(p.dims().begin(), p.dims().end());
  for (int64_t d : shape) {
    if (d < 0) return Invalid("dims " + ShapeToString(shape) + " hold a negative extent");
  }
  return shape;
}

}  // namespace

bool IsPacked(DType t) { return t == DType::kFloat4E2M1 || Contains(kInts4 | kInts2, t); }

int64_t RawSize(DType dtype, int64_t elements) {
  if (IsPacked(dtype)) return elements / PerByte(dtype) + (elements % PerByte(dtype) != 0);
  return elements * ElementBytes(dtype);
}

Result<Tensor> TakeTensor(onnx::TensorProto* p, LoadState* state) {
  bool known = p->data_type() > 0 && p->data_type() < kDTypeCount;
  if (!known && p->data_type() <= 0)
    return Invalid("data_type " + Num(p->data_type()) + " is not a type");
  if (!known || p->has_segment()) return Tensor();
  DType dtype = static_cast<DType>(p->data_type());
  Shape shape = TRY(DimsOf(*p));
  int64_t elements = ElementCount(shape);
  constexpr int64_t kMaxCount = std::numeric_limits<int64_t>::max() / 16;  // complex128
  if (elements < 0 || elements > kMaxCount) {
    return LimitHit("dims " + ShapeToString(shape) + " overflow");
  }
  bool external = p->data_location() == onnx::TensorProto::EXTERNAL;
  TRY(CheckData(*p, dtype, elements, external));
  External where;
  std::string path;
  if (external) {
    where = TRY(ExternalOf(*p));
    path = TRY(CheckExternal(where, RawSize(dtype, elements), *state));
  }
  TRY(CountBytes(elements * std::max<int64_t>(ElementBytes(dtype), 1), state));
  Tensor t = TRY(Tensor::Make(dtype, std::move(shape), Store::kNative, state->limits));
  if (external) {
    TRY(ReadExternal(path, where.offset, RawSize(dtype, elements), &t));
  } else if (dtype == DType::kString) {
    for (int i = 0; i < p->string_data_size(); ++i)
      t.mutable_strings()[i].swap(*p->mutable_string_data(i));
  } else if (!p->raw_data().empty()) {
    std::unique_ptr<std::string> raw(
        p->release_raw_data());  // freed here, not with the whole model
    FillRaw(raw->data(), &t);
  } else {
    TRY(FillTyped(*p, &t));
  }
  ClearTaken(p);
  return t;
}

namespace {

// The place of element i of a sparse tensor of that shape.
Result<int64_t> PlaceOf(const Tensor& indices, int64_t i, const Shape& shape) {
  if (indices.rank() == 1) {
    int64_t at = indices.AsInt(i);
    if (at < 0 || at >= ElementCount(shape))
      return Invalid("index " + Num(at) + " is outside " + ShapeToString(shape));
    return at;
  }
  int64_t at = 0;
  for (size_t d = 0; d < shape.size(); ++d) {
    int64_t index = indices.AsInt(i * static_cast<int64_t>(shape.size()) + static_cast<int64_t>(d));
    if (index < 0 || index >= shape[d])
      return Invalid("index " + Num(index) + " of axis " + Num(static_cast<int64_t>(d)) +
                     " is outside " + ShapeToString(shape));
    at = at * shape[d] + index;
  }
  return at;
}

}  // namespace

Result<Tensor> TakeSparse(onnx::SparseTensorProto* p, LoadState* state) {
  Shape shape(p->dims().begin(), p->dims().end());
  const int64_t elements = ElementCount(shape);
  if (elements < 0) return Invalid("dims " + ShapeToString(shape) + " are negative or overflow");
  Tensor values = TRY(TakeTensor(p->mutable_values(), state));
  if (!values.defined()) return values;
  Tensor indices = TRY(TakeTensor(p->mutable_indices(), state));
  const Shape linear = {values.size()},
              by_axis = {values.size(), static_cast<int64_t>(shape.size())};
  if (values.rank() != 1 || indices.dtype() != DType::kInt64 ||
      (indices.shape() != linear && indices.shape() != by_axis))
    return Invalid("values " + values.TypeString() + " and indices " + indices.TypeString() +
                   " do not make a sparse tensor");
  if (elements > std::numeric_limits<int64_t>::max() / 16)
    return LimitHit("dims " + ShapeToString(shape) + " overflow");
  TRY(CountBytes(elements * std::max<int64_t>(ElementBytes(values.dtype()), 1), state));
  Tensor dense = TRY(Tensor::Make(values.dtype(), shape, Store::kNative, state->limits));
  const int64_t width = dense.element_bytes();
  if (dense.dtype() != DType::kString && dense.size() > 0)
    std::memset(dense.mutable_raw(), 0, static_cast<size_t>(dense.bytes()));
  for (int64_t i = 0; i < values.size(); ++i) {
    const int64_t at = TRY(PlaceOf(indices, i, shape));
    if (dense.dtype() == DType::kString)
      dense.mutable_strings()[static_cast<size_t>(at)] = values.strings()[static_cast<size_t>(i)];
    else
      std::memcpy(dense.mutable_raw() + at * width, values.raw() + i * width,
                  static_cast<size_t>(width));
  }
  p->clear_dims();
  p->clear_indices();
  return dense;
}

std::string RawBytes(const Tensor& tensor) {
  const char* raw = reinterpret_cast<const char*>(tensor.raw());
  if (!IsPacked(tensor.dtype())) return std::string(raw, static_cast<size_t>(tensor.bytes()));
  std::string packed(static_cast<size_t>(RawSize(tensor.dtype(), tensor.size())), '\0');
  const int64_t per_byte = PerByte(tensor.dtype()), bits = 8 / per_byte;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    char& byte = packed[i / per_byte];
    byte = static_cast<char>(byte | (raw[i] & ((1 << bits) - 1)) << (i % per_byte * bits));
  }
  return packed;
}

void PutTensorType(const Tensor& tensor, onnx::TensorProto* p) {
  p->mutable_dims()->Assign(tensor.shape().begin(), tensor.shape().end());
  p->set_data_type(static_cast<int>(tensor.dtype()));
}

void PutTensor(const Tensor& tensor, onnx::TensorProto* p) {
  PutTensorType(tensor, p);
  if (tensor.dtype() == DType::kString) {
    for (const std::string& s : tensor.strings()) p->add_string_data(s);
  } else if (tensor.store() != Store::kNative) {
    p->set_raw_data(RawBytes(tensor.To(Store::kNative)));
  } else {
    p->set_raw_data(RawBytes(tensor));
  }
}

}  // namespace assay::onnx_io
