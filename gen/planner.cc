#include "gen/planner.h"

#include <algorithm>

#include "gen/domain.h"
#include "gen/restrictions.h"

namespace assay {
namespace {

constexpr int kAttrTries = 4;
constexpr int kReuseTries = 5;
constexpr int kMaxVariadic = 4;
const Dim kAnyExtent(1, 64);

constexpr double kRareTypes = 0.1;  // with GenOptions::anything

// An element type out of `types`, complex ones excepted: hardly a runtime computes with them.
DType AnyType(Choices& choices, DTypeSet types) {
  std::vector<DType> all;
  for (int i = 1; i < kDTypeCount; ++i) {
    if (Contains(types & ~kComplexes, static_cast<DType>(i))) all.push_back(static_cast<DType>(i));
  }
  return all.empty() ? OrdinaryType(types) : choices.Pick(all);
}

// An empty list is written like no list at all. False when the attribute may not be left out.
bool DropEmptyLists(const OpSpec& spec, Node* node) {
  for (size_t i = 0; i < node->attrs.size();) {
    const AttrValue& v = node->attrs[i].value;
    auto ints = std::get_if<std::vector<int64_t>>(&v);
    auto floats = std::get_if<std::vector<float>>(&v);
    if (!(ints && ints->empty()) && !(floats && floats->empty())) {
      ++i;
      continue;
    }
    const AttrSpec* a = spec.FindAttr(node->attrs[i].name);
    if (a && a->required) return false;
    node->attrs.erase(node->attrs.begin() + static_cast<int64_t>(i));
  }
  return true;
}

}  // namespace

DType Planner::ChooseType(DTypeSet types) {
  int64_t total = 0;
  for (const auto& [t, w] : options_.dtypes) total += Contains(types, t) ? w : 0;
  if (options_.anything && (total == 0 || choices_.Chance(kRareTypes)))
    return AnyType(choices_, types);
  if (total == 0) return OrdinaryType(types);
  int64_t at = static_cast<int64_t>(choices_.Below(total));
  for (const auto& [t, w] : options_.dtypes) {
    if (!Contains(types, t)) continue;
    if (at < w) return t;
    at -= w;
  }
  return OrdinaryType(types);
}

// The element type for a formal: bound by another formal, else (mostly) one that some value has,
// else fresh.
DType Planner::TypeFor(const Formal& formal) {
  for (const Binding& b : bound_) {
    if (!formal.type.empty() && *b.name == formal.type) return b.dtype;
  }
  if (choices_.Chance(0.5)) {
    const std::vector<int>& live = builder_.live();
    for (int i = 0; i < kReuseTries && !live.empty(); ++i) {
      DType t = builder_.value(live[choices_.Below(live.size())]).dtype;
      if (Contains(formal.types, t)) return t;
    }
  }
  return ChooseType(formal.types);
}

bool Planner::Bind(const Formal& formal, DType dtype) {
  if (!Contains(formal.types, dtype)) return false;
  if (formal.type.empty() || !formal.homogeneous) return true;
  for (const Binding& b : bound_) {
    if (*b.name == formal.type) return b.dtype == dtype;
  }
  bound_.push_back({&formal.type, dtype});
  return true;
}

// What the draw callback has chosen overrules a guess (TypeFor), but for what the first input is.
bool Planner::BindDrawn(const Formal& formal, DType dtype) {
  if (Bind(formal, dtype)) return true;
  if (!Contains(formal.types, dtype) || formal.type == row_->spec->inputs[0].type) return false;
  for (Binding& b : bound_) {
    if (*b.name == formal.type) b.dtype = dtype;
  }
  return true;
}

void Planner::Start(const Row& row, Plan* plan) {
  const OpSpec& spec = *row.spec;
  row_ = &row;
  plan->spec = &spec;
  int outputs = std::max(1, spec.MinOutputs());
  while (outputs < spec.MaxOutputs() && outputs < std::min(4, row.max_outputs) && !spec.draw &&
         choices_.Chance(0.25))
    ++outputs;
  plan->node = BareNode(spec, outputs);
  int inputs = std::max(1, spec.MinInputs());
  if (spec.inputs.back().arity == Arity::kVariadic) {
    inputs = std::max(inputs, static_cast<int>(choices_.Between(1, kMaxVariadic)));
    if (inputs == 1 && choices_.Chance(0.8)) inputs = 2;
  }
  plan->operands.assign(inputs, {});
  plan->types.clear();
  bound_.clear();
  problem_.want = nullptr;
  problem_.attributes.clear();
  problem_.spec = &spec;
  problem_.node = &plan->node;
  problem_.max_elements = max_elements_;
  problem_.inputs.assign(inputs, {});
  problem_.values.assign(inputs, nullptr);
}

bool Planner::ChooseRanks(int slot, int rank) {
  if (slot == 0) {
    if (!row_->TakesRank(rank)) return false;
    const auto& vectors = row_->ranks[rank];
    // Equal ranks are what graphs mostly have.
    for (int i = 0; i < 3; ++i) {
      ranks_ = choices_.Pick(vectors);
      if (std::all_of(ranks_.begin(), ranks_.end(), [&](int8_t r) { return r == rank; })) break;
    }
    return true;
  }
  int start = static_cast<int>(choices_.Below(kMaxRank + 1));
  if (row_->TakesRank(rank) && choices_.Chance(0.7)) start = rank;
  for (int i = 0; i <= kMaxRank; ++i) {
    const auto& vectors = row_->ranks[(start + i) % (kMaxRank + 1)];
    for (const auto& v : vectors) {
      if (v[slot] != rank) continue;
      ranks_ = v;
      return true;
    }
  }
  return false;
}

void Planner::DrawSomeAttributes(Plan* plan, int rank, bool defaults_only) {
  plan->node.attrs.clear();
  problem_.attributes.clear();
  for (const AttrSpec& a : plan->spec->attrs) {
    // A draw callback knows which of its attributes go together; what it leaves out is at its
    // default.
    if (plan->spec->draw && !a.domain.solve && !a.required) continue;
    if (!a.required && (defaults_only || choices_.Chance(a.domain.solve ? 0.35 : 0.5))) continue;
    if (RestrictedAttribute(*plan->spec, a.name)) continue;
    if (a.domain.solve) {
      std::vector<Dim> unknown = UnknownAttribute(a, rank);
      if (!unknown.empty()) problem_.attributes[a.name] = std::move(unknown);
      if (!unknown.empty() || problem_.attributes.Find(a.name)) continue;
    }
    std::optional<AttrValue> v = DrawAttr(choices_, a, rank);
    if (v) plan->node.Set(a.name, *std::move(v));
  }
  if (plan->node.String("auto_pad", "NOTSET") != "NOTSET") {
    problem_.attributes.erase("pads");
    plan->node.Erase("pads");
  }
}

bool Planner::Reads(const Plan& plan, int id) {
  for (const Operand& o : plan.operands) {
    if (o.value == id) return true;
  }
  return false;
}

// Draws attributes until the rule does not exclude them; false when it does to the last.
bool Planner::DrawAttributes(Plan* plan, int rank) {
  for (int i = 0; i < kAttrTries; ++i) {
    DrawSomeAttributes(plan, rank, i + 1 == kAttrTries);
    if (plan->spec->draw) return true;
    // The ranks are known to be possible: without attributes there is nothing to find out.
    bool plain = plan->node.attrs.empty() && problem_.attributes.empty() && !problem_.want;
    if (plain || CheckRule(problem_) != Truth::kFalse) return true;
    if (plan->spec->attrs.empty()) return false;
  }
  return false;
}

bool Planner::CallDraw(Plan* plan) {
  if (!plan->spec->draw) return true;
  Draft d;
  d.spec = plan->spec;
  d.opset = builder_.opset();
  // What is not decided yet has a type but neither rank nor extents.
  d.inputs.reserve(problem_.inputs.size());
  for (const TypeInfo& t : problem_.inputs) {
    bool decided = d.inputs.empty() || t.Static();
    d.inputs.push_back(decided ? t : TypeInfo{t.dtype, false, {}});
  }
  d.constants.resize(d.inputs.size());
  d.attrs = plan->node.attrs;
  d.outputs = static_cast<int>(plan->node.outputs.size());
  d.max_elements = max_elements_;
  d.anything = options_.anything;
  if (!plan->spec->draw(choices_, d)) return false;
  plan->node.attrs = std::move(d.attrs);
  for (const Attribute& a : plan->node.attrs) problem_.attributes.erase(a.name);
  plan->node.outputs.assign(std::clamp(d.outputs, 1, row_->max_outputs), "y");
  for (int i : d.absent) {
    if (i + 1 < static_cast<int>(plan->node.outputs.size())) plan->node.outputs[i].clear();
  }
  size_t count = std::max<size_t>(d.inputs.size(), std::max(1, plan->spec->MinInputs()));
  if (plan->spec->inputs.back().arity == Arity::kVariadic)
    count = std::max(count, plan->operands.size());
  plan->operands.resize(count);
  problem_.inputs.resize(count);
  for (size_t i = 0; i < d.inputs.size() && i < count; ++i) {
    if (d.inputs[i].Static()) problem_.inputs[i] = std::move(d.inputs[i]);
  }
  for (size_t i = 0; i < d.constants.size() && i < count; ++i) {
    if (!d.constants[i]) continue;
    plan->operands[i].constant = std::move(d.constants[i]);
    problem_.inputs[i] = TypeInfo::Of(*plan->operands[i].constant);
  }
  problem_.values.assign(count, nullptr);
  for (size_t i = 0; i < count; ++i) {
    if (plan->operands[i].constant) problem_.values[i] = &*plan->operands[i].constant;
    if (problem_.inputs[i].Static() &&
        !BindDrawn(plan->spec->InputAt(static_cast<int>(i)), problem_.inputs[i].dtype)) {
      return false;
    }
  }
  return true;
}

// Optional inputs of rows without a draw callback (Conv's B, Gemm's C), while the rule allows some
// rank.
void Planner::AddOptional(Plan* plan) {
  const OpSpec& spec = *plan->spec;
  if (spec.draw) return;
  for (int i = std::max(1, spec.MinInputs());
       i < spec.MaxInputs() && i < static_cast<int>(spec.inputs.size()); ++i) {
    if (spec.InputAt(i).arity != Arity::kOptional || !choices_.Chance(0.5)) return;
    DType t = TypeFor(spec.InputAt(i));
    plan->operands.resize(i + 1);
    problem_.values.resize(i + 1, nullptr);
    bool found = false;
    int start = choices_.Chance(0.7) ? 1 : static_cast<int>(choices_.Below(kMaxRank));
    for (int r = 0; r < kMaxRank && !found; ++r) {
      problem_.inputs.resize(i);
      problem_.inputs.push_back({t, true, std::vector<Dim>((start + r) % kMaxRank, kAnyExtent)});
      found = CheckRule(problem_) != Truth::kFalse;
    }
    if (!found) {
      plan->operands.resize(i);
      problem_.values.resize(i);
      problem_.inputs.resize(i);
      return;
    }
    Bind(spec.InputAt(i), t);
  }
}

std::vector<Dim> Planner::BroadcastShape(const TypeInfo& other) {
  std::vector<Dim> dims = other.dims;
  if (choices_.Chance(0.3) && !dims.empty())
    dims.erase(dims.begin(), dims.begin() + choices_.Between(1, dims.size()));
  bool stretch = choices_.Chance(0.3);
  for (Dim& d : dims) {
    if (d.known() && d.value() > 1) {
      if (stretch && choices_.Chance(0.5)) d = Dim(1);
    } else if (!problem_.want && choices_.Chance(0.15)) {
      d = Dim(DrawExtent(choices_, 1, 8));
    }
  }
  return dims;
}

// Can the extents go together in numpy broadcasting?
bool Planner::Broadcasts(const TypeInfo& a, const Shape& b) {
  for (size_t i = 1; i <= std::min(a.dims.size(), b.size()); ++i) {
    const Dim& d = a.dims[a.dims.size() - i];
    int64_t e = b[b.size() - i];
    if (d.known() && d.value() != e && d.value() != 1 && e != 1) return false;
  }
  return true;
}

bool Planner::AnyReusable(const TypeInfo& want, const TypeInfo& input) const {
  bool alike = row_->spec->Has(kElementwise) && !row_->spec->Has(kBroadcasts);
  const std::vector<int>& ids = scope_.inputs_only ? builder_.input_ids() : builder_.live();
  return std::any_of(ids.begin(), ids.end(), [&](int id) {
    const GenValue& v = builder_.value(id);
    if (v.dtype != input.dtype || v.rank() != static_cast<int>(input.dims.size())) return false;
    return !alike || want.StaticShape() == v.shape();
  });
}

// An existing value for input i, when the rule can still hold with it. Unread ones first, so that
// branches join.
bool Planner::ReuseValue(Plan* plan, int input, bool joins) {
  const std::vector<int>& ids = scope_.inputs_only ? builder_.input_ids() : builder_.live();
  if (ids.empty()) return false;
  TypeInfo before = problem_.inputs[input];
  RuleChecker checker(problem_);
  size_t n = ids.size(), start = choices_.Below(n);
  int tries = 0;
  // Nodes that nobody reads, nodes, then all.
  bool by_kind = !scope_.inputs_only && (joins || choices_.Chance(0.7));
  for (size_t i = by_kind ? 0 : 2 * n; i < 3 * n && tries < kReuseTries; ++i) {
    int id = ids[(start + i) % n];
    const GenValue& v = builder_.value(id);
    if (v.retired || v.dtype != before.dtype || v.rank() > kMaxRank || id == scope_.except)
      continue;
    bool node = v.kind == GenValue::Kind::kNode && !Reads(*plan, id);
    if (i < 2 * n && (!node || (i < n && v.uses > 0))) continue;
    // An input that nobody reads any more was replaced.
    if (scope_.inputs_only && v.uses == 0) continue;
    ++tries;
    // Cheaper than to ask the rule.
    const TypeInfo& other = problem_.inputs[input == 0 ? problem_.inputs.size() - 1 : 0];
    if (plan->spec->Has(kBroadcasts) && !Broadcasts(other, v.shape())) continue;
    problem_.inputs[input] = v.type();
    if (checker.Run() == Truth::kFalse) continue;
    plan->operands[input].value = id;
    return true;
  }
  problem_.inputs[input] = std::move(before);
  return false;
}

bool Planner::FillOperands(Plan* plan, int slot, bool joins) {
  const OpSpec& spec = *plan->spec;
  int required = std::max(1, spec.MinInputs());
  bool variadic = spec.inputs.back().arity == Arity::kVariadic;
  for (int i = 0; i < static_cast<int>(plan->operands.size()); ++i) {
    Operand& o = plan->operands[i];
    if (i == slot || o.constant || o.value >= 0) continue;
    if (i >= required && !variadic && problem_.inputs[i].dtype == DType::kUndefined)
      continue;  // absent
    Demand demand = DemandOf(spec, i, problem_.inputs[i].dtype);
    o.must_be_constant = demand.constant;
    if (!demand.constant && (joins || choices_.Chance(options_.reuse)) &&
        ReuseValue(plan, i, joins))
      continue;
    o.fresh = true;
    if (spec.Has(kBroadcasts) && slot >= 0 && problem_.inputs[slot].Static()) {
      problem_.inputs[i].dims = BroadcastShape(problem_.inputs[slot]);
    }
  }
  return true;
}

bool Planner::Finish(Plan* plan, const TypeInfo* want) {
  problem_.want = want;
  if (!DropEmptyLists(*plan->spec, &plan->node)) return false;
  if (!Solve(choices_, problem_, &plan->solution)) return false;
  for (auto& [name, list] : problem_.attributes) {
    const AttrSpec* a = plan->spec->FindAttr(name);
    std::vector<int64_t> values;
    for (const Dim& d : list) values.push_back(d.value());
    if (a && a->type == AttrType::kInt)
      plan->node.Set(name, values[0]);
    else
      plan->node.Set(name, std::move(values));
  }
  plan->types = std::move(problem_.inputs);
  return !Restricted(*plan->spec, plan->node, plan->types);
}

// Is there a computed value that could stand beside `first`? Only where that is cheap to say.
bool Planner::AnyJoinable(int first) const {
  const OpSpec& spec = *row_->spec;
  const GenValue& v = builder_.value(first);
  bool alike = spec.InputAt(1).type == spec.inputs[0].type;
  return std::any_of(builder_.live().begin(), builder_.live().end(), [&](int id) {
    if (id == first || !IsComputed(id)) return false;
    const GenValue& other = builder_.value(id);
    if (!alike) return Contains(spec.InputAt(1).types, other.dtype);
    return other.dtype == v.dtype &&
           (!spec.Has(kBroadcasts) || Broadcasts(v.type(), other.shape()));
  });
}

bool Planner::Joins(const Plan& plan, int first) const {
  for (size_t i = 0; i < plan.operands.size(); ++i) {
    int id = plan.operands[i].value;
    if (id >= 0 && id != first && IsComputed(id) && !TypeOnly(*plan.spec, static_cast<int>(i)))
      return true;
  }
  return false;
}

bool Planner::Read(const Row& row, int first, bool joins, Plan* plan) {
  const OpSpec& spec = *row.spec;
  scope_ = {};
  row_ = &row;
  if (joins && !AnyJoinable(first)) return false;
  Start(row, plan);
  const GenValue& v = builder_.value(first);
  int required = std::max(1, spec.MinInputs()), slot = 0;
  if (required > 1 && !spec.draw && choices_.Chance(0.3))
    slot = static_cast<int>(choices_.Below(required));
  if (!Contains(spec.InputAt(slot).types, v.dtype) || DemandOf(spec, slot, v.dtype).constant)
    slot = 0;
  if (slot == 0 && !row.Takes(v.dtype)) return false;
  if (!Bind(spec.InputAt(slot), v.dtype) || !ChooseRanks(slot, v.rank())) return false;
  plan->operands[slot].value = first;
  for (int i = 0; i < static_cast<int>(plan->operands.size()); ++i) {
    const Formal& f = spec.InputAt(i);
    DType t = i == slot ? v.dtype : TypeFor(f);
    if (!Bind(f, t) || (i == 0 && !row.Takes(t))) return false;
    int8_t rank = ranks_[std::min<size_t>(i, ranks_.size() - 1)];
    if (i == slot)
      problem_.inputs[i] = v.type();
    else
      problem_.inputs[i] = {t, true, std::vector<Dim>(rank, kAnyExtent)};
  }
  if (!DrawAttributes(plan, static_cast<int>(problem_.inputs[0].dims.size()))) return false;
  if (!CallDraw(plan)) return false;
  AddOptional(plan);
  if (!FillOperands(plan, slot, joins) || (joins && !Joins(*plan, first))) return false;
  return Finish(plan, nullptr);
}

bool Planner::Alone(const Row& row, Plan* plan) {
  const OpSpec& spec = *row.spec;
  scope_ = {};
  Start(row, plan);
  int rank = static_cast<int>(choices_.Below(kMaxRank + 1));
  for (int i = 0; i <= kMaxRank && !row.TakesRank(rank); ++i) rank = (rank + 1) % (kMaxRank + 1);
  if (!ChooseRanks(0, rank)) return false;
  for (int i = 0; i < static_cast<int>(plan->operands.size()); ++i) {
    const Formal& f = spec.InputAt(i);
    DType t = i == 0 ? ChooseType(row.input_types) : TypeFor(f);
    if (!Bind(f, t)) return false;
    int8_t r = ranks_[std::min<size_t>(i, ranks_.size() - 1)];
    problem_.inputs[i] = {t, true, std::vector<Dim>(r, kAnyExtent)};
  }
  DrawAttributes(plan, rank);
  if (spec.draw) {
    TypeInfo& first = problem_.inputs[0];
    if (row.proposes)
      first = {first.dtype, false, {}};
    else
      first = TypeInfo::Of(first.dtype, DrawShape(choices_, rank, max_elements_));
  }
  if (!CallDraw(plan) || !problem_.inputs[0].ranked) return false;
  AddOptional(plan);
  plan->operands[0].fresh = !plan->operands[0].constant;
  return FillOperands(plan, 0) && Finish(plan, nullptr);
}

bool Planner::Backward(const Row& row, const TypeInfo& want, const Scope& scope, Plan* plan) {
  const OpSpec& spec = *row.spec;
  if (spec.draw || !Contains(spec.OutputAt(0).types, want.dtype)) return false;
  scope_ = scope;
  Start(row, plan);
  const Formal& out = spec.OutputAt(0);
  if (!out.type.empty()) bound_.push_back({&out.type, want.dtype});
  DType first_type = TypeFor(spec.InputAt(0));
  if (!row.Takes(first_type)) return false;
  // Most operators keep the rank.
  int rank = static_cast<int>(want.dims.size());
  if (!row.TakesRank(rank) || choices_.Chance(0.1))
    rank = static_cast<int>(choices_.Below(kMaxRank + 1));
  if (!ChooseRanks(0, rank)) return false;
  for (int i = 0; i < static_cast<int>(plan->operands.size()); ++i) {
    const Formal& f = spec.InputAt(i);
    DType t = i == 0 ? first_type : TypeFor(f);
    if (!Bind(f, t)) return false;
    int8_t r = ranks_[std::min<size_t>(i, ranks_.size() - 1)];
    problem_.inputs[i] = {t, true, std::vector<Dim>(r, kAnyExtent)};
  }
  problem_.want = &want;
  // One that must be reused is looked for first: without it all else is in vain.
  if (!scope.fresh && !AnyReusable(want, problem_.inputs[0])) return false;
  if (!DrawAttributes(plan, rank)) return false;
  AddOptional(plan);
  if (spec.Has(kBroadcasts)) {
    // One operand has the full shape, the others broadcast to it.
    problem_.inputs[0].dims = want.dims;
    for (size_t i = 1; i < problem_.inputs.size(); ++i) {
      problem_.inputs[i].dims.assign(
          want.dims.end() - static_cast<int64_t>(choices_.Below(want.dims.size() + 1)),
          want.dims.end());
    }
  }
  bool reused = (!scope.fresh || choices_.Chance(options_.reuse)) && ReuseValue(plan, 0);
  if (!reused && !scope.fresh) return false;
  plan->operands[0].fresh = !reused;
  return FillOperands(plan, 0) && Finish(plan, &want);
}

}  // namespace assay
