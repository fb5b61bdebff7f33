// The four-step verification of Lee et al. 2023 (architecture with hyperparameters and weights; accuracy; error;
// time) with its first step resting on proof: both graphs are executed in the field of interp/field.h (lab.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "interp/exec.h"
#include "oracle/verdict.h"

namespace assay {

struct SearchResult;  // repair_search.h

struct VerifyOptions {
  uint64_t seed = 0;
  int samples = 4;                              // random input sets, when none are given
  std::vector<std::vector<Tensor>> inputs;      // the user's input sets, each in the order of RequiredInputs()
  std::vector<int64_t> labels;                  // true classes, one an input set; may be empty
  std::optional<double> rtol, atol;             // fixed tolerance in place of the rounding bound
  bool measure_time = true;                     // step 4; off where results must be the same bytes
  bool localize = true;                         // fill `differences` when the pair differs
  int jobs = 1;
  Limits limits;
};

struct ArchitectureStep {
  Verdict verdict = Verdict::kUndecided;
  bool proved = false;             // the two graphs compute the same function (lab.h)
  int source_nodes = 0, target_nodes = 0;
  int aligned_nodes = 0;           // target nodes whose outputs equal a source value
  std::string note;                // why nothing was proved, when so
};
struct ParametersStep {
  Verdict verdict = Verdict::kUndecided;
  int64_t source_parameters = 0, target_parameters = 0;  // elements of constants
  int snapped = 0;                 // constant tensors equal within the counted rounding of a fold
  int different = 0;               // constant tensors that differ beyond it
};
struct AccuracyStep {
  Verdict verdict = Verdict::kUndecided;
  double agreement = 1;            // share of samples with the same top label, in [0,1]
  std::optional<double> source_accuracy, target_accuracy;  // against labels
};
struct ErrorStep {
  Verdict verdict = Verdict::kUndecided;
  double mape = 0;                 // mean absolute percentage error of target against source, percent / 100
  double max_abs = 0;              // largest absolute difference
  double margin = 0;               // largest difference over its rounding bound; > 1 is beyond rounding
  int samples = 0;
  std::string note;                // output and index of the largest, NaN or Inf mismatches
};
struct TimeStep {
  Verdict verdict = Verdict::kUndecided;
  double source_ms = 0, target_ms = 0, difference_ms = 0;  // medians of paired runs
};

struct Verification {
  Verdict verdict = Verdict::kUndecided;
  ArchitectureStep architecture;
  ParametersStep parameters;
  AccuracyStep accuracy;
  ErrorStep error;
  TimeStep time;
  std::vector<Difference> differences;   // ranked, nearest to the cause first
  std::shared_ptr<const SearchResult> search;  // what localized them, with the healed model; null: none ran
};

// Errors: invalid or unsupported models, limits. A target that does not run while the source does is a
// difference, not an error.
Result<Verification> Verify(const Model& source, const Model& target, const VerifyOptions& options = {});

// JSON as documented for `assay verify --json`, and text for a terminal.
std::string VerificationJson(const Verification& v);
std::string VerificationText(const Verification& v);

}  // namespace assay
