// docs/operators.md says what the table says.
#include "tools/operators_page.h"

#include <gtest/gtest.h>

#include "interp/onnx_io.h"

namespace assay {
namespace {

TEST(OperatorsPage, IsCurrent) {
  Result<std::string> page = ReadFile(std::string(ASSAY_SOURCE_DIR) + "/docs/operators.md");
  ASSERT_TRUE(page.ok()) << page.error().ToString();
  EXPECT_TRUE(*page == OperatorsPage()) << "run: assay ops --markdown docs/operators.md";
}

}  // namespace
}  // namespace assay
