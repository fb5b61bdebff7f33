// ai.onnx.ml operators on single values: LabelEncoder (version 1, 2, 4), Binarizer (1) and
// ArrayFeatureExtractor (1).
#include <map>

#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

constexpr char kMl[] = "ai.onnx.ml";
constexpr DTypeSet kLabels = Bit(DType::kString) | Bit(DType::kInt64) | Bit(DType::kFloat);
constexpr DTypeSet kLabels4 =
    kLabels | Bit(DType::kInt32) | Bit(DType::kInt16) | Bit(DType::kDouble);

// ---- LabelEncoder: values_*[i] for keys_*[i], else default_*

// A list of labels, wherever a node keeps it: keys_strings, values_int64s, keys_tensor, ..
Tensor ListOf(const Node& node, const std::string& role) {
  if (const AttrValue* v = node.Find(role + "_strings")) {
    const auto& s = std::get<std::vector<std::string>>(*v);
    return Tensor::Strings({static_cast<int64_t>(s.size())}, s);
  }
  if (const AttrValue* v = node.Find(role + "_int64s"))
    return Tensor::Vector(std::get<std::vector<int64_t>>(*v));
  if (const AttrValue* v = node.Find(role + "_floats")) {
    const auto& f = std::get<std::vector<float>>(*v);
    return Tensor::Floats({static_cast<int64_t>(f.size())}, f);
  }
  if (const AttrValue* v = node.Find(role + "_tensor")) return std::get<Tensor>(*v);
  return {};
}

// Version 1: strings and their positions in classes_strings.
struct Labels {
  Tensor keys, values;
};
Labels LabelsOf(const OpSpec& spec, const Node& node, DType in) {
  if (spec.since >= 2) return {ListOf(node, "keys"), ListOf(node, "values")};
  Tensor classes = ListOf(node, "classes");
  if (!classes.defined()) return {};
  std::vector<int64_t> places(static_cast<size_t>(classes.size()));
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<int64_t>(i);
  Tensor positions = Tensor::Vector(places);
  return in == DType::kString ? Labels{classes, positions} : Labels{positions, classes};
}

void EncoderRule(RuleContext& c) {
  Labels l = LabelsOf(c.spec(), c.node(), c.dtype(0));
  c.Require(l.keys.defined() && l.values.defined(), "the node has keys and values");
  if (c.failed()) return;
  c.Require(l.keys.size() == l.values.size(), "there are as many values as keys");
  c.Require(l.keys.dtype() == c.dtype(0), "the keys have the type of X");
  c.Require(Contains(c.spec().outputs[0].types, l.values.dtype()),
            "the values have a type of this version");
  if (c.Ranked(0))
    c.Out(0, l.values.dtype(), c.Dims(0));
  else
    c.OutUnranked(0, l.values.dtype());
}

// What an element without a key becomes.
Tensor Otherwise(const KernelContext& c, DType type) {
  if (const AttrValue* v = c.Attr("default_tensor")) {
    const Tensor& t = std::get<Tensor>(*v);
    if (t.dtype() == type && t.size() == 1) return t;
  }
  if (type == DType::kString) return Tensor::Strings({1}, {c.String("default_string")});
  Tensor t = Tensor::Make(type, {1}).value();
  t.Set(0, IsFloat(type) ? static_cast<double>(c.Float("default_float"))
                         : static_cast<double>(c.Int("default_int64")));
  return t;
}

// Element i as a key that compares exactly; NaN equals NaN.
std::string KeyOf(const Tensor& t, int64_t i) {
  if (t.dtype() == DType::kString) return t.strings()[i];
  if (!IsFloat(t.dtype())) return std::to_string(t.AsInt(i));
  double v = t.AsDouble(i);
  if (std::isnan(v)) return "nan";
  if (v == 0) v = 0;  // of both signs
  return std::string(reinterpret_cast<const char*>(&v), sizeof v);
}

Status EvalEncoder(KernelContext& c) {
  const Tensor& x = c.in(0);
  Labels l = LabelsOf(c.spec(), c.node(), x.dtype());
  if (x.store() == Store::kField) l.keys = l.keys.To(Store::kField);
  Tensor otherwise = Otherwise(c, l.values.dtype());
  Tensor* y = TRY(c.Out(0));
  std::map<std::string, int64_t> place;
  for (int64_t i = 0; i < l.keys.size(); ++i) place.emplace(KeyOf(l.keys, i), i);
  for (int64_t i = 0; i < x.size(); ++i) {
    auto found = place.find(KeyOf(x, i));
    const Tensor& from = found == place.end() ? otherwise : l.values;
    int64_t at = found == place.end() ? 0 : found->second;
    if (y->dtype() == DType::kString)
      y->mutable_strings()[i] = from.strings()[at];
    else if (y->dtype() == DType::kInt64)
      y->mutable_data<int64_t>()[i] = from.AsInt(at);
    else
      y->Set(i, from.AsDouble(at));
  }
  return {};
}

