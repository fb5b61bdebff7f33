#include "gen/graph_gen.h"

#include <algorithm>
#include <cmath>

#include "gen/catalog.h"
#include "gen/domain.h"
#include "gen/guards.h"
#include "gen/planner.h"
#include "gen/recipe.h"

namespace assay {
namespace {

constexpr int kTriesPerStep = 40;  // operators tried before a step gives up
constexpr int kProducerTries = 8;
constexpr int kMaxProducerDepth = 2;

class Generator {
 public:
  Generator(Choices& choices, const GenOptions& options, OpChooser* chooser)
      : choices_(choices),
        options_(options),
        chooser_(chooser),
        builder_(options.opset, options.values),
        max_elements_(DrawSize()),
        planner_(choices, builder_, options, max_elements_) {
    max_inputs_ = options.max_inputs > 0 ? options.max_inputs : 2 + options.nodes / 5;
  }

  Result<Generated> Run() {
    TRY(ChooseRows());
    int target = std::max(1, options_.nodes), failures = 0;
    AddFirstInput();
    while (static_cast<int>(builder_.nodes().size()) < target && failures < 5) {
      bool added = builder_.nodes().size() > 1 && choices_.Chance(options_.backward / 2)
                       ? ReplaceInput()
                       : Step();
      if (!added && !Step()) ++failures;
    }
    if (builder_.nodes().empty())
      return LimitHit("no operator could be placed; allow more operators or types");
    Generated g{builder_.Finish(), builder_.InputSample(0), builder_.OutputSample(0)};
    g.model.ir_version = IrVersionFor(options_.opset);
    g.model.producer = "assay";
    return g;
  }

 private:
  int64_t DrawSize() {
    int64_t size = choices_.PickOf<int64_t>({64, 128, 256, 256, 512, 512, 1024, 4096});
    return std::min(size, std::max<int64_t>(options_.max_elements, 1));
  }

