// Model -> text.
#include <charconv>
#include <cmath>
#include <cstring>

#include "interp/text.h"

namespace assay {

bool IsWordChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != '\0' && std::strchr("_.:/+-", c) != nullptr);
}

bool IsReservedWord(std::string_view word) {
  return word == "_" || word == "value" || word == "extra" || word == "graph" ||
         word == "undefined" || DTypeFromName(std::string(word)) != DType::kUndefined;
}

namespace {

// Elements up to this many are written one by one, more as hexadecimal bytes.
constexpr int64_t kListed = 64;
// From this many equal elements on, fill(v) is shorter.
constexpr int64_t kFilled = 4;

std::string Hex(const std::string& bytes) {
  static const char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (unsigned char c : bytes) {
    out += kDigits[c >> 4];
    out += kDigits[c & 15];
  }
  return out + "\"";
}

std::string Quoted(const std::string& s) {
  static const char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (unsigned char c : s) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < 0x20 || c >= 0x7f) {
      out += "\\x";
      out += kDigits[c >> 4];
      out += kDigits[c & 15];
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + "\"";
}

bool IsPlain(const std::string& s) {
  for (char c : s) {
    if (!IsWordChar(c)) return false;
  }
  return !s.empty() && s != "-" && !IsReservedWord(s);
}

// A name, quoted where needed; "_" for the empty one.
std::string Name(const std::string& s) { return s.empty() ? "_" : IsPlain(s) ? s : Quoted(s); }

template <class T>
std::string Digits(T v) {
  char text[64];
  return std::string(text, std::to_chars(text, text + sizeof(text), v).ptr);
}

// The shortest decimal that reads back as the same bits; NaNs other than the usual one show theirs.
template <class T, class Bits>
std::string FloatText(T v, Bits bits, Bits usual_nan) {
  if (!std::isnan(v)) return Digits(v);
  if (bits == usual_nan) return "nan";
  char text[32];
  return "nan:" + std::string(text, std::to_chars(text, text + sizeof(text), bits, 16).ptr);
}
std::string Float32(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof(bits));
  return FloatText(v, bits, uint32_t{0x7fc00000});
}
std::string Float64(double v) {
  uint64_t bits;
  std::memcpy(&bits, &v, sizeof(bits));
  return FloatText(v, bits, uint64_t{0x7ff8000000000000});
}

std::string Element(const Tensor& t, int64_t i) {
  switch (t.dtype()) {
    case DType::kString:
      return Quoted(t.strings()[i]);
    case DType::kFloat:
      return Float32(t.data<float>()[i]);
    case DType::kDouble:
      return Float64(t.data<double>()[i]);
    case DType::kFloat16: {
      uint16_t bits = t.data<uint16_t>()[i];
      return FloatText(HalfToFloat(bits), bits, uint16_t{0x7e00});
    }
    case DType::kBfloat16: {
      uint16_t bits = t.data<uint16_t>()[i];
      return FloatText(Bfloat16ToFloat(bits), bits, uint16_t{0x7fc0});
    }
    case DType::kComplex64: {
      std::complex<float> c = t.data<std::complex<float>>()[i];
      return Float32(c.real()) + ", " + Float32(c.imag());
    }
    case DType::kComplex128: {
      std::complex<double> c = t.data<std::complex<double>>()[i];
      return Float64(c.real()) + ", " + Float64(c.imag());
    }
    case DType::kUint64:
      return Digits(t.data<uint64_t>()[i]);
    default:
      return Digits(t.AsInt(i));
  }
}

bool AllSame(const Tensor& t) {
  int64_t step = t.element_bytes();
  for (int64_t i = 1; i < t.size(); ++i) {
    if (std::memcmp(t.raw(), t.raw() + i * step, static_cast<size_t>(step)) != 0) return false;
  }
  return true;
}

std::string List(const Tensor& t, int64_t count) {
  std::string out = "{";
  for (int64_t i = 0; i < count; ++i) out += (i ? ", " : "") + Element(t, i);
  return out + (count < t.size() ? ", ...}" : "}");
}

std::string TensorBody(const Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  Tensor t = tensor.To(Store::kNative);
  bool text = t.dtype() == DType::kString;
  bool two = t.dtype() == DType::kComplex64 || t.dtype() == DType::kComplex128;
  std::string type = t.TypeString() + " ";
  if (!text && !two && t.size() >= kFilled && AllSame(t))
    return type + "fill(" + Element(t, 0) + ")";
  if (text || t.size() <= kListed) return type + List(t, t.size());
  return type + "hex" +
         Hex(std::string(reinterpret_cast<const char*>(t.raw()), static_cast<size_t>(t.bytes())));
}

std::string Extra(const std::string& bytes) { return bytes.empty() ? "" : " extra" + Hex(bytes); }

std::string TypeText(const ValueInfo& v) {
  if (v.dtype == DType::kUndefined && !v.shape) return "?";
  std::string out = DTypeName(v.dtype);
  if (!v.shape) return out;
  out += "[";
  for (size_t i = 0; i < v.shape->size(); ++i) {
    const DimDecl& d = (*v.shape)[i];
    bool number =
        !d.symbol.empty() && d.symbol.find_first_not_of("+-0123456789") == std::string::npos;
    if (i) out += ",";
    if (!d.symbol.empty()) out += number ? Quoted(d.symbol) : Name(d.symbol);
    if (!d.symbol.empty() && d.value >= 0) out += "=";
    if (d.value >= 0) out += Digits(d.value);
    if (d.symbol.empty() && d.value < 0) out += "?";
  }
  return out + "]";
}

