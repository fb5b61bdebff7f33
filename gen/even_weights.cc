#include "gen/even_weights.h"

#include <unordered_map>

namespace assay {

double EvenWeight(const std::string& name) {
  static const std::unordered_map<std::string, double> kWeights = {
#include "gen/even_weights.inc"
  };
  auto it = kWeights.find(name);
  return it == kWeights.end() ? 1 : it->second;
}

}  // namespace assay
