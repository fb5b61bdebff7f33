// What the operators weigh where all of them are to be alike.
#pragma once

#include <string>

namespace assay {

// At these weights each operator has about the same share of the nodes of profile everything,
// although some are refused more often than others, only some operator sets have them, and guards,
// joins and motifs bring some of their own. `name` with its domain; 1 for an operator that was not
// measured. bench/even_weights.cc measures.
double EvenWeight(const std::string& name);

}  // namespace assay