std::string ValueText(const ValueInfo& v) {
  return TypeText(v) + " " + Name(v.name) + Extra(v.extra);
}

template <class T, class F>
std::string Join(const std::vector<T>& items, F&& f) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) out += (i ? ", " : "") + f(items[i]);
  return out;
}

// A float that can't be taken for an integer.
std::string AttrFloat(float v) {
  std::string s = Float32(v);
  return s.find_first_not_of("+-0123456789") == std::string::npos ? s + ".0" : s;
}

std::string GraphText(const Graph& g, const std::string& indent);

// Without `indent`, graphs and long tensors are cut short.
std::string AttrText(const AttrValue& value, const std::string* indent) {
  constexpr int64_t kShort = 8;
  switch (TypeOf(value)) {
    case AttrType::kInt:
      return Digits(std::get<int64_t>(value));
    case AttrType::kFloat:
      return AttrFloat(std::get<float>(value));
    case AttrType::kString:
      return Quoted(std::get<std::string>(value));
    case AttrType::kInts:
      return "[" + Join(std::get<std::vector<int64_t>>(value), Digits<int64_t>) + "]";
    case AttrType::kFloats: {
      const auto& v = std::get<std::vector<float>>(value);
      return v.empty() ? "floats[]" : "[" + Join(v, AttrFloat) + "]";
    }
    case AttrType::kStrings: {
      const auto& v = std::get<std::vector<std::string>>(value);
      return v.empty() ? "strings[]" : "[" + Join(v, Quoted) + "]";
    }
    case AttrType::kTensor:
      return indent ? TensorBody(std::get<Tensor>(value))
                    : TensorText(std::get<Tensor>(value), kShort);
    case AttrType::kGraph:
      return indent ? GraphText(*std::get<std::shared_ptr<const Graph>>(value), *indent)
                    : "graph ...";
    case AttrType::kOpaque:
      return indent ? "opaque" + Hex(std::get<Opaque>(value).bytes) : "opaque ...";
  }
  return "";
}

std::string OpText(const Node& n) {
  bool plain = IsPlain(n.op) && n.op.find(':') == std::string::npos;
  if (n.domain.empty()) return plain ? n.op : Quoted(n.op);
  plain = plain && IsPlain(n.domain) && n.domain.find(':') == std::string::npos;
  return plain ? n.domain + "::" + n.op : Quoted(n.domain) + "::" + Quoted(n.op);
}

std::string Statement(const Node& n, const std::string* indent) {
  std::string out = Join(n.outputs, Name);
  out += (out.empty() ? "= " : " = ") + OpText(n) + "(" + Join(n.inputs, Name) + ")";
  if (!n.attrs.empty()) {
    out += " {" +
           Join(n.attrs,
                [&](const Attribute& a) {
                  return Name(a.name) + "=" + AttrText(a.value, indent) +
                         (indent ? Extra(a.extra) : "");
                }) +
           "}";
  }
  if (!n.name.empty()) out += " @" + Name(n.name);
  return out + (indent ? Extra(n.extra) : "");
}

// The depth of subgraphs is bounded by the loader and the parser.
std::string GraphText(const Graph& g, const std::string& indent) {
  std::string inner = indent + "  ";
  std::string out = "graph" + (g.name.empty() ? "" : " " + Name(g.name)) + "(" +
                    Join(g.inputs, ValueText) + ") -> (" + Join(g.outputs, ValueText) + ")" +
                    Extra(g.extra) + " {\n";
  for (const Initializer& i : g.initializers) {
    out += inner + Name(i.name) + " = " + TensorBody(i.value) + Extra(i.extra) + "\n";
  }
  for (const ValueInfo& v : g.value_info) out += inner + "value " + ValueText(v) + "\n";
  for (const NodePtr& n : g.nodes) out += inner + Statement(*n, &inner) + "\n";
  return out + indent + "}";
}

}  // namespace

std::string TensorText(const Tensor& tensor, int64_t max_elements) {
  if (!tensor.defined()) return "undefined";
  if (tensor.size() <= max_elements && tensor.size() <= kListed) return TensorBody(tensor);
  return tensor.TypeString() + " " +
         List(tensor.To(Store::kNative), std::min(max_elements, tensor.size()));
}

std::string NodeText(const Node& node) { return Statement(node, nullptr); }

std::string ToText(const Model& m) {
  std::string out;
  if (m.opsets.empty()) out += "opset none\n";
  for (const auto& [domain, version] : m.opsets) {
    out += "opset " + (domain.empty() ? "" : Quoted(domain) + " ") + Digits(version) + "\n";
  }
  const Model plain;
  if (m.ir_version != plain.ir_version) out += "ir " + Digits(m.ir_version) + "\n";
  if (!m.producer.empty()) out += "producer " + Quoted(m.producer) + "\n";
  for (const auto& [key, value] : m.metadata)
    out += "meta " + Quoted(key) + " = " + Quoted(value) + "\n";
  if (!m.extra.empty()) out += Extra(m.extra).substr(1) + "\n";
  return out + GraphText(m.graph, "") + "\n";
}

}  // namespace assay
