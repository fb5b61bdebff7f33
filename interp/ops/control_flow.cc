// If (ONNX opset 1 to 25), Loop (1 to 25), Scan (8 to 25), SequenceMap (17): operators with subgraphs. A subgraph sees
// the values of the graphs around it; they are the node's operands behind its inputs (OperandsOf).
#include "interp/compose.h"
#include "interp/lists.h"
#include "interp/ops/versions.h"

namespace assay {
namespace {

// Newer versions only allow further element types.
constexpr int kLaterVersions[] = {11, 13, 16, 19, 21, 23, 24, 25};
constexpr int64_t kMostIterations = int64_t{1} << 22;

AttrSpec GraphAttr(const char* name) { return {name, AttrType::kGraph, true, std::nullopt, {}}; }

// A tensor with elements, a bool or integer.
Result<bool> Truthful(const Tensor& t, const char* what) {
  if (t.size() != 1) return Invalid(std::string(what) + " has one element; got " + t.TypeString());
  return t.AsInt(0) != 0;
}

// ---- If ----
void IfRule(RuleContext& c) {
  std::vector<TypeInfo> a = c.Body("then_branch", {}), b = c.Body("else_branch", {});
  if (a.empty() && b.empty()) return;
  c.Require(a.size() == b.size() && static_cast<int>(a.size()) >= c.outputs(), "both branches have the node's outputs");
  if (c.failed()) return;
  for (int i = 0; i < c.outputs(); ++i) {
    TypeInfo t = Either(a[static_cast<size_t>(i)], b[static_cast<size_t>(i)]);
    c.Require(t.dtype != DType::kUndefined, "both branches give values of the same element type");
    c.Out(i, std::move(t));
  }
}

Status EvalIf(KernelContext& c) {
  bool condition = TRY(Truthful(c.in(0), "the condition"));
  KernelContext::Body body = TRY(c.MakeBody(condition ? "then_branch" : "else_branch"));
  std::vector<Tensor> out = TRY(body.Run({}));
  if (static_cast<int>(out.size()) < c.outputs()) return Invalid("the branch has fewer outputs than the node");
  for (int i = 0; i < c.outputs(); ++i) c.Set(i, out[static_cast<size_t>(i)]);
  return {};
}

// ---- Loop ----
// Types of the states that hold in every iteration, and of everything that the body gives. Starts from `states`; where
// the body changes a state, what both have in common.
std::vector<TypeInfo> Settle(RuleContext& c, const std::vector<TypeInfo>& given, size_t first_state, size_t first_made,
                             std::vector<TypeInfo>* states) {
  std::vector<TypeInfo> made;
  for (int round = 0; round < 2; ++round) {
    std::vector<TypeInfo> in = given;
    for (size_t s = 0; s < states->size(); ++s) in[first_state + s] = (*states)[s];
    made = c.Body("body", in);
    if (made.empty()) return made;
    c.Require(made.size() >= first_made + states->size(), "the body gives a condition where one is wanted and every state");
    if (c.failed()) return {};
    for (size_t s = 0; s < states->size(); ++s) {
      TypeInfo both = Either((*states)[s], made[first_made + s]);
      c.Require(both.dtype != DType::kUndefined, "a state keeps its element type");
      (*states)[s] = std::move(both);
    }
  }
  return made;
}

// Slices of unknown number along a new axis.
TypeInfo Stacked(const TypeInfo& slice, size_t axis, Dim count) {
  if (!slice.ranked) return {slice.dtype, false, {}, {}};
  TypeInfo t = slice;
  t.dims.insert(t.dims.begin() + static_cast<ptrdiff_t>(std::min(axis, t.dims.size())), count);
  return t;
}

void LoopRule(RuleContext& c) {
  std::vector<TypeInfo> states, given = {TypeInfo::Of(DType::kInt64, Shape{}), TypeInfo::Of(DType::kBool, Shape{})};
  for (int i = 2; i < c.inputs(); ++i) states.push_back(c.type(i));
  given.resize(2 + states.size());
  std::vector<TypeInfo> made = Settle(c, given, 2, 1, &states);
  if (made.empty()) return;
  c.Require(static_cast<int>(made.size()) > c.outputs(), "the body gives every output of the node");
  for (int i = 0; i < c.outputs() && !c.failed(); ++i) {
    size_t k = static_cast<size_t>(i);
    c.Out(i, k < states.size() ? states[k] : Stacked(made[k + 1], 0, Dim::Unknown()));
  }
}

// What scans have collected, stacked along `axis`. Nothing collected: as the body declares it, unknown extents 0.
Result<Tensor> Collected(const KernelContext& c, const std::vector<Tensor>& items, int64_t axis, const char* attr, size_t output) {
  if (!items.empty()) return Stack(c, items, axis);
  const ValueInfo& declared = std::get<std::shared_ptr<const Graph>>(*c.Attr(attr))->outputs[output];
  Shape shape;
  if (declared.shape) {
    for (const DimDecl& d : *declared.shape) shape.push_back(std::max<int64_t>(d.value, 0));
  }
  int64_t rank = static_cast<int64_t>(shape.size()) + 1, at = std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank - 1);
  shape.insert(shape.begin() + at, 0);
  if (declared.dtype == DType::kUndefined) return Unsupported("a scan without iterations needs a declared element type");
  return Tensor::Make(declared.dtype, shape, c.store(), c.limits());
}

Status EvalLoop(KernelContext& c) {
  KernelContext::Body body = TRY(c.MakeBody("body"));
  int64_t most = c.Has(0) && c.in(0).size() == 1 ? c.in(0).AsInt(0) : kMostIterations + 1;
  bool go_on = true;
  if (c.Has(1)) go_on = TRY(Truthful(c.in(1), "the condition"));
  std::vector<Tensor> states;
  size_t given = c.node().inputs.size();
  for (size_t i = 2; i < given; ++i) {
    if (!c.Has(static_cast<int>(i))) return Invalid("state " + std::to_string(i - 2) + " is missing");
    states.push_back(c.in(static_cast<int>(i)));
  }
  if (body.outputs() < 1 + states.size() || static_cast<int>(body.outputs()) <= c.outputs()) {
    return Invalid("the body has fewer outputs than its condition, the states and the node's outputs");
  }
  std::vector<std::vector<Tensor>> scans(body.outputs() - 1 - states.size());
  int64_t bytes = 0;
  for (int64_t i = 0; i < most && go_on; ++i) {
    if (i == kMostIterations) return LimitHit("the loop runs more than " + std::to_string(kMostIterations) + " times");
    Tensor condition = Tensor::Make(DType::kBool, {}).value();
    condition.Set(0, 1);
    std::vector<Tensor> in = {Tensor::Ints({}, {i}), condition};
    in.insert(in.end(), states.begin(), states.end());
    std::vector<Tensor> out = TRY(body.Run(std::move(in)));
    go_on = TRY(Truthful(out[0], "the condition"));
    for (size_t s = 0; s < states.size(); ++s) states[s] = out[1 + s];
    for (size_t k = 0; k < scans.size(); ++k) {
      scans[k].push_back(out[1 + states.size() + k]);
      bytes += scans[k].back().bytes();
    }
    if (bytes > c.limits().bytes) return LimitHit("what the loop collects exceeds the byte limit");
  }
  for (int i = 0; i < c.outputs(); ++i) {
    size_t k = static_cast<size_t>(i);
    if (k < states.size()) {
      c.Set(i, states[k]);
    } else if (c.WantsOutput(i)) {
      Tensor t = TRY(Collected(c, scans[k - states.size()], 0, "body", 1 + k));
      c.Set(i, t);
    }
  }
  return {};
}

// ---- Scan ----
struct ScanShape {
  int first = 0;                        // of the node's inputs that are states
  size_t states = 0, scans = 0;         // inputs
  std::vector<int64_t> axes, reversed;  // of the scanned inputs
  std::vector<int64_t> out_axes, out_reversed;
};

// Version 8 has a batch axis in front of everything and sequence_lens as its first input.
template <class Context>
ScanShape ShapeOf(const Context& c, bool batched, size_t inputs, size_t outputs) {
  ScanShape s;
  s.first = batched ? 1 : 0;
  auto list = [&](const char* name, size_t n) {
    std::vector<int64_t> v = c.node().Ints(name);
    v.resize(n, 0);
    return v;
  };
  int64_t scans = c.node().Int("num_scan_inputs", 0);
  size_t rest = inputs - std::min(inputs, static_cast<size_t>(s.first));
  s.scans = static_cast<size_t>(std::clamp<int64_t>(scans, 0, static_cast<int64_t>(rest)));
  s.states = rest - s.scans;
  s.axes = list(batched ? "" : "scan_input_axes", s.scans);
  s.reversed = list(batched ? "directions" : "scan_input_directions", s.scans);
  size_t made = outputs > s.states ? outputs - s.states : 0;
  s.out_axes = list("scan_output_axes", made);
  s.out_reversed = list("scan_output_directions", made);
  return s;
}

void ScanRule(RuleContext& c) {
  bool batched = c.spec().since < 9;
  ScanShape s = ShapeOf(c, batched, static_cast<size_t>(c.inputs()), static_cast<size_t>(c.outputs()));
  c.Require(c.IntValue("num_scan_inputs") >= 1, "num_scan_inputs is at least 1");
  std::vector<TypeInfo> states, given(s.states + s.scans);
  Dim batch = Dim::Unknown(), length = Dim::Unknown();
  for (size_t k = 0; k < given.size() && !c.failed(); ++k) {
    int i = s.first + static_cast<int>(k);
    if (!c.Has(i)) return c.Require(false, "every state and scanned input is there");
    TypeInfo t = c.type(i);
    if (t.ranked && batched) {
      c.Require(!t.dims.empty(), "inputs have a batch axis");
      if (!c.failed()) batch = t.dims[0], t.dims.erase(t.dims.begin());
    }
    if (k >= s.states && t.ranked) {
      int axis = c.Axis(s.axes[k - s.states], static_cast<int>(t.dims.size()));
      c.Require(!t.dims.empty(), "a scanned input has an axis to scan");
      if (c.failed()) return;
      length = t.dims[static_cast<size_t>(axis)];
      t.dims.erase(t.dims.begin() + axis);
    }
    if (k < s.states) states.push_back(t);
    given[k] = std::move(t);
  }
  if (c.failed()) return;
  std::vector<TypeInfo> made = Settle(c, given, 0, 0, &states);
  if (made.empty()) return;
  c.Require(static_cast<int>(made.size()) >= c.outputs(), "the body gives every output of the node");
  for (int i = 0; i < c.outputs() && !c.failed(); ++i) {
    size_t k = static_cast<size_t>(i);
    TypeInfo t = k < states.size() ? states[k] : made[k];
    if (k >= states.size() && t.ranked) {
      int axis = c.Axis(s.out_axes[k - states.size()], static_cast<int>(t.dims.size()) + 1);
      t = Stacked(t, static_cast<size_t>(axis), length);
    }
    c.Out(i, batched ? Stacked(t, 0, batch) : t);
  }
}

// One sequence: from states and scanned inputs to final states and stacked outputs.
Result<std::vector<Tensor>> ScanOnce(KernelContext& c, const KernelContext::Body& body, const ScanShape& s,
                                     std::vector<Tensor> states, const std::vector<Tensor>& scanned, int64_t length) {
  std::vector<std::vector<Tensor>> made(body.outputs() - states.size());
  int64_t bytes = 0;
  for (int64_t i = 0; i < length; ++i) {
    std::vector<Tensor> in = states;
    for (size_t k = 0; k < scanned.size(); ++k) {
      in.push_back(TRY(SliceAt(c, scanned[k], s.axes[k], s.reversed[k] ? length - 1 - i : i)));
    }
    std::vector<Tensor> out = TRY(body.Run(std::move(in)));
    for (size_t k = 0; k < states.size(); ++k) states[k] = out[k];
    for (size_t k = 0; k < made.size(); ++k) {
      made[k].push_back(out[states.size() + k]);
      bytes += made[k].back().bytes();
    }
    if (bytes > c.limits().bytes) return LimitHit("what the scan collects exceeds the byte limit");
  }
  for (size_t k = 0; k < made.size(); ++k) {
    if (k < s.out_reversed.size() && s.out_reversed[k]) std::reverse(made[k].begin(), made[k].end());
    int64_t axis = k < s.out_axes.size() ? s.out_axes[k] : 0;
    states.push_back(TRY(Collected(c, made[k], axis, "body", s.states + k)));
  }
  return states;
}

// All scanned inputs have this extent.
Result<int64_t> LengthOf(const ScanShape& s, const std::vector<Tensor>& scanned) {
  int64_t length = -1;
  for (size_t k = 0; k < scanned.size(); ++k) {
    int64_t rank = scanned[k].rank(), axis = s.axes[k] < 0 ? s.axes[k] + rank : s.axes[k];
    if (axis < 0 || axis >= rank) return Invalid("a scanned input has no axis " + std::to_string(s.axes[k]));
    int64_t extent = scanned[k].dim(static_cast<int>(axis));
    if (length >= 0 && extent != length) return Invalid("scanned inputs differ in length");
    length = extent;
  }
  return length;
}

// A shorter sequence of a batch is filled up with zeros.
Result<Tensor> Padded(KernelContext& c, const Tensor& t, int64_t missing) {
  if (missing == 0 || t.rank() == 0) return t;
  Shape fill = t.shape();
  fill[0] = missing;
  Tensor zeros = TRY(Tensor::Make(t.dtype(), fill, t.store(), c.limits()));
  for (int64_t i = 0; i < zeros.size() && t.dtype() != DType::kString; ++i) zeros.Set(i, 0);
  return Compose(c, "Concat", {t, zeros}, {{"axis", int64_t{0}, {}}});
}

Status EvalScan(KernelContext& c) {
  bool batched = c.spec().since < 9;
  KernelContext::Body body = TRY(c.MakeBody("body"));
  ScanShape s = ShapeOf(c, batched, c.node().inputs.size(), body.outputs());
  if (s.scans == 0 || body.outputs() < s.states || static_cast<int>(body.outputs()) < c.outputs()) {
    return Invalid("the body's outputs do not fit the node");
  }
  std::vector<Tensor> states, scanned;
  for (size_t k = 0; k < s.states + s.scans; ++k) {
    int i = s.first + static_cast<int>(k);
    if (!c.Has(i)) return Invalid("input " + std::to_string(i) + " is missing");
    (k < s.states ? states : scanned).push_back(c.in(i));
  }
  std::vector<Tensor> result;
  if (!batched) {
    int64_t length = TRY(LengthOf(s, scanned));
    result = TRY(ScanOnce(c, body, s, std::move(states), scanned, length));
  } else {
    int64_t batch = scanned[0].rank() > 0 ? scanned[0].dim(0) : 0;
    std::vector<std::vector<Tensor>> rows(body.outputs());
    for (int64_t b = 0; b < batch; ++b) {
      std::vector<Tensor> own_states, own_scanned;
      for (const Tensor& t : states) own_states.push_back(TRY(SliceAt(c, t, 0, b)));
      for (const Tensor& t : scanned) own_scanned.push_back(TRY(SliceAt(c, t, 0, b)));
      int64_t longest = TRY(LengthOf(s, own_scanned)), length = longest;
      if (c.Has(0) && b < c.in(0).size()) length = std::clamp<int64_t>(c.in(0).AsInt(b), 0, longest);
      std::vector<Tensor> out = TRY(ScanOnce(c, body, s, std::move(own_states), own_scanned, length));
      for (size_t k = 0; k < out.size(); ++k) {
        Tensor row = out[k];
        if (k >= s.states) row = TRY(Padded(c, out[k], longest - length));
        rows[k].push_back(std::move(row));
      }
    }
    if (batch == 0) return Unsupported("a scan over an empty batch");
    for (const std::vector<Tensor>& row : rows) result.push_back(TRY(Stack(c, row, 0)));
  }
  for (int i = 0; i < c.outputs(); ++i) c.Set(i, result[static_cast<size_t>(i)]);
  return {};
}

// ---- SequenceMap: the body for every item of the first sequence ----
void SequenceMapRule(RuleContext& c) {
  std::vector<TypeInfo> given;
  for (int i = 0; i < c.inputs(); ++i) {
    const TypeInfo& t = c.type(i);
    bool sequence = t.dtype == kSequence && !t.of.empty();
    given.push_back(sequence ? ItemOf(t) : t);
  }
  std::vector<TypeInfo> made = c.Body("body", given);
  for (int i = 0; i < c.outputs(); ++i) {
    bool known = static_cast<size_t>(i) < made.size();
    c.Out(i, ListOfItems(kSequence, known ? made[static_cast<size_t>(i)] : TypeInfo{}));
  }
}

Status EvalSequenceMap(KernelContext& c) {
  KernelContext::Body body = TRY(c.MakeBody("body"));
  int64_t length = c.in(0).size();
  if (static_cast<int>(body.outputs()) < c.outputs()) return Invalid("the body has fewer outputs than the node");
  std::vector<std::vector<Tensor>> made(body.outputs());
  for (int64_t i = 0; i < length; ++i) {
    std::vector<Tensor> in;
    for (size_t k = 0; k < c.node().inputs.size(); ++k) {
      const Tensor& t = c.in(static_cast<int>(k));
      if (t.dtype() == kSequence && t.size() != length) return Invalid("the sequences differ in length");
      in.push_back(t.dtype() == kSequence ? t.items()[static_cast<size_t>(i)] : t);
    }
    std::vector<Tensor> out = TRY(body.Run(std::move(in)));
    for (size_t k = 0; k < out.size(); ++k) made[k].push_back(out[k]);
  }
  for (int i = 0; i < c.outputs(); ++i) {
    size_t k = static_cast<size_t>(i);
    DType of = made[k].empty() ? body.output_dtype(k) : made[k][0].dtype();
    c.Set(i, Tensor::List(kSequence, {of}, std::move(made[k])));
  }
  return {};
}

// What branches and bodies take and give from a version on: lists are values since opset 13, optionals since 16.
constexpr DTypeSet ValuesAt(int version) {
  if (version < 13) return kAll7;
  return version < 16 ? kAll7 | kSequences : AllTypesAt(version) | kSequences | kOptionals;
}

}  // namespace

