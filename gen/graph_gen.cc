#include "gen/graph_gen.h"

#include <algorithm>
#include <cmath>

#include "gen/border.h"
#include "gen/catalog.h"
#include "gen/constants.h"
#include "gen/domain.h"
#include "gen/dynamic.h"
#include "gen/guards.h"
#include "gen/motif.h"
#include "gen/outline.h"
#include "gen/palette.h"
#include "gen/planner.h"
#include "gen/plant.h"
#include "gen/recipe.h"
#include "gen/swarm.h"

namespace assay {
namespace {

constexpr int kTriesPerStep = 60;     // plans tried before a step gives up
constexpr int kTriesPerRow = 6;       // of them with one operator
constexpr int kTriesPerRowEven = 28;  // where all operators are to be alike
constexpr int kValueTries = 12;
constexpr int kProducerTries = 3;
constexpr int kMaxProducerDepth = 2;
constexpr int kOddInputs = 2;
constexpr size_t kUnreadBeforeJoin = 1;
constexpr int kJoinTries = 5;
constexpr int kJoinTriesEven = 9;
constexpr size_t kLiveValues = 64;  // that may be read, in a long graph

class Generator {
 public:
  Generator(Choices& choices, const GenOptions& options)
      : choices_(choices),
        options_(options),
        builder_(options.opset, options.values),
        max_elements_(DrawSize()),
        planner_(choices, builder_, options, max_elements_),
        border_(choices, builder_, options) {
    builder_.LimitTo(options.capability.get());
    max_inputs_ = options.max_inputs > 0 ? options.max_inputs : MostInputs(options.nodes);
  }

  Result<Generated> Run() {
    TRY(ChooseRows());
    int target = std::max(1, options_.nodes), failures = 0;
    bool planted = Plant();
    if (builder_.live().empty()) AddFirstInput();
    while (static_cast<int>(builder_.nodes().size()) < target && failures < 5) {
      bool added = builder_.nodes().size() > 1 && choices_.Chance(options_.backward / 2)
                       ? ReplaceInput()
                       : MotifStep() || Join() || Step();
      if (!added && !Step()) ++failures;
      builder_.Retire(kLiveValues);
    }
    if (builder_.nodes().empty())
      return LimitHit("no operator could be placed; allow more operators or types");
    ReadInputs();
    border_.CastOutputs();
    builder_.ExposeIdle();
    Generated g{builder_.Finish(), builder_.InputSample(), builder_.OutputSample(), planted};
    g.model.ir_version = IrVersionFor(options_.opset);
    g.model.producer = "assay";
    return g;
  }

 private:
  int64_t DrawSize() {
    int64_t size = choices_.PickOf<int64_t>({40, 48, 48, 64, 64, 72, 96, 96, 128, 256});
    if (choices_.Chance(0.04)) size = choices_.PickOf<int64_t>({512, 1024, 4096});
    // What a long graph holds and computes grows with its length already.
    if (options_.nodes > 100) size = std::min<int64_t>(size, 256);
    return std::min(size, std::max<int64_t>(options_.max_elements, 1));
  }
  // A fifth of the nodes while there are few; the square root of many.
  static int MostInputs(int nodes) {
    return 2 + std::min(nodes / 5, static_cast<int>(std::sqrt(static_cast<double>(nodes))));
  }

  Status ChooseRows() {
    std::vector<std::string> without = options_.exclude;
    without.insert(without.end(), options_.resting.begin(), options_.resting.end());
    std::vector<std::string> only = options_.ops;
    if (const Capability* c = options_.capability.get()) {
      std::erase_if(only, [&](const std::string& op) { return !c->Find(op); });
      for (const auto& [op, types] : c->operators) {
        if (options_.ops.empty()) only.push_back(op);
      }
      if (only.empty()) return Usage("the capability file leaves none of the asked operators");
    }
    palette_ = Palette::Of(options_.opset, only, without, options_.even, options_.anything);
    if (!palette_->empty()) return {};
    return Usage("the options leave no operator that can be generated at opset " +
                 std::to_string(options_.opset));
  }

