#include "interp/gradient.h"

#include <algorithm>
#include <map>

#include "interp/infer.h"

namespace assay {
namespace {

bool IsGradient(const Node& n) { return n.op == "Gradient" && n.domain == "ai.onnx.preview.training"; }

// Makes the nodes that stand for one Gradient node.
class Tape {
 public:
  Tape(const Node& gradient, std::set<std::string>* names, std::vector<NodePtr>* nodes)
      : stem_(gradient.name.empty() ? gradient.op : gradient.name), names_(names), nodes_(nodes) {}

  std::string Add(const std::string& op, std::vector<std::string> inputs, std::vector<Attribute> attrs = {}) {
    std::string out = Fresh(op);
    Put(MakeNode(op, std::move(inputs), {out}, std::move(attrs), out));
    return out;
  }
  void Put(NodePtr n) { nodes_->push_back(std::move(n)); }
  std::string Fresh(const std::string& what) {
    std::string stem = stem_ + "/" + what, name = stem;
    for (int k = 2; !names_->insert(name).second; ++k) name = stem + "_" + std::to_string(k);
    return name;
  }
  // Ones in the shape and type of v.
  std::string Ones(const std::string& v) {
    std::string zero = Add("Constant", {}, {{"value", Tensor::Of<float>(DType::kFloat, {}, {0}), {}}});
    return Add("Pow", {v, zero});
  }
  // d in the shape of v; where an operand was repeated by broadcasting this ends in an error, not in a wrong number.
  std::string Shaped(const std::string& d, const std::string& v) { return Add("Reshape", {d, Add("Shape", {v})}); }

 private:
  std::string stem_;
  std::set<std::string>* names_;
  std::vector<NodePtr>* nodes_;
};

// y = op(a, b), d: the derivative by y. Returns those by a and b.
using Pair = std::vector<std::string>;
struct Derivative {
  const char* op;
  Pair (*back)(Tape& t, const std::string& a, const std::string& b, const std::string& y, const std::string& d);
};
#define BACK [](Tape & t, const std::string& a, const std::string& b, const std::string& y, const std::string& d) -> Pair
#define UNUSED (void)t, (void)a, (void)b, (void)y
constexpr Derivative kDerivatives[] = {
    {"Identity", BACK { UNUSED; return {d}; }},
    {"Neg", BACK { UNUSED; return {t.Add("Neg", {d})}; }},
    {"Add", BACK { UNUSED; return {d, d}; }},
    {"Sub", BACK { UNUSED; return {d, t.Add("Neg", {d})}; }},
    {"Mul", BACK { UNUSED; return {t.Add("Mul", {d, b}), t.Add("Mul", {d, a})}; }},
    {"Div", BACK { UNUSED; return {t.Add("Div", {d, b}), t.Add("Neg", {t.Add("Div", {t.Add("Mul", {d, y}), b})})}; }},
    {"Exp", BACK { UNUSED; return {t.Add("Mul", {d, y})}; }},
    {"Log", BACK { UNUSED; return {t.Add("Div", {d, a})}; }},
    {"Sqrt", BACK { UNUSED; return {t.Add("Div", {d, t.Add("Add", {y, y})})}; }},
    {"Reciprocal", BACK { UNUSED; return {t.Add("Neg", {t.Add("Mul", {d, t.Add("Mul", {y, y})})})}; }},
    {"Sin", BACK { UNUSED; return {t.Add("Mul", {d, t.Add("Cos", {a})})}; }},
    {"Cos", BACK { UNUSED; return {t.Add("Neg", {t.Add("Mul", {d, t.Add("Sin", {a})})})}; }},
    {"Tanh", BACK { UNUSED; return {t.Add("Mul", {d, t.Add("Sub", {t.Ones(y), t.Add("Mul", {y, y})})})}; }},
    {"Sigmoid", BACK { UNUSED; return {t.Add("Mul", {d, t.Add("Mul", {y, t.Add("Sub", {t.Ones(y), y})})})}; }},
    {"MatMul", BACK {
       UNUSED;
       Attribute swap{"perm", std::vector<int64_t>{1, 0}, {}};  // of matrices alone
       return {t.Add("MatMul", {d, t.Add("Transpose", {b}, {swap})}), t.Add("MatMul", {t.Add("Transpose", {a}, {swap}), d})};
     }},
};
#undef BACK
#undef UNUSED

class Differentiator {
 public:
  explicit Differentiator(const Graph& graph) : graph_(graph), producers_(graph.Producers()), names_(graph.AllNames()) {}

  Result<Graph> Run() {
    Graph out = graph_;
    out.nodes.clear();
    for (const NodePtr& n : graph_.nodes) {
      if (IsGradient(*n)) {
        Status made = Differentiate(*n, &out.nodes);
        if (!made.ok()) return made.error().In(NodeLabel(*n));
      } else {
        out.nodes.push_back(n);
      }
    }
    return out;
  }