std::vector<OpSpec> ops_control_flow() {
  constexpr uint32_t kTraits = kRunsGraphs | kNotGenerated;
  OpSpec branch = Op("If", 1)
                      .In("cond", "B", Bit(DType::kBool))
                      .Out("outputs", "V", kAll7, Arity::kVariadic)
                      .Attr(GraphAttr("then_branch"))
                      .Attr(GraphAttr("else_branch"))
                      .Rule(IfRule)
                      .Eval(EvalIf)
                      .Traits(kTraits)
                      .Class(Accuracy::kExact);
  OpSpec loop = Op("Loop", 1)
                    .In("M", "I", Bit(DType::kInt64), Arity::kOptional)
                    .In("cond", "B", Bit(DType::kBool), Arity::kOptional)
                    .In("v_initial", "V", kAll7, Arity::kVariadic, false)
                    .Out("v_final_and_scan_outputs", "V", kAll7, Arity::kVariadic)
                    .Attr(GraphAttr("body"))
                    .Rule(LoopRule)
                    .Eval(EvalLoop)
                    .Traits(kTraits)
                    .Class(Accuracy::kExact);
  auto scan = [&](int since) {
    OpSpec row = Op("Scan", since);
    if (since < 9) row.In("sequence_lens", "I", Bit(DType::kInt64), Arity::kOptional);
    row.In("initial_state_and_scan_inputs", "V", kAll7, Arity::kVariadic, false)
        .Out("final_state_and_scan_outputs", "V", kAll7, Arity::kVariadic)
        .Attr(GraphAttr("body"))
        .Attr({"num_scan_inputs", AttrType::kInt, true, std::nullopt, {}});
    if (since < 9) row.Ints("directions");
    else row.Ints("scan_input_axes").Ints("scan_input_directions").Ints("scan_output_axes").Ints("scan_output_directions");
    return row.Rule(ScanRule).Eval(EvalScan).Traits(kTraits).Class(Accuracy::kExact);
  };
  std::vector<OpSpec> rows = {branch, loop, scan(8), scan(9)};
  for (int version : kLaterVersions) {
    rows.push_back(branch.Since(version).Types("V", ValuesAt(version)));
    rows.push_back(loop.Since(version).Types("V", ValuesAt(version)));
    if (version != 13) rows.push_back(scan(9).Since(version).Types("V", ValuesAt(version) & kTensors));
  }
  rows.push_back(Op("SequenceMap", 17)
                     .In("input_sequence", "S", kSequences)
                     .In("additional_inputs", "V", kAll7 | kSequences, Arity::kVariadic, false)
                     .Out("out_sequence", "S", kSequences, Arity::kVariadic)
                     .Attr(GraphAttr("body"))
                     .Rule(SequenceMapRule)
                     .Eval(EvalSequenceMap)
                     .Traits(kTraits)
                     .Class(Accuracy::kExact));
  return rows;
}

}  // namespace assay