  Status ChooseRows() {
    auto listed = [](const std::vector<std::string>& names, const std::string& name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    for (const Row& row : Catalog::Of(options_.opset).rows()) {
      if (!options_.ops.empty() && !listed(options_.ops, row.spec->name)) continue;
      if (listed(options_.exclude, row.spec->name)) continue;
      rows_.push_back(&row);
    }
    if (rows_.empty())
      return Usage("the options leave no operator that can be generated at opset " +
                   std::to_string(options_.opset));
    return {};
  }

  void AddFirstInput() {
    DType t = planner_.ChooseType(~DTypeSet{0});
    int rank = choices_.PickOf({4, 4, 4, 4, 3, 3, 2, 2, 1, 5});
    builder_.AddInput(choices_, t, DrawShape(choices_, rank, max_elements_));
  }

  // ---- choosing an operator ----

  static bool Reads(const Row& row, const GenValue& v) {
    return row.Takes(v.dtype) && row.TakesRank(v.rank());
  }
  const OpSpec* ProducerOf(int id) const {
    int n = builder_.value(id).producer;
    return n < 0 ? nullptr : builder_.nodes()[n].spec;
  }
  bool Readable(const GenValue& v) const {
    return v.varies && v.dtype != DType::kUndefined && v.rank() <= kMaxRank;
  }

  // A value to read (first, by `row`, when given); unread and newer ones are likelier: deep graphs
  // rather than wide ones. -1 when there is none.
  int PickValue(const Row* row) {
    const auto& values = builder_.values();
    value_weights_.assign(values.size(), 0);
    uint64_t total = 0;
    for (size_t id = 0; id < values.size(); ++id) {
      const GenValue& v = values[id];
      if (!Readable(v) || (row && !Reads(*row, v))) continue;
      bool node = v.kind == GenValue::Kind::kNode;
      uint64_t weight = v.uses > 0 ? (node ? 3 : 1) : (node ? 12 : 4);
      if (2 * id > values.size()) weight *= 2;
      value_weights_[id] = weight;
      total += weight;
    }
    if (total == 0) return -1;
    uint64_t at = choices_.Below(total);
    for (size_t id = 0; id < values.size(); ++id) {
      if (at < value_weights_[id]) return static_cast<int>(id);
      at -= value_weights_[id];
    }
    return -1;
  }
  const Row* PickRow(int value) {
    weights_.clear();
    candidates_.clear();
    specs_.clear();
    for (const Row* row : rows_) {
      if (value >= 0 && !Reads(*row, builder_.value(value))) continue;
      candidates_.push_back(row);
      specs_.push_back(row->spec);
      weights_.push_back(row->weight);
    }
    if (chooser_ && !specs_.empty())
      chooser_->Weigh(value < 0 ? nullptr : ProducerOf(value), specs_, weights_);
    double total = 0;
    for (double w : weights_) total += w;
    double at = choices_.Uniform() * total;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      at -= weights_[i];
      if (at < 0 && weights_[i] > 0) return candidates_[i];
    }
    return total > 0 ? candidates_.back() : nullptr;
  }
  // An existing value that the row can read first; else a new graph input, while there may be more.
  int ValueFor(const Row& row) {
    int id = PickValue(&row);
    if (id >= 0) return id;
    if (builder_.inputs() >= max_inputs_) return -1;
    DType t = planner_.ChooseType(row.input_types);
    if (choices_.Chance(
            0.6)) {  // a shape that is there already: its value and this one can be joined
      const GenValue& v =
          builder_.value(static_cast<int>(choices_.Below(builder_.values().size())));
      if (Readable(v) && row.TakesRank(v.rank()))
        return builder_.AddInput(choices_, t, Shape(v.shape()));
    }
    int start = static_cast<int>(choices_.Below(kMaxRank + 1));
    for (int i = 0; i <= kMaxRank; ++i) {
      int rank = (start + i) % (kMaxRank + 1);
      if (row.TakesRank(rank))
        return builder_.AddInput(choices_, t, DrawShape(choices_, rank, max_elements_));
    }
    return -1;
  }

  // ---- forward insertion ----

  bool Step() {
    for (int i = 0; i < kTriesPerStep; ++i) {
      GraphBuilder::Mark mark = builder_.Here();
      const Row* row = nullptr;
      int value = -1;
      if (chooser_ || choices_.Chance(0.5)) {
        value = PickValue(nullptr);
        row = value < 0 ? nullptr : PickRow(value);
      } else {
        row = PickRow(-1);
        value = row ? ValueFor(*row) : -1;
      }
      Plan plan;
      if (row && value >= 0 && planner_.Forward(*row, value, &plan) && Place(plan, 0) >= 0)
        return true;
      builder_.Rollback(mark);
    }
    return false;
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
    int out = builder_.AddNode(*plan.spec, std::move(plan.node), ids);
    if (out >= 0 && chooser_) {
      std::vector<const OpSpec*> producers;
      for (int id : ids) {
        const OpSpec* p = id < 0 ? nullptr : ProducerOf(id);
        if (p) producers.push_back(p);
      }
      chooser_->Added(*plan.spec, producers);
    }
    return out;
  }

  static constexpr int kRefused = -2;

