// Text -> model: a parser with one token of lookahead.
#include <cctype>

#include "interp/infer.h"
#include "interp/onnx_io.h"
#include "interp/text_internal.h"

namespace assay {
namespace text {
namespace {

class Parser {
 public:
  Parser(std::string_view text, const std::string& where, const Limits& limits)
      : in_(text, where), limits_(limits) {}

  Result<Model> ParseModel() {
    TRY(in_.Advance());
    Model m;
    bool has_opset = false;
    while (in_.IsWord() && in_.token().text != "graph") TRY(Header(&m, &has_opset));
    if (!has_opset) m.opsets[""] = kDefaultOpset;
    m.graph = TRY(ParseGraph(0));
    if (in_.token().kind != Kind::kEnd) return in_.Unexpected("the end");
    FillOutputTypes(&m);
    return m;
  }

 private:
  static constexpr int kDefaultOpset = 17;

  Status Header(Model* m, bool* has_opset) {
    Token start = in_.token();
    std::string what = TRY(in_.Take(Kind::kWord, "a header"));
    if (what == "opset") return Opset(m, has_opset);
    if (what == "ir") {
      m->ir_version = TRY(in_.TakeInt(INT64_MIN, INT64_MAX));
    } else if (what == "producer") {
      m->producer = TRY(in_.Take(Kind::kString, "a string"));
    } else if (what == "meta") {
      std::string key = TRY(in_.Take(Kind::kString, "a string"));
      TRY(in_.Expect("="));
      m->metadata[key] = TRY(in_.Take(Kind::kString, "a string"));
    } else if (what == "extra") {
      m->extra = TRY(in_.TakeHex());
    } else {
      return in_.At(
          start, "'" + what.substr(0, 40) + "' is not opset, ir, producer, meta, extra or graph");
    }
    return {};
  }

  // "opset 17", "opset com.example 1", "opset none".
  Status Opset(Model* m, bool* has_opset) {
    constexpr int64_t kMaxVersion = 1'000'000;
    *has_opset = true;
    if (in_.IsWord("none")) return in_.Advance();
    std::string domain;
    if (in_.token().kind == Kind::kString || !IsDigits(in_.token().text))
      domain = TRY(in_.TakeName());
    int64_t version = TRY(in_.TakeInt(0, kMaxVersion));
    m->opsets[domain] = static_cast<int>(version);
    return {};
  }

  Result<Graph> ParseGraph(int depth) {
    if (depth > kMaxGraphDepth) return in_.Limit(in_.token(), "graphs are nested too deeply");
    if (!in_.IsWord("graph")) return in_.Unexpected("graph");
    TRY(in_.Advance());
    Graph g;
    if (!in_.Is("(")) g.name = TRY(in_.TakeName());
    g.inputs = TRY(Values(nullptr));
    TRY(in_.Expect("->"));
    g.outputs = TRY(Values(depth == 0 ? &untyped_outputs_ : nullptr));
    g.extra = TRY(in_.TakeExtra());
    TRY(in_.Expect("{"));
    while (!in_.Is("}")) TRY(Statement(&g, depth));
    TRY(in_.Advance());
    return g;
  }

  // "(float[1,N] x, int64 n)"; `untyped` collects indices of values written without a type.
  Result<std::vector<ValueInfo>> Values(std::vector<size_t>* untyped) {
    std::vector<ValueInfo> values;
    TRY(in_.Expect("("));
    while (!in_.Is(")")) {
      if (!values.empty()) TRY(in_.Expect(","));
      bool typed = in_.Is("?") || in_.IsType();
      if (!typed && untyped) untyped->push_back(values.size());
      values.push_back(TRY(Value()));
    }
    TRY(in_.Advance());
    return values;
  }

  Result<ValueInfo> Value() {
    ValueInfo v;
    bool unknown = TRY(in_.Accept("?"));
    if (!unknown && in_.IsType()) {
      v.dtype = DTypeFromName(in_.token().text);
      TRY(in_.Advance());
      if (in_.Is("[")) v.shape = TRY(in_.TakeDims());
    }
    v.name = TRY(in_.TakeName());
    v.extra = TRY(in_.TakeExtra());
    return v;
  }

  // A tensor, a node, or "value float[2] x".
  Status Statement(Graph* g, int depth) {
    if (in_.IsWord("value")) {
      TRY(in_.Advance());
      g->value_info.push_back(TRY(Value()));
      return {};
    }
    std::vector<std::string> outputs;
    while (!in_.Is("=")) {
      if (!outputs.empty()) TRY(in_.Expect(","));
      outputs.push_back(TRY(in_.TakeName()));
    }
    Token start = in_.token();
    TRY(in_.Advance());
    if (in_.IsType()) {
      if (outputs.size() != 1) return in_.At(start, "a tensor has one name");
      Initializer i;
      i.name = std::move(outputs[0]);
      i.value = TRY(ParseTensor());
      i.extra = TRY(in_.TakeExtra());
      g->initializers.push_back(std::move(i));
      return {};
    }
    if (++nodes_ > limits_.nodes) return in_.Limit(start, "too many nodes");
    Node n = TRY(ParseNode(depth));
    n.outputs = std::move(outputs);
    g->nodes.push_back(std::make_shared<const Node>(std::move(n)));
    return {};
  }