  void AddFirstInput() {
    DType t = planner_.ChooseType(~DTypeSet{0});
    int rank = choices_.PickOf({4, 4, 4, 4, 3, 3, 2, 2, 1, 5});
    border_.NewInput(t, DrawShape(choices_, rank, max_elements_));
  }

  // Graph inputs of which hardly more than the shape was read get a reader of their values.
  void ReadInputs() {
    if (builder_.nodes().size() > GraphBuilder::kMostFollowed) return;
    std::vector<int> inputs = builder_.input_ids();
    for (int id : inputs) {
      int readers = 0;
      for (const GenNode& n : builder_.nodes()) {
        bool reads = std::find(n.inputs.begin(), n.inputs.end(), id) != n.inputs.end();
        readers += reads && !n.spec->Has(kReadsShape) && !SaysTheSame(*n.spec);
      }
      const GenValue& v = builder_.value(id);
      for (int i = 0; readers == 0 && v.uses > 0 && i < kTriesPerStep; ++i) {
        GraphBuilder::Mark mark = builder_.Here();
        const Row* row = PickReader(id);
        Plan plan;
        if (!row || row->spec->Has(kReadsShape) || !planner_.Forward(*row, id, &plan)) continue;
        if (Place(plan, 0) >= 0)
          ++readers;
        else
          builder_.Rollback(mark);
      }
    }
  }

  // ---- choosing an operator and a value ----

  static bool TellsLittle(const OpSpec& spec) {
    return spec.Has(kReadsShape) || SaysTheSame(spec);
  }
  static bool Readable(const Row* row, const GenValue& v) {
    // Somebody else has to read what is asked for its shape, or for what all finite numbers have.
    if (row && TellsLittle(*row->spec) && v.uses == 0) return false;
    return v.rank() <= kMaxRank && (!row || (row->Takes(v.dtype) && row->TakesRank(v.rank())));
  }

  // A value to read (first, by `row`, when given); unread and newer ones are likelier: deep graphs
  // rather than wide ones. -1 when there is none.
  int PickValue(const Row* row) {
    const std::vector<int>& live = builder_.live();
    if (live.empty()) return -1;
    size_t n = live.size(), half = n / 2;
    // What has waited longest: else a long graph would end in hundreds of outputs.
    for (size_t i = 0; n > kLiveValues / 2 && !row && i < n && choices_.Chance(0.9); ++i) {
      const GenValue& v = builder_.value(live[i]);
      if (v.uses == 0 && v.kind == GenValue::Kind::kNode && Readable(row, v)) return live[i];
    }
    for (int i = 0; i < kValueTries; ++i) {
      bool older = half > 0 && choices_.Below(3) == 0;
      int id = live[older ? choices_.Below(half) : half + choices_.Below(n - half)];
      const GenValue& v = builder_.value(id);
      if (!Readable(row, v)) continue;
      bool node = v.kind == GenValue::Kind::kNode;
      uint64_t weight = v.uses > 0 ? (node ? 4 : 1) : (node ? 12 : 2);
      if (choices_.Below(12) < weight) return id;
    }
    size_t start = choices_.Below(n);
    for (size_t i = 0; i < n; ++i) {
      int id = live[(start + i) % n];
      if (Readable(row, builder_.value(id))) return id;
    }
    return -1;
  }
  // An operator that reads the value.
  const Row* PickReader(int value) {
    const GenValue& v = builder_.value(value);
    return Palette::Draw(choices_, palette_->Readers(v.dtype, v.rank()));
  }

