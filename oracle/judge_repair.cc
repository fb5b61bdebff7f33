// JudgeRepair: a repair counts when it is equal to the source on inputs that the repairer never saw
// and when it is an edit of the target. The second half is decided here, from the three graphs
// alone:
//
// - A node of the target is kept when the repaired graph has a live node of that operator and name, or
//   one making a value of the same name; its attributes, constants and inputs may have been edited. Of what could be
//   kept, the nodes of the target or of the repaired graph, whichever are fewer, half must be; two
//   thirds when the result is the source's structure throughout, because then the smaller edit that
//   leaves the target's own form alone was not taken. (A fused node in the place of the six that
//   spelled it out leaves fewer nodes than the target had.) A target of one or two nodes may be
//   replaced at its outputs.
// - A repairer that renames everything is judged by what only the target has: nodes and constants
//   whose content does not occur in the source. Half of these must survive. Where the target has
//   next to none of its own, a renamed result can't be told from a copy of the source, and is
//   refused.
// - Most of the source standing beside the target's nodes is a copy all the same, unless the target
//   had lost that much: then most of the nodes it kept still have a say in the outputs.
// - A result that differs because an output depends on no input, while the source's does, is said
//   to be a constant. (Equal ones may: the index that TopK finds in one element is always 0.)
#include <algorithm>
#include <functional>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "interp/functions.h"
#include "oracle/judge.h"
#include "oracle/probes.h"

namespace assay {
namespace {

uint64_t HashBytes(const void* data, size_t n, uint64_t h) {
  const auto* p = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < n; ++i) h = (h ^ p[i]) * 0x100000001b3ULL;
  return Mix(h);
}
uint64_t HashText(const std::string& s, uint64_t h) { return HashBytes(s.data(), s.size(), h); }

uint64_t HashTensor(const Tensor& t) {
  uint64_t h = HashText(t.TypeString(), 1);
  if (t.dtype() == DType::kString) {
    for (const std::string& s : t.strings()) h = HashText(s, h);
    return h;
  }
  return t.bytes() > 0 ? HashBytes(t.raw(), static_cast<size_t>(t.bytes()), h) : h;
}

uint64_t HashAttribute(const Attribute& a) {
  uint64_t h = HashText(a.name, 2 + a.value.index());
  if (auto v = std::get_if<int64_t>(&a.value)) return HashBytes(v, sizeof *v, h);
  if (auto v = std::get_if<float>(&a.value)) return HashBytes(v, sizeof *v, h);
  if (auto v = std::get_if<std::string>(&a.value)) return HashText(*v, h);
  if (auto v = std::get_if<std::vector<int64_t>>(&a.value))
    return HashBytes(v->data(), v->size() * 8, h);
  if (auto v = std::get_if<std::vector<float>>(&a.value))
    return HashBytes(v->data(), v->size() * 4, h);
  if (auto v = std::get_if<Tensor>(&a.value)) return h ^ HashTensor(*v);
  if (auto v = std::get_if<Opaque>(&a.value)) return HashText(v->bytes, h);
  return h;
}

// One graph without its dead nodes: what each node is made of, names left out.
struct Census {
  std::vector<NodePtr> nodes;     // live, sorted, without Constant
  std::vector<uint64_t> content;  // of each node: operator, attributes, constant inputs
  std::unordered_map<std::string, uint64_t> constants;  // name -> content
  std::vector<uint64_t> own;                            // sorted contents of nodes and of constants
  std::vector<uint64_t> deep;                  // of each graph output: the whole computation
  std::unordered_set<std::string> from_input;  // values that depend on a graph input
  std::vector<std::string> outputs;
};

void TakeConstants(const Graph& g, Census* c) {
  for (const Initializer& i : g.initializers) {
    if (!g.FindInput(i.name)) c->constants[i.name] = HashTensor(i.value);
  }
  for (const NodePtr& n : g.nodes) {
    if (n->op != "Constant" || n->attrs.empty() || n->outputs.empty()) continue;
    auto t = std::get_if<Tensor>(&n->attrs[0].value);
    c->constants[n->outputs[0]] = t ? HashTensor(*t) : HashAttribute(n->attrs[0]);
  }
}

Result<Census> TakeCensus(const Model& model) {
  Graph g = model.graph;
  g.RemoveDead();
  Census c;
  TakeConstants(g, &c);
  std::unordered_map<std::string, uint64_t> value;
  std::vector<ValueInfo> inputs = g.RequiredInputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    value[inputs[i].name] = Mix(i + 11);
    c.from_input.insert(inputs[i].name);
  }
  for (const auto& [name, h] : c.constants) {
    value[name] = h;
    c.own.push_back(h);
  }
  for (const NodePtr& n : TRY(Sorted(g))) {
    if (n->op == "Constant") continue;
    uint64_t local = HashText(n->domain + "." + n->op, n->inputs.size());
    uint64_t attributes = 0;
    for (const Attribute& a : n->attrs) attributes += Mix(HashAttribute(a));
    uint64_t deep = local = Mix(local ^ attributes);
    bool depends = false;
    for (const std::string& i : n->inputs) {
      auto constant = c.constants.find(i);
      local = MixSeeds(local, i.empty() ? 1 : constant == c.constants.end() ? 2 : constant->second);
      deep = MixSeeds(deep, i.empty() ? 1 : value[i]);
    }
    for (const std::string& i : ReadBy(*n)) depends |= c.from_input.count(i) > 0;
    for (size_t o = 0; o < n->outputs.size(); ++o) {
      value[n->outputs[o]] = MixSeeds(deep, o);
      if (depends) c.from_input.insert(n->outputs[o]);
    }
    c.nodes.push_back(n);
    c.content.push_back(local);
    c.own.push_back(local);
  }
  std::sort(c.own.begin(), c.own.end());
  for (const ValueInfo& o : g.outputs) {
    c.outputs.push_back(o.name);
    c.deep.push_back(value[o.name]);
  }
  return c;
}

