#include "gen/solver.h"

#include "gen/domain.h"

namespace assay {
namespace {

constexpr int kRestarts = 4;
constexpr int kGuesses = 2;  // of one unknown, before those at hand and its interval
constexpr int kAtHand = 5;   // extents at hand that are tried for one unknown
constexpr int kAtHandForAttribute = 2;
constexpr int kBisections = 24;  // rule runs for one unknown
constexpr double kExtentsFirst = 0.75;
constexpr int kMostRuns = 90;       // of the rule for one problem
constexpr int64_t kMaxExtent = 64;  // of a solved extent

struct Unknown {
  Dim* slot;
  Dim given, range;          // as it came, and as it is searched
  const AttrDomain* domain;  // null: an extent
  const TypeInfo* of;        // whose extent
  int64_t hint;              // the extent on this axis of a type that may be alike; 0: none
};

// Unknowns that are guessed together: the extents of one input, the entries of one attribute.
struct Group {
  size_t begin, end;
};

// Sizes and extents of one type; kMaybe while it is not static.
Truth CheckSize(const TypeInfo& t, int64_t max_elements) {
  if (!t.ranked) return Truth::kMaybe;
  bool known = true;
  int64_t least = 1;
  for (const Dim& d : t.dims) {
    if (!d.defined() || d.hi() < 1) return Truth::kFalse;
    if (d.known() && d.lo() < 1) return Truth::kFalse;
    known &= d.known();
    if (__builtin_mul_overflow(least, std::max<int64_t>(d.lo(), 1), &least) ||
        least > max_elements) {
      return Truth::kFalse;
    }
  }
  return known ? Truth::kTrue : Truth::kMaybe;
}

Truth CheckWanted(const TypeInfo& got, const TypeInfo& want) {
  if (got.dtype != want.dtype) return Truth::kFalse;
  if (!got.ranked) return Truth::kMaybe;
  if (got.dims.size() != want.dims.size()) return Truth::kFalse;
  Truth all = Truth::kTrue;
  for (size_t i = 0; i < got.dims.size(); ++i) all = all && got.dims[i] == want.dims[i];
  return all;
}

std::vector<const TypeInfo*> InputsOf(const Problem& p) {
  std::vector<const TypeInfo*> inputs(p.inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    inputs[i] = p.inputs[i].dtype == DType::kUndefined ? nullptr : &p.inputs[i];
  }
  return inputs;
}

class Search {
 public:
  Search(Choices& choices, Problem& problem)
      : choices_(choices), problem_(problem), checker_(problem) {
    Collect();
  }

  bool Run() {
    truth_ = checker_.Run();
    // What is not decided now depends on values; evaluating the node decides it.
    if (unknowns_.empty() || truth_ == Truth::kFalse) return truth_ != Truth::kFalse;
    for (int i = 0; i < kRestarts && runs_ < kMostRuns; ++i) {
      if (Attempt()) return true;
      Forget(0, unknowns_.size());
    }
    return false;
  }
  Solution Found() const {
    return {checker_.types(), truth_ == Truth::kTrue && !checker_.read_values()};
  }
  void Undo() {
    for (Unknown& u : unknowns_) *u.slot = u.given;
  }

 private:
  void Collect() {
    const TypeInfo* like = problem_.want;
    if (like) {
      for (const Dim& d : like->dims) known_.push_back(d.value());
    }
    for (TypeInfo& t : problem_.inputs) {
      if (!like && t.ranked && t.Static()) like = &t;
    }
    for (TypeInfo& t : problem_.inputs) {
      size_t begin = unknowns_.size();
      for (size_t i = 0; i < t.dims.size(); ++i) {
        Dim& d = t.dims[i];
        if (d.known()) {
          known_.push_back(d.value());
          continue;
        }
        bool alike = like && like->dims.size() == t.dims.size();
        Add(&d, Dim(std::max<int64_t>(d.lo(), 1), std::min(d.hi(), kMaxExtent)), nullptr, &t,
            alike ? like->dims[i].value() : 0);
      }
      if (unknowns_.size() > begin) groups_.push_back({begin, unknowns_.size()});
    }
    for (auto& [name, list] : problem_.attributes) {
      const AttrSpec* attr = problem_.spec->FindAttr(name);
      size_t begin = unknowns_.size();
      for (Dim& d : list) {
        if (!d.known()) Add(&d, d, attr ? &attr->domain : nullptr, nullptr, 0);
      }
      if (unknowns_.size() > begin) groups_.push_back({begin, unknowns_.size()});
    }
    fixed_ = known_.size();
  }
  void Add(Dim* slot, Dim range, const AttrDomain* domain, const TypeInfo* of, int64_t hint) {
    unknowns_.push_back({slot, *slot, range, domain, of, hint});
    *slot = range;
  }

