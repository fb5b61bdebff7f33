// docs/operators.md: the table of operators as a page, made by `assay ops --markdown`.
#pragma once

#include <string>

#include "interp/op_spec.h"

namespace assay {

// Is the row generated? Rows of bodies and lists are, within motifs (gen/motif.h): a row alone says too little of them.
bool IsGenerated(const OpSpec& row);

// One line an operator: versions, element types of the newest one, whether it runs and is generated, and which faults
// find a site on its examples.
std::string OperatorsPage();

}  // namespace assay
