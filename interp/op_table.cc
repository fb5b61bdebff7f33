// The table of operators: one ENTRY a file of interp/ops, listed by the build in interp_ops.inc.
#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "interp/op_spec.h"

namespace assay {

#define ENTRY(stem) std::vector<OpSpec> ops_##stem();
#include "interp_ops.inc"
#undef ENTRY

const std::vector<OpSpec>& AllOps() {
  static const std::vector<OpSpec> table = [] {
    std::vector<OpSpec> all;
    auto add = [&](std::vector<OpSpec> rows) {
      for (OpSpec& r : rows) all.push_back(std::move(r));
    };
#define ENTRY(stem) add(ops_##stem());
#include "interp_ops.inc"
#undef ENTRY
    std::sort(all.begin(), all.end(), [](const OpSpec& a, const OpSpec& b) {
      return std::tie(a.domain, a.name, a.since) < std::tie(b.domain, b.name, b.since);
    });
    for (size_t i = 1; i < all.size(); ++i) {
      CHECK(std::tie(all[i - 1].domain, all[i - 1].name, all[i - 1].since) !=
            std::tie(all[i].domain, all[i].name, all[i].since));
    }
    return all;
  }();
  return table;
}

namespace {
using Versions = std::vector<const OpSpec*>;  // ascending `since`
const Versions* VersionsOf(const std::string& domain, const std::string& name) {
  static const std::unordered_map<std::string, Versions> index = [] {
    std::unordered_map<std::string, Versions> m;
    for (const OpSpec& s : AllOps()) m[s.domain + ":" + s.name].push_back(&s);
    return m;
  }();
  auto it = index.find((domain == "ai.onnx" ? "" : domain) + ":" + name);
  return it == index.end() ? nullptr : &it->second;
}
}  // namespace

const OpSpec* FindOp(const std::string& domain, const std::string& name, int opset) {
  const Versions* versions = VersionsOf(domain, name);
  const OpSpec* best = nullptr;
  if (versions) {
    for (const OpSpec* s : *versions) {
      if (s->since <= opset) best = s;
    }
  }
  return best;
}

bool KnownOp(const std::string& domain, const std::string& name) { return VersionsOf(domain, name) != nullptr; }

}  // namespace assay
