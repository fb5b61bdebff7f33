#include "gen/corner_inputs.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "interp/choices.h"
#include "interp/exec.h"

namespace assay {
namespace {

enum class Corner { kZeros, kTies, kNegativeZeros, kDenormals, kLarge, kSmall, kMixed, kNotFinite };
constexpr Corner kFinite[] = {Corner::kZeros,        Corner::kTies,      Corner::kMixed,
                              Corner::kLarge,        Corner::kDenormals, Corner::kSmall,
                              Corner::kNegativeZeros};

double Denormal(DType t, Choices& choices) {
  double least = t == DType::kDouble    ? 4.9406564584124654e-324
                 : t == DType::kFloat16 ? 5.9604644775390625e-8
                                        : 1.401298464324817e-45;
  return least * static_cast<double>(choices.Between(1, 100)) * (choices.Chance(0.5) ? 1 : -1);
}

double FloatAt(Corner corner, DType t, Choices& choices) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  switch (corner) {
    case Corner::kZeros:
      return 0;
    case Corner::kNegativeZeros:
      return choices.Chance(0.5) ? -0.0 : 0.0;
    case Corner::kTies:
      // Few values, halves among them, where rounding has a choice.
      return choices.PickOf({-1.5, -0.5, 0.5, 0.5, 1.0, 2.5});
    case Corner::kDenormals:
      return choices.Chance(0.7) ? Denormal(t, choices) : choices.Normal();
    case Corner::kLarge:
      return std::nearbyint(choices.Normal() * 16) * (t == DType::kFloat16 ? 8 : 64);
    case Corner::kSmall:
      return choices.Normal() * 1e-4;
    case Corner::kNotFinite:
      return choices.Chance(0.7) ? choices.Normal() : choices.PickOf({kInf, -kInf, std::nan("")});
    case Corner::kMixed:
      break;
  }
  return choices.Chance(0.5) ? choices.Normal()
                             : FloatAt(kFinite[choices.Below(2) * 4], t, choices);
}

Tensor TensorAt(Corner corner, const Tensor& like, Choices& choices) {
  Tensor t = like.Clone();
  bool number = IsFloat(t.dtype());
  if (!number && !IsInt(t.dtype()) && t.dtype() != DType::kBool) return t;
  std::vector<double> seen;
  for (int64_t i = 0; i < like.size(); ++i) seen.push_back(like.AsDouble(i));
  for (int64_t i = 0; i < t.size(); ++i) {
    if (number) {
      t.Set(i, FloatAt(corner, t.dtype(), choices));
    } else if (corner == Corner::kZeros) {
      t.Set(i, 0);
    } else {
      // Duplicates: one value everywhere, or a few.
      size_t last = corner == Corner::kTies ? 1 : std::min<size_t>(seen.size(), 2);
      t.Set(i, seen[choices.Below(last)]);
    }
  }
  return t;
}

bool AllFinite(const Execution& run) {
  for (const auto& [name, t] : run.values) {
    for (int64_t i = 0; IsFloat(t.dtype()) && i < t.size(); ++i) {
      if (!std::isfinite(t.AsDouble(i))) return false;
    }
  }
  return true;
}

}  // namespace

std::vector<DataSet> CornerInputs(const Model& model, const std::vector<Tensor>& like,
                                  uint64_t seed, const CornerOptions& options) {
  std::vector<DataSet> sets;
  constexpr int kTriesPerSet = 3;
  Result<Program> program = Program::Compile(model);
  if (!program.ok()) return sets;
  for (int i = 0; i < kTriesPerSet * options.sets && static_cast<int>(sets.size()) < options.sets;
       ++i) {
    Choices choices(MixSeeds(seed, static_cast<uint64_t>(i)));
    Corner corner = kFinite[static_cast<size_t>(i) % std::size(kFinite)];
    if (options.not_finite && i % 2 == 1) corner = Corner::kNotFinite;
    DataSet set;
    for (const Tensor& t : like) set.inputs.push_back(TensorAt(corner, t, choices));
    ExecOptions exec;
    exec.keep_all = true;
    Result<Execution> run = program->Run(set.inputs, exec);
    if (!run.ok() || (corner != Corner::kNotFinite && !AllFinite(*run))) continue;
    set.outputs = std::move(run->outputs);
    sets.push_back(std::move(set));
  }
  return sets;
}

}  // namespace assay