// Multiset difference and intersection of sorted lists.
std::vector<uint64_t> Without(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  std::vector<uint64_t> out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}
size_t Common(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  return a.size() - Without(a, b).size();
}

// How the repaired graph's nodes relate to the target's, by the names of the values they make.
struct Overlap {
  size_t kept = 0;      // target nodes that live on, edited or not
  std::unordered_set<std::string> kept_outputs;  // what these make
  size_t replaced = 0;  // target nodes whose value another operator makes now
  size_t copied = 0;    // fresh nodes with the content of a source node
};

Overlap Compare(const Census& source, const Census& target, const Census& fixed) {
  std::unordered_map<std::string, const Node*> makers, named;
  for (const NodePtr& n : target.nodes) {
    for (const std::string& o : n->outputs) makers.emplace(o, n.get());
    if (!n->name.empty()) named.emplace(n->name, n.get());
  }
  Overlap x;
  std::vector<uint64_t> fresh;
  for (size_t k = 0; k < fixed.nodes.size(); ++k) {
    const Node& n = *fixed.nodes[k];
    const Node* old = nullptr;
    for (const std::string& o : n.outputs) {
      auto it = makers.find(o);
      if (!o.empty() && it != makers.end() && !old) old = it->second;
    }
    auto same = [&](const Node* m) { return m && m->op == n.op && m->domain == n.domain; };
    auto by_name = named.find(n.name);
    if (same(old) || (by_name != named.end() && same(by_name->second))) {
      ++x.kept;
      x.kept_outputs.insert(n.outputs.begin(), n.outputs.end());
    } else {
      x.replaced += old != nullptr;
      fresh.push_back(fixed.content[k]);
    }
  }
  std::vector<uint64_t> contents = source.content;
  std::sort(contents.begin(), contents.end());
  std::sort(fresh.begin(), fresh.end());
  x.copied = Common(fresh, contents);
  return x;
}

// "" when no output became a constant.
std::string WhyConstant(const Census& source, const Census& fixed) {
  for (size_t o = 0; o < fixed.outputs.size() && o < source.outputs.size(); ++o) {
    if (source.from_input.count(source.outputs[o]) && !fixed.from_input.count(fixed.outputs[o])) {
      return fmt::format("output {} depends on no input", o);
    }
  }
  return {};
}

// The outputs of the repaired model on one probe, with the named values (each alone) moved.
Result<Execution> RunWithMoved(const Program& program, const Probe& probe, const std::string& moved,
                               const Limits& limits) {
  ExecOptions exec;
  exec.store = Store::kDouble;
  exec.limits = limits;
  exec.after_node = [&](const Node& n, std::vector<Tensor>& outputs) {
    for (size_t o = 0; o < outputs.size() && o < n.outputs.size(); ++o) {
      if (n.outputs[o] != moved || outputs[o].dtype() == DType::kString) continue;
      Tensor t = outputs[o].Clone();
      bool flips = t.dtype() == DType::kBool;
      for (int64_t i = 0; i < t.size(); ++i) t.Set(i, flips ? 1 - t.AsDouble(i) : t.AsDouble(i) + 1);
      outputs[o] = t;
    }
  };
  return program.Run(probe.inputs, exec);
}