  // An existing value that the row can read first; else a new graph input, while there may be more,
  // or a computed value of a type that it reads.
  int ValueFor(const Row& row) {
    int id = PickValue(&row);
    if (id >= 0) return id;
    if (TellsLittle(*row.spec)) return -1;
    DType t = planner_.ChooseType(row.input_types);
    Shape shape;
    if (!ShapeFor(row, &shape)) return -1;
    // Rather made of what is there than one more root: paths grow longer.
    if (!builder_.nodes().empty() && choices_.Chance(0.5)) {
      int made = Produce(TypeInfo::Of(t, shape), {.fresh = false}, kMaxProducerDepth);
      if (made >= 0) return made;
    }
    if (builder_.inputs() < max_inputs_) return border_.NewInput(t, shape);
    return Produce(TypeInfo::Of(t, shape), {}, 1);
  }
  bool ShapeFor(const Row& row, Shape* shape) {
    const std::vector<int>& live = builder_.live();
    // A shape that is there already: its value and this one can be joined.
    if (!live.empty() && choices_.Chance(0.6)) {
      const GenValue& v = builder_.value(live[choices_.Below(live.size())]);
      if (row.TakesRank(v.rank())) {
        *shape = v.shape();
        return true;
      }
    }
    int start = static_cast<int>(choices_.Below(kMaxRank + 1));
    for (int i = 0; i <= kMaxRank; ++i) {
      int rank = (start + i) % (kMaxRank + 1);
      if (!row.TakesRank(rank)) continue;
      *shape = DrawShape(choices_, rank, max_elements_);
      return true;
    }
    return false;
  }

  // ---- a wanted sequence ----

  bool Plant() {
    std::vector<const Row*> wanted;
    for (const std::string& name : options_.sequence) {
      wanted.push_back(palette_->Find(name));
      if (!wanted.back() && name != "If") return false;
    }
    planting_ = true;
    auto plant = [&] {
      return PlantSequence(choices_, builder_, planner_, wanted, options_,
                           [this](Plan& plan) { return Place(plan, 0); });
    };
    bool planted = plant();
    if (!planted && options_.link == DType::kUndefined) {
      // By name it is wanted even where a node tells little, as PRelu behind Relu.
      lenient_ = true;
      planted = plant();
    }
    planting_ = lenient_ = false;
    return planted;
  }

  bool MotifStep() {
    for (const auto& [tags, rate] : options_.motifs) {
      if (choices_.Chance(rate)) return PlaceSomeMotif(choices_, builder_, options_, tags);
    }
    return false;
  }

  // ---- joining branches ----

  bool Unread(int id) const {
    const GenValue& v = builder_.value(id);
    return v.uses == 0 && v.kind == GenValue::Kind::kNode && v.rank() <= kMaxRank;
  }
  // An operator that reads a value which nobody has read yet and another one, if possible such a
  // value too: else a graph is a bundle of chains, whose ends are its outputs.
  bool Join() {
    std::vector<int> unread;
    for (int id : builder_.live()) {
      if (Unread(id)) unread.push_back(id);
    }
    if (unread.size() < kUnreadBeforeJoin || !choices_.Chance(options_.joins)) return false;
    int most = options_.even ? kJoinTriesEven : kJoinTries;
    for (int i = 0; i < most; ++i) {
      int id = unread[choices_.Below(unread.size())];
      const GenValue& v = builder_.value(id);
      const Row* row = Palette::Draw(choices_, palette_->Joiners(v.dtype, v.rank()));
      GraphBuilder::Mark mark = builder_.Here();
      Plan plan;
      if (!row || !planner_.Join(*row, id, &plan)) continue;
      if (Place(plan, 0) >= 0) return true;
      if (Keep(mark)) return true;
    }
    return false;
  }

  // ---- forward insertion ----

  // Half of the steps begin with a value and ask who reads it; the others begin with an operator
  // and stay with it for a while, so that those that fit seldom are not left out.
  bool Step() {
    const Row* wanted = nullptr;
    int tries = 0, most = options_.even ? kTriesPerRowEven : kTriesPerRow;
    for (int i = 0; i < kTriesPerStep; ++i) {
      GraphBuilder::Mark mark = builder_.Here();
      const Row* row = nullptr;
      int value = -1;
      bool by_value = !wanted && choices_.Chance(options_.by_value);
      if (by_value) {
        value = PickValue(nullptr);
        row = value < 0 ? nullptr : PickReader(value);
        if (row && !Readable(row, builder_.value(value))) row = nullptr;
      } else {
        if (!wanted) wanted = Palette::Draw(choices_, palette_->All()), tries = 0;
        row = wanted;
        value = ValueFor(*row);
        if (++tries == most) wanted = nullptr;
      }
      // Where no value fits (square matrices, spectra) the operator brings its own. Later tries do
      // so more often.
      bool late = i >= kTriesPerStep / 2 || tries > kTriesPerRowEven / 2;
      bool alone = row && choices_.Chance(value < 0 ? 1 : late ? 0.5 : 0.04);
      Plan plan;
      bool planned =
          alone ? planner_.Alone(*row, &plan) && (Room(value < 0) || plan.operands[0].constant)
                : row && value >= 0 && planner_.Forward(*row, value, &plan);
      if (planned && Place(plan, 0) >= 0) return true;
      if (Keep(mark)) return true;
    }
    return false;
  }

