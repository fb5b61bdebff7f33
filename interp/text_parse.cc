// Text -> model: a lexer of four kinds of tokens and a parser with one token of lookahead.
#include <charconv>
#include <cmath>
#include <cstring>

#include "interp/choices.h"
#include "interp/infer.h"
#include "interp/onnx_io.h"
#include "interp/text.h"

namespace assay {
namespace {

enum class Kind { kEnd, kWord, kString, kPunct };

struct Token {
  Kind kind = Kind::kEnd;
  std::string text;  // of a string: unescaped; of punctuation: "(", "->", ...
  int line = 1, column = 1;
};

class Lexer {
 public:
  Lexer(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

  Result<Token> Next() {
    SkipBlanks();
    Token t{Kind::kEnd, "", line_, column_};
    if (at_ == text_.size()) return t;
    char c = text_[at_];
    if (text_.substr(at_, 2) == "->") {
      Advance(2);
      t.kind = Kind::kPunct;
      t.text = "->";
    } else if (IsWordChar(c)) {
      size_t end = at_;
      while (end < text_.size() && IsWordChar(text_[end]) && text_.substr(end, 2) != "->") ++end;
      t.kind = Kind::kWord;
      t.text = text_.substr(at_, end - at_);
      Advance(end - at_);
    } else if (c == '"') {
      t.kind = Kind::kString;
      t.text = TRY(String(t));
    } else if (std::strchr("(){}[],=@?", c) != nullptr && c != '\0') {
      t.kind = Kind::kPunct;
      t.text = c;
      Advance(1);
    } else {
      return At(t, "unexpected character");
    }
    return t;
  }

  Error At(const Token& t, const std::string& message) const {
    return Invalid(message, where_ + ":" + std::to_string(t.line) + ":" + std::to_string(t.column));
  }

 private:
  void Advance(size_t n) {
    for (; n > 0; --n, ++at_) {
      ++column_;
      if (text_[at_] == '\n') {
        ++line_;
        column_ = 1;
      }
    }
  }

  // Blanks, semicolons and comments.
  void SkipBlanks() {
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') Advance(1);
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';') {
        Advance(1);
      } else {
        return;
      }
    }
  }

  Result<std::string> String(const Token& start) {
    std::string out;
    Advance(1);
    while (at_ < text_.size() && text_[at_] != '"') {
      char c = text_[at_];
      if (c == '\\') {
        Advance(1);
        std::string_view rest = text_.substr(at_);
        int byte = 0;
        if (rest.empty()) break;
        if (rest[0] == 'n') {
          c = '\n';
        } else if (rest[0] == 'x') {
          if (rest.size() < 3 ||
              std::from_chars(rest.data() + 1, rest.data() + 3, byte, 16).ptr != rest.data() + 3) {
            return At(start, "\\x wants two hexadecimal digits");
          }
          c = static_cast<char>(byte);
          Advance(2);
        } else if (rest[0] == '"' || rest[0] == '\\') {
          c = rest[0];
        } else {
          return At(start, "unknown escape in a string");
        }
      }
      out += c;
      Advance(1);
    }
    if (at_ == text_.size()) return At(start, "the string does not end");
    Advance(1);
    return out;
  }

