// A recipe: everything that decides a generated model, as the flags that make it again. It is
// written into the model's metadata, so that a model found in a corpus or a bug report says where
// it came from.
#pragma once

#include <string>
#include <vector>

#include "gen/graph_gen.h"

namespace assay {

struct Recipe {
  uint64_t seed = 0;
  uint64_t index = 0;  // the model is number `index` of its seed
  int nodes = 10;
  int opset = 0;  // 0: what the profile says, which may be one drawn for each model
  std::string profile = "default";
  std::vector<std::string> ops, exclude;
  std::vector<std::string> sequence;  // GenOptions::sequence
  std::string capability;             // a file; "": none
  bool swarm = false;                 // on top of what the profile says
  bool dynamic = false;

  // "assay generate --seed 3 --first 17 --count 1 --nodes 10 --opset 17"
  std::string Command() const;
};

inline constexpr const char* kRecipeKey = "assay.recipe";  // in Model::metadata

// Errors: Usage for an unknown profile, an unknown operator name or numbers out of range; those of
// LoadCapability.
Result<GenOptions> OptionsOf(const Recipe& recipe);
// Model number recipe.index; `options` are OptionsOf(recipe). The same recipe gives the same bytes.
Result<Generated> Make(const Recipe& recipe, const GenOptions& options);

// The oldest IR version that may import an opset of ai.onnx, 8 for those up to 17.
int64_t IrVersionFor(int opset);

}  // namespace assay
