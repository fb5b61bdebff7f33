// TreeEnsemble (ai.onnx.ml version 5): each row of X [N,F] falls through every tree to a leaf,
// whose weight is added to (or compared with) a target of Y [N,n_targets]; then post_transform over
// the targets.
#include "interp/draw.h"
#include "interp/ops/sampling.h"

namespace assay {
namespace {

constexpr char kMl[] = "ai.onnx.ml";
constexpr DTypeSet kReals = Bit(DType::kFloat) | Bit(DType::kDouble) | Bit(DType::kFloat16);
enum Mode : uint8_t { kLeq, kLt, kGte, kGt, kEq, kNeq, kMember };
enum Aggregate : int64_t { kAverage, kSum, kMin, kMax };
enum Transform : int64_t { kNone, kSoftmax, kLogistic, kSoftmaxZero, kProbit };

Tensor TensorOf(const Node& node, const char* name) {
  const AttrValue* v = node.Find(name);
  return v ? std::get<Tensor>(*v) : Tensor();
}

// The forest as a node's attributes hold it, checked: every reference is within its list, and no
// tree has a cycle (children come behind their parents, or the walk is bounded by the number of
// nodes).
struct Forest {
  std::vector<int64_t> features, yes, no, yes_is_leaf, no_is_leaf, leaf_targets, roots;
  std::vector<int64_t> missing_is_yes;       // nodes that take NaN for true; may be empty
  std::vector<std::vector<double>> members;  // of kMember nodes, by node
  Tensor modes, splits, weights;
  int64_t targets = 0;

