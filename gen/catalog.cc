#include "gen/catalog.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "gen/domain.h"
#include "gen/restrictions.h"
#include "gen/solver.h"

namespace assay {
namespace {

constexpr int kMaxRankVectors = 48;  // remembered for one rank of input 0
constexpr int kAttrTries = 6;
constexpr int64_t kDrawnElements = 256;
const Dim kAnyExtent(1, 64);

// Probes whether the rule can hold for some extents and attributes at given ranks.
class Prober {
 public:
  explicit Prober(const OpSpec& spec) : spec_(spec), choices_(Mix(spec.since)) {
    required_ = std::max(spec.MinInputs(), spec.inputs.empty() ? 0 : 1);
    node_ = BareNode(spec, std::max(1, spec.MinOutputs()));
    node_.inputs.assign(required_, "x");
    problem_.spec = &spec_;
    problem_.node = &node_;
    problem_.max_elements = int64_t{1} << 40;
    problem_.values.assign(required_, nullptr);
    for (int i = 0; i < required_; ++i) problem_.inputs.push_back({TypeOf(i), true, {}});
    checker_.emplace(problem_);
  }
  Prober(const Prober&) = delete;  // the checker refers to the problem

  bool Feasible(const std::vector<int8_t>& ranks) {
    for (int i = 0; i < required_; ++i) problem_.inputs[i].dims.assign(ranks[i], kAnyExtent);
    return Feasible(ranks, kAttrTries);
  }
  // The same where input `given` has these extents.
  bool Feasible(const std::vector<int8_t>& ranks, int given, const std::vector<Dim>& extents) {
    constexpr int kTries = 100;
    for (int i = 0; i < required_; ++i) problem_.inputs[i].dims.assign(ranks[i], kAnyExtent);
    problem_.inputs[given].dims = extents;
    return Feasible(ranks, kTries);
  }
  // The outputs of a node without a draw callback, for inputs of these ranks and random attributes;
  // empty when they are refused.
  std::vector<TypeInfo> Make(const std::vector<int8_t>& ranks) {
    for (int i = 0; i < required_; ++i) problem_.inputs[i].dims.assign(ranks[i], kAnyExtent);
    node_.outputs.resize(spec_.outputs.size(), "y");
    node_.attrs.clear();
    problem_.attributes.clear();
    for (const AttrSpec& a : spec_.attrs) {
      if (!a.required && choices_.Chance(0.5)) continue;
      if (a.domain.solve) problem_.attributes[a.name] = UnknownAttribute(a, ranks[0]);
      std::optional<AttrValue> v;
      if (!a.domain.solve) v = DrawAttr(choices_, a, ranks[0]);
      if (v) node_.Set(a.name, *std::move(v));
    }
    std::vector<TypeInfo> made;
    CheckRule(problem_, &made);
    return made;
  }
  // The same of one with a draw callback.
  std::vector<TypeInfo> MakeDrawn(int rank, DType type, bool anything) {
    Draft d = Bare(type, anything);
    d.inputs[0] = TypeInfo::Of(type, DrawShape(choices_, rank, kDrawnElements));
    if (!spec_.draw(choices_, d) || !d.inputs[0].Static()) return {};
    // What was drawn for an input of these extents goes with others too.
    if (!d.constants[0]) d.inputs[0].dims.assign(d.inputs[0].dims.size(), kAnyExtent);
    return MadeOf(d);
  }

  // Can the row's draw callback go on from a first input of that type and rank, or, where `rank` is
  // kFree, propose one?
  static constexpr int kFree = -1;
  bool Draws(int rank, DType type, bool anything) {
    // Some want a first input of rare extents; what proposes one does so soon.
    const int most = rank == kFree ? 8 : 64;
    const Draft bare = Bare(type, anything);
    for (int i = 0; i < most; ++i) {
      Draft d = bare;
      if (rank != kFree)
        d.inputs[0] = TypeInfo::Of(type, DrawShape(choices_, rank, kDrawnElements));
      if (!spec_.draw(choices_, d) || !d.inputs[0].Static()) continue;
      computed_first_ |= !d.constants[0];
      if (!rule_answers_) NoteDrawn(d);
      return true;
    }
    return false;
  }

  // May input 0 be computed, in what was drawn so far?
  bool computed_first() const { return computed_first_; }
  // Does the rule say what is made without what the draw callback sets?
  bool rule_answers() const { return rule_answers_; }
  // What the outputs' ranks may be, by what was found feasible, or drawn where the rule has no
  // answer, since the last call.
  Row::MadeRanks TakeMadeRanks() { return std::exchange(made_ranks_, {}); }
  const Row::MadeRanks& made_ranks() const { return made_ranks_; }

