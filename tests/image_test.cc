// Image files (interp/image.h) and ImageDecoder: the seeds of the fuzz target, which Pillow wrote,
// and damage to them.
#include "interp/image.h"

#include <gtest/gtest.h>

#include "interp/choices.h"
#include "interp/exec.h"
#include "interp/onnx_io.h"
#include "interp/text.h"

namespace assay {
namespace {

const std::string kSeeds = std::string(ASSAY_SOURCE_DIR) + "/fuzz/targets/seeds/image/";

std::vector<uint8_t> Seed(const std::string& name) {
  const std::string bytes = ReadFile(kSeeds + name).value();
  return {bytes.begin(), bytes.end()};
}
std::vector<uint8_t> Bytes(const std::string& text) { return {text.begin(), text.end()}; }

bool NeedsLibrary(const std::string& name) {
  return name.find(".bmp") == std::string::npos && name.find(".ppm") == std::string::npos;
}

const std::vector<uint8_t> kPixels = {255, 0,   0,  0, 128, 255, 7,   8,   9,
                                      10,  200, 30, 0, 0,   0,   255, 255, 255};
const char* const kColoured[] = {"rgb.bmp",     "palette.bmp", "rgb.ppm",  "rgb.png",
                                 "palette.png", "rgb.tif",     "rgb.webp", "rgb.jp2"};

TEST(Image, EveryFormatGivesTheSamePixels) {
  for (const std::string name : kColoured) {
    if (NeedsLibrary(name) && !HasImageLibraries()) continue;
    Result<Image> image = DecodeImage(Seed(name), Limits{});
    ASSERT_TRUE(image.ok()) << name << ": " << image.error().ToString();
    EXPECT_EQ(image->height, 2) << name;
    EXPECT_EQ(image->width, 3) << name;
    EXPECT_EQ(image->rgb, kPixels) << name;
  }
}

TEST(Image, GreyAndTransparencyBecomeColours) {
  if (!HasImageLibraries()) GTEST_SKIP() << "no image libraries";
  const Image image = DecodeImage(Seed("grey_alpha.png"), Limits{}).value();
  EXPECT_EQ(image.rgb, (std::vector<uint8_t>{1, 1, 1, 2, 2, 2, 3, 3, 3, 200, 200, 200, 100, 100,
                                             100, 0, 0, 0}));
}

TEST(Image, PnmInAllItsForms) {
  struct Case {
    const char* file;
    std::vector<uint8_t> rgb;
  };
  const Case cases[] = {
      {"P2 # grey\n2 1\n15\n0 15", {0, 0, 0, 255, 255, 255}},
      {"P3 1 1 255 1 2 3", {1, 2, 3}},
      {"P5 2 1 255\nAB", {65, 65, 65, 66, 66, 66}},
      {"P6\n1 1\n255\nABC", {65, 66, 67}},
  };
  for (const Case& c : cases)
    EXPECT_EQ(DecodeImage(Bytes(c.file), Limits{}).value().rgb, c.rgb) << c.file;
}

TEST(Image, WhatIsNoImageIsAnError) {
  struct Case {
    std::string file;
    Code code;
    const char* error;
  };
  const Case cases[] = {
      {"", Code::kInvalid, "no image"},
      {"GIF89a", Code::kInvalid, "no image"},
      {"P6 2 1 255\nABC", Code::kInvalid, "ends within the pixels"},
      {"P3 1 1 7 1 2 8", Code::kInvalid, "between 0 and the maximum"},
      {"P6 0 1 255\n", Code::kInvalid, "positive"},
      {"P6 1 1 65535\n", Code::kUnsupported, "more than 8 bits"},
      {"P5 999999 999999 255\n", Code::kLimit, "exceeds the limits"},
      {"P5 99999999999999999999 1 255\n", Code::kInvalid, "positive"},
      {"BM", Code::kInvalid, "ends within its headers"},
  };
  for (const Case& c : cases) {
    Result<Image> image = DecodeImage(Bytes(c.file), Limits{});
    ASSERT_FALSE(image.ok()) << c.file;
    EXPECT_EQ(image.error().code, c.code) << c.file;
    EXPECT_NE(image.error().ToString().find(c.error), std::string::npos)
        << image.error().ToString();
  }
}

// Extents are what a header says, and nothing is taken for them first.
TEST(Image, LargeOnesHitTheirLimit) {
  Limits limits = Limits::Small();
  limits.elements = 17;
  for (const std::string name : kColoured) {
    if (NeedsLibrary(name) && !HasImageLibraries()) continue;
    Result<Image> image = DecodeImage(Seed(name), limits);
    ASSERT_FALSE(image.ok()) << name;
    EXPECT_EQ(image.error().code, Code::kLimit) << name << ": " << image.error().ToString();
  }
}

TEST(Image, DamageIsAnErrorOrAnImage) {
  std::vector<std::string> names(std::begin(kColoured), std::end(kColoured));
  names.insert(names.end(), {"grey_alpha.png", "progressive.jpg"});
  int errors = 0;
  auto look = [&](const std::vector<uint8_t>& file, const std::string& name) {
    Result<Image> image = DecodeImage(file, Limits::Small());
    errors += !image.ok();
    EXPECT_TRUE(image.ok() || image.error().code != Code::kInternal) << name;
    if (!image.ok()) return;
    EXPECT_EQ(static_cast<int64_t>(image->rgb.size()), image->height * image->width * 3);
  };
  for (const std::string& name : names) {
    const std::vector<uint8_t> file = Seed(name);
    for (size_t n = 0; n < file.size(); ++n)
      look({file.begin(), file.begin() + static_cast<ptrdiff_t>(n)}, name);
    Choices choices(7);
    for (int round = 0; round < 2000; ++round) {
      std::vector<uint8_t> damaged = file;
      for (uint64_t k = 0; k <= choices.Below(3); ++k)
        damaged[choices.Below(file.size())] = static_cast<uint8_t>(choices.Below(256));
      look(damaged, name);
    }
  }
  EXPECT_GT(errors, 3000);
}

TEST(ImageDecoder, OrdersChannelsAsAsked) {
  const std::vector<uint8_t> file = Seed("rgb.bmp");
  const Tensor bytes =
      Tensor::Of<uint8_t>(DType::kUint8, {static_cast<int64_t>(file.size())}, file);
  auto run = [&](const std::string& format) {
    Result<Model> m = ParseText(
        "opset 20 graph(uint8[N] x) -> (uint8[H,W,C] y) { y = ImageDecoder(x) {pixel_format=\"" +
        format + "\"} }");
    return assay::Run(m.value(), {bytes});
  };
  const Tensor rgb = run("RGB")->outputs[0], bgr = run("BGR")->outputs[0],
               grey = run("Grayscale")->outputs[0];
  EXPECT_EQ(rgb.shape(), (Shape{2, 3, 3}));
  EXPECT_EQ(grey.shape(), (Shape{2, 3, 1}));
  for (int64_t i = 0; i < rgb.size(); ++i) {
    EXPECT_EQ(rgb.AsInt(i), kPixels[static_cast<size_t>(i)]);
    EXPECT_EQ(rgb.AsInt(i), bgr.AsInt(i / 3 * 3 + 2 - i % 3));
  }
  EXPECT_EQ(grey.AsInt(0), 76);  // 0.299 * 255
  EXPECT_EQ(grey.AsInt(5), 255);
  Result<Execution> bad = run("YUV");
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.error().ToString().find("pixel_format"), std::string::npos);
}

}  // namespace
}  // namespace assay
