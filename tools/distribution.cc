#include "tools/distribution.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace assay {
namespace {

constexpr int kRounds = 64;
constexpr double kTolerance = 1e-3;  // of values that are discrete but computed

// What many draws of one element look like.
struct Element {
  double lo = INFINITY, hi = -INFINITY, sum = 0, squares = 0;
  std::set<double> values;  // at most 3

  void Add(double v) {
    lo = std::min(lo, v), hi = std::max(hi, v);
    sum += v, squares += v * v;
    if (values.size() < 3) values.insert(v);
  }
  double mean() const { return sum / kRounds; }
  double variance() const { return std::max(0.0, squares / kRounds - mean() * mean()); }
  bool Allows(double v) const {
    if (values.size() > 2) return v >= lo - (hi - lo) && v <= hi + (hi - lo);
    return std::any_of(values.begin(), values.end(), [&](double known) {
      return std::fabs(v - known) <= kTolerance * std::max(1.0, std::fabs(known));
    });
  }
};

std::string CompareOutput(const std::vector<Tensor>& draws, const Tensor& want) {
  const Tensor& first = draws[0];
  if (first.dtype() != want.dtype() || first.shape() != want.shape())
    return "got " + first.TypeString() + ", want " + want.TypeString();
  if (want.dtype() == DType::kString) return "random strings";
  double difference = 0, variance = 0;
  for (int64_t i = 0; i < want.size(); ++i) {
    Element e;
    for (const Tensor& t : draws) e.Add(t.AsDouble(i));
    double v = want.AsDouble(i);
    if (!e.Allows(v))
      return "element " + std::to_string(i) + " is " + std::to_string(v) + ", which is never drawn";
    difference += v - e.mean();
    // The mean of our own draws is not exact either.
    variance += e.variance() * (1 + 1.0 / kRounds);
  }
  constexpr double kDeviations = 5;
  if (std::fabs(difference) >
      kDeviations * std::sqrt(variance) + kTolerance * static_cast<double>(want.size()))
    return "the mean is not that of the distribution";
  return "";
}

}  // namespace

std::optional<Model> Reseeded(const Model& model, int round) {
  Model seeded = model;
  bool any = false;
  for (size_t i = 0; i < seeded.graph.nodes.size(); ++i) {
    const Node& old = *seeded.graph.nodes[i];
    Result<const OpSpec*> row = RowFor(model, old);
    const AttrSpec* seed = row.ok() ? (*row)->FindAttr("seed") : nullptr;
    if (!seed) continue;
    uint64_t value = MixSeeds(static_cast<uint64_t>(round), i) >> 44;  // exact as a float
    auto node = std::make_shared<Node>(old);
    if (seed->type == AttrType::kFloat)
      node->Set("seed", static_cast<float>(value));
    else
      node->Set("seed", static_cast<int64_t>(value));
    seeded.graph.nodes[i] = node;
    any = true;
  }
  if (!any) return std::nullopt;
  return seeded;
}

Result<std::string> DistributionMismatch(const Model& model, const std::vector<Tensor>& inputs,
                                         const ExecOptions& options,
                                         const std::vector<Tensor>& want,
                                         std::vector<bool>* fixed) {
  std::vector<std::vector<Tensor>> draws(want.size());
  fixed->assign(want.size(), true);
  for (int round = 0; round < kRounds; ++round) {
    std::optional<Model> seeded = Reseeded(model, round);
    if (!seeded) return std::string();
    Execution run = TRY(Run(*seeded, inputs, options));
    for (size_t j = 0; j < want.size(); ++j) {
      if (round > 0 && !run.outputs[j].Identical(draws[j][0])) (*fixed)[j] = false;
      draws[j].push_back(run.outputs[j]);
    }
  }
  for (size_t j = 0; j < want.size(); ++j) {
    if ((*fixed)[j]) continue;
    std::string mismatch = CompareOutput(draws[j], want[j]);
    if (!mismatch.empty()) return "output '" + model.graph.outputs[j].name + "': " + mismatch;
  }
  return std::string();
}

}  // namespace assay
