#include "gen/solver.h"

#include "gen/domain.h"

namespace assay {
namespace {

constexpr int kRestarts = 12;
constexpr int kGuesses = 3;         // of one unknown, before its interval is searched
constexpr int kBisections = 40;     // rule runs for one unknown
constexpr int64_t kMaxExtent = 64;  // of a solved extent

struct Unknown {
  Dim* slot;
  Dim range;
  const AttrDomain* domain;  // null: an extent
};

// Unknowns that are guessed together: the extents of one input, the entries of one attribute.
struct Group {
  size_t begin, end;
};

class Search {
 public:
  Search(Choices& choices, Problem& problem, std::vector<TypeInfo>* outputs)
      : choices_(choices), problem_(problem), outputs_(outputs) {
    Collect();
  }

  bool Run() {
    if (CheckRule(problem_) == Truth::kFalse) return false;
    for (int i = 0; i < kRestarts; ++i) {
      if (Attempt()) return true;
      Forget(0, unknowns_.size());
      if (unknowns_.empty()) return false;
    }
    return false;
  }

 private:
  void Collect() {
    for (TypeInfo& t : problem_.inputs) {
      size_t begin = unknowns_.size();
      for (Dim& d : t.dims) {
        if (d.known())
          known_.push_back(d.value());
        else
          Add(&d, Dim(std::max<int64_t>(d.lo(), 1), std::min(d.hi(), kMaxExtent)), nullptr);
      }
      if (unknowns_.size() > begin) groups_.push_back({begin, unknowns_.size()});
    }
    for (auto& [name, list] : problem_.attributes) {
      const AttrSpec* attr = problem_.spec->FindAttr(name);
      size_t begin = unknowns_.size();
      for (Dim& d : list) {
        if (!d.known()) Add(&d, d, attr ? &attr->domain : nullptr);
      }
      if (unknowns_.size() > begin) groups_.push_back({begin, unknowns_.size()});
    }
    fixed_ = known_.size();
  }
  void Add(Dim* slot, Dim range, const AttrDomain* domain) {
    *slot = range;
    unknowns_.push_back({slot, range, domain});
  }

  bool Attempt() {
    choices_.Shuffle(groups_);
    for (const Group& g : groups_) {
      if (!GuessGroup(g) && !FixEach(g)) return false;
    }
    return CheckRule(problem_, outputs_) == Truth::kTrue;
  }

  // All members at once: one rule run where most combinations are fine.
  bool GuessGroup(const Group& g) {
    if (g.end - g.begin < 2) return false;
    for (size_t i = g.begin; i < g.end; ++i) Guess(unknowns_[i]);
    if (CheckRule(problem_) != Truth::kFalse) {
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
                       : DrawExtent(choices_, r.lo(), r.hi(), known_);
  }
  bool Fix(Unknown& u) {
    for (int i = 0; i < kGuesses; ++i) {
      Guess(u);
      if (CheckRule(problem_) != Truth::kFalse) return Remember(u);
    }
    return Bisect(u) && Remember(u);
  }
  // Depth-first over halves of the interval in random order.
  bool Bisect(Unknown& u) {
    std::vector<Dim> open = {u.range};
    for (int runs = 0; !open.empty() && runs < kBisections; ++runs) {
      Dim d = open.back();
      open.pop_back();
      *u.slot = d;
      if (CheckRule(problem_) == Truth::kFalse) continue;
      if (d.known()) {
        if (!u.domain || Holds(*u.domain, d.value())) return true;
        continue;
      }
      int64_t middle = d.lo() + (d.hi() - d.lo()) / 2;
      Dim low(d.lo(), middle), high(middle + 1, d.hi());
      bool low_first = choices_.Chance(0.6);
      open.push_back(low_first ? high : low);
      open.push_back(low_first ? low : high);
    }
    return false;
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
  std::vector<TypeInfo>* outputs_;
  std::vector<Unknown> unknowns_;
  std::vector<Group> groups_;
  std::vector<int64_t> known_;  // extents at hand; the first fixed_ are given
  size_t fixed_ = 0;
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

}  // namespace

std::vector<Dim> UnknownAttribute(const AttrSpec& attr, int rank) {
  const AttrDomain& d = attr.domain;
  if (d.ints.empty() && d.hi <= d.lo) return {};
  if (attr.type == AttrType::kInt) return {Extremes(d)};
  if (attr.type != AttrType::kInts) return {};
  int64_t length = ListLength(d, rank);
  return length > 0 ? std::vector<Dim>(length, Extremes(d)) : std::vector<Dim>();
}

Truth CheckRule(const Problem& p, std::vector<TypeInfo>* outputs) {
  std::vector<const TypeInfo*> inputs(p.inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    inputs[i] = p.inputs[i].dtype == DType::kUndefined ? nullptr : &p.inputs[i];
  }
  RuleContext c(*p.spec, *p.node, std::move(inputs), p.values);
  c.Overlay(&p.attributes);  // even when empty: the rule is being solved
  p.spec->rule(c);
  if (c.failed()) return Truth::kFalse;
  Truth all = c.maybe() ? Truth::kMaybe : Truth::kTrue;
  for (const TypeInfo& t : p.inputs) {
    if (t.dtype != DType::kUndefined && !t.dims.empty()) all = all && CheckSize(t, p.max_elements);
  }
  for (size_t i = 0; i < c.result().size() && all != Truth::kFalse; ++i) {
    if (c.WantsOutput(static_cast<int>(i))) all = all && CheckSize(c.result()[i], p.max_elements);
  }
  if (p.want && all != Truth::kFalse) all = all && CheckWanted(c.result()[0], *p.want);
  if (outputs) *outputs = c.result();
  return all;
}

bool Solve(Choices& choices, Problem& problem, std::vector<TypeInfo>* outputs) {
  std::vector<TypeInfo> inputs = problem.inputs;
  auto attributes = problem.attributes;
  if (Search(choices, problem, outputs).Run()) return true;
  problem.inputs = std::move(inputs);
  problem.attributes = std::move(attributes);
  return false;
}

}  // namespace assay
