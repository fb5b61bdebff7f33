// The listing of a table of transforms, shared by `assay faults` and `assay rewrites`.
#pragma once

#include <string>
#include <vector>

#include "interp/transform.h"
#include "tools/command.h"

namespace assay {

// Prints the rows as text, and as JSON under `key`: name, class, sites (operators), doc,
// precondition, cite.
Result<int> PrintCatalogue(const std::vector<Transform>& rows, const std::string& key,
                           const JsonFlag& json);

}  // namespace assay
