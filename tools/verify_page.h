// A verification as a page: verdict, the four steps, the ranked differences, both graphs side by side.
#pragma once

#include <string>

#include "interp/graph.h"
#include "oracle/verify.h"

namespace assay {

// `names`: what the two models are called, e.g. their paths. One self-contained HTML document.
std::string VerificationPage(const Model& source, const Model& target, const std::string& source_name,
                             const std::string& target_name, const Verification& v);

}  // namespace assay