  // The element types that output `i` can have where attributes decide: each value of a domain
  // asks the rule.
  DTypeSet MadeTypes(size_t i) {
    const Formal& out = spec_.OutputAt(static_cast<int>(i));
    auto same = [&](const Formal& in) { return !out.type.empty() && in.type == out.type; };
    if (std::any_of(spec_.inputs.begin(), spec_.inputs.end(), same)) return out.types;
    DTypeSet decided = 0;
    for (const AttrSpec& a : spec_.attrs) {
      // Where it may be left out without a default the inputs decide.
      bool decides = a.type == AttrType::kInt && (a.required || a.otherwise);
      if (decides && a.domain.ints.size() > 1) decided |= TypesBy(a, i);
    }
    return decided ? decided & out.types : out.types;
  }

  std::vector<std::vector<int8_t>> Vectors(int first) {
    std::vector<std::vector<int8_t>> found;
    if (required_ == 0) return found;
    std::vector<int8_t> ranks(required_, 0);
    ranks[0] = static_cast<int8_t>(first);
    // Counts through all ranks of inputs 1.. ; three free inputs are 216 combinations.
    int64_t combinations = 1;
    int free_inputs = std::min(required_ - 1, 3);
    for (int i = 0; i < free_inputs; ++i) combinations *= kMaxRank + 1;
    for (int64_t c = 0; c < combinations && static_cast<int>(found.size()) < kMaxRankVectors; ++c) {
      int64_t rest = c;
      for (int i = 1; i < required_; ++i) {
        // Inputs beyond the third free one share its rank (BatchNormalization's statistics).
        if (i <= free_inputs) {
          ranks[i] = static_cast<int8_t>(rest % (kMaxRank + 1));
          rest /= kMaxRank + 1;
        } else {
          ranks[i] = ranks[free_inputs];
        }
      }
      if (Feasible(ranks)) found.push_back(ranks);
    }
    return found;
  }

 private:
  // Input i's element type: formals with the same type name get the same one.
  DType TypeOf(int i) const { return OrdinaryType(spec_.InputAt(i).types); }

  // By the attributes that are required.
  bool Feasible(const std::vector<int8_t>& ranks, int tries) {
    for (int i = 0; i < tries; ++i) {
      if (DrawRequired(ranks.empty() ? 0 : ranks[0]) &&
          (assumed_ || checker_->Run() != Truth::kFalse)) {
        if (assumed_)
          rule_answers_ = false;
        else
          NoteFeasible();
        return true;
      }
      if (!drawn_) break;
    }
    return false;
  }

  bool DrawRequired(int rank) {
    drawn_ = assumed_ = false;
    node_.attrs.clear();
    problem_.attributes.clear();
    for (const AttrSpec& a : spec_.attrs) {
      if (!a.required) continue;
      if (a.domain.solve) {
        std::vector<Dim> unknown = UnknownAttribute(a, rank);
        if (!unknown.empty()) {
          problem_.attributes[a.name] = std::move(unknown);
          continue;
        }
      }
      std::optional<AttrValue> v = DrawAttr(choices_, a, rank);
      drawn_ = true;
      // The draw callback may set it; the rule would read nothing and might be misled, so assume it
      // can hold.
      if (!v) return assumed_ = spec_.draw != nullptr;
      node_.Set(a.name, *std::move(v));
    }
    return true;
  }

