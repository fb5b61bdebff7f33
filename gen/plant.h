// Planting: a wanted operator sequence, each operator reading what the one before it makes. How
// operator-sequence coverage steers generation, and how a list of sequences is generated on
// request.
//
// What a model is to contain is decided by its number alone, not by what other models have turned
// out to contain: each is made again from its seed, number and flags, whoever made the others, on
// however many threads.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gen/builder.h"
#include "gen/catalog.h"
#include "gen/planner.h"

namespace assay {

// Where two operators can meet: an output of one, of that element type, that the other reads.
struct Link {
  const OpSpec* from = nullptr;
  const OpSpec* to = nullptr;
  DType dtype = DType::kUndefined;
};

// All links between the operators that the options leave, by element types, ranks and what the
// values of operands may be. Operands whose values a shape rule reads (shapes, axes) are left out:
// an arbitrary value is none. First each pair once, where it meets in its likeliest type.
struct Links {
  std::vector<Link> all;
  size_t pairs = 0;  // distinct pairs of operators; the first ones of `all`
};
Links FeasibleLinks(const GenOptions& options);

// The pairs of operators that can meet in models of the profile `everything`, sorted: what coverage
// is a share of. Thread-safe.
const std::vector<std::pair<std::string, std::string>>& FeasiblePairs();

// Sets `sequence` and `link` to those for model number `index`: all pairs come in turn, in an order
// that `seed` decides, then once more in whatever type, then their further element types, and then
// over again. Nothing when there are no links. Thread-safe.
void WantLink(GenOptions* options, uint64_t seed, uint64_t index);

// Adds nodes rows[0], rows[1], .. behind a fresh graph input (a null row, not the first one, is an
// If that reads a condition); the value between the first two has
// the type options.link unless undefined. `place` makes a plan's operands and adds its node: the id
// of its first output, -1 when refused. False, and nothing has changed, when options.plans plans
// have found no way.
bool PlantSequence(Choices& choices, GraphBuilder& builder, Planner& planner,
                   const std::vector<const Row*>& rows, const GenOptions& options,
                   const std::function<int(Plan&)>& place);

}  // namespace assay
