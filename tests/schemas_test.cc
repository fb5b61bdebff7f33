// Our rows beside libonnx's schemas: every operator of ai.onnx that is not deprecated, in every
// version from the one in force at opset 7 on, and every row that we have of its other domains.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <onnx/defs/schema.h>

#include <map>
#include <set>

#include "interp/op_spec.h"

namespace assay {
namespace {

constexpr int kOldest = 7;

std::string NameOf(const std::string& domain, const std::string& name, int since) {
  return fmt::format("{}{}{}-{}", domain, domain.empty() ? "" : ".", name, since);
}

// "T", or a list of element types in ONNX's words: "tensor(float)".
DTypeSet TypesOf(const onnx::OpSchema::FormalParameter& f) {
  DTypeSet types = 0;
  for (const std::string* t : f.GetTypes()) {
    if (t->rfind("tensor(", 0) == 0) types |= Bit(DTypeFromName(t->substr(7, t->size() - 8)));
    if (t->rfind("seq(", 0) == 0) types |= Bit(kSequence);
    if (t->rfind("optional(", 0) == 0) types |= Bit(kOptional);
  }
  return types;
}

std::string ToText(DTypeSet types) {
  std::string text;
  for (int t = 1; t < 32; ++t) {
    auto type = static_cast<DType>(t);
    if (Contains(types, type))
      text += text.empty() ? DTypeName(type) : std::string(" ") + DTypeName(type);
  }
  return text;
}

Arity ArityOf(const onnx::OpSchema::FormalParameter& f) {
  switch (f.GetOption()) {
    case onnx::OpSchema::Optional:
      return Arity::kOptional;
    case onnx::OpSchema::Variadic:
      return Arity::kVariadic;
    default:
      return Arity::kSingle;
  }
}

// What differs between two lists of formal inputs or outputs, one line each.
void CompareFormals(const char* kind, const std::vector<onnx::OpSchema::FormalParameter>& theirs,
                    const std::vector<Formal>& ours, std::set<std::string>* differences) {
  auto differs = [&](const std::string& text) { differences->insert(kind + text); };
  if (theirs.size() != ours.size())
    return differs(fmt::format("s: {} there, {} here", theirs.size(), ours.size()));
  for (size_t i = 0; i < theirs.size(); ++i) {
    const std::string name = " " + theirs[i].GetName();
    if (theirs[i].GetName() != ours[i].name) differs(name + " is named " + ours[i].name);
    if (ArityOf(theirs[i]) != ours[i].arity) differs(name + ": single, optional or variadic");
    if (ours[i].arity == Arity::kVariadic && theirs[i].GetIsHomogeneous() != ours[i].homogeneous &&
        std::string(kind) == "input")
      differs(name + ": of one element type or of several");
    const DTypeSet types = TypesOf(theirs[i]);
    if (types & ~ours[i].types) differs(name + " lacks " + ToText(types & ~ours[i].types));
    if (ours[i].types & ~types) differs(name + " adds " + ToText(ours[i].types & ~types));
    for (size_t j = 0; j < i; ++j) {
      // A type of one element needs no name to be the same.
      if ((types & (types - 1)) == 0 || TypesOf(theirs[j]) != types) continue;
      bool tied = !ours[i].type.empty() && ours[i].type == ours[j].type;
      if ((theirs[i].GetTypeStr() == theirs[j].GetTypeStr()) != tied)
        differs(name + " has the type of " + theirs[j].GetName() + " or has not");
    }
  }
}

std::string ToText(const onnx::AttributeProto& a) {
  switch (a.type()) {
    case onnx::AttributeProto::INT:
      return std::to_string(a.i());
    case onnx::AttributeProto::FLOAT:
      return fmt::format("{}", a.f());
    case onnx::AttributeProto::STRING:
      return a.s();
    case onnx::AttributeProto::INTS:
      return fmt::format("{}", fmt::join(a.ints(), ","));
    case onnx::AttributeProto::STRINGS:
      return fmt::format("{}", fmt::join(a.strings(), ","));
    default:
      return "";
  }
}

std::string ToText(const AttrValue& v) {
  if (auto i = std::get_if<int64_t>(&v)) return std::to_string(*i);
  if (auto f = std::get_if<float>(&v)) return fmt::format("{}", *f);
  if (auto s = std::get_if<std::string>(&v)) return *s;
  if (auto l = std::get_if<std::vector<int64_t>>(&v)) return fmt::format("{}", fmt::join(*l, ","));
  if (auto l = std::get_if<std::vector<std::string>>(&v))
    return fmt::format("{}", fmt::join(*l, ","));
  return "";
}

bool SameKind(onnx::AttributeProto::AttributeType theirs, AttrType ours) {
  static const std::vector<std::pair<int, AttrType>> kKinds = {
      {onnx::AttributeProto::INT, AttrType::kInt},
      {onnx::AttributeProto::FLOAT, AttrType::kFloat},
      {onnx::AttributeProto::STRING, AttrType::kString},
      {onnx::AttributeProto::INTS, AttrType::kInts},
      {onnx::AttributeProto::FLOATS, AttrType::kFloats},
      {onnx::AttributeProto::STRINGS, AttrType::kStrings},
      {onnx::AttributeProto::TENSOR, AttrType::kTensor},
      {onnx::AttributeProto::GRAPH, AttrType::kGraph},
      {onnx::AttributeProto::SPARSE_TENSOR, AttrType::kOpaque},
      {onnx::AttributeProto::TYPE_PROTO, AttrType::kOpaque}};
  return std::find(kKinds.begin(), kKinds.end(), std::pair<int, AttrType>(theirs, ours)) !=
         kKinds.end();
}

void CompareAttributes(const onnx::OpSchema& schema, const OpSpec& row,
                       std::set<std::string>* differences) {
  for (const auto& [name, theirs] : schema.attributes()) {
    const AttrSpec* ours = row.FindAttr(name);
    if (!ours) {
      differences->insert("attribute " + name + " is missing");
      continue;
    }
    if (!SameKind(theirs.type, ours->type)) differences->insert("attribute " + name + ": type");
    if (theirs.required != ours->required)
      differences->insert("attribute " + name + ": required or not");
    std::string there = ToText(theirs.default_value),
                here = ours->otherwise ? ToText(*ours->otherwise) : "";
    if (there != here)
      differences->insert(
          fmt::format("attribute {}: default '{}' there, '{}' here", name, there, here));
  }
  for (const AttrSpec& ours : row.attrs) {
    if (!schema.attributes().count(ours.name))
      differences->insert("attribute " + ours.name + " is there only here");
  }
}

const OpSpec* RowOf(const onnx::OpSchema& s) {
  const OpSpec* row = FindOp(s.domain(), s.Name(), s.SinceVersion());
  return row && row->since == s.SinceVersion() ? row : nullptr;
}

// Is this version the one in force at some opset from kOldest on?
bool InForce(const onnx::OpSchema& s, const std::vector<onnx::OpSchema>& all) {
  return std::none_of(all.begin(), all.end(), [&](const onnx::OpSchema& o) {
    return o.domain() == s.domain() && o.Name() == s.Name() &&
           o.SinceVersion() > s.SinceVersion() && o.SinceVersion() <= kOldest;
  });
}

TEST(Schemas, EveryVersionHasARow) {
  const std::vector<onnx::OpSchema> all = onnx::OpSchemaRegistry::get_all_schemas_with_history();
  int versions = 0;
  for (const onnx::OpSchema& s : all) {
    if (!s.domain().empty() || s.Deprecated() || !InForce(s, all)) continue;
    ++versions;
    const OpSpec* row = RowOf(s);
    EXPECT_TRUE(row && row->rule && row->eval) << NameOf(s.domain(), s.Name(), s.SinceVersion());
  }
  EXPECT_GE(versions, 340);
}

// Differences that are meant, by row.
std::string Meant(const std::string& row) {
  const std::string others =
      "uint8 int8 uint16 int16 int32 int64 string bool uint32 uint64 complex64 complex128";
  const std::string all = "float " + ToText(kAll7 & ~Bit(DType::kFloat)) + " sequence";
  static const std::map<std::string, std::string> kMeant = {
      // Release 1.12 gave the grid the element type of the image; onnx/onnx#4655 corrected this
      // version.
      {"GridSample-16", "input grid has the type of X or has not; input grid lacks " + others +
                            "; output Y adds " + others},
      // A loop may hand on the element of an optional as its state.
      {"OptionalHasElement-15", "input input adds " + all},
      {"OptionalGetElement-15", "input input adds " + all},
      // Exporters wrote shapes as integers before version 9 allowed it.
      {"Constant-1", "output output adds " + others},
      // The default stands in the text alone.
      {"SequenceEmpty-11", "attribute dtype: default '' there, '1' here"},
      // One Tanh for each direction, of which there may be one.
      {"RNN-7", "attribute activations: default 'Tanh,Tanh' there, '' here"},
      {"RNN-14", "attribute activations: default 'Tanh,Tanh' there, '' here"},
  };
  auto it = kMeant.find(row);
  return it == kMeant.end() ? std::string() : it->second;
}

TEST(Schemas, RowsAgreeWithLibonnx) {
  int rows = 0;
  for (const onnx::OpSchema& s : onnx::OpSchemaRegistry::get_all_schemas_with_history()) {
    const OpSpec* row = s.Deprecated() ? nullptr : RowOf(s);
    if (!row) continue;
    ++rows;
    const std::string name = NameOf(s.domain(), s.Name(), s.SinceVersion());
    std::set<std::string> differences;
    CompareFormals("input", s.inputs(), row->inputs, &differences);
    CompareFormals("output", s.outputs(), row->outputs, &differences);
    CompareAttributes(s, *row, &differences);
    EXPECT_EQ(fmt::format("{}", fmt::join(differences, "; ")), Meant(name)) << name;
  }
  EXPECT_GE(rows, 350);
}

}  // namespace
}  // namespace assay
