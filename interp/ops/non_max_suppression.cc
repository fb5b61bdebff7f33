// NonMaxSuppression (ONNX opset 10, 11): for each batch and class the boxes by falling score,
// without those that overlap a better one by more than iou_threshold. boxes [B,N,4], scores
// [B,C,N]; output [K,3] of batch, class, box.
#include <numeric>

#include "interp/draw.h"
#include "interp/ops/sampling.h"

namespace assay {
namespace {

enum Input { kBoxes, kScores, kMost, kOverlap, kScore };

void SuppressionRule(RuleContext& c) {
  c.Out(0, DType::kInt64, {Dim::Unknown(), Dim(3)});
  int64_t center = c.IntValue("center_point_box");
  c.Require(center == 0 || center == 1, "center_point_box is 0 or 1");
  for (int i : {kMost, kOverlap, kScore}) {
    if (c.Has(i) && c.Ranked(i))
      c.Require(Product(c.Dims(i)) == Dim(1), "the thresholds are scalars");
  }
  if (!c.Ranked(kBoxes) || !c.Ranked(kScores)) return;
  c.Require(c.Rank(kBoxes) == 3 && c.Rank(kScores) == 3, "boxes is [B,N,4] and scores [B,C,N]");
  if (c.failed()) return;
  c.Require(c.In(kBoxes, 2) == Dim(4) && c.In(kBoxes, 0) == c.In(kScores, 0) &&
                c.In(kBoxes, 1) == c.In(kScores, 2),
            "boxes is [B,N,4] and scores [B,C,N]");
}

struct Box {
  double y1, x1, y2, x2;
  double area() const { return (y2 - y1) * (x2 - x1); }
};

Box BoxAt(const double* p, bool center) {
  if (center) return {p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2};
  return {std::min(p[0], p[2]), std::min(p[1], p[3]), std::max(p[0], p[2]), std::max(p[1], p[3])};
}

bool Overlap(const Box& a, const Box& b, double threshold) {
  double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1),
         width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  if (!(height > 0 && width > 0) || !(a.area() > 0 && b.area() > 0)) return false;
  double both = height * width;
  return both / (a.area() + b.area() - both) > threshold;
}

Status EvalSuppression(KernelContext& c) {
  const Shape& s = c.in(kScores).shape();
  const int64_t batches = s[0], classes = s[1], n = s[2];
  std::vector<double> boxes = TRY(RealInput(c, kBoxes)), scores = TRY(RealInput(c, kScores)),
                      overlap = {0}, least;
  if (c.Has(kOverlap)) overlap = TRY(RealInput(c, kOverlap));
  if (c.Has(kScore)) least = TRY(RealInput(c, kScore));
  const int64_t most = c.Has(kMost) ? std::max<int64_t>(c.in(kMost).AsInt(0), 0) : 0;
  TRY(c.Charge({batches, classes, std::max<int64_t>(n, 1), std::min(most, n)}));
  const bool center = c.Int("center_point_box") == 1;
  std::vector<int64_t> found, order(static_cast<size_t>(n)), kept;
  for (int64_t k = 0; k < batches * classes; ++k) {
    const double* score = scores.data() + k * n;
    auto box = [&](int64_t i) { return BoxAt(boxes.data() + (k / classes * n + i) * 4, center); };
    std::iota(order.begin(), order.end(), 0);
    // NaN last: a comparison that it breaks would make the order undefined.
    auto rank = [&](int64_t i) {
      return std::isnan(score[i]) ? -std::numeric_limits<double>::infinity() : score[i];
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t i, int64_t j) { return rank(i) > rank(j); });
    kept.clear();
    for (int64_t i : order) {
      if (static_cast<int64_t>(kept.size()) >= most) break;
      if (!least.empty() && !(score[i] > least[0])) continue;
      Box candidate = box(i);
      bool hidden = std::any_of(kept.begin(), kept.end(),
                                [&](int64_t j) { return Overlap(candidate, box(j), overlap[0]); });
      if (hidden) continue;
      kept.push_back(i);
      found.insert(found.end(), {k / classes, k % classes, i});
    }
  }
  Tensor* y = TRY(c.Out(0, {static_cast<int64_t>(found.size()) / 3, 3}));
  std::copy(found.begin(), found.end(), y->mutable_data<int64_t>());
  return {};
}

// Boxes and scores are constants: how many boxes are left depends on them.
bool DrawSuppression(Choices& choices, Draft& d) {
  d.attrs.clear();
  int64_t batches = choices.Between(1, 2), classes = choices.Between(1, 2),
          n = choices.Between(4, 8);
  MaybeSet(choices, d, "center_point_box");
  Tensor boxes = Tensor::Make(DType::kFloat, {batches, n, 4}).value();
  // Where overlapping boxes may stay they lie close; else far enough for some to stay.
  const bool overlap = choices.Chance(0.5);
  for (int64_t i = 0; i < batches * n * 2; ++i) {
    // Corners (a pair at either end) or a middle and extents, either way of positive area.
    double from = choices.Uniform(0, overlap ? 2 : 8);
    bool turned = choices.Chance(0.2);
    boxes.Set(i / 2 * 4 + i % 2 + (turned ? 2 : 0), from);
    boxes.Set(i / 2 * 4 + i % 2 + (turned ? 0 : 2), from + choices.Uniform(0.5, 3));
  }
  d.SetConstant(kBoxes, boxes);
  d.SetConstant(kScores, UniformConstant(choices, DType::kFloat, {batches, classes, n}, 0, 1));
  d.SetConstant(kMost, Tensor::Vector({choices.Between(1, 3)}));
  if (overlap) d.SetConstant(kOverlap, UniformConstant(choices, DType::kFloat, {1}, 0.1, 0.9));
  if (overlap && choices.Chance(0.5))
    d.SetConstant(kScore, UniformConstant(choices, DType::kFloat, {1}, 0.2, 0.6));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_non_max_suppression() {
  constexpr DTypeSet kFloatSet = Bit(DType::kFloat);
  OpSpec row = Op("NonMaxSuppression", 10)
                   .In("boxes", "", kFloatSet)
                   .In("scores", "", kFloatSet)
                   .In("max_output_boxes_per_class", "", Bit(DType::kInt64), Arity::kOptional)
                   .In("iou_threshold", "", kFloatSet, Arity::kOptional)
                   .In("score_threshold", "", kFloatSet, Arity::kOptional)
                   .Out("selected_indices", "", Bit(DType::kInt64))
                   .Parameter("boxes")
                   .Parameter("scores")
                   .Parameter("iou_threshold")
                   .Parameter("score_threshold")
                   .Int("center_point_box", 0, {.lo = 0, .hi = 1})
                   .Rule(SuppressionRule)
                   .Eval(EvalSuppression)
                   .Draw(DrawSuppression)
                   .Traits(kDiscontinuous | kOnRequest)
                   .Class(Accuracy::kExact);
  OpSpec later = row.Since(11);
  row.Example(
      "graph(float[1,3,4] b, float[1,1,3] s) -> (y) { m = int64[] {2} y = NonMaxSuppression(b, s, "
      "m) "
      "}");
  return {row, later};
}

}  // namespace assay