  // What the values of one attribute make of an output's element type; 0: always the same.
  DTypeSet TypesBy(const AttrSpec& a, size_t i) {
    DTypeSet types = 0;
    node_.attrs.clear();
    problem_.attributes.clear();
    for (TypeInfo& in : problem_.inputs) in = {in.dtype, false, {}};
    for (int64_t value : a.domain.ints) {
      node_.Set(a.name, value);
      std::vector<TypeInfo> made;
      if (CheckRule(problem_, &made) == Truth::kFalse || i >= made.size()) return 0;
      types |= Bit(made[i].dtype);
    }
    node_.attrs.clear();
    return (types & (types - 1)) != 0 ? types : 0;
  }
  // Also of the outputs that a node may leave out, where the rule allows them.
  void NoteFeasible() {
    const size_t least = node_.outputs.size();
    std::vector<TypeInfo> types;
    node_.outputs.resize(std::max(least, spec_.outputs.size()), "y");
    bool more = node_.outputs.size() > least && CheckRule(problem_, &types) != Truth::kFalse;
    node_.outputs.resize(least);
    const std::vector<TypeInfo>& made = more ? types : checker_->types();
    // A shape that is drawn says more than that any rank may be.
    if (spec_.draw && !made.empty() && !made[0].ranked)
      rule_answers_ = false;
    else
      NoteMade(made);
  }
  void NoteMade(const std::vector<TypeInfo>& types) {
    for (size_t i = 0; i < made_ranks_.size(); ++i) {
      bool known = i < types.size() && types[i].ranked;
      made_ranks_[i] |= known ? 1u << std::min<size_t>(types[i].dims.size(), 31) : kAllRanks;
    }
  }
  Draft Bare(DType type, bool anything) const {
    Draft d;
    d.spec = &spec_;
    d.opset = spec_.since;
    for (int k = 0; k < std::max(1, spec_.MinInputs()); ++k)
      d.inputs.push_back({TypeOf(k), false, {}});
    d.inputs[0].dtype = type;
    d.constants.resize(d.inputs.size());
    d.max_elements = kDrawnElements;
    d.anything = anything;
    return d;
  }
  void NoteDrawn(const Draft& d) { NoteMade(MadeOf(d)); }
  // What a drawn node makes; nothing where the rule refuses it.
  std::vector<TypeInfo> MadeOf(const Draft& d) const {
    Node node = BareNode(spec_, d.outputs);
    node.attrs = d.attrs;
    Problem p;
    p.spec = &spec_;
    p.node = &node;
    p.inputs = d.inputs;
    for (const std::optional<Tensor>& c : d.constants) p.values.push_back(c ? &*c : nullptr);
    std::vector<TypeInfo> types;
    CheckRule(p, &types);
    return types;
  }

