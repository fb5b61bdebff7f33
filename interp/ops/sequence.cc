// Sequences of tensors: SequenceEmpty, SequenceConstruct, SequenceAt, SequenceInsert, SequenceErase, SequenceLength,
// ConcatFromSequence (ONNX opset 11), SplitToSequence (11, 24). A sequence is a list of tensors of one element type
// (Tensor::List).
#include <numeric>

#include "interp/compose.h"
#include "interp/lists.h"

namespace assay {
namespace {

// What the items of input i are; kUndefined when not known.
TypeInfo ItemType(const RuleContext& c, int i) { return c.Has(i) ? ItemOf(c.type(i)) : TypeInfo{}; }

void OutSequence(RuleContext& c, const TypeInfo& item) { c.Out(0, ListOfItems(kSequence, item)); }

Status SetSequence(KernelContext& c, const std::vector<DType>& of, std::vector<Tensor> items) {
  c.Set(0, Tensor::List(kSequence, of, std::move(items)));
  return {};
}

// A position given as data, counted from the end where negative: [-size, size), or up to size to insert.
Result<size_t> Position(const KernelContext& c, int input, int64_t size, bool inserts) {
  const Tensor& t = c.in(input);
  if (t.size() != 1) return Invalid("the position has one element; got " + t.TypeString());
  int64_t at = t.AsInt(0), most = inserts ? size : size - 1;
  if (at < -size || at > most) {
    return Invalid("position " + std::to_string(at) + " is outside of a sequence of " + std::to_string(size));
  }
  return static_cast<size_t>(at < 0 ? at + size : at);
}

// ---- SequenceEmpty, SequenceConstruct ----
DType EmptyType(const Node& n) {
  int64_t dtype = n.Int("dtype", static_cast<int64_t>(DType::kFloat));
  return dtype > 0 && dtype < kDTypeCount ? static_cast<DType>(dtype) : DType::kUndefined;
}
void EmptyRule(RuleContext& c) {
  c.Require(EmptyType(c.node()) != DType::kUndefined, "dtype is an element type");
  OutSequence(c, {EmptyType(c.node()), false, {}, {}});
}
Status EvalEmpty(KernelContext& c) { return SetSequence(c, {EmptyType(c.node())}, {}); }

void ConstructRule(RuleContext& c) {
  TypeInfo item = c.type(0);
  for (int i = 1; i < c.inputs(); ++i) item = Either(item, c.type(i));
  OutSequence(c, item);
}
Status EvalConstruct(KernelContext& c) {
  std::vector<Tensor> items;
  for (int i = 0; i < c.inputs(); ++i) items.push_back(c.in(i));
  DType of = items[0].dtype();
  return SetSequence(c, {of}, std::move(items));
}

// ---- SequenceAt, SequenceInsert, SequenceErase, SequenceLength ----
void AtRule(RuleContext& c) { c.Out(0, ItemType(c, 0)); }
Status EvalAt(KernelContext& c) {
  size_t at = TRY(Position(c, 1, c.in(0).size(), false));
  c.Set(0, c.in(0).items()[at]);
  return {};
}

void InsertRule(RuleContext& c) {
  const TypeInfo item = ItemType(c, 0);
  const bool known = item.dtype != DType::kUndefined;
  c.Require(!known || item.dtype == c.dtype(1), "the tensor has the element type of the sequence");
  OutSequence(c, known ? Either(item, c.type(1)) : TypeInfo{c.dtype(1), false, {}, {}});
}
Status EvalInsert(KernelContext& c) {
  std::vector<Tensor> items = c.in(0).items();
  size_t at = items.size();
  if (c.Has(2)) at = TRY(Position(c, 2, c.in(0).size(), true));
  items.insert(items.begin() + static_cast<ptrdiff_t>(at), c.in(1));
  return SetSequence(c, {c.in(1).dtype()}, std::move(items));
}

void EraseRule(RuleContext& c) { OutSequence(c, ItemType(c, 0)); }
Status EvalErase(KernelContext& c) {
  std::vector<Tensor> items = c.in(0).items();
  if (items.empty()) return Invalid("nothing can be erased from an empty sequence");
  size_t at = items.size() - 1;
  if (c.Has(1)) at = TRY(Position(c, 1, c.in(0).size(), false));
  items.erase(items.begin() + static_cast<ptrdiff_t>(at));
  return SetSequence(c, c.in(0).of(), std::move(items));
}

void LengthRule(RuleContext& c) { c.Out(0, DType::kInt64, {}); }
Status EvalLength(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  out->Set(0, static_cast<double>(c.in(0).size()));
  return {};
}

// ---- SplitToSequence, ConcatFromSequence ----
void SplitRule(RuleContext& c) {
  TypeInfo item = c.type(0);
  if (!item.ranked) return OutSequence(c, item);
  const auto axis = static_cast<size_t>(c.Axis(c.IntValue("axis"), c.Rank(0)));
  if (c.failed()) return;
  if (!c.Has(1) && c.IntValue("keepdims") == 0) {
    item.dims.erase(item.dims.begin() + static_cast<ptrdiff_t>(axis));
  } else {
    item.dims[axis] = c.Has(1) ? Dim::Unknown() : Dim(1);
  }
  OutSequence(c, item);
}

Status EvalSplit(KernelContext& c) {
  const Tensor& x = c.in(0);
  int64_t axis = c.Int("axis"), rank = x.rank();
  if (axis < -rank || axis >= rank) return Invalid("axis " + std::to_string(axis) + " is outside of rank " + std::to_string(rank));
  if (axis < 0) axis += rank;
  int64_t extent = x.dim(static_cast<int>(axis));
  std::vector<Tensor> items;
  if (!c.Has(1) && c.Int("keepdims") == 0) {
    for (int64_t i = 0; i < extent; ++i) items.push_back(TRY(SliceAt(c, x, axis, i)));
    return SetSequence(c, {x.dtype()}, std::move(items));
  }
  std::vector<int64_t> sizes;
  bool chunks = !c.Has(1) || c.in(1).rank() == 0;
  if (chunks) {
    int64_t step = c.Has(1) ? c.in(1).AsInt(0) : 1;
    if (step <= 0) return Invalid("split is positive");
    for (int64_t at = 0; at < extent; at += step) sizes.push_back(std::min(step, extent - at));
  } else {
    sizes = c.in(1).AsInts();
  }
  int64_t at = 0;
  for (int64_t size : sizes) {
    if (size < 0 || size > extent - at) return Invalid("the parts of split do not fit an axis of " + std::to_string(extent));
    items.push_back(TRY(Compose(c, "Slice", {x, Tensor::Vector({at}), Tensor::Vector({at + size}), Tensor::Vector({axis})})));
    at += size;
  }
  if (at != extent) return Invalid("the parts of split do not fill an axis of " + std::to_string(extent));
  return SetSequence(c, {x.dtype()}, std::move(items));
}

void ConcatRule(RuleContext& c) {
  c.Require(c.IntValue("new_axis") == 0 || c.IntValue("new_axis") == 1, "new_axis is 0 or 1");
  TypeInfo t = ItemType(c, 0);
  const bool stacks = c.IntValue("new_axis") == 1;
  if (t.ranked) {
    const int axis = c.Axis(c.IntValue("axis"), static_cast<int>(t.dims.size()) + (stacks ? 1 : 0));
    if (c.failed()) return;
    if (stacks) {
      t.dims.insert(t.dims.begin() + axis, Dim::Unknown());
    } else {
      t.dims[static_cast<size_t>(axis)] = Dim::Unknown();
    }
  }
  c.Out(0, t);
}
Status EvalConcat(KernelContext& c) {
  const std::vector<Tensor>& items = c.in(0).items();
  if (items.empty()) return Invalid("an empty sequence can't be joined");
  int64_t axis = c.Int("axis");
  bool stacks = c.Int("new_axis") == 1;
  Tensor joined = TRY(stacks ? Stack(c, items, axis) : Compose(c, "Concat", items, {{"axis", axis, {}}}));
  c.Set(0, joined);
  return {};
}

}  // namespace

std::vector<OpSpec> ops_sequence() {
  constexpr uint32_t kTraits = kMovesData | kNotGenerated;
  auto row = [](const char* name) { return Op(name, 11).Traits(kTraits).Class(Accuracy::kExact); };
  AttrSpec axis{"axis", AttrType::kInt, true, std::nullopt, {}};
  std::vector<OpSpec> rows;
  rows.push_back(row("SequenceEmpty").Out("output", "S", kSequences).Int("dtype", 1).Rule(EmptyRule).Eval(EvalEmpty));
  rows.push_back(row("SequenceConstruct")
                     .In("inputs", "T", kAll7, Arity::kVariadic)
                     .Out("output_sequence", "S", kSequences)
                     .Rule(ConstructRule)
                     .Eval(EvalConstruct));
  rows.push_back(row("SequenceAt")
                     .In("input_sequence", "S", kSequences)
                     .In("position", "I", kIndexInts)
                     .Out("tensor", "T", kAll7)
                     .Rule(AtRule)
                     .Eval(EvalAt));
  rows.push_back(row("SequenceInsert")
                     .In("input_sequence", "S", kSequences)
                     .In("tensor", "T", kAll7)
                     .In("position", "I", kIndexInts, Arity::kOptional)
                     .Out("output_sequence", "S", kSequences)
                     .Rule(InsertRule)
                     .Eval(EvalInsert));
  rows.push_back(row("SequenceErase")
                     .In("input_sequence", "S", kSequences)
                     .In("position", "I", kIndexInts, Arity::kOptional)
                     .Out("output_sequence", "S", kSequences)
                     .Rule(EraseRule)
                     .Eval(EvalErase));
  rows.push_back(row("SequenceLength")
                     .In("input_sequence", "S", kSequences)
                     .Out("length", "I", Bit(DType::kInt64))
                     .Rule(LengthRule)
                     .Eval(EvalLength));
  rows.push_back(row("SplitToSequence")
                     .In("input", "T", kAll7)
                     .In("split", "I", kIndexInts, Arity::kOptional)
                     .Out("output_sequence", "S", kSequences)
                     .Int("axis", 0)
                     .Int("keepdims", 1)
                     .Rule(SplitRule)
                     .Eval(EvalSplit));
  rows.push_back(rows.back().Since(24).Types("T", kAll13));
  rows.push_back(row("ConcatFromSequence")
                     .In("input_sequence", "S", kSequences)
                     .Out("concat_result", "T", kAll7)
                     .Attr(axis)
                     .Int("new_axis", 0)
                     .Rule(ConcatRule)
                     .Eval(EvalConcat));
  return rows;
}

}  // namespace assay
