// The draw callback of Resize and Upsample: modes, scales or sizes that fit, and regions to crop.
#pragma once

#include "interp/op_spec.h"

namespace assay {

bool DrawResize(Choices& choices, Draft& draft);

}  // namespace assay