  // "Conv(x, _, b) {group=2} @name extra"..."", after the outputs.
  Result<Node> ParseNode(int depth) {
    Node n;
    TRY(Operator(&n));
    TRY(in_.Expect("("));
    while (!in_.Is(")")) {
      if (!n.inputs.empty()) TRY(in_.Expect(","));
      n.inputs.push_back(TRY(in_.TakeName()));
    }
    TRY(in_.Advance());
    bool has_attrs = TRY(in_.Accept("{"));
    while (has_attrs && !in_.Is("}")) {
      if (!n.attrs.empty()) TRY(in_.Expect(","));
      Attribute a;
      a.name = TRY(in_.TakeName());
      TRY(in_.Expect("="));
      a.value = TRY(ParseAttr(depth));
      a.extra = TRY(in_.TakeExtra());
      n.attrs.push_back(std::move(a));
    }
    if (has_attrs) TRY(in_.Advance());
    bool named = TRY(in_.Accept("@"));
    if (named) n.name = TRY(in_.TakeName());
    n.extra = TRY(in_.TakeExtra());
    return n;
  }

  // "Conv", "com.example::Conv", or either with both parts quoted.
  Status Operator(Node* n) {
    bool quoted = in_.token().kind == Kind::kString;
    n->op = TRY(in_.TakeName());
    if (quoted && in_.IsWord("::")) {
      n->domain = std::move(n->op);
      TRY(in_.Advance());
      n->op = TRY(in_.Take(Kind::kString, "a quoted operator"));
    } else if (size_t at = quoted ? std::string::npos : n->op.rfind("::");
               at != std::string::npos) {
      n->domain = n->op.substr(0, at);
      n->op = n->op.substr(at + 2);
    }
    return {};
  }

  Result<AttrValue> ParseAttr(int depth) {
    Token start = in_.token();
    if (in_.token().kind == Kind::kString) {
      std::string text = TRY(in_.Take(Kind::kString, "a string"));
      return AttrValue(std::move(text));
    }
    if (in_.Is("[")) return AttrList();
    if (in_.IsWord("graph")) {
      Graph g = TRY(ParseGraph(depth + 1));
      return AttrValue(std::make_shared<const Graph>(std::move(g)));
    }
    if (in_.IsType()) {
      Tensor t = TRY(ParseTensor());
      return AttrValue(std::move(t));
    }
    std::string word = TRY(in_.Take(Kind::kWord, "a value"));
    if (word == "opaque") {
      std::string bytes = TRY(in_.TakeHex());
      return AttrValue(Opaque{std::move(bytes)});
    }
    if ((word == "ints" || word == "floats" || word == "strings") && in_.Is("["))
      return EmptyList(word);
    int64_t i = 0;
    if (IsDigits(word)) {
      if (!WholeNumber(word, &i)) return in_.At(start, "'" + word + "' does not fit int64");
      return AttrValue(i);
    }
    float f = 0;
    if (ParseFloat32(word, &f)) return AttrValue(f);
    bool letter = std::isalpha(static_cast<unsigned char>(word[0])) || word[0] == '_';
    if (!letter) return in_.At(start, "'" + word.substr(0, 40) + "' is not a value");
    return AttrValue(std::move(word));
  }

  Result<AttrValue> EmptyList(const std::string& type) {
    TRY(in_.Expect("["));
    TRY(in_.Expect("]"));
    if (type == "floats") return AttrValue(std::vector<float>());
    if (type == "strings") return AttrValue(std::vector<std::string>());
    return AttrValue(std::vector<int64_t>());
  }

  // [1, 2] ints; [1, 2.0] floats; ["a", b] strings; [] ints.
  Result<AttrValue> AttrList() {
    Token start = in_.token();
    std::vector<AttrValue> items;
    TRY(in_.Expect("["));
    while (!in_.Is("]")) {
      if (!items.empty()) TRY(in_.Expect(","));
      bool word = in_.IsWord();
      if (in_.Is("[") ||
          (word && (IsReservedWord(in_.token().text) || in_.token().text == "opaque"))) {
        return in_.Unexpected("a number or string");
      }
      items.push_back(TRY(ParseAttr(0)));
    }
    TRY(in_.Advance());
    size_t ints = 0, strings = 0;
    for (const AttrValue& v : items) {
      ints += TypeOf(v) == AttrType::kInt;
      strings += TypeOf(v) == AttrType::kString;
    }
    if (strings != 0 && strings != items.size())
      return in_.At(start, "numbers and strings in one list");
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

  Result<Tensor> ParseTensor() { return TakeTensor(&in_, limits_, &bytes_); }

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

  TokenReader in_;
  const Limits& limits_;
  int64_t nodes_ = 0, bytes_ = 0;
  std::vector<size_t> untyped_outputs_;
};

}  // namespace
}  // namespace text

Result<Model> ParseText(std::string_view input, const std::string& where, const Limits& limits) {
  return text::Parser(input, where, limits).ParseModel();
}

}  // namespace assay
