#include "gen/plant.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>
#include <set>
#include <tuple>

#include "gen/body.h"
#include "gen/domain.h"
#include "gen/palette.h"

namespace assay {
namespace {

constexpr int kTries = 3;             // of a node behind a given value
constexpr int kPlansOfLink = 200;     // few links need more; those that do come again
constexpr int kPlansByName = 10'000;  // then, of pairs in whatever type
constexpr double kAlone = 0.2, kFew = 0.2;
constexpr int kPlansBeforeFew = 12;
constexpr int kPlansBeforeAsked = 30;
constexpr double kAsked = 0.5;
constexpr int64_t kFewElements = 2,
                  kMostElements = 96;  // of the input that a sequence begins with

class Planter {
 public:
  Planter(Choices& choices, GraphBuilder& builder, Planner& planner,
          const std::vector<const Row*>& rows, const GenOptions& options,
          const std::function<int(Plan&)>& place)
      : choices_(choices),
        builder_(builder),
        planner_(planner),
        rows_(rows),
        options_(options),
        place_(place) {}

  bool Run() {
    for (; plans_ < options_.plans; ++plans_) {
      GraphBuilder::Mark mark = builder_.Here();
      if (Start()) return true;
      builder_.Rollback(mark);
    }
    return false;
  }

 private:
  // The first operator reads a fresh graph input, or what it asks for. Where that fails, few
  // elements: they are sooner all in the domain of what follows, or all differ from run to run.
  bool Start() {
    const Row& row = *rows_[0];
    if (row.constant_first || choices_.Chance(kAlone)) {
      Plan plan;
      return planner_.Alone(row, &plan) && place_(plan) >= 0 && Continue(1);
    }
    if (plans_ >= kPlansBeforeAsked && choices_.Chance(kAsked)) return StartAsAsked();
    bool few = plans_ >= kPlansBeforeFew && choices_.Chance(kFew);
    int rank = few ? 0 : static_cast<int>(choices_.Below(kMaxRank + 1));
    while (few && rank < kMaxRank && !row.TakesRank(rank)) ++rank;
    if (!row.TakesRank(rank)) return false;
    DType dtype = planner_.ChooseType(row.input_types);
    Shape shape = DrawShape(choices_, rank, few ? kFewElements : kMostElements);
    return Extend(0, builder_.AddInput(choices_, dtype, shape));
  }
  // As the second operator would have it, were it alone: the first one makes just that, or reads
  // values of such extents, which many operators keep.
  bool StartAsAsked() {
    Plan asked, plan;
    bool known = rows_.size() > 1 && rows_[1] && !rows_[1]->constant_first &&
                 planner_.Alone(*rows_[1], &asked);
    if (!known || asked.operands[0].constant) return ++plans_ < 0;
    TypeInfo want = std::move(asked.types[0]);
    if (options_.link != DType::kUndefined) want.dtype = options_.link;
    if (planner_.Backward(*rows_[0], want, {}, &plan)) return place_(plan) >= 0 && Continue(1);
    DType dtype =
        rows_[0]->Takes(want.dtype) ? want.dtype : planner_.ChooseType(rows_[0]->input_types);
    Shape shape = want.StaticShape();
    if (!rows_[0]->TakesRank(static_cast<int>(shape.size()))) return false;
    return Extend(0, builder_.AddInput(choices_, dtype, shape));
  }
  // Operators k.. behind an output of the newest node.
  bool Continue(size_t k) {
    if (k == rows_.size()) return true;
    std::vector<int> made = builder_.nodes().back().outputs;
    choices_.Shuffle(made);
    for (int id : made) {
      const GenValue& v = builder_.value(id);
      if (v.rank() > kMaxRank ||
          (k == 1 && options_.link != DType::kUndefined && v.dtype != options_.link))
        continue;
      if (Extend(k, id)) return true;
    }
    return false;
  }
  bool Extend(size_t k, int value) {
    for (int i = 0; i < kTries && plans_ < options_.plans; ++i) {
      GraphBuilder::Mark mark = builder_.Here();
      ++plans_;
      if (Place(k, value) && ReadsDirectly(value) && Continue(k + 1)) return true;
      builder_.Rollback(mark);
    }
    return false;
  }
  bool Place(size_t k, int value) {
    if (!rows_[k]) return Decide(value);
    Plan plan;
    return planner_.Forward(*rows_[k], value, &plan) && place_(plan) >= 0;
  }
  // What the If chooses of is a graph input of its own.
  bool Decide(int condition) {
    const GenValue& v = builder_.value(condition);
    if (v.dtype != DType::kBool || v.rank() != 0) return false;
    int x = builder_.AddInput(
        choices_, DType::kFloat,
        DrawShape(choices_, static_cast<int>(choices_.Below(kMaxRank)), kMostElements));
    return AddChoice(choices_, builder_, condition, x) >= 0;
  }
  // No guard stands between.
  bool ReadsDirectly(int value) const {
    const std::vector<int>& inputs = builder_.nodes().back().inputs;
    return std::find(inputs.begin(), inputs.end(), value) != inputs.end();
  }