  int64_t size() const { return static_cast<int64_t>(features.size()); }
};

std::string Load(const Node& node, Forest* f) {
  f->features = node.Ints("nodes_featureids");
  f->yes = node.Ints("nodes_truenodeids"), f->no = node.Ints("nodes_falsenodeids");
  f->yes_is_leaf = node.Ints("nodes_trueleafs"), f->no_is_leaf = node.Ints("nodes_falseleafs");
  f->leaf_targets = node.Ints("leaf_targetids"), f->roots = node.Ints("tree_roots");
  f->modes = TensorOf(node, "nodes_modes"), f->splits = TensorOf(node, "nodes_splits");
  f->weights = TensorOf(node, "leaf_weights");
  f->targets = node.Int("n_targets", 1);
  f->missing_is_yes = node.Ints("nodes_missing_value_tracks_true");
  f->missing_is_yes.resize(f->features.size(), 0);
  const int64_t n = f->size(), leaves = static_cast<int64_t>(f->leaf_targets.size());
  auto as_many = [&](const std::vector<int64_t>& v) { return static_cast<int64_t>(v.size()) == n; };
  if (!as_many(f->yes) || !as_many(f->no) || !as_many(f->yes_is_leaf) || !as_many(f->no_is_leaf) ||
      n == 0)
    return "the lists of nodes are equally long";
  if (!f->modes.defined() || f->modes.dtype() != DType::kUint8 || f->modes.size() != n ||
      !f->splits.defined() || !IsFloat(f->splits.dtype()) || f->splits.size() != n)
    return "every node has a mode and a split";
  if (!f->weights.defined() || !IsFloat(f->weights.dtype()) || f->weights.size() != leaves)
    return "every leaf has a weight";
  if (f->targets < 1) return "there is a target";
  for (int64_t t : f->leaf_targets) {
    if (t < 0 || t >= f->targets) return "leaves belong to targets";
  }
  for (int64_t r : f->roots) {
    if (r < 0 || r >= n) return "roots are nodes";
  }
  for (int64_t i = 0; i < n; ++i) {
    if (f->features[i] < 0 || f->modes.AsInt(i) > kMember) return "nodes compare a feature";
    for (auto [child, leaf] :
         {std::pair(f->yes[i], f->yes_is_leaf[i]), std::pair(f->no[i], f->no_is_leaf[i])}) {
      if (child < 0 || child >= (leaf != 0 ? leaves : n)) return "children are nodes or leaves";
    }
  }
  return "";
}

// membership_values: for each kMember node its values, ended by NaN.
std::string LoadMembers(const Node& node, Forest* f) {
  f->members.resize(static_cast<size_t>(f->size()));
  Tensor values = TensorOf(node, "membership_values");
  int64_t at = 0, count = values.defined() && IsFloat(values.dtype()) ? values.size() : 0;
  for (int64_t i = 0; i < f->size(); ++i) {
    if (f->modes.AsInt(i) != kMember) continue;
    while (at < count && !std::isnan(values.AsDouble(at)))
      f->members[i].push_back(values.AsDouble(at++));
    if (at++ >= count) return "every set of members ends with NaN";
  }
  return "";
}

void EnsembleRule(RuleContext& c) {
  Forest f;
  std::string failure = Load(c.node(), &f);
  if (failure.empty()) failure = LoadMembers(c.node(), &f);
  c.Require(failure.empty(), "the lists of nodes and leaves make a forest");
  int64_t aggregate = c.IntValue("aggregate_function"), transform = c.IntValue("post_transform");
  c.Require(aggregate >= kAverage && aggregate <= kMax, "aggregate_function is 0 to 3");
  c.Require(transform >= kNone && transform <= kProbit, "post_transform is 0 to 4");
  c.OutUnranked(0, c.dtype(0));
  if (!c.Ranked(0) || c.failed()) return;
  c.Require(c.Rank(0) == 2, "X is [N,F]");
  if (c.failed()) return;
  for (int64_t feature : f.features)
    c.Require(Dim(feature) < c.In(0, 1), "nodes compare features of X");
  if (!c.failed()) c.Out(0, c.dtype(0), {c.In(0, 0), Dim(f.targets)});
}

bool Holds(const Forest& f, int64_t node, double x) {
  if (std::isnan(x) && f.missing_is_yes[node] != 0) return true;
  double split = f.splits.AsDouble(node);
  switch (f.modes.AsInt(node)) {
    case kLeq:
      return x <= split;
    case kLt:
      return x < split;
    case kGte:
      return x >= split;
    case kGt:
      return x > split;
    case kEq:
      return x == split;
    case kNeq:
      return x != split;
    default: {
      const std::vector<double>& m = f.members[node];
      return std::find(m.begin(), m.end(), x) != m.end();
    }
  }
}

// The leaf that a row falls to from a root. Error: Invalid for a walk longer than there are nodes.
Result<int64_t> LeafOf(const Forest& f, int64_t node, const double* row) {
  for (int64_t steps = 0; steps <= f.size(); ++steps) {
    // Older exporters write a tree of a single leaf as a node whose children are that leaf.
    bool yes = Holds(f, node, row[f.features[node]]);
    int64_t child = yes ? f.yes[node] : f.no[node];
    if ((yes ? f.yes_is_leaf[node] : f.no_is_leaf[node]) != 0) return child;
    node = child;
  }
  return Invalid("a tree has a cycle");
}

// The inverse of the error function (Winitzki), as ONNX's reference has it.
double InverseErf(double x) {
  constexpr double kPi = 3.14159265358979323846, kA = 0.147;
  double l = std::log((1 - x) * (1 + x)), v = 2 / (kPi * kA) + l / 2;
  return std::copysign(std::sqrt(std::sqrt(v * v - l / kA) - v), x);
}

void Transformed(int64_t transform, std::vector<double>& y) {
  double largest = *std::max_element(y.begin(), y.end()), sum = 0;
  switch (transform) {
    case kSoftmax:
    case kSoftmaxZero:
      for (double& v : y) {
        bool zero = transform == kSoftmaxZero && std::fabs(v) < 1e-7;
        v = zero ? 0 : std::exp(v - largest);
        sum += v;
      }
      for (double& v : y) v = sum == 0 ? 0 : v / sum;
      return;
    case kLogistic:
      for (double& v : y) v = 1 / (1 + std::exp(-v));
      return;
    case kProbit:
      for (double& v : y) v = 1.41421356237309504880 * InverseErf(2 * v - 1);
      return;
    default:
      return;
  }
}

Status EvalEnsemble(KernelContext& c) {
  Forest f;
  Load(c.node(), &f);
  LoadMembers(c.node(), &f);
  std::vector<double> x = TRY(RealInput(c, 0));
  Tensor* y = TRY(c.Out(0));
  const int64_t rows = c.in(0).dim(0), features = c.in(0).dim(1),
                aggregate = c.Int("aggregate_function");
  const int64_t trees = static_cast<int64_t>(f.roots.size());
  TRY(c.Charge({rows, std::max<int64_t>(trees, 1), f.size()}));
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<double> sum(static_cast<size_t>(f.targets), 0);
    std::vector<bool> seen(sum.size(), false);
    for (int64_t root : f.roots) {
      int64_t leaf = TRY(LeafOf(f, root, x.data() + r * features));
      int64_t target = f.leaf_targets[leaf];
      double w = f.weights.AsDouble(leaf);
      if (aggregate == kAverage)
        sum[target] += w / static_cast<double>(trees);
      else if (aggregate == kSum)
        sum[target] += w;
      else
        sum[target] = !seen[target]       ? w
                      : aggregate == kMin ? std::min(sum[target], w)
                                          : std::max(sum[target], w);
      seen[target] = true;
    }
    Transformed(c.Int("post_transform"), sum);
    for (int64_t t = 0; t < f.targets; ++t) y->Set(r * f.targets + t, sum[t]);
  }
  return {};
}

// Full trees of depth two over the features of X, with splits at thirds: no number that comes up by
// itself is there. No post_transform: ONNX Runtime 1.30 takes two targets for the classes of one then.
bool DrawEnsemble(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.size() != 2 || ElementsOfInput(d, 0) == 0) return false;
  const DType type = d.inputs[0].dtype;
  const int64_t features = d.shape(0)[1], trees = choices.Between(1, 3),
                targets = choices.Between(1, 3), nodes = 3 * trees, leaves = 4 * trees;
  std::vector<int64_t> feature, yes, no, yes_leaf, no_leaf, roots, target;
  for (int64_t t = 0; t < trees; ++t) {
    roots.push_back(3 * t);
    for (int64_t k = 0; k < 3; ++k) {
      feature.push_back(choices.Between(0, features - 1));
      yes.push_back(k == 0 ? 3 * t + 1 : 4 * t + 2 * (k - 1));
      no.push_back(k == 0 ? 3 * t + 2 : 4 * t + 2 * (k - 1) + 1);
      yes_leaf.push_back(k > 0);
      no_leaf.push_back(k > 0);
    }
  }
  for (int64_t l = 0; l < leaves; ++l) target.push_back(choices.Between(0, targets - 1));
  Tensor splits = Tensor::Make(type, {nodes}).value();
  for (int64_t i = 0; i < nodes; ++i)
    splits.Set(i, static_cast<double>(choices.Between(-4, 4)) / 3 + 0.1);
  d.Set("nodes_featureids", feature);
  d.Set("nodes_truenodeids", yes);
  d.Set("nodes_falsenodeids", no);
  d.Set("nodes_trueleafs", yes_leaf);
  d.Set("nodes_falseleafs", no_leaf);
  d.Set("leaf_targetids", target);
  d.Set("tree_roots", roots);
  d.Set("nodes_modes", IntegerConstant(choices, DType::kUint8, {nodes}, kLeq, kGt));
  d.Set("nodes_splits", splits);
  d.Set("leaf_weights", UniformConstant(choices, type, {leaves}, -2, 2));
  d.Set("n_targets", targets);
  MaybeSet(choices, d, "aggregate_function");
  return true;
}

}  // namespace

