// Profiles: named sets of options, one row each.
#pragma once

#include <string>
#include <vector>

#include "gen/graph_gen.h"

namespace assay {

struct Profile {
  std::string name, doc;
  void (*set)(GenOptions&);
};

const std::vector<Profile>& AllProfiles();

}  // namespace assay
