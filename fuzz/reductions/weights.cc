// Reductions of constants: values that a person can read.
#include <algorithm>

#include "fuzz/reduce.h"

namespace assay {
namespace {

// What a constant can become, simplest first. "ramp" is 1,2,..,5 repeated: positive (a variance
// stays one) and not uniform (a permutation stays visible).
constexpr const char* kKinds[] = {"zeros", "ones", "ramp"};
constexpr int kRampLength = 5;

double ValueOf(const std::string& kind, int64_t i) {
  return kind == "zeros" ? 0 : kind == "ones" ? 1 : static_cast<double>(1 + i % kRampLength);
}
int DetailOf(double v) { return v == 0 ? 0 : v == 1 ? 1 : 2; }

bool Simplifies(const Tensor& t, const std::string& kind) {
  if (!IsFloat(t.dtype()) || t.size() == 0) return false;
  Model before, after;
  before.graph.initializers.push_back({"t", t, ""});
  int64_t detail = 0;
  for (int64_t i = 0; i < t.size(); ++i) detail += DetailOf(ValueOf(kind, i));
  return detail < SizeOf(before).detail;
}

std::vector<Site> WeightSites(const Subject& s) {
  std::vector<Site> sites;
  for (const Initializer& i : s.model.graph.initializers) {
    if (s.model.graph.FindInput(i.name)) continue;
    for (const char* kind : kKinds) {
      if (Simplifies(i.value, kind)) sites.push_back({i.name, kind});
    }
  }
  return sites;
}

Result<Model> Simplify(const Subject& s, const Site& site) {
  const Initializer* old = s.model.graph.FindInitializer(site.node);
  bool known = std::find(std::begin(kKinds), std::end(kKinds), site.argument) != std::end(kKinds);
  if (!old || !known || !Simplifies(old->value, site.argument))
    return Invalid("not simpler", site.ToString());
  Tensor t = TRY(Tensor::Make(old->value.dtype(), old->value.shape()));
  for (int64_t i = 0; i < t.size(); ++i) t.Set(i, ValueOf(site.argument, i));
  Model m = s.model;
  m.graph.SetInitializer(site.node, std::move(t));
  return m;
}

}  // namespace

std::vector<Transform> reductions_weights() {
  Transform row = ReductionRow("simplify_weight", 7,
                               "Replaces a constant by zeros, ones or small integers.", "");
  row.sites = WeightSites;
  row.apply = Simplify;
  return {row};
}

}  // namespace assay