  std::string_view text_;
  std::string where_;
  size_t at_ = 0;
  int line_ = 1, column_ = 1;
};

template <class T>
bool WholeNumber(std::string_view s, T* out) {
  if (!s.empty() && s[0] == '+') s.remove_prefix(1);
  auto r = std::from_chars(s.data(), s.data() + s.size(), *out);
  return !s.empty() && r.ec == std::errc() && r.ptr == s.data() + s.size();
}

bool IsDigits(std::string_view s) {
  if (!s.empty() && (s[0] == '+' || s[0] == '-')) s.remove_prefix(1);
  return !s.empty() && s.find_first_not_of("0123456789") == std::string_view::npos;
}

// A decimal, inf, nan, or nan:<bits>. T float or double.
template <class T, class Bits>
bool ParseFloat(std::string_view s, T* out) {
  if (s.rfind("nan:", 0) == 0) {
    Bits bits = 0;
    s.remove_prefix(4);
    auto r = std::from_chars(s.data(), s.data() + s.size(), bits, 16);
    std::memcpy(out, &bits, sizeof(bits));
    return !s.empty() && r.ec == std::errc() && r.ptr == s.data() + s.size() && std::isnan(*out);
  }
  return WholeNumber(s, out);
}

// A 16-bit float from its text; `round` is FloatToHalf or FloatToBfloat16, `widen` the way back.
bool ParseFloat16(std::string_view s, uint16_t (*round)(float), float (*widen)(uint16_t),
                  uint16_t* out) {
  if (s.rfind("nan:", 0) == 0) {
    s.remove_prefix(4);
    auto r = std::from_chars(s.data(), s.data() + s.size(), *out, 16);
    return !s.empty() && r.ec == std::errc() && r.ptr == s.data() + s.size() &&
           std::isnan(widen(*out));
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

class Parser {
 public:
  Parser(std::string_view text, const std::string& where, const Limits& limits)
      : lexer_(text, where), limits_(limits) {}

  Result<Model> ParseModel() {
    TRY(Advance());
    Model m;
    bool has_opset = false;
    while (token_.kind == Kind::kWord && token_.text != "graph") TRY(Header(&m, &has_opset));
    if (!has_opset) m.opsets[""] = kDefaultOpset;
    m.graph = TRY(ParseGraph(0));
    if (token_.kind != Kind::kEnd) return Unexpected("the end");
    FillOutputTypes(&m);
    return m;
  }

 private:
  static constexpr int kDefaultOpset = 17;

  Status Advance() {
    Result<Token> t = lexer_.Next();
    if (!t.ok()) return t.error();
    token_ = std::move(*t);
    return {};
  }
  bool Is(const char* punct) const { return token_.kind == Kind::kPunct && token_.text == punct; }
  bool IsWord(const char* word) const { return token_.kind == Kind::kWord && token_.text == word; }
  Error Unexpected(const std::string& wanted) const {
    std::string got = token_.kind == Kind::kEnd ? "the end" : "'" + token_.text.substr(0, 40) + "'";
    return lexer_.At(token_, "wanted " + wanted + ", got " + got);
  }
  Status Expect(const char* punct) {
    if (!Is(punct)) return Unexpected(std::string("'") + punct + "'");
    return Advance();
  }
  // True, and past it, if the token is this punctuation.
  Result<bool> Accept(const char* punct) {
    if (!Is(punct)) return false;
    TRY(Advance());
    return true;
  }
  Result<std::string> Take(Kind kind, const char* what) {
    if (token_.kind != kind) return Unexpected(what);
    std::string text = std::move(token_.text);
    TRY(Advance());
    return text;
  }
  // A name: a word or a string; "_" is the empty one.
  Result<std::string> TakeName() {
    if (token_.kind == Kind::kString) return Take(Kind::kString, "a name");
    if (token_.kind == Kind::kWord && token_.text != "_" && IsReservedWord(token_.text)) {
      return lexer_.At(token_, "the name '" + token_.text + "' is reserved: quote it");
    }
    std::string name = TRY(Take(Kind::kWord, "a name"));
    return name == "_" ? std::string() : name;
  }
  Result<int64_t> TakeInt(int64_t lo, int64_t hi) {
    Token start = token_;
    std::string word = TRY(Take(Kind::kWord, "a number"));
    int64_t v = 0;
    if (!WholeNumber(word, &v) || v < lo || v > hi)
      return lexer_.At(start, "'" + word + "' is not a number in range");
    return v;
  }
  Result<std::string> TakeHex() {
    Token start = token_;
    std::string digits = TRY(Take(Kind::kString, "hexadecimal digits in quotes"));
    std::string bytes;
    for (size_t i = 0; i < digits.size(); i += 2) {
      int byte = 0;
      const char* p = digits.data() + i;
      if (i + 2 > digits.size() || std::from_chars(p, p + 2, byte, 16).ptr != p + 2) {
        return lexer_.At(start, "wanted an even number of hexadecimal digits");
      }
      bytes += static_cast<char>(byte);
    }
    return bytes;
  }
  Result<std::string> TakeExtra() {
    if (!IsWord("extra")) return std::string();
    TRY(Advance());
    return TakeHex();
  }

  Status Header(Model* m, bool* has_opset) {
    Token start = token_;
    std::string what = TRY(Take(Kind::kWord, "a header"));
    if (what == "opset") return Opset(m, has_opset);
    if (what == "ir") {
      m->ir_version = TRY(TakeInt(INT64_MIN, INT64_MAX));
    } else if (what == "producer") {
      m->producer = TRY(Take(Kind::kString, "a string"));
    } else if (what == "meta") {
      std::string key = TRY(Take(Kind::kString, "a string"));
      TRY(Expect("="));
      m->metadata[key] = TRY(Take(Kind::kString, "a string"));
    } else if (what == "extra") {
      m->extra = TRY(TakeHex());
    } else {
      return lexer_.At(
          start, "'" + what.substr(0, 40) + "' is not opset, ir, producer, meta, extra or graph");
    }
    return {};
  }

  // "opset 17", "opset com.example 1", "opset none".
  Status Opset(Model* m, bool* has_opset) {
    constexpr int64_t kMaxVersion = 1'000'000;
    *has_opset = true;
    if (IsWord("none")) return Advance();
    std::string domain;
    if (token_.kind == Kind::kString || !IsDigits(token_.text)) domain = TRY(TakeName());
    int64_t version = TRY(TakeInt(0, kMaxVersion));
    m->opsets[domain] = static_cast<int>(version);
    return {};
  }

  Result<Graph> ParseGraph(int depth) {
    if (depth > kMaxGraphDepth)
      return LimitHit("graphs are nested too deeply", lexer_.At(token_, "").where);
    if (!IsWord("graph")) return Unexpected("graph");
    TRY(Advance());
    Graph g;
    if (!Is("(")) g.name = TRY(TakeName());
    g.inputs = TRY(Values(nullptr));
    TRY(Expect("->"));
    g.outputs = TRY(Values(depth == 0 ? &untyped_outputs_ : nullptr));
    g.extra = TRY(TakeExtra());
    TRY(Expect("{"));
    while (!Is("}")) TRY(Statement(&g, depth));
    TRY(Advance());
    return g;
  }

  // "(float[1,N] x, int64 n)"; `untyped` collects indices of values written without a type.
  Result<std::vector<ValueInfo>> Values(std::vector<size_t>* untyped) {
    std::vector<ValueInfo> values;
    TRY(Expect("("));
    while (!Is(")")) {
      if (!values.empty()) TRY(Expect(","));
      bool typed = Is("?") || (token_.kind == Kind::kWord && IsTypeWord(token_.text));
      if (!typed && untyped) untyped->push_back(values.size());
      values.push_back(TRY(Value()));
    }
    TRY(Advance());
    return values;
  }

  static bool IsTypeWord(const std::string& w) {
    return w == "undefined" || DTypeFromName(w) != DType::kUndefined;
  }

  Result<ValueInfo> Value() {
    ValueInfo v;
    bool unknown = TRY(Accept("?"));
    if (!unknown && token_.kind == Kind::kWord && IsTypeWord(token_.text)) {
      v.dtype = DTypeFromName(token_.text);
      TRY(Advance());
      if (Is("[")) v.shape = TRY(Dims());
    }
    v.name = TRY(TakeName());
    v.extra = TRY(TakeExtra());
    return v;
  }

  Result<std::vector<DimDecl>> Dims() {
    std::vector<DimDecl> dims;
    TRY(Expect("["));
    while (!Is("]")) {
      if (!dims.empty()) TRY(Expect(","));
      DimDecl d;
      bool unknown = TRY(Accept("?"));
      if (!unknown && token_.kind == Kind::kWord && IsDigits(token_.text)) {
        d.value = TRY(TakeInt(0, INT64_MAX));
      } else if (!unknown) {
        d.symbol = TRY(TakeName());
        bool both = TRY(Accept("="));
        if (both) d.value = TRY(TakeInt(0, INT64_MAX));
      }
      dims.push_back(std::move(d));
    }
    TRY(Advance());
    return dims;
  }

  // A tensor, a node, or "value float[2] x".
  Status Statement(Graph* g, int depth) {
    if (IsWord("value")) {
      TRY(Advance());
      g->value_info.push_back(TRY(Value()));
      return {};
    }
    std::vector<std::string> outputs;
    while (!Is("=")) {
      if (!outputs.empty()) TRY(Expect(","));
      outputs.push_back(TRY(TakeName()));
    }
    Token start = token_;
    TRY(Advance());
    if (token_.kind == Kind::kWord && IsTypeWord(token_.text)) {
      if (outputs.size() != 1) return lexer_.At(start, "a tensor has one name");
      Initializer i;
      i.name = std::move(outputs[0]);
      i.value = TRY(ParseTensor());
      i.extra = TRY(TakeExtra());
      g->initializers.push_back(std::move(i));
      return {};
    }
    if (++nodes_ > limits_.nodes) return LimitHit("too many nodes", lexer_.At(start, "").where);
    Node n = TRY(ParseNode(depth));
    n.outputs = std::move(outputs);
    g->nodes.push_back(std::make_shared<const Node>(std::move(n)));
    return {};
  }

  // "Conv(x, _, b) {group=2} @name extra"..."", after the outputs.
  Result<Node> ParseNode(int depth) {
    Node n;
    TRY(Operator(&n));
    TRY(Expect("("));
    while (!Is(")")) {
      if (!n.inputs.empty()) TRY(Expect(","));
      n.inputs.push_back(TRY(TakeName()));
    }
    TRY(Advance());
    bool has_attrs = TRY(Accept("{"));
    while (has_attrs && !Is("}")) {
      if (!n.attrs.empty()) TRY(Expect(","));
      Attribute a;
      a.name = TRY(TakeName());
      TRY(Expect("="));
      a.value = TRY(ParseAttr(depth));
      a.extra = TRY(TakeExtra());
      n.attrs.push_back(std::move(a));
    }
    if (has_attrs) TRY(Advance());
    bool named = TRY(Accept("@"));
    if (named) n.name = TRY(TakeName());
    n.extra = TRY(TakeExtra());
    return n;
  }

  // "Conv", "com.example::Conv", or either with both parts quoted.
  Status Operator(Node* n) {
    bool quoted = token_.kind == Kind::kString;
    n->op = TRY(TakeName());
    if (quoted && IsWord("::")) {
      n->domain = std::move(n->op);
      TRY(Advance());
      n->op = TRY(Take(Kind::kString, "a quoted operator"));
    } else if (size_t at = quoted ? std::string::npos : n->op.rfind("::");
               at != std::string::npos) {
      n->domain = n->op.substr(0, at);
      n->op = n->op.substr(at + 2);
    }
    return {};
  }

  Result<AttrValue> ParseAttr(int depth) {
    Token start = token_;
    if (token_.kind == Kind::kString) {
      std::string text = TRY(Take(Kind::kString, "a string"));
      return AttrValue(std::move(text));
    }
    if (Is("[")) return AttrList();
    if (IsWord("graph")) {
      Graph g = TRY(ParseGraph(depth + 1));
      return AttrValue(std::make_shared<const Graph>(std::move(g)));
    }
    if (token_.kind == Kind::kWord && IsTypeWord(token_.text)) {
      Tensor t = TRY(ParseTensor());
      return AttrValue(std::move(t));
    }
    std::string word = TRY(Take(Kind::kWord, "a value"));
    if (word == "opaque") {
      std::string bytes = TRY(TakeHex());
      return AttrValue(Opaque{std::move(bytes)});
    }
    if ((word == "ints" || word == "floats" || word == "strings") && Is("["))
      return EmptyList(word);
    int64_t i = 0;
    if (IsDigits(word)) {
      if (!WholeNumber(word, &i)) return lexer_.At(start, "'" + word + "' does not fit int64");
      return AttrValue(i);
    }
    float f = 0;
    if (ParseFloat<float, uint32_t>(word, &f)) return AttrValue(f);
    bool letter = std::isalpha(static_cast<unsigned char>(word[0])) || word[0] == '_';
    if (!letter) return lexer_.At(start, "'" + word.substr(0, 40) + "' is not a value");
    return AttrValue(std::move(word));
  }

  Result<AttrValue> EmptyList(const std::string& type) {
    TRY(Expect("["));
    TRY(Expect("]"));
    if (type == "floats") return AttrValue(std::vector<float>());
    if (type == "strings") return AttrValue(std::vector<std::string>());
    return AttrValue(std::vector<int64_t>());
  }

  // [1, 2] ints; [1, 2.0] floats; ["a", b] strings; [] ints.
  Result<AttrValue> AttrList() {
    Token start = token_;
    std::vector<AttrValue> items;
    TRY(Expect("["));
    while (!Is("]")) {
      if (!items.empty()) TRY(Expect(","));
      bool word = token_.kind == Kind::kWord;
      if (Is("[") || (word && (IsReservedWord(token_.text) || token_.text == "opaque"))) {
        return Unexpected("a number or string");
      }
      items.push_back(TRY(ParseAttr(0)));
    }
    TRY(Advance());
    size_t ints = 0, strings = 0;
    for (const AttrValue& v : items) {
      ints += TypeOf(v) == AttrType::kInt;
      strings += TypeOf(v) == AttrType::kString;
    }
    if (strings != 0 && strings != items.size())
      return lexer_.At(start, "numbers and strings in one list");
    std::vector<int64_t> as_ints;
    std::vector<float> as_floats;
    std::vector<std::string> as_strings;
    for (AttrValue& v : items) {
      if (strings)
        as_strings.push_back(std::get<std::string>(std::move(v)));
      else if (ints == items.size())
        as_ints.push_back(std::get<int64_t>(v));
      else
        as_floats.push_back(TypeOf(v) == AttrType::kInt ? static_cast<float>(std::get<int64_t>(v))
                                                        : std::get<float>(v));
    }
    if (strings) return AttrValue(std::move(as_strings));
    if (ints == items.size()) return AttrValue(std::move(as_ints));
    return AttrValue(std::move(as_floats));
  }

  // "float[2,1] {1, 2}", "... fill(0.5)", "... random(7)", "... hex"0011"", or "undefined".
  Result<Tensor> ParseTensor() {
    Token start = token_;
    std::string type = TRY(Take(Kind::kWord, "a type"));
    if (type == "undefined") return Tensor();
    if (!Is("[")) return Unexpected("'['");
    Shape shape;
    std::vector<DimDecl> dims = TRY(Dims());
    for (const DimDecl& d : dims) {
      if (d.value < 0) return lexer_.At(start, "a tensor has numbers for extents");
      shape.push_back(d.value);
    }
    Result<Tensor> t = Tensor::Make(DTypeFromName(type), std::move(shape), Store::kNative, limits_);
    if (!t.ok()) return t.error().In(lexer_.At(start, "").where);
    bytes_ += t->dtype() == DType::kString ? t->size() * static_cast<int64_t>(sizeof(std::string))
                                           : t->bytes();
    if (bytes_ > limits_.bytes)
      return LimitHit("the tensors take too many bytes", lexer_.At(start, "").where);
    TRY(FillTensor(&*t));
    return t;
  }

  Status FillTensor(Tensor* t) {
    if (Is("{")) return FillList(t);
    Token start = token_;
    std::string how = TRY(Take(Kind::kWord, "'{', fill, random or hex"));
    if (how == "hex" && t->dtype() != DType::kString) {
      std::string bytes = TRY(TakeHex());
      if (static_cast<int64_t>(bytes.size()) != t->bytes())
        return lexer_.At(start, "hex has not the size of the tensor");
      if (!bytes.empty()) std::memcpy(t->mutable_raw(), bytes.data(), bytes.size());
      return CheckSmall(*t, start);
    }
    bool random =
        how == "random" && (IsFloat(t->dtype()) || IsInt(t->dtype()) || t->dtype() == DType::kBool);
    if (!random && how != "fill")
      return lexer_.At(start, "wanted '{', fill(value), random(seed) or hex\"bytes\"");
    TRY(Expect("("));
    if (random) {
      int64_t seed = TRY(TakeInt(0, INT64_MAX));
      FillRandom(static_cast<uint64_t>(seed), t);
    } else {
      TRY(FillAll(t));
    }
    return Expect(")");
  }

  // Bytes of 4-bit types and bools must hold such values: kernels rely on it.
  Status CheckSmall(const Tensor& t, const Token& at) {
    bool nibble = t.dtype() == DType::kUint4 || t.dtype() == DType::kFloat4E2M1;
    if (!nibble && t.dtype() != DType::kInt4 && t.dtype() != DType::kBool) return {};
    for (int64_t i = 0; i < t.size(); ++i) {
      int v = static_cast<int8_t>(t.raw()[i]);
      bool ok = nibble                      ? v >= 0 && v < 16
                : t.dtype() == DType::kInt4 ? v >= -8 && v < 8
                                            : v == 0 || v == 1;
      if (!ok)
        return lexer_.At(at, std::string("hex holds bytes that are not ") + DTypeName(t.dtype()));
    }
    return {};
  }

  Status OneElement(Tensor* t, int64_t i) {
    if (t->dtype() == DType::kString) {
      t->mutable_strings()[i] = TRY(Take(Kind::kString, "a string"));
      return {};
    }
    if (token_.kind != Kind::kWord || !SetElement(t, i, token_.text)) {
      return Unexpected(std::string("a value of type ") + DTypeName(t->dtype()));
    }
    return Advance();
  }

  Status FillAll(Tensor* t) {
    Tensor one = Tensor::Make(t->dtype(), {1}).value();
    if (t->dtype() == DType::kString) {
      TRY(OneElement(&one, 0));
      for (std::string& s : t->mutable_strings()) s = one.strings()[0];
      return {};
    }
    for (int64_t k = 0; k < NumbersIn(one); ++k) {
      if (k) TRY(Expect(","));
      TRY(OneElement(&one, k));
    }
    size_t step = static_cast<size_t>(one.bytes());
    for (int64_t i = 0; i < t->size(); ++i)
      std::memcpy(t->mutable_raw() + i * step, one.raw(), step);
    return {};
  }

  Status FillList(Tensor* t) {
    Token start = token_;
    int64_t want = NumbersIn(*t), have = 0;
    TRY(Expect("{"));
    while (!Is("}")) {
      if (have) TRY(Expect(","));
      if (have == want)
        return lexer_.At(
            start, "more than the " + std::to_string(want) + " numbers of " + t->TypeString());
      TRY(OneElement(t, have++));
    }
    if (have < want) {
      return lexer_.At(start, std::to_string(have) + " of the " + std::to_string(want) +
                                  " numbers of " + t->TypeString());
    }
    return Advance();
  }

  void FillOutputTypes(Model* m) {
    if (untyped_outputs_.empty()) return;
    Result<Inference> inferred = Infer(*m, {}, limits_);
    if (!inferred.ok()) return;
    for (size_t i : untyped_outputs_) {
      ValueInfo& v = m->graph.outputs[i];
      auto it = inferred->types.find(v.name);
      if (it == inferred->types.end()) continue;
      v.dtype = it->second.dtype;
      if (!it->second.ranked) continue;
      v.shape.emplace();
      for (const Dim& d : it->second.dims) v.shape->push_back({d.known() ? d.value() : -1, {}});
    }
  }

  Lexer lexer_;
  Token token_;
  const Limits& limits_;
  int64_t nodes_ = 0, bytes_ = 0;
  std::vector<size_t> untyped_outputs_;
};

}  // namespace

Result<Model> ParseText(std::string_view text, const std::string& where, const Limits& limits) {
  return Parser(text, where, limits).ParseModel();
}

}  // namespace assay