 private:
  static std::vector<std::string> Strings(const Node& n, const char* attr) {
    const AttrValue* v = n.Find(attr);
    auto list = v ? std::get_if<std::vector<std::string>>(v) : nullptr;
    return list ? *list : std::vector<std::string>{};
  }

  // The nodes that lead from `given` values to y, in topological order.
  Result<std::vector<NodePtr>> Between(const std::map<std::string, std::string>& given, const std::string& y) {
    std::set<int> needed;
    std::vector<std::string> work{y};
    while (!work.empty()) {
      std::string v = work.back();
      work.pop_back();
      auto maker = producers_.find(v);
      if (given.count(v) || maker == producers_.end() || !needed.insert(maker->second).second) continue;
      const Node& n = *graph_.nodes[static_cast<size_t>(maker->second)];
      if (IsGradient(n)) return Unsupported("a derivative of a derivative");
      for (const std::string& i : n.inputs) work.push_back(i);
    }
    std::vector<NodePtr> order = TRY(Sorted(graph_)), between;
    for (const NodePtr& n : order) {
      bool makes = std::any_of(n->outputs.begin(), n->outputs.end(), [&](const std::string& o) {
        auto maker = producers_.find(o);
        return maker != producers_.end() && needed.count(maker->second) > 0;
      });
      if (makes) between.push_back(n);
    }
    return between;
  }

  Status Differentiate(const Node& gradient, std::vector<NodePtr>* nodes) {
    std::vector<std::string> xs = Strings(gradient, "xs"), zs = Strings(gradient, "zs");
    std::string y = gradient.String("y", "");
    if (gradient.inputs.size() != xs.size() + zs.size() || gradient.outputs.size() > xs.size())
      return Invalid("has another number of operands than xs and zs name");
    Tape tape(gradient, &names_, nodes);
    std::map<std::string, std::string> value;  // of the graph's names, at the places given
    for (size_t i = 0; i < xs.size() + zs.size(); ++i) value[i < xs.size() ? xs[i] : zs[i - xs.size()]] = gradient.inputs[i];
    std::vector<NodePtr> between = TRY(Between(value, y));
    if (between.empty()) return Invalid("nothing leads from xs to y '" + y + "'");
    for (const NodePtr& n : between) {
      auto again = std::make_shared<Node>(*n);
      for (std::string& i : again->inputs) {
        if (auto it = value.find(i); it != value.end()) i = it->second;
      }
      for (std::string& o : again->outputs) {
        if (o.empty()) continue;
        std::string fresh = tape.Fresh(o);
        value.emplace(o, fresh);
        o = fresh;
      }
      again->name = again->outputs[0];
      tape.Put(std::move(again));
    }
    return Back(gradient, xs, y, between, value, &tape);
  }

  // Reverse accumulation.
  Status Back(const Node& gradient, const std::vector<std::string>& xs, const std::string& y,
              const std::vector<NodePtr>& between, const std::map<std::string, std::string>& value, Tape* tape) {
    auto at = [&](const std::string& v) {
      auto it = value.find(v);
      return it == value.end() ? v : it->second;
    };
    std::map<std::string, std::string> by;  // derivative of y by a value
    by[y] = tape->Ones(at(y));
    for (size_t k = between.size(); k-- > 0;) {
      const Node& n = *between[k];
      auto d = by.find(n.outputs[0]);
      if (d == by.end()) continue;
      auto row = std::find_if(std::begin(kDerivatives), std::end(kDerivatives), [&](const Derivative& r) { return n.op == r.op; });
      if (row == std::end(kDerivatives) || !n.domain.empty() || n.outputs.size() != 1)
        return Unsupported("no derivative of " + n.op + " is known");
      if (n.inputs.empty()) return Invalid("has no operand", NodeLabel(n));
      Pair parts = row->back(*tape, at(n.inputs[0]), n.inputs.size() > 1 ? at(n.inputs[1]) : "", at(n.outputs[0]), d->second);
      for (size_t i = 0; i < parts.size() && i < n.inputs.size(); ++i) {
        std::string part = tape->Shaped(parts[i], at(n.inputs[i])), &sum = by[n.inputs[i]];
        sum = sum.empty() ? part : tape->Add("Add", {sum, part});
      }
    }
    for (size_t i = 0; i < gradient.outputs.size(); ++i) {
      if (gradient.outputs[i].empty()) continue;
      auto d = by.find(xs[i]);
      // y does not depend on it.
      std::string result = d != by.end() ? d->second : tape->Add("Sub", {at(xs[i]), at(xs[i])});
      tape->Put(MakeNode("Identity", {result}, {gradient.outputs[i]}, {}, gradient.name));
    }
    return {};
  }

  const Graph& graph_;
  std::unordered_map<std::string, int> producers_;
  std::set<std::string> names_;
};

}  // namespace

bool HasGradients(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const NodePtr& n) { return IsGradient(*n); });
}

Result<Graph> WithoutGradients(const Graph& graph) { return Differentiator(graph).Run(); }

}  // namespace assay
