// Sequences and optionals, from a tensor to a tensor again.
#include "gen/body.h"
#include "gen/motifs/growth.h"

namespace assay {
namespace {

constexpr DTypeSet kReals = Bit(DType::kFloat) | Bit(DType::kDouble);

int Place(Sketch& s, int64_t at) {
  return s.Constant(ScalarOf(DType::kInt64, static_cast<double>(at)));
}

// Constructed, something put in at a place, something taken out, and one item or all of them
// joined.
int Sequence(Sketch& s, int x) {
  int list = s.Node("SequenceConstruct", {x, s.Node("Neg", {x}), GrowKeeping(s, x, 1)});
  int64_t items = 3;
  // Of one item that is taken nobody sees where the others stand.
  bool takes_one = s.choices().Chance(0.3);
  if (!takes_one && s.choices().Chance(0.7)) {
    bool at_end = s.choices().Chance(0.3);
    list =
        s.Node("SequenceInsert", {list, s.Node("Tanh", {x}),
                                  at_end ? Sketch::kAbsent : Place(s, s.choices().Between(-3, 3))});
    ++items;
  }
  if (!takes_one && s.choices().Chance(0.9)) {
    list = s.Node("SequenceErase", {list, Place(s, s.choices().Between(-items, items - 1))});
    --items;
  }
  if (takes_one)
    return s.Node("SequenceAt", {list, Place(s, s.choices().Between(-items, items - 1))});
  bool stacks = s.choices().Chance(0.5);
  int64_t axis = s.choices().Between(0, s.rank(x) - (stacks ? 0 : 1));
  return s.Node("ConcatFromSequence", {list}, {{"axis", axis}, {"new_axis", stacks ? 1 : 0}});
}

int EmptySequence(Sketch& s, int x) {
  int list = s.Node("SequenceEmpty", {}, {{"dtype", static_cast<int64_t>(s.dtype(x))}});
  list = s.Node("SequenceInsert", {list, x});
  list = s.Node("SequenceInsert", {list, s.Node("Neg", {x}), Place(s, 0)});
  int last = s.Node("Sub", {s.Node("SequenceLength", {list}), Place(s, 1)});
  return s.Node("SequenceAt", {list, last});
}

// Cut into pieces of one length, of given lengths, or into slices without the axis, and joined.
int Pieces(Sketch& s, int x) {
  int64_t axis = s.choices().Between(0, s.rank(x) - 1), n = s.shape(x)[static_cast<size_t>(axis)];
  std::vector<int> inputs = {x};
  bool keep = true;
  uint64_t how = s.choices().Below(3);
  if (how == 0 && n > 1) inputs.push_back(Place(s, s.choices().Between(1, n - 1)));
  if (how == 1 && n > 1) inputs.push_back(s.Vector({1, n - 1}));
  if (inputs.size() == 1) keep = s.choices().Chance(0.5);
  int list = s.Node("SplitToSequence", inputs, {{"axis", axis}, {"keepdims", keep ? 1 : 0}});
  // Joined, pieces of any lengths are the same again.
  if (inputs.size() > 1 || s.choices().Chance(0.3))
    return s.Node("SequenceAt", {list, Place(s, 0)});
  return s.Node("ConcatFromSequence", {list}, {{"axis", axis}, {"new_axis", keep ? 0 : 1}});
}

// A body over the items.
int Mapped(Sketch& s, int x) {
  GraphBuilder& b = s.builder();
  int64_t n = s.shape(x)[0];
  int list = s.Node("SplitToSequence", {x}, {{"axis", 0}, {"keepdims", 0}});
  GraphBuilder::Mark here = b.Here();
  BodySpec spec{here, here, BodyPrefix(b, "map"), {}, {}, false};
  int item = s.Node("SequenceAt", {list, Place(s, n - 1)});
  if (item < 0) return item;
  spec.inputs = {{item, b.value(item).type()}};
  spec.mark = b.Here();
  int y = s.Node("Tanh", {GrowKeeping(s, item, 2)});
  if (y < 0) return y;
  spec.outputs = {y};
  Attribute body = {"body", std::make_shared<const Graph>(TakeBody(b, spec)), {}};
  int mapped = AddWithBodies(b, "SequenceMap", {list}, {std::move(body)});
  return s.Node("ConcatFromSequence", {mapped < 0 ? Sketch::kRefused : mapped},
                {{"axis", 0}, {"new_axis", 1}});
}

int Optional(Sketch& s, int x) {
  int o = s.Node("Optional", {x});
  int y = s.Node("OptionalGetElement", {o});
  if (s.choices().Chance(0.5)) return y;
  // Whether it is there, as a number.
  int there = s.Node("Cast", {s.Node("OptionalHasElement", {o})},
                     {{"to", static_cast<int64_t>(s.dtype(x))}});
  return s.Node("Add", {y, there});
}

}  // namespace

std::vector<Motif> motifs_lists() {
  auto row = [](const char* name, const char* doc, int (*build)(Sketch&, int), int since) {
    return Motif{
        .name = name, .doc = doc, .tags = kLists, .types = kReals, .since = since, .build = build};
  };
  Motif empty = row("empty_sequence", "a sequence filled from nothing", EmptySequence, 11);
  empty.allow.dull = true;  // the length
  Motif map = row("sequence_map", "SequenceMap over the slices of a value", Mapped, 17);
  Motif optional = row("optional", "an Optional and its element", Optional, 15);
  optional.allow.dull = true;  // whether there is an element
  map.weight = optional.weight = 2;  // fewer operator sets have them
  return {row("sequence", "a sequence made, changed and read", Sequence, 11), empty,
          row("pieces", "SplitToSequence and ConcatFromSequence", Pieces, 11), map, optional};
}

}  // namespace assay
