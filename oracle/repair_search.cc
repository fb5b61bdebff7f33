#include "oracle/repair_search.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "interp/functions.h"
#include "interp/kernels_parallel.h"
#include "oracle/doubt.h"

namespace assay {
namespace {

constexpr int kFrontierNodes = 4;          // of the frontier, tried in each round
constexpr int kSlack = 1;                   // nodes or tensors by which a better edit may be larger
constexpr int64_t kLargeModel = 1 << 22;   // parameters beyond which fewer contexts localize

int64_t Parameters(const Model& m) {
  int64_t n = 0;
  for (const Initializer& i : m.graph.initializers) n += i.value.size();
  return n;
}

std::string DeclaredText(const ValueInfo& v) {
  std::string s = DTypeName(v.dtype);
  if (!v.shape) return s;
  s += "[";
  for (size_t i = 0; i < v.shape->size(); ++i) {
    const DimDecl& d = (*v.shape)[i];
    s += (i ? "," : "") + (d.value >= 0 ? std::to_string(d.value) : d.symbol.empty() ? "?" : d.symbol);
  }
  return s + "]";
}

// Edits that give the target the source's declared inputs. A layout that was changed with the declaration also
// gets the Transpose that undoes it, as a second choice for the search to judge by.
struct InterfaceFix {
  Model model;
  Healed healed;
};
std::vector<InterfaceFix> FixInputs(const Model& source, const Model& target) {
  std::vector<ValueInfo> want = source.graph.RequiredInputs(), got = target.graph.RequiredInputs();
  std::vector<InterfaceFix> fixes;
  if (want.size() != got.size()) return fixes;
  for (size_t i = 0; i < want.size(); ++i) {
    if (want[i].dtype == got[i].dtype && DeclaredText(want[i]) == DeclaredText(got[i])) continue;
    InterfaceFix fix{target, {}};
    for (ValueInfo& v : fix.model.graph.inputs) {
      if (v.name != got[i].name) continue;
      v.dtype = want[i].dtype;
      v.shape = want[i].shape;
    }
    Difference& d = fix.healed.difference;
    d.cls = "ID";
    d.target_node = got[i].name;
    d.source_node = want[i].name;
    d.what = "input declaration";
    d.source_value = DeclaredText(want[i]);
    d.target_value = DeclaredText(got[i]);
    fix.healed.edit = {"ID", got[i].name, "declare the input " + DeclaredText(want[i]) + " as in the source"};
    fix.healed.local = true;
    // Declared outputs follow from the inputs; inference fills them in.
    fixes.push_back(fix);
    if (want[i].Static() && got[i].Static() && want[i].shape->size() == got[i].shape->size()) {
      Shape a = want[i].StaticShape(), b = got[i].StaticShape();
      std::vector<int64_t> perm(a.size());
      for (size_t k = 0; k < perm.size(); ++k) perm[k] = static_cast<int64_t>(k);
      int made = 0;
      do {
        bool fits = !std::is_sorted(perm.begin(), perm.end());
        for (size_t k = 0; k < perm.size(); ++k) fits = fits && a[perm[k]] == b[k];
        if (!fits) continue;
        InterfaceFix sandwich = fix;
        Graph& g = sandwich.model.graph;
        std::string inner = got[i].name + "__as_declared";
        g.RedirectReaders(got[i].name, inner);
        g.nodes.insert(g.nodes.begin(), MakeNode("Transpose", {got[i].name}, {inner}, {{"perm", perm, {}}}, inner));
        sandwich.healed.edit.what += " and transpose it to what the graph expects";
        fixes.push_back(sandwich);
      } while (++made < 720 && std::next_permutation(perm.begin(), perm.end()));
    }
    break;  // one input at a time
  }
  return fixes;
}

// A copied node that takes the place of a dropped one of the same operator takes its names: the edit then is of
// that node's operands and attributes.
void KeepNames(const Graph& before, Graph* after) {
  std::set<std::string> was, is;
  for (const NodePtr& n : before.nodes) was.insert(n->outputs.begin(), n->outputs.end());
  for (const NodePtr& n : after->nodes) is.insert(n->outputs.begin(), n->outputs.end());
  std::vector<NodePtr> dropped;
  for (const NodePtr& n : before.nodes) {
    if (std::none_of(n->outputs.begin(), n->outputs.end(), [&](const std::string& o) { return is.count(o) > 0; })) dropped.push_back(n);
  }
  for (size_t i = 0; i < after->nodes.size() && !dropped.empty(); ++i) {
    const Node& n = *after->nodes[i];
    if (n.outputs.size() != 1 || was.count(n.outputs[0]) || after->IsOutput(n.outputs[0])) continue;
    auto match = std::find_if(dropped.begin(), dropped.end(), [&](const NodePtr& d) {
      return d->op == n.op && d->domain == n.domain && d->outputs.size() == 1;
    });
    if (match == dropped.end()) continue;
    std::string old_name = n.outputs[0];
    auto renamed = std::make_shared<Node>(n);
    renamed->name = (*match)->name;
    renamed->outputs = (*match)->outputs;
    after->nodes[i] = renamed;
    after->RedirectReaders(old_name, renamed->outputs[0]);
    dropped.erase(match);
  }
}

// Puts nodes in topological order, drops what an edit of `before` left unread, and declares the outputs as inferred.
// A model that inference refuses is passed on only where its predecessor was refused too (`lenient`).
Result<Model> Tidy(Model m, const Model& before, bool lenient) {
  RemoveNewlyDead(before.graph, &m.graph);
  KeepNames(before.graph, &m.graph);
  std::vector<NodePtr> order = TRY(Sorted(m.graph));
  m.graph.nodes = std::move(order);
  m.graph.value_info.clear();
  // What the outputs were declared to be goes for the faulty target.
  for (ValueInfo& o : m.graph.outputs) o.shape.reset();
  Result<Inference> known = Infer(m);
  if (!known.ok()) {
    if (lenient) return m;
    return known.error();
  }
  for (ValueInfo& o : m.graph.outputs) {
    const TypeInfo& t = known->types.at(o.name);
    if (t.Static()) {
      o = ValueInfo::Of(o.name, t.dtype, t.StaticShape());
      continue;
    }
    auto was = std::find_if(before.graph.outputs.begin(), before.graph.outputs.end(),
                            [&](const ValueInfo& v) { return v.name == o.name; });
    if (was != before.graph.outputs.end()) o.shape = was->shape;
  }
  return m;
}

// Same outputs in another order, or outputs that the source does not have (IO).
bool FixOutputs(const Trace& source, const Trace& target, InterfaceFix* fix) {
  std::vector<uint64_t> want = source.OutputKeys(), got = target.OutputKeys();
  std::vector<ValueInfo> chosen;
  std::vector<bool> used(got.size(), false);
  for (uint64_t w : want) {
    size_t j = 0;
    while (j < got.size() && (used[j] || got[j] != w || w == 0)) ++j;
    if (j == got.size()) return false;
    used[j] = true;
    chosen.push_back(target.model->model.graph.outputs[j]);
  }
  if (want == got) return false;
  fix->model = target.model->model;
  fix->model.graph.outputs = chosen;
  fix->healed.difference = {"IO", chosen.empty() ? "" : chosen[0].name, "", "graph outputs", "the source's order",
                            got.size() != want.size() ? "extra outputs" : "permuted", true, 0};
  fix->healed.edit = {"IO", chosen.empty() ? "" : chosen[0].name, "put the graph outputs in the source's order"};
  fix->healed.local = true;
  return true;
}

std::unordered_map<uint64_t, int> Occurrences(const Trace& t) {
  std::unordered_map<uint64_t, int> count;
  for (const Signature& s : t.signature) {
    if (s.defined()) ++count[s.ordered];
  }
  return count;
}

// Did the edit heal anything? Fewer unequal outputs; or a value of the region that is still there now equals a
// source value that the target lacked, and the region shrank.
bool Progress(const Trace& source, const Alignment& before, const Trace& old_trace, const Alignment& after,
              const Trace& new_trace) {
  if (after.unequal.size() != before.unequal.size()) return after.unequal.size() < before.unequal.size();
  if (after.region >= before.region) return false;
  std::unordered_map<uint64_t, int> wanted = Occurrences(source), had = Occurrences(old_trace);
  for (size_t n = 0; n < before.diverged.size(); ++n) {
    if (!before.diverged[n]) continue;
    for (int o : old_trace.model->nodes[n].outputs) {
      if (o < 0 || before.source_of[o] >= 0) continue;
      auto it = new_trace.model->number.find(old_trace.model->names[o]);
      // One that the target lacked, or had fewer times (reading another shared value heals nothing), made by a node
      // that was there (a copy of the source's node equals the source by itself).
      if (it == new_trace.model->number.end() || after.source_of[it->second] < 0) continue;
      int maker = new_trace.model->producer[it->second];
      bool same_maker = maker >= 0 && new_trace.model->nodes[maker].row == old_trace.model->nodes[n].row;
      uint64_t value = new_trace.signature[it->second].ordered;
      if (same_maker && had[value] < wanted[value]) return true;
    }
  }
  return false;
}

// Can a run under all contexts still make progress where one under some of them gives `part`? Fewer contexts tell
// fewer values apart: what is unequal in them stays so.
bool MayProgress(const Alignment& before, const Alignment& part) {
  if (part.unequal.size() != before.unequal.size()) return part.unequal.size() < before.unequal.size();
  return part.region < before.region;
}

class Search {
 public:
  Search(const Model& source, const RepairOptions& options) : source_(source), options_(options) {}

