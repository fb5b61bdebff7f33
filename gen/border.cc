#include "gen/border.h"

#include <set>

#include "gen/catalog.h"

namespace assay {

int Border::CastTo(int id, DType to) {
  const OpSpec* spec = FindOp("", "Cast", builder_.opset());
  bool fits = Contains(spec->inputs[0].types, builder_.value(id).dtype) &&
              Contains(spec->outputs[0].types, to);
  if (!fits || !options_.Allows("Cast")) return -1;
  Node node;
  node.outputs = {"y"};
  node.Set("to", static_cast<int64_t>(to));
  return builder_.AddNode(*spec, std::move(node), {id}, Leniency{.dull = true});
}

int Border::NewInput(DType t, const Shape& shape) {
  GraphBuilder::Mark mark = builder_.Here();
  // Nothing that is drawn is sure to have a place among the powers of two of that type.
  if (!Crosses(t) && t != DType::kFloat8E8M0) {
    constexpr DTypeSet kWhole = kInts4 | kInts2 | Bit(DType::kString);
    DType given = Contains(kInts2, t)   ? DType::kBool
                  : Contains(kWhole, t) ? DType::kInt64
                                        : DType::kFloat;
    int id = CastTo(builder_.AddInput(choices_, given, shape), t);
    if (id >= 0) return id;
    builder_.Rollback(mark);
  }
  return builder_.AddInput(choices_, t, shape);
}

// Strings as numbers: which of the strings that the samples hold.
int Border::Number(int id) {
  const OpSpec* spec = FindOp(kMlDomain, "LabelEncoder", VersionOf(kMlDomain, builder_.opset()));
  if (!spec || !spec->FindAttr("keys_strings") || !options_.Allows("LabelEncoder")) return -1;
  const std::vector<std::string>& held = builder_.value(id).samples[0].native.strings();
  std::set<std::string> keys(held.begin(), held.end());
  std::vector<int64_t> values;
  for (size_t i = 0; i < keys.size(); ++i) values.push_back(static_cast<int64_t>(i) + 1);
  Node node;
  node.domain = kMlDomain;
  node.outputs = {"y"};
  node.Set("keys_strings", std::vector<std::string>(keys.begin(), keys.end()));
  node.Set("values_int64s", std::move(values));
  node.Set("default_int64", int64_t{0});
  return builder_.AddNode(*spec, std::move(node), {id}, Leniency{.dull = true});
}

void Border::CastOutputs() {
  size_t n = builder_.values().size();
  for (size_t v = 0; v < n; ++v) {
    const GenValue& x = builder_.value(static_cast<int>(v));
    bool output = x.kind == GenValue::Kind::kNode && x.uses == 0 && !x.hidden && !x.name.empty();
    if (!output || x.retired || IsList(x.dtype) || Crosses(x.dtype)) continue;
    GraphBuilder::Mark mark = builder_.Here();
    int cast = x.dtype == DType::kString ? Number(static_cast<int>(v))
                                         : CastTo(static_cast<int>(v), DType::kFloat);
    if (cast < 0) builder_.Rollback(mark);
  }
}

}  // namespace assay