  Choices& choices_;
  GraphBuilder& builder_;
  Planner& planner_;
  const std::vector<const Row*>& rows_;
  const GenOptions& options_;
  const std::function<int(Plan&)>& place_;
  int plans_ = 0;
};

// What a row makes or reads at one place.
struct End {
  DTypeSet types = 0;
  uint32_t ranks = 0;                           // bit r: rank r
  Range range;                                  // what floats that are read are kept to
  std::array<Extents, kMaxRank + 1> extents{};  // of what is made
};

std::vector<End> Made(const Row& row, bool anything) {
  const OpSpec& spec = *row.spec;
  auto extents = MadeExtents(row, anything);
  std::vector<End> ends;
  int count = std::min({std::max(1, static_cast<int>(spec.outputs.size())), row.max_outputs,
                        static_cast<int>(Row::kFollowed)});
  for (int i = 0; i < count; ++i) {
    const Formal& out = spec.OutputAt(i);
    DTypeSet types = row.made_types[i];
    if (!out.type.empty() && out.type == spec.inputs[0].type) types &= row.input_types;
    ends.push_back({types, row.made_ranks[i], {}, std::move(extents[static_cast<size_t>(i)])});
  }
  return ends;
}

std::vector<End> Read(const Row& row) {
  const OpSpec& spec = *row.spec;
  std::vector<End> ends;
  int count = spec.draw ? 1 : std::max(1, spec.MinInputs());
  for (int i = 0; i < count; ++i) {
    if (i == 0 && row.constant_first) {
      ends.push_back({});
      continue;
    }
    End end{i == 0 ? row.input_types : spec.InputAt(i).types,
            0,
            DemandOf(spec, i, DType::kFloat).range,
            {}};
    // What one of several operands may be is for the others to decide.
    if (spec.MinInputs() > 1) end.range = {};
    for (int rank = 0; rank <= kMaxRank; ++rank) {
      for (const std::vector<int8_t>& ranks : row.ranks[rank]) {
        size_t at = std::min<size_t>(static_cast<size_t>(i), ranks.size() - 1);
        if (ranks[at] >= 0) end.ranks |= 1u << ranks[at];
      }
    }
    for (int t = 1; t < kDTypeCount; ++t) {
      DType dtype = static_cast<DType>(t);
      if (Contains(end.types, dtype) && DemandOf(spec, i, dtype).constant) end.types &= ~Bit(dtype);
    }
    ends.push_back(end);
  }
  return ends;
}

}  // namespace

namespace {
// Where each model draws its own, the newest: it has nearly all operators.
int OpsetOf(const GenOptions& options) {
  return options.draws_opset ? kNewestOpset : options.opset;
}
}  // namespace

// Is there a shape that is made and that input `i` of `row` can have?
bool ShapesMeet(const End& made, const End& read, const Row& row, int i) {
  for (int rank = 0; rank <= kMaxRank; ++rank) {
    if (!(made.ranks & read.ranks & 1u << rank)) continue;
    const Extents& narrow = made.extents[static_cast<size_t>(rank)];
    if (narrow.empty() || std::any_of(narrow.begin(), narrow.end(), [&](const auto& extents) {
          return CanRead(row, i, extents);
        }))
      return true;
  }
  return false;
}

Links FeasibleLinks(const GenOptions& options) {
  std::shared_ptr<const Palette> palette =
      Palette::Of(OpsetOf(options), options.ops, options.exclude, options.even, options.anything);
  const std::vector<const Row*>& rows = palette->All().rows;
  std::vector<std::vector<End>> made, read;
  for (const Row* row : rows) {
    made.push_back(Made(*row, options.anything));
    read.push_back(Read(*row));
  }
  std::vector<std::pair<DType, int>> types = options.dtypes;
  std::stable_sort(types.begin(), types.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::vector<Link>> turns(types.size());
  for (size_t a = 0; a < rows.size(); ++a) {
    for (size_t b = 0; b < rows.size(); ++b) {
      DTypeSet meet = 0;
      const bool single = rows[b]->spec->Has(kElementwise);
      for (size_t i = 0; i < made[a].size(); ++i) {
        const End& m = made[a][i];
        for (size_t j = 0; j < read[b].size(); ++j) {
          const End& r = read[b][j];
          if (!(m.types & r.types) || !ShapesMeet(m, r, *rows[b], static_cast<int>(j))) continue;
          DTypeSet types = m.types & r.types;
          bool kept = i > 0 || CanBeWithin(*rows[a]->spec, r.range, single);
          meet |= kept ? types : types & ~kFloatsBf16;
        }
      }
      size_t turn = 0;
      for (const auto& [dtype, weight] : types) {
        if (weight > 0 && Contains(meet, dtype))
          turns[turn++].push_back({rows[a]->spec, rows[b]->spec, dtype});
      }
    }
  }
  Links links;
  links.pairs = turns.empty() ? 0 : turns[0].size();
  for (const std::vector<Link>& turn : turns)
    links.all.insert(links.all.end(), turn.begin(), turn.end());
  return links;
}

namespace {

// Computed once for options that leave the same rows and types.
std::shared_ptr<const Links> KnownLinks(const GenOptions& options) {
  using Key = std::tuple<int, std::vector<std::string>, std::vector<std::string>,
                         std::vector<std::pair<DType, int>>, bool>;
  static std::mutex mutex;
  static std::map<Key, std::shared_ptr<const Links>> known;
  std::lock_guard<std::mutex> lock(mutex);
  auto [it, fresh] = known.emplace(
      Key{OpsetOf(options), options.ops, options.exclude, options.dtypes, options.anything},
      nullptr);
  if (fresh) it->second = std::make_shared<Links>(FeasibleLinks(options));
  return it->second;
}

// The first operator set from which on models are generated with that operator, or (`newest`) with
// this version of it.
int FirstSet(const OpSpec& spec, bool newest) {
  for (int opset = kFirstGeneratedOpset; opset < kNewestOpset; ++opset) {
    const OpSpec* row = GeneratedRow(spec.domain, spec.name, opset);
    if (row && (!newest || row == &spec)) return opset;
  }
  return kNewestOpset;
}

// The place of `i` in a permutation of [0, n) that `seed` decides.
uint64_t Permuted(uint64_t i, uint64_t n, uint64_t seed) {
  uint64_t step = 1 + Mix(seed) % n;
  while (std::gcd(step, n) != 1) ++step;
  return static_cast<uint64_t>((static_cast<unsigned __int128>(i) * step + Mix(seed + 1)) % n);
}

}  // namespace

namespace {
// As corpus/sequences.h names operators.
std::string Qualified(const OpSpec& spec) {
  return spec.domain.empty() ? spec.name : spec.domain + "." + spec.name;
}
}  // namespace

const std::vector<std::pair<std::string, std::string>>& FeasiblePairs() {
  static const std::vector<std::pair<std::string, std::string>> pairs = [] {
    std::set<std::pair<std::string, std::string>> names;
    for (const Link& l : KnownLinks(GenOptions::Profile("everything").value())->all)
      names.insert({Qualified(*l.from), Qualified(*l.to)});
    return std::vector<std::pair<std::string, std::string>>(names.begin(), names.end());
  }();
  return pairs;
}

void WantLink(GenOptions* options, uint64_t seed, uint64_t index) {
  std::shared_ptr<const Links> links = KnownLinks(*options);
  const uint64_t n = links->all.size(), pairs = links->pairs, turn = n + pairs;
  if (n == 0) return;
  const uint64_t round = MixSeeds(seed, index / turn), i = index % turn;
  const uint64_t at = i < 2 * pairs ? Permuted(i % pairs, pairs, round)
                                    : pairs + Permuted(i - 2 * pairs, n - pairs, round);
  const Link& link = links->all[at];
  options->sequence = {link.from->name, link.to->name};
  // What has found no place in its likeliest type may do so in another one, or where it tells
  // little.
  const bool by_name = index >= turn || (i >= pairs && i < 2 * pairs);
  // An operator set that has both: in every other round, and of what is asked for by name, as they
  // are in the newest one, which has the most types.
  const bool newest = (index < turn && by_name) || index / turn % 2 != 0;
  options->oldest = std::max(FirstSet(*link.from, newest), FirstSet(*link.to, newest));
  options->link = by_name ? DType::kUndefined : link.dtype;
  // The call of a function would hide the pair from coverage.
  if (by_name && index < turn) options->functions = 0;
  options->plans = by_name && index < turn ? kPlansByName : kPlansOfLink;
}

bool PlantSequence(Choices& choices, GraphBuilder& builder, Planner& planner,
                   const std::vector<const Row*>& rows, const GenOptions& options,
                   const std::function<int(Plan&)>& place) {
  return !rows.empty() && rows[0] && Planter(choices, builder, planner, rows, options, place).Run();
}

}  // namespace assay