// Some keys of what X may hold, and as many values; version 1 knows strings and their places alone.
bool DrawEncoder(Choices& choices, Draft& d) {
  d.attrs.clear();
  const DType key = d.inputs[0].dtype;
  if (IsFloat(key)) return false;  // what is computed seldom meets a key
  const int64_t n = choices.Between(1, 4);
  auto list = [&](const std::string& role, DType type, const Tensor& t) {
    if (type == DType::kString)
      d.Set(role + "_strings", t.strings());
    else if (type == DType::kInt64)
      d.Set(role + "_int64s", t.AsInts());
    else if (type == DType::kFloat)
      d.Set(role + "_floats", std::vector<float>(t.data<float>(), t.data<float>() + t.size()));
    else
      d.Set(role + "_tensor", t);
  };
  // Keys are distinct; which of two values counts would be open.
  Tensor keys = Tensor::Make(key, {n}).value();
  for (int64_t i = 0; i < n; ++i) {
    if (key == DType::kString)
      keys.mutable_strings()[i] = RandomWord(choices) + (i % 2 == 0 ? "" : std::to_string(i));
    else
      keys.Set(i, static_cast<double>(i + choices.Between(0, 1) * n));
  }
  if (d.spec->since == 1) {
    d.Set("classes_strings", RandomConstant(choices, DType::kString, {4}).strings());
    return true;
  }
  DType value = choices.PickOf<DType>({DType::kString, DType::kInt64, DType::kFloat});
  constexpr int kFirstWithTensors = 4;
  if (d.spec->since >= kFirstWithTensors && choices.Chance(0.2))
    value = choices.PickOf<DType>({DType::kDouble, DType::kInt32, DType::kInt16});
  list("keys", key, keys);
  list("values", value, RandomConstant(choices, value, {n}));
  MaybeSet(choices, d, "default_int64", 0.3);
  if (value == DType::kFloat && choices.Chance(0.3)) d.Set("default_float", 2.5f);
  return true;
}

bool DrawExtractor(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty() || ElementsOfInput(d, 0) == 0) return false;
  int64_t last = d.shape(0).back(), picks = DrawExtent(choices, 4);
  d.SetConstant(1, IntegerConstant(choices, DType::kInt64, {picks}, 0, last - 1));
  return ElementsOfInput(d, 0) / last * picks <= d.max_elements;
}

OpSpec Encoder(int since) {
  OpSpec row = Op("LabelEncoder", since, kMl)
                   .In("X", "T1",
                       since == 1   ? Bit(DType::kString) | Bit(DType::kInt64)
                       : since == 2 ? kLabels
                                    : kLabels4)
                   .Out("Y", "T2",
                        since == 1   ? Bit(DType::kString) | Bit(DType::kInt64)
                        : since == 2 ? kLabels
                                     : kLabels4)
                   .String("default_string", "_Unused")
                   .Int("default_int64", -1, {.lo = -1, .hi = 1});
  auto list = [&](const std::string& name, AttrType type) {
    row.Attr({name, type, false, std::nullopt, {}});
  };
  if (since == 1) list("classes_strings", AttrType::kStrings);
  for (const char* role : {"keys", "values"}) {
    if (since == 1) break;
    list(std::string(role) + "_strings", AttrType::kStrings);
    list(std::string(role) + "_int64s", AttrType::kInts);
    list(std::string(role) + "_floats", AttrType::kFloats);
    if (since >= 4) list(std::string(role) + "_tensor", AttrType::kTensor);
  }
  if (since >= 2) row.Float("default_float", -0.0f);
  if (since >= 4) list("default_tensor", AttrType::kTensor);
  return row.Rule(EncoderRule)
      .Eval(EvalEncoder)
      .Draw(DrawEncoder)
      .Traits(kDiscontinuous)
      .Class(Accuracy::kExact);
}

// ---- Binarizer: x > threshold

Status EvalBinarizer(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    for (int64_t i = 0; i < y->size(); ++i) {
      T x = c.data<T>(0)[i];
      bool above;
      if constexpr (std::is_integral_v<T>)
        above = static_cast<double>(x) > static_cast<double>(c.Float("threshold"));
      else
        above = x > T(static_cast<double>(c.Float("threshold")));
      y->mutable_data<T>()[i] = above ? T(1) : T(0);
    }
    return {};
  });
}

// ---- ArrayFeatureExtractor: elements Y of X's last axis

void ExtractorRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(0));
  if (!c.Ranked(0) || !c.Ranked(1)) return;
  c.Require(c.Rank(0) >= 1, "X has an axis");
  if (c.failed()) return;
  std::vector<Dim> dims = c.Dims(0);
  if (dims.size() == 1) dims.insert(dims.begin(), Dim(1));
  dims.back() = Product(c.Dims(1));
  c.Out(0, c.dtype(0), dims);
}

Status EvalExtractor(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor* y = TRY(c.Out(0));
  const int64_t n = x.dim(x.rank() - 1), each = c.in(1).size();
  std::vector<int64_t> places;
  TRY(ReadIndices(
      c, 1, [&](int64_t) { return n; }, &places));
  return VisitBytes(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    for (int64_t i = 0; i < y->size(); ++i)
      MutableElementsOf<T>(*y)[i] = ElementsOf<T>(x)[i / each * n + places[i % each]];
    return {};
  });
}

}  // namespace

std::vector<OpSpec> ops_label_encoder() {
  constexpr DTypeSet kNumbers = Bit(DType::kFloat) | Bit(DType::kDouble) | kIndexInts;
  OpSpec binarizer = Op("Binarizer", 1, kMl)
                         .In("X", "T", kNumbers)
                         .Out("Y", "T", kNumbers)
                         .Float("threshold", 0, {.floats = {0.0, 1.0}});
  binarizer.Rule(SameAsInput0)
      .Eval(EvalBinarizer)
      .Traits(kElementwise | kDiscontinuous)
      .Class(Accuracy::kExact);
  OpSpec extractor = Op("ArrayFeatureExtractor", 1, kMl)
                         .In("X", "T", kNumbers | Bit(DType::kString))
                         .In("Y", "", Bit(DType::kInt64))
                         .Out("Z", "T", kNumbers | Bit(DType::kString))
                         .Rule(ExtractorRule)
                         .Eval(EvalExtractor)
                         .Draw(DrawExtractor)
                         .Traits(kMovesData)
                         .Class(Accuracy::kExact);
  return {Encoder(1), Encoder(2), Encoder(4), binarizer, extractor};
}

}  // namespace assay
