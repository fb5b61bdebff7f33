#include "tools/catalogue.h"

#include <fmt/format.h>

#include <map>

namespace assay {

Result<int> PrintCatalogue(const std::vector<Transform>& rows, const std::string& key,
                           const JsonFlag& json) {
  nlohmann::json list = nlohmann::json::array();
  std::map<std::string, int> by_class;
  for (const Transform& t : rows) {
    ++by_class[t.cls];
    fmt::print(json.human(), "{} [{}]\n  {}\n  sites: {}\n  {}: {}\n  cite: {}\n", t.name, t.cls,
               t.doc, t.ops, t.promise == Promise::kBreaks ? "observable when" : "side condition",
               t.precondition, t.cite);
    list.push_back({{"name", t.name},
                    {"class", t.cls},
                    {"doc", t.doc},
                    {"sites", t.ops},
                    {"precondition", t.precondition},
                    {"cite", t.cite}});
  }
  fmt::print(json.human(), "{} {}\n", rows.size(), key);
  TRY(json.Write({{key, list}, {"count", rows.size()}, {"by_class", by_class}}));
  return exit_code::kFine;
}

}  // namespace assay
