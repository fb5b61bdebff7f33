// assay rewrites: the catalogue of benign rewrites.
#include "tools/catalogue.h"

#include "fuzz/tables.h"

namespace assay {
namespace {

Runner Setup(CLI::App& app) {
  auto json = std::make_shared<JsonFlag>();
  json->Add(app);
  return [json] { return PrintCatalogue(AllRewrites(), "rewrites", *json); };
}

}  // namespace

Command command_rewrites() {
  return {"rewrites", "lists the catalogue of benign rewrites",
          "Each row: name, operators at which it has sites, side condition, cite. The names are "
          "those that\n"
          "`assay convert --rewrites` takes.",
          Setup};
}

}  // namespace assay