  static constexpr uint32_t kAllRanks = (1u << (kMaxRank + 1)) - 1;
  const OpSpec& spec_;
  Choices choices_;
  Node node_;
  Problem problem_;
  std::optional<RuleChecker> checker_;  // of it
  Row::MadeRanks made_ranks_{};
  bool rule_answers_ = true;
  int required_ = 0;
  bool computed_first_ = false;
  bool drawn_ = false;    // an attribute was drawn: another draw may do better
  bool assumed_ = false;  // the rule can't be asked
};

// How often a row is tried. From its traits, so that the many unary functions and reductions don't
// crowd out the operators in which converters err: those that join branches, and those with
// weights, layouts and shapes.
double WeightOf(const OpSpec& spec) {
  bool solves = false, joins = !spec.draw && spec.MaxInputs() > 1;
  for (const AttrSpec& a : spec.attrs) solves |= a.domain.solve;
  bool variadic = spec.inputs.back().arity == Arity::kVariadic;
  bool converts = spec.inputs[0].type != spec.outputs[0].type && spec.Has(kElementwise);
  double weight = 1;
  if (joins && (spec.Has(kBroadcasts) || variadic))
    weight = 2;
  else if (spec.accuracy == Accuracy::kReduction && joins)
    weight = 3;
  else if (spec.accuracy == Accuracy::kReduction && !solves)
    weight = 0.6;
  else if (spec.Has(kElementwise) && spec.MaxInputs() == 1)
    weight = converts ? 1 : 0.35;
  else if (spec.Has(kMovesData) || spec.Has(kLayoutOnly))
    weight = variadic ? 3 : 1.3;
  if (solves) weight += 0.5;
  if (spec.Has(kReadsShape)) weight *= 0.2;
  if (SaysTheSame(spec)) weight *= kSeldom;
  if (!Contains(spec.inputs[0].types, DType::kFloat)) weight *= 0.6;
  return weight;
}

constexpr int kLastOpset = 30;

}  // namespace

const OpSpec* GeneratedRow(const std::string& domain, const std::string& name, int opset) {
  if (domain == kMlDomain && opset < kFirstMlOpset) return nullptr;
  const OpSpec* row = FindOp(domain, name, VersionOf(domain, opset));
  return row && row->Generated() ? row : nullptr;
}

bool SaysTheSame(const OpSpec& spec) {
  return spec.MaxInputs() == 1 && spec.Has(kElementwise) &&
         Contains(spec.inputs[0].types, DType::kFloat) &&
         spec.outputs[0].types == Bit(DType::kBool);
}

int VersionOf(const std::string& domain, int opset) {
  if (domain != kMlDomain) return opset;
  // As the releases of ONNX paired them.
  return opset >= 21 ? 5 : opset >= 20 ? 4 : opset >= 16 ? 3 : opset >= 11 ? 2 : 1;
}

Node BareNode(const OpSpec& spec, int outputs) {
  Node n;
  n.op = spec.name;
  n.domain = spec.domain;
  n.outputs.assign(outputs, "y");
  return n;
}

DType OrdinaryType(DTypeSet types) {
  for (DType t : {DType::kFloat, DType::kInt64, DType::kInt32, DType::kBool, DType::kUint8,
                  DType::kInt8, DType::kDouble}) {
    if (Contains(types, t)) return t;
  }
  for (int i = 1; i < kDTypeCount; ++i) {
    if (Contains(types, static_cast<DType>(i))) return static_cast<DType>(i);
  }
  return DType::kUndefined;
}

namespace {
// Leaves out ranks and element types of input 0 that the draw callback never goes on from. Where
// the rule does not say what the node makes, what is drawn does.
void KeepDrawable(Prober& prober, bool anything, Row* row) {
  std::vector<DType> taken;
  for (int t = 1; t < kDTypeCount; ++t) {
    if (row->Takes(static_cast<DType>(t))) taken.push_back(static_cast<DType>(t));
  }
  std::vector<int> ranks;
  for (size_t i = 0; i < taken.size() && ranks.empty(); ++i) {
    for (int r = 0; r <= kMaxRank; ++r) {
      if (row->TakesRank(r) && prober.Draws(r, taken[i], anything)) ranks.push_back(r);
    }
  }
  // While there are ranks that were not made before.
  constexpr int kDrawnForRanks = 64, kDrawnInVain = 8;
  for (int i = 0, vain = 0; i < kDrawnForRanks && vain < kDrawnInVain && !prober.rule_answers();
       ++i) {
    Row::MadeRanks before = prober.made_ranks();
    for (int r : ranks) prober.Draws(r, taken[0], anything);
    vain = prober.made_ranks() == before ? vain + 1 : 0;
  }
  auto draws = [&](DType type) {
    return std::any_of(ranks.begin(), ranks.end(),
                       [&](int r) { return prober.Draws(r, type, anything); });
  };
  DTypeSet types = 0;
  for (DType type : taken) types |= draws(type) ? Bit(type) : 0;
  row->proposes =
      prober.Draws(Prober::kFree, OrdinaryType(types ? types : row->input_types), anything);
  row->constant_first = !prober.computed_first() && (row->proposes || types != 0);
  if (types == 0) return;  // it reads nothing but what it proposes
  row->input_types = types;
  for (int r = 0; r <= kMaxRank; ++r) {
    if (std::find(ranks.begin(), ranks.end(), r) == ranks.end()) row->ranks[r].clear();
  }
}

Row::MadeRanks Either(Row::MadeRanks a, const Row::MadeRanks& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] |= b[i];
  return a;
}

// Rows are the same in every operator set that has them in force, and probing takes time: each is
// probed once. Null: the generator can't use it. The caller holds the lock of Catalog::Of.
const Row* RowOf(const OpSpec& spec, bool anything) {
  static std::array<std::unordered_map<const OpSpec*, std::unique_ptr<Row>>, 2> known;
  auto [it, fresh] = known[anything].emplace(&spec, nullptr);
  if (!fresh) return it->second.get();
  Row row;
  row.spec = &spec;
  row.weight = WeightOf(spec);
  row.input_types = spec.inputs[0].types & ~RestrictedTypes(spec, anything);
  row.max_outputs = MaxGeneratedOutputs(spec);
  if (row.input_types == 0) return nullptr;
  bool any = false;
  Prober prober(spec);
  std::array<Row::MadeRanks, kMaxRank + 1> made;  // by the rank of input 0
  const uint32_t ranks = GeneratedRanks(spec);
  for (int r = 0; r <= kMaxRank; ++r) {
    if (ranks >> r & 1) row.ranks[r] = prober.Vectors(r);
    made[r] = prober.TakeMadeRanks();
    any |= !row.ranks[r].empty();
  }
  if (!any && spec.draw) {
    // A rule that no rank satisfies wants what the draw callback sets (sizes or scales of Resize).
    for (int r = 0; r <= kMaxRank; ++r)
      row.ranks[r].push_back(std::vector<int8_t>(std::max(1, spec.MinInputs()), r));
    for (Row::MadeRanks& m : made) m.fill(~uint32_t{0});
    any = true;
  }
  if (spec.draw) KeepDrawable(prober, anything, &row);
  row.made_ranks = prober.TakeMadeRanks();
  for (int r = 0; r <= kMaxRank; ++r) {
    if (!row.ranks[r].empty()) row.made_ranks = Either(row.made_ranks, made[r]);
  }
  for (size_t i = 0; i < std::min(row.made_types.size(), spec.outputs.size()); ++i)
    row.made_types[i] = prober.MadeTypes(i);
  if (any) it->second = std::make_unique<Row>(std::move(row));
  return it->second.get();
}
}  // namespace

