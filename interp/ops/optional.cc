// Optional (ONNX opset 15), OptionalHasElement and OptionalGetElement (15, 18). An optional is a list of one item or
// none (Tensor::List); from version 18 on a plain tensor or sequence counts as one that is there.
#include "interp/lists.h"
#include "interp/onnx_io.h"

namespace assay {
namespace {

// What the type attribute names.
std::vector<DType> Named(const Node& n) {
  const AttrValue* type = n.Find("type");
  auto bytes = type ? std::get_if<Opaque>(type) : nullptr;
  return bytes ? ListTypeOf(*bytes).of : std::vector<DType>{};
}

void OptionalRule(RuleContext& c) {
  if (c.Has(0)) return c.Out(0, ListOfItems(kOptional, c.type(0)));
  c.Require(!Named(c.node()).empty(), "an optional without an element names its type");
  c.Out(0, TypeInfo::ListOf(kOptional, Named(c.node())));
}
Status EvalOptional(KernelContext& c) {
  if (!c.Has(0)) {
    c.Set(0, Tensor::List(kOptional, Named(c.node()), {}));
    return {};
  }
  const Tensor& x = c.in(0);
  std::vector<DType> of = Described(x.dtype(), IsList(x.dtype()) ? x.of() : std::vector<DType>{});
  c.Set(0, Tensor::List(kOptional, std::move(of), {x}));
  return {};
}

void HasRule(RuleContext& c) { c.Out(0, DType::kBool, {}); }
Status EvalHas(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  bool has = c.Has(0) && (c.in(0).dtype() != kOptional || c.in(0).size() > 0);
  out->Set(0, has ? 1 : 0);
  return {};
}

void GetRule(RuleContext& c) {
  const TypeInfo& t = c.type(0);
  if (t.dtype != kOptional) return c.Out(0, t);
  c.Out(0, ItemOf(t));
}
Status EvalGet(KernelContext& c) {
  const Tensor& x = c.in(0);
  if (x.dtype() != kOptional) {
    c.Set(0, x);
    return {};
  }
  if (x.size() == 0) return Invalid("the optional is empty");
  c.Set(0, x.items()[0]);
  return {};
}

}  // namespace

std::vector<OpSpec> ops_optional() {
  constexpr uint32_t kTraits = kMovesData | kNotGenerated;
  constexpr DTypeSet kElements = kAll7 | kSequences;
  auto row = [](const char* name, int since) { return Op(name, since).Traits(kTraits).Class(Accuracy::kExact); };
  auto has = [&](int since, DTypeSet types, Arity arity) {
    return row("OptionalHasElement", since)
        .In("input", "O", types, arity)
        .Out("output", "B", Bit(DType::kBool))
        .Rule(HasRule)
        .Eval(EvalHas);
  };
  auto get = [&](int since, DTypeSet types) {
    return row("OptionalGetElement", since).In("input", "O", types).Out("output", "V", kElements).Rule(GetRule).Eval(EvalGet);
  };
  return {row("Optional", 15)
              .In("input", "V", kElements, Arity::kOptional)
              .Out("output", "O", kOptionals)
              .Attr({"type", AttrType::kOpaque, false, std::nullopt, {}})
              .Rule(OptionalRule)
              .Eval(EvalOptional),
          // Version 15 takes optionals alone, but a loop may hand on the element as its state.
          has(15, kElements | kOptionals, Arity::kSingle),
          has(18, kElements | kOptionals, Arity::kOptional),
          get(15, kElements | kOptionals),
          get(18, kElements | kOptionals)};
}

}  // namespace assay