  int MakeOperand(Plan& plan, int i, int depth) {
    Operand& o = plan.operands[i];
    if (o.constant) return builder_.AddConstant(*std::move(o.constant));
    Demand demand = DemandOf(*plan.spec, i, plan.types[i].dtype);
    if (o.value >= 0) {
      if (!demand.Any()) return o.value;
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
    bool constant = demand.constant || choices_.Chance(i == 0 ? 0.1 : mixes ? 0.3 : 0.8);
    if (!constant && depth < kMaxProducerDepth && room && choices_.Chance(0.5)) {
      int made = Produce(type, std::vector<bool>(builder_.values().size(), true), depth + 1);
      if (made >= 0) return Guarded(made, demand);
    }
    if (!constant && builder_.inputs() < max_inputs_ && type.dims.size() <= kMaxRank) {
      return Guarded(builder_.AddInput(choices_, type.dtype, shape), demand);
    }
    return builder_.AddConstant(
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
  int Produce(const TypeInfo& want, const std::vector<bool>& usable, int depth) {
    for (int i = 0; i < kProducerTries; ++i) {
      const Row* row = PickRow(-1);
      if (!row || !Contains(row->spec->OutputAt(0).types, want.dtype)) continue;
      GraphBuilder::Mark mark = builder_.Here();
      Plan plan;
      std::vector<bool> may_read = usable;
      may_read.resize(builder_.values().size(), false);
      if (planner_.Backward(*row, want, may_read, &plan)) {
        int out = Place(plan, depth);
        if (out >= 0 && builder_.value(out).varies) return out;
      }
      builder_.Rollback(mark);
    }
    return -1;
  }

  // A graph input becomes the output of a new node over other inputs.
  bool ReplaceInput() {
    std::vector<int> inputs;
    for (size_t v = 0; v < builder_.values().size(); ++v) {
      const GenValue& x = builder_.values()[v];
      if (x.kind == GenValue::Kind::kInput && x.uses > 0) inputs.push_back(static_cast<int>(v));
    }
    if (inputs.empty()) return false;
    int id = choices_.Pick(inputs);
    std::vector<bool> usable(builder_.values().size(), false);
    for (int v : inputs) usable[v] = v != id;
    GraphBuilder::Mark mark = builder_.Here();
    ++max_inputs_;  // the one that goes makes room for the one that comes
    int made = Produce(builder_.value(id).type(), usable, 0);
    --max_inputs_;
    if (made >= 0 && builder_.Replace(id, made)) return true;
    builder_.Rollback(mark);
    return false;
  }

  Choices& choices_;
  const GenOptions& options_;
  OpChooser* chooser_;
  GraphBuilder builder_;
  int64_t max_elements_;
  Planner planner_;
  int max_inputs_ = 0;
  std::vector<const Row*> rows_, candidates_;
  std::vector<const OpSpec*> specs_;
  std::vector<double> weights_;
  std::vector<uint64_t> value_weights_;
};

}  // namespace

Result<Generated> GenerateCase(Choices& choices, const GenOptions& options, OpChooser* chooser) {
  return Generator(choices, options, chooser).Run();
}

Result<Model> Generate(Choices& choices, const GenOptions& options, OpChooser* chooser) {
  Generated g = TRY(GenerateCase(choices, options, chooser));
  return std::move(g.model);
}

std::vector<std::string> GenOptions::ProfileNames() {
  return {"default", "float", "cnn", "types", "small"};
}

Result<GenOptions> GenOptions::Profile(const std::string& name) {
  GenOptions o;
  if (name == "default") return o;
  if (name == "float") {
    o.dtypes = {{DType::kFloat, 1}};
  } else if (name == "cnn") {
    o.dtypes = {{DType::kFloat, 1}};
    o.ops = {"Conv",
             "ConvTranspose",
             "MaxPool",
             "AveragePool",
             "GlobalAveragePool",
             "BatchNormalization",
             "Relu",
             "LeakyRelu",
             "Sigmoid",
             "Clip",
             "Add",
             "Mul",
             "Concat",
             "Pad",
             "Resize",
             "Softmax",
             "Flatten",
             "Reshape",
             "Transpose",
             "Gemm",
             "MatMul",
             "ReduceMean"};
  } else if (name == "types") {
    for (auto& [dtype, weight] : o.dtypes) weight = dtype == DType::kFloat16 ? 2 : 10;
  } else if (name == "small") {
    o.max_elements = 64;
  } else {
    std::string known;
    for (const std::string& n : ProfileNames()) known += (known.empty() ? "" : ", ") + n;
    return Usage("unknown profile '" + name + "'; known: " + known);
  }
  return o;
}

}  // namespace assay
