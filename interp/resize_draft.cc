#include "interp/resize_draft.h"

#include "interp/draw.h"
#include "interp/interpolate.h"

namespace assay {
namespace {

// Nearest mode jumps where a coordinate meets a half or a whole number. Runtimes compute
// coordinates in float, so such a place is safe only if the scale is exact there; the others must
// keep clear of it.
bool Robust(const ResizedAxis& a, const std::string& coordinates) {
  float scale = static_cast<float>(a.out) / static_cast<float>(a.in);
  bool exact = static_cast<double>(scale) * static_cast<double>(a.in) == static_cast<double>(a.out);
  if (coordinates == "align_corners" || IsIdentity(a, coordinates)) return true;
  constexpr double kClear = 1e-3;
  for (int64_t x = 0; x < a.out; ++x) {
    Coordinate c = CoordinateOf(a, coordinates, x);
    double part = static_cast<double>(c.part) / static_cast<double>(c.den),
           near = std::nearbyint(2 * part) / 2;
    bool on = c.part == 0 || 2 * c.part == c.den;
    if (on ? !exact : std::fabs(part - near) < kClear) return false;
  }
  return true;
}

// How many leading axes (batch, channels) keep their extent.
size_t DrawFixedAxes(Choices& choices, const std::string& mode, size_t rank) {
  if (mode == "cubic" || rank >= 4) return 2;
  return rank == 3 && choices.Chance(0.7) ? 2 : 0;
}

std::string DrawMode(Choices& choices, const Draft& d) {
  size_t rank = d.inputs[0].dims.size();
  std::vector<std::string> modes = {"nearest"};
  if (IsFloat(d.inputs[0].dtype) && rank >= 2 && rank <= 5) modes.push_back("linear");
  if (IsFloat(d.inputs[0].dtype) && rank == 4 && d.spec->since >= 11) modes.push_back("cubic");
  return choices.Pick(modes);
}

void DrawCoordinates(Choices& choices, Draft& d, const std::string& mode, bool by_sizes,
                     std::string* coordinates) {
  std::vector<std::string> all = {"half_pixel", "half_pixel", "asymmetric", "align_corners",
                                  "pytorch_half_pixel"};
  if (mode == "nearest" && d.spec->since < 18) all.push_back("tf_half_pixel_for_nn");
  if (d.anything && d.spec->since >= 19) all.push_back("half_pixel_symmetric");
  if (mode == "linear" && by_sizes) all.push_back("tf_crop_and_resize");
  *coordinates = choices.Pick(all);
  if (*coordinates != "half_pixel" || choices.Chance(0.3))
    d.Set("coordinate_transformation_mode", *coordinates);
  if (mode == "nearest" && choices.Chance(0.7)) {
    d.Set("nearest_mode", std::string(choices.PickOf<const char*>(
                              {"floor", "ceil", "round_prefer_ceil", "round_prefer_floor"})));
  }
  if (mode == "cubic" && choices.Chance(0.4)) d.Set("cubic_coeff_a", -0.5f);
  if (mode == "cubic" && choices.Chance(0.3)) d.Set("exclude_outside", int64_t{1});
  if (*coordinates == "tf_crop_and_resize" && choices.Chance(0.5))
    d.Set("extrapolation_value", choices.PickOf<float>({1.0f, -2.0f}));
}

// `in`, `scales`, `sizes`: of the axes that are resized, or of all.
void SetOperands(Choices& choices, Draft& d, const Shape& in, const std::vector<float>& scales,
                 const Shape& sizes, bool by_sizes, bool crop) {
  int64_t n = static_cast<int64_t>(scales.size());
  Tensor empty = Tensor::Floats({0}, {});
  if (ResizeOperandsOf(*d.spec).scales < 0) {
    d.Set("scales", scales);
    return;
  }
  if (d.spec->since < 11) return d.SetConstant(1, Tensor::Floats({n}, scales));
  if (crop) {
    std::vector<float> roi(static_cast<size_t>(2 * n), 0.0f);
    for (int64_t a = 0; a < n; ++a) {
      bool whole = sizes[a] == in[a] || choices.Chance(0.4);
      roi[a] = whole ? 0.0f : choices.PickOf<float>({0.25f, -0.25f, 0.1f});
      roi[a + n] = whole ? 1.0f : choices.PickOf<float>({0.75f, 0.9f});
    }
    d.SetConstant(1, Tensor::Floats({2 * n}, roi));
  } else if (d.spec->since < 13) {
    d.SetConstant(1, empty);
  }
  if (!by_sizes) return d.SetConstant(2, Tensor::Floats({n}, scales));
  if (d.spec->since < 13) d.SetConstant(2, empty);
  d.SetConstant(3, Tensor::Vector(sizes));
}

}  // namespace

bool DrawResize(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty() || ElementsOfInput(d, 0) == 0) return false;
  Shape shape = d.shape(0), sizes = shape;
  std::string mode = DrawMode(choices, d), coordinates = "asymmetric";
  if (mode != "nearest" || choices.Chance(0.3)) d.Set("mode", mode);
  bool by_sizes = d.spec->since >= 11 && choices.Chance(0.5);
  if (d.spec->since >= 11) DrawCoordinates(choices, d, mode, by_sizes, &coordinates);
  std::vector<float> scales(shape.size(), 1.0f);
  int64_t elements = ElementsOfInput(d, 0);
  const size_t fixed = DrawFixedAxes(choices, mode, shape.size());
  for (size_t a = fixed; a < shape.size(); ++a) {
    std::vector<float> fitting = {1, 2, 3};
    if (shape[a] % 2 == 0 && d.spec->name != "Upsample")
      fitting.insert(fitting.end(), {0.5f, 1.5f});
    scales[a] = choices.Pick(fitting);
    sizes[a] = static_cast<int64_t>(static_cast<float>(shape[a]) * scales[a]);
    ResizedAxis free{shape[a], choices.Between(1, 2 * shape[a]), {}, 0, 1};
    free.scale = {free.out, free.in};
    if (by_sizes && choices.Chance(0.5) && (mode != "nearest" || Robust(free, coordinates)))
      sizes[a] = free.out;
    if (elements / shape[a] * sizes[a] > d.max_elements) scales[a] = 1, sizes[a] = shape[a];
    elements = elements / shape[a] * sizes[a];
  }
  // What opset 18 brought. No keep_aspect_ratio_policy: runtimes part on the scale that remains of
  // it.
  if (d.anything && mode != "nearest") MaybeSet(choices, d, "antialias", 0.2);
  if (d.spec->since >= 18 && fixed > 0 && choices.Chance(0.3)) {
    std::vector<int64_t> axes;
    int64_t rank = static_cast<int64_t>(shape.size());
    bool negative = choices.Chance(0.3);
    for (int64_t a = static_cast<int64_t>(fixed); a < rank; ++a)
      axes.push_back(negative ? a - rank : a);
    d.Set("axes", axes);
    scales.erase(scales.begin(), scales.begin() + static_cast<int64_t>(fixed));
    for (Shape* s : {&shape, &sizes})
      s->erase(s->begin(), s->begin() + static_cast<int64_t>(fixed));
  }
  SetOperands(choices, d, shape, scales, sizes, by_sizes, coordinates == "tf_crop_and_resize");
  return true;
}

}  // namespace assay
