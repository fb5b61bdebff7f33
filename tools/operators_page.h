// docs/operators.md: the table of operators as a page, made by `assay ops --markdown`.
#pragma once

#include <string>

namespace assay {

// One line an operator: versions, element types of the newest one, whether it runs and is generated, and which faults
// find a site on its examples.
std::string OperatorsPage();

}  // namespace assay