  // A plan has failed. Nodes that were made for it (operands, guards) are as good as others and
  // stay: true then. Else nothing stays.
  bool Keep(GraphBuilder::Mark mark) {
    if (builder_.nodes().size() > mark.nodes) return true;
    builder_.Rollback(mark);
    return false;
  }
  // For one more graph input; there may be a few more for what nothing in the graph fits.
  bool Room(bool odd) const {
    return builder_.inputs() < max_inputs_ + (odd && options_.even ? kOddInputs : 0);
  }

  // Makes the operands and adds the node; -1 (with leftovers for the caller to roll back) when
  // refused.
  int Place(Plan& plan, int depth) {
    std::vector<int> ids;
    for (size_t i = 0; i < plan.operands.size(); ++i) {
      int id = MakeOperand(plan, static_cast<int>(i), depth);
      if (id == kRefused) return -1;
      ids.push_back(id);
    }
    return builder_.AddNode(*plan.spec, std::move(plan.node), ids,
                            Leniency{.dull = lenient_ || SaysTheSame(*plan.spec)},
                            plan.solution.sure ? &plan.solution.outputs : nullptr);
  }

  static constexpr int kRefused = -2;

  int MakeOperand(Plan& plan, int i, int depth) {
    Operand& o = plan.operands[i];
    if (o.constant) return AddConstant(choices_, builder_, options_, *std::move(o.constant));
    Demand demand = DemandOf(*plan.spec, i, plan.types[i].dtype);
    if (o.value >= 0) {
      // A guard would stand between two operators of a wanted sequence: the samples alone have to
      // do.
      if (!demand.Any() || (planting_ && !demand.constant)) return o.value;
      int guarded = demand.constant ? -1 : Guard(choices_, builder_, o.value, demand);
      return guarded < 0 ? kRefused : guarded;
    }
    if (!o.fresh) return -1;
    return MakeFresh(plan, i, demand, depth);
  }

  // A weight, a computed value, or a new graph input.
  int MakeFresh(const Plan& plan, int i, const Demand& demand, int depth) {
    const OpSpec& spec = *plan.spec;
    const TypeInfo& type = plan.types[i];
    Shape shape = type.StaticShape();
    bool mixes = spec.Has(kBroadcasts) || spec.InputAt(i).arity == Arity::kVariadic || i == 0;
    bool room = static_cast<int>(builder_.nodes().size()) < options_.nodes;
    // What a producer makes has to depend on the graph's inputs, and a constant that is read for
    // its shape alone would not count.
    bool must_vary = i == 0 && (depth > 0 || TellsLittle(spec));
    bool constant = demand.constant || TypeOnly(spec, i) ||
                    (!must_vary && choices_.Chance(i == 0  ? 0.1
                                                   : mixes ? 0.3
                                                           : 0.8));
    bool no_input = builder_.inputs() >= max_inputs_;
    if (!constant && depth < kMaxProducerDepth && room &&
        choices_.Chance(must_vary && no_input ? 1 : 0.35)) {
      int made = Produce(type, scope_, depth + 1);
      if (made >= 0) return Guarded(made, demand);
    }
    if (!constant && !no_input && type.dims.size() <= kMaxRank) {
      return Guarded(border_.NewInput(type.dtype, shape), demand);
    }
    if (must_vary) return kRefused;
    return AddConstant(
        choices_, builder_, options_,
        DrawWeight(choices_, type.dtype, shape, demand.range, WeightScale(spec, shape)));
  }
  int Guarded(int id, const Demand& demand) {
    if (!demand.Any()) return id;
    int guarded = Guard(choices_, builder_, id, demand);
    return guarded < 0 ? kRefused : guarded;
  }
  // He scaling where many products are summed, so that activations neither vanish nor explode.
  static double WeightScale(const OpSpec& spec, const Shape& shape) {
    if (spec.accuracy != Accuracy::kReduction || shape.size() < 2) return 1;
    int64_t fan_in = ElementCount(shape) / std::max<int64_t>(1, shape[0]);
    return std::sqrt(2.0 / static_cast<double>(std::max<int64_t>(1, fan_in)));
  }

