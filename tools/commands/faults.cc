// assay faults: the catalogue of faults.
#include "tools/catalogue.h"

#include "fuzz/tables.h"

namespace assay {
namespace {

Runner Setup(CLI::App& app) {
  auto json = std::make_shared<JsonFlag>();
  json->Add(app);
  return [json] { return PrintCatalogue(AllFaults(), "faults", *json); };
}

}  // namespace

Command command_faults() {
  return {"faults", "lists the catalogue of converter faults",
          "Each row: name, class, operators at which it has sites, precondition, cite. The names "
          "are those that\n"
          "`assay convert --faults` takes.",
          Setup};
}

}  // namespace assay