namespace {

constexpr size_t kMaxNarrow = 16;     // kinds of extents remembered for one rank of an output
constexpr int64_t kMostOfNarrow = 2;  // an extent that is at most this tells something

// The shapes of one rank that were seen.
struct Seen {
  bool any = false;  // they may be anything
  Extents narrow;

  void Note(const std::vector<Dim>& dims) {
    if (any) return;
    auto tells = [](const Dim& d) { return d.known() || d.hi() <= kMostOfNarrow; };
    auto same = [&](const std::vector<Dim>& other) {
      return std::equal(dims.begin(), dims.end(), other.begin(), other.end(),
                        [](const Dim& a, const Dim& b) { return Same(a, b); });
    };
    if (std::any_of(narrow.begin(), narrow.end(), same)) return;
    any = std::none_of(dims.begin(), dims.end(), tells) || narrow.size() == kMaxNarrow;
    if (!any) narrow.push_back(dims);
  }
};

}  // namespace

std::array<std::array<Extents, kMaxRank + 1>, Row::kFollowed> MadeExtents(const Row& row,
                                                                          bool anything) {
  constexpr int kTries = 64;
  Prober prober(*row.spec);
  std::array<std::array<Seen, kMaxRank + 1>, Row::kFollowed> seen;
  auto note = [&](const std::vector<TypeInfo>& made) {
    for (size_t i = 0; i < seen.size() && !made.empty(); ++i) {
      const bool known = i < made.size() && made[i].ranked;
      if (known && made[i].dims.size() > kMaxRank) continue;
      if (known) seen[i][made[i].dims.size()].Note(made[i].dims);
      for (Seen& s : seen[i]) s.any |= !known;
    }
  };
  for (int rank = 0; rank <= kMaxRank; ++rank) {
    const auto& vectors = row.ranks[static_cast<size_t>(rank)];
    for (size_t i = 0; i < kTries && !vectors.empty(); ++i) {
      if (!row.spec->draw) note(prober.Make(vectors[i % vectors.size()]));
      for (int t = 1; row.spec->draw && t < kDTypeCount; ++t) {
        if (!row.Takes(static_cast<DType>(t))) continue;
        note(prober.MakeDrawn(rank, static_cast<DType>(t), anything));
        break;
      }
    }
  }
  std::array<std::array<Extents, kMaxRank + 1>, Row::kFollowed> made;
  for (size_t i = 0; i < made.size(); ++i) {
    for (size_t r = 0; r < made[i].size(); ++r) {
      if (!seen[i][r].any) made[i][r] = std::move(seen[i][r].narrow);
    }
  }
  return made;
}

bool CanRead(const Row& row, int i, const std::vector<Dim>& extents) {
  Prober prober(*row.spec);
  bool free = true;  // the rule has no say
  for (const auto& vectors : row.ranks) {
    for (const std::vector<int8_t>& ranks : vectors) {
      if (i >= std::ssize(ranks) || ranks[static_cast<size_t>(i)] != std::ssize(extents)) continue;
      if (prober.Feasible(ranks, i, extents)) return true;
      free &= !prober.Feasible(ranks, i, std::vector<Dim>(extents.size(), kAnyExtent));
    }
  }
  return free;
}

Catalog::Catalog(int opset, bool anything) {
  for (const OpSpec& spec : AllOps()) {
    bool ml = anything && spec.domain == kMlDomain;
    if (!spec.domain.empty() && !ml) continue;
    if (GeneratedRow(spec.domain, spec.name, opset) != &spec) continue;
    if (!spec.rule || spec.inputs.empty() || spec.outputs.empty()) continue;
    if (const Row* row = RowOf(spec, anything)) rows_.push_back(*row);
  }
}

const Catalog& Catalog::Of(int opset, bool anything) {
  static std::mutex mutex;
  static std::array<std::array<std::unique_ptr<Catalog>, kLastOpset + 1>, 2> catalogs;
  opset = std::clamp(opset, kFirstGeneratedOpset, kLastOpset);
  std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<Catalog>& catalog = catalogs[anything][opset];
  if (!catalog) catalog.reset(new Catalog(opset, anything));
  return *catalog;
}

}  // namespace assay
