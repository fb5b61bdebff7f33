// If, Loop and Scan. Bodies are built and accepted as ordinary nodes first (body.h), so that what
// stands in the branch not taken is sound too.
#include "gen/body.h"
#include "gen/motifs/growth.h"

namespace assay {
namespace {

constexpr DTypeSet kReals = Bit(DType::kFloat) | Bit(DType::kDouble);

// A scalar bool: of the data, a constant, or a graph input.
int Condition(Sketch& s, int x) {
  switch (s.choices().Below(4)) {
    case 0:
      return s.Constant(ScalarOf(DType::kBool, static_cast<double>(s.choices().Below(2))));
    case 1:
      return s.builder().AddInput(s.choices(), DType::kBool, {});
    default:
      return AddCondition(s.choices(), s.builder(), x);
  }
}

BodySpec Begin(Sketch& s, const char* what) {
  GraphBuilder::Mark here = s.builder().Here();
  BodySpec spec{here, here, BodyPrefix(s.builder(), what), {}, {}, false};
  spec.captured_constants = s.choices().Chance(0.3);
  return spec;
}

AttrValue Body(Sketch& s, const BodySpec& spec) {
  return std::make_shared<const Graph>(TakeBody(s.builder(), spec));
}

// Branches of an If that give what `outputs` adds to the graph. What is captured in the one that
// the first sample does not take would not count.
template <typename Outputs>
std::vector<Attribute> Branches(Sketch& s, int condition, Outputs outputs) {
  std::vector<Attribute> attrs;
  for (bool then : {true, false}) {
    BodySpec spec = Begin(s, then ? "then" : "else");
    spec.captured_constants &= (s.value(condition).samples[0].native.AsDouble(0) != 0) == then;
    spec.outputs = outputs();
    attrs.push_back({then ? "then_branch" : "else_branch", Body(s, spec), {}});
  }
  return attrs;
}

// Both branches capture x; one may give it as it is.
int If(Sketch& s, int x) {
  int condition = Condition(s, x);
  if (condition < 0) return Sketch::kRefused;
  int64_t least = 0;
  auto attrs = Branches(s, condition, [&] {
    int64_t steps = s.choices().Between(least, 2);
    least = steps == 0 ? 1 : 0;
    return std::vector<int>{GrowKeeping(s, x, steps)};
  });
  return AddWithBodies(s.builder(), "If", {condition}, std::move(attrs));
}

// Branches that give several values, made of one another.
int IfOfTwo(Sketch& s, int x) {
  int condition = Condition(s, x), other = s.Node("Abs", {x});
  if (condition < 0 || other < 0) return Sketch::kRefused;
  auto attrs = Branches(s, condition, [&] {
    std::vector<int> given = {GrowKeeping(s, x, 1), GrowKeeping(s, other, 1)};
    if (s.choices().Chance(0.3)) std::swap(given[0], given[1]);
    return given;
  });
  int first = AddWithBodies(s.builder(), "If", {condition}, std::move(attrs), 2);
  if (first < 0) return Sketch::kRefused;
  return s.choices().Chance(0.5) ? first : s.Node("Sub", {first, first + 1});
}

// How often a loop runs: a constant, or the first extent of x (1 to 4 times).
int Trips(Sketch& s, int x) {
  if (s.shape(x)[0] <= 4 && s.choices().Chance(0.3)) {
    int place = s.Constant(ScalarOf(DType::kInt64, 0));
    return s.Node("Gather", {s.Node("Shape", {x}), place}, {{"axis", 0}});
  }
  return s.Constant(ScalarOf(DType::kInt64, static_cast<double>(s.choices().Between(1, 4))));
}

// state = tanh(f(state) + i / 10), or the state plus what it captures.
int NextState(Sketch& s, int state, int iteration, int captured) {
  int y = GrowKeeping(s, state, 1);
  if (s.choices().Chance(0.5)) y = s.Node("Add", {y, captured});
  if (iteration >= 0 && s.choices().Chance(0.6)) {
    int i = s.Node("Cast", {iteration}, {{"to", static_cast<int64_t>(s.dtype(state))}});
    y = s.Node("Add", {y, s.Node("Mul", {i, s.Scalar(state, 0.1)})});
  }
  return s.Node(s.choices().PickOf({"Tanh", "Sigmoid", "Softsign"}), {y});
}

// A loop with one state and, now and then, a value collected from each iteration. It counts its
// trips, or goes on while a number is small.
int Loop(Sketch& s, int x) {
  GraphBuilder& b = s.builder();
  bool counts = s.choices().Chance(0.6), collects = s.choices().Chance(0.5);
  int trips = counts ? Trips(s, x) : Sketch::kAbsent;
  if (trips == Sketch::kRefused) return trips;
  int go_on =
      counts && s.choices().Chance(0.5) ? Sketch::kAbsent : s.Constant(ScalarOf(DType::kBool, 1));
  BodySpec spec = Begin(s, "loop");
  // What iteration 0 is multiplied by would not count in a single one.
  spec.captured_constants &= counts && s.value(trips).samples[0].native.AsDouble(0) > 1;
  int iteration = s.Constant(ScalarOf(DType::kInt64, 1)),
      condition = s.Constant(ScalarOf(DType::kBool, 1));
  int state = s.Node("Identity", {x});  // the state, beside x, which the body may capture
  if (state < 0) return state;
  spec.inputs = {{iteration, b.value(iteration).type()},
                 {condition, b.value(condition).type()},
                 {state, b.value(state).type()}};
  spec.mark = b.Here();
  int last =
      counts ? condition
             : s.Node("Less",
                      {iteration, s.Constant(ScalarOf(DType::kInt64,
                                                      static_cast<double>(s.choices().Below(4))))});
  int next = NextState(s, state, iteration, x);
  if (last < 0 || next < 0) return Sketch::kRefused;
  spec.outputs = {last, next};
  if (collects) spec.outputs.push_back(s.choices().Chance(0.5) ? state : GrowKeeping(s, next, 1));
  Attribute body = {"body", Body(s, spec), {}};
  int first = AddWithBodies(b, "Loop", {trips, go_on, x}, {std::move(body)}, collects ? 2 : 1);
  if (first < 0) return Sketch::kRefused;
  return collects && s.choices().Chance(0.5) ? first + 1 : first;
}

// state = tanh(state * w + slice) along an axis, forwards or backwards; the states are stacked.
int Scan(Sketch& s, int x) {
  GraphBuilder& b = s.builder();
  int64_t axis = s.choices().Chance(0.6) ? 0 : s.choices().Between(0, s.rank(x) - 1);
  Shape slice = s.shape(x);
  slice.erase(slice.begin() + axis);
  int initial = s.Weight(x, slice, 0.5);
  BodySpec spec = Begin(s, "scan");
  int item = s.Node("Gather", {x, s.Constant(ScalarOf(DType::kInt64, 0))}, {{"axis", axis}});
  int state = s.Constant(DrawWeight(s.choices(), s.dtype(x), slice, {}, 0.5));
  if (item < 0) return item;
  spec.inputs = {{state, b.value(state).type()}, {item, b.value(item).type()}};
  spec.mark = b.Here();
  int next =
      NextState(s, s.Node("Add", {s.Node("Mul", {state, s.Scalar(x, 0.5)}), item}), -1, item);
  if (next < 0) return next;
  spec.outputs = {next, s.choices().Chance(0.5) ? next : GrowKeeping(s, next, 1)};
  std::vector<Attribute> attrs = {{"body", Body(s, spec), {}}, {"num_scan_inputs", int64_t{1}, {}}};
  if (axis != 0) attrs.push_back({"scan_input_axes", Shape{axis}, {}});
  if (s.choices().Chance(0.3)) attrs.push_back({"scan_input_directions", Shape{1}, {}});
  if (s.choices().Chance(0.3)) attrs.push_back({"scan_output_directions", Shape{1}, {}});
  if (s.choices().Chance(0.3)) attrs.push_back({"scan_output_axes", Shape{s.rank(x) - 1}, {}});
  int first = AddWithBodies(b, "Scan", {initial, x}, std::move(attrs), 2);
  return first < 0 ? Sketch::kRefused : first + 1;
}

// An If in the body of a Loop, or the other way round.
int Nested(Sketch& s, int x) {
  int condition = AddCondition(s.choices(), s.builder(), x);
  if (condition < 0) return Sketch::kRefused;
  auto attrs = Branches(s, condition, [&] {
    GraphBuilder::Mark here = s.builder().Here();
    int y = s.choices().Chance(0.6) ? Loop(s, x) : If(s, x);
    if (y >= 0 && s.shape(y) == s.shape(x)) return std::vector<int>{y};
    s.builder().Rollback(here);
    return std::vector<int>{x};
  });
  return AddWithBodies(s.builder(), "If", {condition}, std::move(attrs));
}

}  // namespace

std::vector<Motif> motifs_control_flow() {
  auto row = [](const char* name, const char* doc, int (*build)(Sketch&, int), int since,
                int min_rank) {
    return Motif{.name = name,
                 .doc = doc,
                 .tags = kControlFlow,
                 .types = kReals,
                 .min_rank = min_rank,
                 .since = since,
                 .build = build};
  };
  return {row("if", "branches that capture a value", If, 11, 0),
          row("if_of_two", "branches with two outputs", IfOfTwo, 11, 0),
          row("loop", "a loop with a state and collected values", Loop, 11, 1),
          row("scan", "a Scan along an axis", Scan, 11, 2),
          row("nested", "control flow in control flow", Nested, 11, 1)};
}

}  // namespace assay
