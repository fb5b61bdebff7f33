#include "gen/recipe.h"

#include "gen/catalog.h"
#include "gen/plant.h"

namespace assay {
namespace {

constexpr int kMaxNodes = 100'000;

std::string Joined(const std::vector<std::string>& names, const char* between = ",") {
  std::string s;
  for (const std::string& n : names) s += (s.empty() ? "" : between) + n;
  return s;
}

// As corpus/sequences.h writes a sequence: those of other domains with their domain.
bool KnownInSequence(const std::string& name) {
  size_t dot = name.rfind('.');
  return dot == std::string::npos ? KnownOp("", name)
                                  : KnownOp(name.substr(0, dot), name.substr(dot + 1));
}

Status CheckNames(const std::vector<std::string>& names) {
  for (const std::string& n : names) {
    if (!KnownOp("", n)) return Usage("unknown operator '" + n + "'");
  }
  return {};
}

}  // namespace

std::string Recipe::Command() const {
  std::string s = "assay generate --seed " + std::to_string(seed) + " --first " +
                  std::to_string(index) + " --count 1 --nodes " + std::to_string(nodes);
  if (opset != 0) s += " --opset " + std::to_string(opset);
  if (profile != "default") s += " --profile " + profile;
  if (!ops.empty()) s += " --ops " + Joined(ops);
  if (!exclude.empty()) s += " --exclude " + Joined(exclude);
  if (!sequence.empty()) s += " --sequence '" + Joined(sequence, ">") + "'";
  if (!capability.empty()) s += " --capability " + capability;
  if (swarm) s += " --swarm";
  if (dynamic) s += " --dynamic";
  return s;
}

Result<GenOptions> OptionsOf(const Recipe& recipe) {
  GenOptions options = TRY(GenOptions::Profile(recipe.profile));
  if (recipe.nodes < 1 || recipe.nodes > kMaxNodes) {
    return Usage("the number of nodes is 1 to " + std::to_string(kMaxNodes) + "; got " +
                 std::to_string(recipe.nodes));
  }
  bool known = recipe.opset >= kFirstGeneratedOpset && recipe.opset <= kNewestOpset;
  if (recipe.opset != 0 && !known) {
    return Usage("the opset is " + std::to_string(kFirstGeneratedOpset) + " to " +
                 std::to_string(kNewestOpset) + "; got " + std::to_string(recipe.opset));
  }
  TRY(CheckNames(recipe.ops));
  TRY(CheckNames(recipe.exclude));
  for (const std::string& n : recipe.sequence) {
    if (!KnownInSequence(n)) return Usage("unknown operator '" + n + "'");
  }
  options.nodes = recipe.nodes;
  if (recipe.opset != 0) options.opset = recipe.opset;
  if (!recipe.ops.empty()) options.ops = recipe.ops;
  options.exclude = recipe.exclude;
  options.sequence = recipe.sequence;
  if (!recipe.capability.empty()) {
    Capability c = TRY(LoadCapability(recipe.capability));
    options.capability = std::make_shared<const Capability>(std::move(c));
  }
  options.swarm |= recipe.swarm;
  if (recipe.dynamic) options.dynamic = 1;
  return options;
}

Result<Generated> Make(const Recipe& recipe, const GenOptions& options) {
  Choices choices(MixSeeds(recipe.seed, recipe.index));
  GenOptions with = options;
  if (options.links && options.sequence.empty()) WantLink(&with, recipe.seed, recipe.index);
  Generated g = TRY(GenerateCase(choices, with));
  // Even where it was drawn: then the model says what it is, and a new default changes nothing.
  Recipe made = recipe;
  made.opset = g.model.Opset("");
  g.model.metadata[kRecipeKey] = made.Command();
  return g;
}

int64_t IrVersionFor(int opset) {
  if (opset <= 17) return 8;
  if (opset <= 20) return 9;
  if (opset <= 22) return 10;
  return opset <= 23 ? 11 : 13;
}

}  // namespace assay