  // ---- backward insertion ----

  // A new node whose first output has exactly that type; -1 when none was found.
  int Produce(const TypeInfo& want, Scope scope, int depth) {
    scope.fresh &= builder_.inputs() < max_inputs_ || depth < kMaxProducerDepth;
    const Palette::List& makers = palette_->Makers(want.dtype);
    for (int i = 0; i < kProducerTries; ++i) {
      const Row* row = Palette::Draw(choices_, makers);
      if (!row) return -1;
      GraphBuilder::Mark mark = builder_.Here();
      Plan plan;
      if (planner_.Backward(*row, want, scope, &plan)) {
        int out = Place(plan, depth);
        if (out >= 0 && builder_.value(out).varies) return out;
      }
      if (Keep(mark)) return -1;
    }
    return -1;
  }

  // A graph input becomes the output of a new node over other inputs.
  bool ReplaceInput() {
    int id = -1;
    const std::vector<int>& inputs = builder_.input_ids();
    for (int i = 0; i < kValueTries && id < 0; ++i) {
      int at = inputs[choices_.Below(inputs.size())];
      const GenValue& v = builder_.value(at);
      if (v.uses > 0 && !v.retired && builder_.Replaceable(at)) id = at;
    }
    if (id < 0) return false;
    size_t before = builder_.nodes().size();
    ++max_inputs_;  // the one that goes makes room for the one that comes
    scope_ = {true, id};
    int made = Produce(builder_.value(id).type(), scope_, 1);
    scope_ = {};
    --max_inputs_;
    if (made >= 0) builder_.Replace(id, made);  // what was made stays in any case
    return builder_.nodes().size() > before;
  }

  Choices& choices_;
  const GenOptions& options_;
  GraphBuilder builder_;
  int64_t max_elements_;
  Planner planner_;
  Border border_;
  std::shared_ptr<const Palette> palette_;
  Scope scope_;  // of existing values, while a producer's operands are made
  int max_inputs_ = 0;
  bool planting_ = false, lenient_ = false;
};

int DrawOpset(Choices& choices, const GenOptions& options) {
  return static_cast<int>(choices.Between(options.oldest, kNewestOpset));
}

bool Listed(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// With an operator set.
Result<Generated> GenerateAt(Choices& choices, const GenOptions& options) {
  if (options.swarm) return GenerateAt(choices, DrawSwarm(choices, options));
  Generated g = TRY(Generator(choices, options).Run());
  if (options.functions > 0 && choices.Chance(options.functions))
    OutlineFunction(choices, &g.model);
  if (options.dynamic > 0 && choices.Chance(options.dynamic))
    MakeDynamic(choices, g.inputs, &g.model);
  return g;
}

}  // namespace

bool GenOptions::Allows(const std::string& op) const {
  if (capability && !capability->Find(op)) return false;
  return (ops.empty() || Listed(ops, op)) && !Listed(exclude, op);
}
bool GenOptions::Rests(const std::string& name) const { return Listed(resting, name); }

Result<Generated> GenerateCase(Choices& choices, const GenOptions& options) {
  int opset = options.draws_opset ? DrawOpset(choices, options) : options.opset;
  if (options.opset != 0 && options.swarm_types == 0) return GenerateAt(choices, options);
  GenOptions drawn = options;
  if (options.opset == 0) drawn.opset = opset;
  if (options.swarm_types > 0) drawn.dtypes = DrawSwarmTypes(choices, options);
  return GenerateAt(choices, drawn);
}

Result<Model> Generate(Choices& choices, const GenOptions& options) {
  Generated g = TRY(GenerateCase(choices, options));
  return std::move(g.model);
}

}  // namespace assay