  // Searches; where a second look refutes what the search found equal, searches anew with the context that showed it.
  Result<SearchResult> Run(const Model& target);

 private:
  Result<SearchResult> RunOnce(const Model& target, bool* doubtful);
  bool OutOfTime() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count() > options_.seconds;
  }
  Status HealInterface(SearchResult* r);
  // One round: the best proposal at the frontier. False: nothing helped.
  bool Round(const Trace& trace, const Alignment& alignment, SearchResult* r);

  const Model& source_;
  const RepairOptions& options_;
  std::unique_ptr<Lab> lab_;
  std::vector<std::vector<int>> source_readers_;
  LabOptions lab_options_;
  int contexts_ = 4;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

Status Search::HealInterface(SearchResult* r) {
  for (int round = 0; round < 8; ++round) {
    std::vector<InterfaceFix> fixes = FixInputs(source_, r->fixed);
    if (fixes.empty()) return {};
    const InterfaceFix* best = nullptr;
    int best_region = INT32_MAX;
    std::vector<Model> tidied(fixes.size());
    for (size_t i = 0; i < fixes.size(); ++i) {
      Result<Model> m = Tidy(fixes[i].model, r->fixed, true);
      if (!m.ok()) continue;
      tidied[i] = *m;
      Result<Trace> t = lab_->Run(*m, 1, false);
      int region = 1 << 20;
      if (t.ok()) region = Align(lab_->source(), *t).region + (t->failed_node >= 0 ? 1 << 10 : 0);
      if (region < best_region) best_region = region, best = &fixes[i];
    }
    if (!best) return Invalid("the target can't take the source's inputs");
    r->fixed = tidied[best - fixes.data()];
    r->steps.push_back(best->healed);
  }
  return {};
}

bool Search::Round(const Trace& trace, const Alignment& alignment, SearchResult* r) {
  std::vector<std::vector<int>> target_readers = trace.model->Readers();
  std::vector<std::pair<Proposal, bool>> proposals;  // and whether it is local
  int tried = 0;
  for (int node : alignment.frontier) {
    if (++tried > kFrontierNodes) break;
    RepairScene scene{lab_->pool(), lab_->source(), trace, alignment, node, source_readers_, target_readers};
    for (const RepairStrategy& s : RepairStrategies()) {
      std::vector<Proposal> made;
      s.propose(scene, &made);
      // Certainly another attribute or constant; a number far off that heals by chance is not.
      bool local = s.name == "attribute" || s.name == "weight" || s.name == "folded_weight";
      for (Proposal& p : made) {
        bool certain = local && (s.name != "folded_weight" || p.size <= 2);
        proposals.push_back({std::move(p), certain});
      }
    }
  }
  std::stable_sort(proposals.begin(), proposals.end(), [](const auto& a, const auto& b) { return a.first.size < b.first.size; });
  const std::pair<Proposal, bool>* best = nullptr;
  Model best_model;
  std::pair<size_t, int> best_score{SIZE_MAX, INT32_MAX};
  for (const auto& candidate : proposals) {
    // A much larger edit is not looked at when a small one has healed something.
    if (OutOfTime() || (best && candidate.first.size > best->first.size + kSlack)) break;
    Result<Model> tidy = Tidy(candidate.first.model, r->fixed, trace.failed_node >= 0);
    if (!tidy.ok()) continue;
    bool hopeless = false;
    Result<Trace> t = lab_->Run(*tidy, contexts_, false, [&](const Trace& part) {
      return hopeless = !MayProgress(alignment, Align(lab_->source(), part));
    });
    if (!t.ok() || hopeless) continue;
    Alignment after = Align(lab_->source(), *t);
    if (!Progress(lab_->source(), alignment, trace, after, *t)) continue;
    std::pair<size_t, int> score{after.unequal.size(), after.region};
    if (score < best_score) {
      best_score = score;
      best = &candidate;
      best_model = std::move(*tidy);
      if (after.equal()) break;
    }
  }
  if (!best) return false;
  r->fixed = std::move(best_model);
  Healed h{best->first.difference, {best->first.difference.cls, best->first.difference.target_node, best->first.what}, best->second};
  r->steps.push_back(std::move(h));
  return true;
}

Result<SearchResult> Search::Run(const Model& target) {
  constexpr int kRefutations = 4;
  lab_options_.seed = options_.seed;
  lab_options_.jobs = options_.jobs;
  lab_options_.limits = options_.limits;
  contexts_ = Parameters(source_) > kLargeModel ? 2 : ContextsFor(source_, contexts_);
  for (int k = 0; k < contexts_; ++k) lab_options_.draws.push_back(k);
  for (int refuted = 0;; ++refuted) {
    bool doubtful = false;
    SearchResult found = TRY(RunOnce(target, &doubtful));
    if (!doubtful || refuted == kRefutations || OutOfTime()) return found;
    int draw = TRY(SecondLook(source_, found.fixed, lab_options_));
    if (draw < 0) return found;
    lab_options_.draws.insert(lab_options_.draws.begin(), draw);
    ++contexts_;
  }
}

Result<SearchResult> Search::RunOnce(const Model& target, bool* doubtful) {
  SearchResult r;
  r.fixed = target;
  lab_ = TRY(Lab::Make(source_, target, lab_options_));
  source_readers_ = lab_->source().model->Readers();
  Status interface = HealInterface(&r);
  if (!interface.ok()) {
    r.note = interface.error().ToString();
    return r;
  }
  for (int edits = 0;; ++edits) {
    Result<Trace> trace = lab_->Run(r.fixed, contexts_);
    if (!trace.ok()) {
      r.note = trace.error().ToString();
      return r;
    }
    Alignment a = Align(lab_->source(), *trace);
    if (edits == 0) {
      r.before = a;
      r.target_nodes = static_cast<int>(trace->model->nodes.size());
      for (const PreparedNode& n : trace->model->nodes) {
        r.aligned_nodes += std::all_of(n.outputs.begin(), n.outputs.end(),
                                       [&](int o) { return o < 0 || trace->model->constant[o] || a.source_of[o] >= 0; });
      }
      r.snapped = trace->snapped;
      r.foreign = static_cast<int>(trace->foreign.size());
    }
    if (a.equal()) {
      r.equal = true;
      *doubtful = Doubtful(lab_->source(), *trace);
      return r;
    }
    if (edits >= options_.max_edits || OutOfTime()) {
      r.note = "the budget ended before all differences were healed";
      return r;
    }
    InterfaceFix outputs;
    if (FixOutputs(lab_->source(), *trace, &outputs)) {
      Result<Model> tidy = Tidy(outputs.model, r.fixed, false);
      if (tidy.ok()) {
        r.fixed = std::move(*tidy);
        r.steps.push_back(outputs.healed);
        continue;
      }
    }
    if (!Round(*trace, a, &r)) {
      if (!a.frontier.empty()) r.note = "no edit heals what departs at " + NodeLabel(*trace->model->nodes[a.frontier[0]].node);
      // Say at least where the models part.
      for (size_t i = 0; i < a.frontier.size() && i < 4; ++i) {
        const Node& n = *trace->model->nodes[a.frontier[i]].node;
        Healed h;
        h.difference = {"CG", SiteName(n), "", "the value of " + n.op, "", "", true, 0};
        h.edit = {"", "", ""};
        r.steps.push_back(h);
      }
      return r;
    }
  }
}

}  // namespace

Result<SearchResult> SearchRepair(const Model& source, const Model& target, const RepairOptions& options) {
  if (NeedsInlining(source) || NeedsInlining(target)) return SearchRepair(TRY(Inlined(source)), TRY(Inlined(target)), options);
  ThreadScope threads(options.jobs);
  return Search(source, options).Run(target);
}

}  // namespace assay