  bool Holds() {
    ++runs_;
    truth_ = checker_.Run();
    return truth_ != Truth::kFalse;
  }

  // The last run of the rule saw every unknown as it is.
  bool Attempt() {
    choices_.Shuffle(groups_);
    // Attributes can give way to extents, and hardly the other way round.
    if (choices_.Chance(kExtentsFirst)) {
      std::stable_partition(groups_.begin(), groups_.end(),
                            [&](const Group& g) { return !unknowns_[g.begin].domain; });
    }
    for (const Group& g : groups_) {
      if (!GuessGroup(g) && !FixEach(g)) return false;
    }
    return truth_ != Truth::kFalse;
  }

  // All members at once: one rule run where most combinations are fine.
  bool GuessGroup(const Group& g) {
    bool hinted = unknowns_[g.begin].hint > 0 && choices_.Chance(problem_.want ? 0.8 : 0.5);
    // Extents drawn together rarely fit; entries of an attribute mostly do.
    if (!hinted && (g.end - g.begin < 2 || !unknowns_[g.begin].domain)) return false;
    for (size_t i = g.begin; i < g.end; ++i) {
      if (hinted && unknowns_[i].hint > 0)
        *unknowns_[i].slot = unknowns_[i].hint;
      else
        Guess(unknowns_[i]);
    }
    if (Holds()) {
      for (size_t i = g.begin; i < g.end; ++i) Remember(unknowns_[i]);
      return true;
    }
    Forget(g.begin, g.end);
    return false;
  }
  bool FixEach(const Group& g) {
    for (size_t i = g.begin; i < g.end; ++i) {
      if (!Fix(unknowns_[i])) return false;
    }
    return true;
  }

  void Guess(Unknown& u) {
    Dim r = u.range;
    *u.slot = u.domain ? DrawInteger(choices_, *u.domain, r.lo(), r.hi())
                       : DrawExtent(choices_, r.lo(), std::min(r.hi(), Room(u)), known_);
  }
  // The largest extent that leaves the tensor within its size, whatever the other ones come to.
  int64_t Room(const Unknown& u) const {
    int64_t others = 1;
    for (const Dim& d : u.of->dims) {
      if (&d != u.slot) others *= std::clamp<int64_t>(d.lo(), 1, problem_.max_elements);
      others = std::min(others, problem_.max_elements);
    }
    return std::max(u.range.lo(), problem_.max_elements / others);
  }
  bool Fix(Unknown& u) {
    for (int i = 0; i < (u.domain ? kGuesses : 1); ++i) {
      Guess(u);
      if (Holds()) return Remember(u);
    }
    return (TryLeast(u) || TryAtHand(u) || Bisect(u)) && Remember(u);
  }
  // Strides, dilations and pads that don't fit are mostly too large.
  bool TryLeast(Unknown& u) {
    if (!u.domain || u.slot->value() == u.range.lo() || !assay::Holds(*u.domain, u.range.lo()))
      return false;
    *u.slot = u.range.lo();
    return Holds();
  }
  // An extent that is not free mostly has to equal another: that on the same axis, or one that was
  // found lately.
  bool TryAtHand(Unknown& u) {
    const int64_t guessed = u.slot->value();
    const int64_t most = u.domain ? u.range.hi() : std::min(u.range.hi(), Room(u));
    auto may_be = [&](int64_t v) {
      return v >= u.range.lo() && v <= most && v != guessed &&
             (!u.domain || assay::Holds(*u.domain, v));
    };
    if (may_be(u.hint)) {
      *u.slot = u.hint;
      if (Holds()) return true;
    }
    int tries = 0, enough = u.domain ? kAtHandForAttribute : kAtHand;
    for (auto v = known_.rbegin(); v != known_.rend() && tries < enough; ++v) {
      if (!may_be(*v) || *v == u.hint || std::find(known_.rbegin(), v, *v) != v) continue;
      ++tries;
      *u.slot = *v;
      if (Holds()) return true;
    }
    return false;
  }
  // Depth-first over halves of the interval in random order. That the whole of it may hold is what
  // the search has come from.
  bool Bisect(Unknown& u) {
    open_.clear();
    Split(u.range);
    for (int runs = 0; !open_.empty() && runs < kBisections; ++runs) {
      Dim d = open_.back();
      open_.pop_back();
      *u.slot = d;
      if (!Holds()) continue;
      if (d.known() && (!u.domain || assay::Holds(*u.domain, d.value()))) return true;
      Split(d);
    }
    return false;
  }
  void Split(Dim d) {
    if (d.known()) return;
    int64_t middle = d.lo() + (d.hi() - d.lo()) / 2;
    Dim low(d.lo(), middle), high(middle + 1, d.hi());
    bool low_first = choices_.Chance(0.6);
    open_.push_back(low_first ? high : low);
    open_.push_back(low_first ? low : high);
  }
  bool Remember(const Unknown& u) {
    if (!u.domain || u.slot->value() > 1) known_.push_back(u.slot->value());
    return true;
  }
  void Forget(size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) *unknowns_[i].slot = unknowns_[i].range;
    if (begin == 0 && end == unknowns_.size()) known_.resize(fixed_);
  }