bool SameBytes(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (size_t o = 0; o < a.size(); ++o) {
    if (HashTensor(a[o]) != HashTensor(b[o])) return false;
  }
  return true;
}

// How many of the kept nodes have a say in the outputs: a run that fails or differs when one is moved.
size_t Heard(const Model& fixed, const Overlap& x, const JudgeOptions& options) {
  constexpr int kProbes = 3;
  Result<Program> program = Program::Compile(fixed);
  if (!program.ok()) return 0;
  std::unordered_set<std::string> heard;
  for (int k = 0; k < kProbes; ++k) {
    Result<Probe> probe = MakeProbe(fixed, k, options.seed, {.integers_below = 2});
    if (!probe.ok()) continue;
    Result<Execution> plain = RunWithMoved(*program, *probe, "", options.limits);
    if (!plain.ok()) continue;
    for (const std::string& value : x.kept_outputs) {
      if (value.empty() || heard.count(value)) continue;
      Result<Execution> moved = RunWithMoved(*program, *probe, value, options.limits);
      if (!moved.ok() || !SameBytes(plain->outputs, moved->outputs)) heard.insert(value);
    }
  }
  return heard.size();
}

// "" when `fixed` is an edit of `target`.
std::string WhyNoEdit(const Census& source, const Census& target, const Census& fixed,
                      const Model& fixed_model, const JudgeOptions& options) {
  if (fixed.deep == target.deep) return {};  // the target itself
  Overlap x = Compare(source, target, fixed);
  size_t total = target.nodes.size(), most = std::min(total, fixed.nodes.size());
  bool is_source = fixed.deep == source.deep && target.deep != source.deep;
  size_t stands = x.kept + (total <= 2 ? x.replaced : 0);
  bool kept = is_source
                  ? 3 * stands >= 2 * most || (stands > 0 && total - std::min(stands, total) <= 1)
                  : 2 * stands >= most;
  if (kept) {
    bool beside = x.copied >= 2 && 4 * x.copied > 3 * source.nodes.size();
    if (beside && 2 * Heard(fixed_model, x, options) < x.kept_outputs.size()) {
      return fmt::format("{} of the source's {} nodes stand beside the target's", x.copied,
                         source.nodes.size());
    }
    return {};
  }
  std::vector<uint64_t> distinctive = Without(target.own, source.own);
  size_t survives = Common(distinctive, fixed.own);
  if (!is_source && distinctive.size() >= 3 && 2 * survives >= distinctive.size()) return {};
  if (is_source)
    return fmt::format("it is the source: {} of the target's {} nodes are left", stands, total);
  return fmt::format("it replaces the target: {} of its {} nodes are left", stands, total);
}

RepairJudgement Refused(std::string why, bool edited) {
  RepairJudgement r;
  r.edited_target = edited;
  r.why = std::move(why);
  return r;
}

}  // namespace

RepairJudgement JudgeRepair(const Model& source, const Model& target, const Model& fixed,
                            const JudgeOptions& options) {
  if (NeedsInlining(source) || NeedsInlining(target) || NeedsInlining(fixed)) {
    Result<Model> s = Inlined(source), t = Inlined(target), f = Inlined(fixed);
    if (!f.ok()) return Refused("the repaired model is not valid: " + f.error().ToString(), true);
    if (!s.ok() || !t.ok()) return Refused((s.ok() ? t : s).error().ToString(), true);
    return JudgeRepair(*s, *t, *f, options);
  }
  Result<Census> s = TakeCensus(source), t = TakeCensus(target), f = TakeCensus(fixed);
  if (!f.ok()) return Refused("the repaired model is not valid: " + f.error().ToString(), true);
  if (!s.ok() || !t.ok()) return Refused((s.ok() ? t : s).error().ToString(), true);
  Result<Judgement> j = JudgePair(source, fixed, options);
  if (!j.ok()) return Refused(j.error().ToString(), true);
  bool untouched = f->deep == t->deep;
  std::string constant = j->differs && !untouched ? WhyConstant(*s, *f) : "";
  if (!constant.empty()) return Refused(constant, false);
  std::string no_edit = WhyNoEdit(*s, *t, *f, fixed, options);
  if (!no_edit.empty()) return Refused(no_edit, false);
  if (j->differs) return Refused(j->why, true);
  if (!j->comparable) return Refused(j->why, true);
  RepairJudgement r;
  r.healed = true;
  r.why = j->why;
  return r;
}

}  // namespace assay
