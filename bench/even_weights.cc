// Measures the shares of the operators in models of profile everything and prints
// gen/even_weights.inc anew, one step nearer to equal shares:
//   bench_even_weights [MODELS] > gen/even_weights.inc
// A few steps, with the build between them, are enough.
#include "gen/even_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <vector>

#include "gen/catalog.h"
#include "gen/recipe.h"
#include "interp/infer.h"

using namespace assay;

namespace {

std::string NameOf(const std::string& domain, const std::string& op) {
  return domain.empty() ? op : domain + "." + op;
}

std::set<std::string> Drawn() {
  std::set<std::string> names;
  for (int opset = kFirstGeneratedOpset; opset <= kNewestOpset; ++opset) {
    for (const Row& row : Catalog::Of(opset, true).rows())
      names.insert(NameOf(row.spec->domain, row.spec->name));
  }
  return names;
}

}  // namespace

int main(int argc, char** argv) {
  Recipe recipe;
  recipe.seed = 20;  // not one that shares are reported for
  recipe.nodes = 15;
  recipe.profile = "everything";
  const uint64_t models = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000;
  std::map<std::string, double> count;
  double nodes = 0;
  for (recipe.index = 0; recipe.index < models; ++recipe.index) {
    Result<Generated> g = Make(recipe, OptionsOf(recipe).value());
    if (!g.ok()) continue;
    for (const NodePtr& n : g->model.graph.nodes) ++count[NameOf(n->domain, n->op)], ++nodes;
  }
  const std::set<std::string> drawn = Drawn();
  const double wanted = nodes / static_cast<double>(count.size());
  std::map<std::string, double> weights;
  std::vector<double> sorted;
  for (const std::string& name : drawn) {
    constexpr double kDamped = 0.7;  // what one operator gains others lose
    double step = std::pow(wanted / std::max(count[name], 1.0), kDamped);
    weights[name] = EvenWeight(name) * std::clamp(step, 0.5, 2.0);
    sorted.push_back(weights[name]);
  }
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
  const double usual = sorted[sorted.size() / 2];  // becomes 1
  for (const auto& [name, weight] : weights)
    fmt::print("{{\"{}\", {:.2f}}},\n", name, std::clamp(weight / usual, 0.05, 50.0));
  auto share = [&](auto it) {
    return fmt::format("{} {:.3f} %", it->first, 100 * it->second / nodes);
  };
  auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
  fmt::print(stderr, "{} nodes, {} operators, lowest {}, highest {}\n", nodes, count.size(),
             share(std::min_element(count.begin(), count.end(), by_count)),
             share(std::max_element(count.begin(), count.end(), by_count)));
}
