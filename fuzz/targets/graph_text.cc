// libFuzzer target: text -> graph -> text. Parsing never traps, and what was parsed prints as text
// that parses to the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "interp/infer.h"
#include "interp/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace assay;
  // A few letters ask for a tensor of random elements, and every element is written and read again.
  Limits limits = Limits::Small();
  limits.elements = 1 << 16;
  Result<Model> model =
      ParseText(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz", limits);
  if (!model.ok()) return 0;
  std::string text = ToText(*model);
  Result<Model> again = ParseText(text, "again", limits);
  CHECK(again.ok());
  CHECK(ToText(*again) == text);
  (void)Validate(*model, limits).ok();
  return 0;
}
