#include "gen/swarm.h"

#include <algorithm>

#include "gen/catalog.h"
#include "gen/motif.h"

namespace assay {
namespace {

constexpr size_t kLeastOperators = 12;

}  // namespace

GenOptions DrawSwarm(Choices& choices, const GenOptions& options) {
  GenOptions own = options;
  own.swarm = false;
  double keep = choices.PickOf({0.25, 0.5, 0.75, 1.0});
  std::vector<std::string> names;
  for (const Row& row : Catalog::Of(options.opset, options.anything).rows()) {
    if (options.Allows(row.spec->name)) names.push_back(row.spec->name);
  }
  choices.Shuffle(names);
  for (size_t i = kLeastOperators; i < names.size(); ++i) {
    bool wanted = std::count(options.sequence.begin(), options.sequence.end(), names[i]) > 0;
    if (!wanted && !choices.Chance(keep)) own.resting.push_back(names[i]);
  }
  std::vector<std::pair<DType, int>> types;
  for (const auto& type : options.dtypes) {
    if (type.first == DType::kFloat || choices.Chance(keep)) types.push_back(type);
  }
  // Without float32 now and then.
  if (types.size() > 1 && types.size() < options.dtypes.size() && choices.Chance(0.1))
    std::erase_if(types, [](const auto& t) { return t.first == DType::kFloat; });
  if (!types.empty()) own.dtypes = std::move(types);
  for (const Motif& m : AllMotifs()) {
    if (!choices.Chance(keep)) own.resting.push_back(m.name);
  }
  return own;
}

std::vector<std::pair<DType, int>> DrawSwarmTypes(Choices& choices, const GenOptions& options) {
  std::vector<std::pair<DType, int>> types;
  for (const auto& t : options.dtypes) {
    if (t.first == DType::kFloat || t.first == options.link) types.push_back(t);
  }
  for (int i = 0; i < options.swarm_types; ++i) types.push_back(choices.Pick(options.dtypes));
  return types;
}

}  // namespace assay
