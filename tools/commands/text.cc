// assay text: a model as readable text, and back.
#include <fmt/format.h>

#include "interp/onnx_io.h"
#include "interp/symbols.h"
#include "interp/text.h"
#include "tools/command.h"

namespace assay {
namespace {

struct Flags {
  std::string model, out;
  bool types = false;
};

constexpr char kTextSuffix[] = ".txt";

Result<Model> Typed(const Model& model, const Flags& f) {
  Result<Model> typed = DeclareTypes(model);
  if (!typed.ok()) return typed.error().In(f.model);
  return typed;
}

Result<int> Execute(const Flags& f) {
  if (f.model.ends_with(kTextSuffix)) {
    if (f.out.empty()) return Usage("a text becomes a model: say where with --out");
    std::string text = TRY(ReadFile(f.model));
    Model model = TRY(ParseText(text, f.model));
    if (f.types) model = TRY(Typed(model, f));
    TRY(SaveModel(model, f.out));
    return exit_code::kFine;
  }
  Model model = TRY(LoadModel(f.model));
  if (f.types) model = TRY(Typed(model, f));
  std::string text = ToText(model);
  if (!f.out.empty())
    TRY(WriteFile(f.out, text));
  else
    fmt::print("{}", text);
  return exit_code::kFine;
}

Runner Setup(CLI::App& app) {
  auto f = std::make_shared<Flags>();
  app.add_option("model", f->model, "a model to show, or a text (.txt) to turn into one")
      ->required()
      ->type_name("MODEL");
  app.add_option("--out", f->out, "write here instead of stdout")->type_name("FILE");
  app.add_flag("--types", f->types,
               "declare the type of every value, with extents as expressions of the inputs' "
               "symbols: \"floor((H + 1)/2)\"");
  return [f] { return Execute(*f); };
}

}  // namespace

Command command_text() {
  return {"text", "print a model as readable text, or turn such text into a model",
          "The text keeps everything: reading it back gives the same model. Its grammar is in "
          "docs/formats.md.",
          Setup};
}

}  // namespace assay