  Choices& choices_;
  Problem& problem_;
  RuleChecker checker_;
  Truth truth_ = Truth::kMaybe;  // of the last run of the rule
  std::vector<Unknown> unknowns_;
  std::vector<Group> groups_;
  std::vector<Dim> open_;
  std::vector<int64_t> known_;  // extents at hand; the first fixed_ are given
  size_t fixed_ = 0;
  int runs_ = 0;
};

}  // namespace

std::vector<Dim> UnknownAttribute(const AttrSpec& attr, int rank) {
  const AttrDomain& d = attr.domain;
  if (d.ints.empty() && d.hi <= d.lo) return {};
  if (attr.type == AttrType::kInt) return {Extremes(d)};
  if (attr.type != AttrType::kInts) return {};
  int64_t length = ListLength(d, rank);
  return length > 0 ? std::vector<Dim>(length, Extremes(d)) : std::vector<Dim>();
}

RuleChecker::RuleChecker(const Problem& p)
    : p_(p), inputs_(InputsOf(p)), context_(*p.spec, *p.node, inputs_, p.values) {
  context_.Overlay(&p.attributes);  // even when empty: the rule is being solved
}

Truth RuleChecker::Run() {
  Truth all = Truth::kTrue;
  // Before the rule: cheaper.
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (i < p_.values.size() && p_.values[i]) continue;  // given, be it empty
    const TypeInfo* t = inputs_[i];
    if (t && !t->dims.empty()) all = all && CheckSize(*t, p_.max_elements);
    if (all == Truth::kFalse) return all;
  }
  context_.Restart();
  p_.spec->rule(context_);
  if (context_.failed()) return Truth::kFalse;
  if (context_.maybe()) all = Truth::kMaybe;
  const std::vector<TypeInfo>& out = types();
  for (size_t i = 0; i < out.size() && all != Truth::kFalse; ++i) {
    if (context_.WantsOutput(static_cast<int>(i))) all = all && CheckSize(out[i], p_.max_elements);
  }
  if (p_.want && all != Truth::kFalse) all = all && CheckWanted(out[0], *p_.want);
  return all;
}

Truth CheckRule(const Problem& p, std::vector<TypeInfo>* outputs) {
  RuleChecker checker(p);
  Truth truth = checker.Run();
  if (outputs && truth != Truth::kFalse) *outputs = checker.types();
  return truth;
}

bool Solve(Choices& choices, Problem& problem, Solution* solution) {
  Search search(choices, problem);
  bool solved = search.Run();
  if (!solved) search.Undo();
  if (solved && solution) *solution = search.Found();
  return solved;
}

}  // namespace assay