std::vector<OpSpec> ops_tree_ensemble() {
  OpSpec row = Op("TreeEnsemble", 5, kMl).In("X", "T", kReals).Out("Y", "T", kReals).Parameter("X");
  for (const char* name : {"nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids",
                           "nodes_trueleafs", "nodes_falseleafs", "leaf_targetids", "tree_roots"})
    row.Attr({name, AttrType::kInts, true, std::nullopt, {.lo = 0, .hi = 3}});
  for (const char* name : {"nodes_modes", "nodes_splits", "leaf_weights"})
    row.Attr({name, AttrType::kTensor, true, std::nullopt, {}});
  for (const char* name : {"membership_values", "nodes_hitrates"})
    row.Attr({name, AttrType::kTensor, false, std::nullopt, {}});
  row.Ints("nodes_missing_value_tracks_true")
      .Attr({"n_targets", AttrType::kInt, false, std::nullopt, {.lo = 1, .hi = 3}})
      .Int("aggregate_function", kSum, {.lo = 0, .hi = 3})
      .Int("post_transform", kNone, {.lo = 0, .hi = 4});
  return {row.Rule(EnsembleRule)
              .Eval(EvalEnsemble)
              .Draw(DrawEnsemble)
              .Traits(kDiscontinuous | kOnRequest)};
}

}  // namespace assay
