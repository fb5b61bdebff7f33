// The tables of transforms that fuzz owns: faults (break the meaning) and rewrites (preserve it),
// one file of rows a family in fuzz/faults and fuzz/rewrites. Each such file defines
// `std::vector<Transform> faults_<stem>()` or `rewrites_<stem>()`; the build lists them.
#pragma once

#include <string>
#include <vector>

#include "interp/transform.h"

namespace assay {

// In order of class, then name / in order of name. `promise` and `cls` are filled in here.
const std::vector<Transform>& AllFaults();
const std::vector<Transform>& AllRewrites();
// A fault or rewrite by its catalogue name; null when there is none.
const Transform* FindTransform(const std::string& name);
// The fault classes that have rows, in catalogue order: PP ID TSS WB LH CG, then the others.
const std::vector<std::string>& FaultClasses();

}  // namespace assay
