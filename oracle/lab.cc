#include "oracle/lab.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>
#include <thread>

#include "interp/choices.h"
#include "interp/field.h"

namespace assay {
namespace {

// Positions of known constants in the random order, one for each context: a single order forgets (a
// lost Relu before a wide MaxPool), and so does one placement of the constants.
constexpr double kQuantilePowers[kSecondLook] = {1.0, 1.0 / 3, 3.0, 1.0 / 12, 12.0};
// Of the second look: the maximum of a thousand elements still falls below a constant now and then.
constexpr double kFarPowers[] = {1.0, 1.0 / 200, 200.0, 1.0 / 3, 3.0, 1.0 / 40, 40.0};
// Integers of several magnitudes: small ones that fit as indices, and such as pass any bound.
constexpr double kSpread[] = {0, 8, 100, 0, 20000};
constexpr double kFarSpread[] = {256, 0, 100, 3e9, 8, 65536, 2};
constexpr int64_t kLiteralElements = 16;  // constants this small may be bounds and keep their order
constexpr size_t kLiterals = 4096;
constexpr int64_t kKeptConstant = 1 << 16;  // larger constants are embedded anew when needed

void AddLiterals(const Tensor& t, std::vector<double>* out) {
  if (!IsFloat(t.dtype()) || t.size() > kLiteralElements) return;
  for (int64_t i = 0; i < t.size() && out->size() < kLiterals; ++i) {
    out->push_back(t.AsDouble(i));
    out->push_back(-t.AsDouble(i));
  }
}

// Operators that compare their operands with constants, or read a real number off one. Only such constants keep
// their order: the fewer there are, the further they lie apart and the likelier a moved bound shows.
bool ReadsOrder(const std::string& op) {
  static const std::set<std::string> kOps = {
      "Clip",  "Max",     "Min",  "Greater", "Less",  "GreaterOrEqual",  "LessOrEqual",   "Equal", "ThresholdedRelu",
      "Shrink", "Cast",   "CastLike", "Floor", "Ceil", "Round",          "QuantizeLinear", "Mod",  "DynamicQuantizeLinear",
      "TopK",  "ArgMax",  "ArgMin", "MaxPool", "ReduceMax", "ReduceMin", "Hardmax", "Sign", "Concat", "Pad", "Where"};
  return kOps.count(op) > 0;
}

void CollectLiterals(const Model& m, std::vector<double>* out) {
  const Graph& g = m.graph;
  std::unordered_map<std::string, const Tensor*> constants;
  for (const Initializer& i : g.initializers) constants[i.name] = &i.value;
  for (const NodePtr& n : g.nodes) {
    for (const Attribute& a : n->attrs) {
      auto t = std::get_if<Tensor>(&a.value);
      if (n->op == "Constant" && t) constants[n->outputs[0]] = t;
    }
  }
  std::unordered_map<std::string, int> made = g.Producers();
  for (const NodePtr& n : g.nodes) {
    if (n->op == "HardSwish") out->push_back(6);
    if (n->op == "HardSigmoid") out->push_back(1.0 / static_cast<double>(n->Float("alpha", 0.2f)));
    if (!ReadsOrder(n->op)) continue;
    for (const Attribute& a : n->attrs) {
      if (auto f = std::get_if<float>(&a.value)) out->push_back(*f);
    }
    for (std::string input : n->inputs) {
      // Back through what only moves elements.
      constexpr int kSteps = 8;
      for (int step = 0; step < kSteps && !constants.count(input) && made.count(input); ++step) {
        const Node& maker = *g.nodes[made[input]];
        if (maker.inputs.empty()) break;
        input = maker.inputs[0];
      }
      auto it = constants.find(input);
      if (it != constants.end()) AddLiterals(*it->second, out);
    }
  }
}

Signature Sign(const Tensor& t) {
  // A cast keeps the residues; the element type keeps the two apart.
  uint64_t type = Mix(static_cast<uint64_t>(t.dtype()));
  Signature s{type ^ static_cast<uint64_t>(t.size()), type, t.size()};
  auto add = [&](uint64_t x) {
    s.ordered = (s.ordered ^ x) * 0x9fb21c651e98df25ULL;
    s.ordered ^= s.ordered >> 29;
    uint64_t y = (x + 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL;
    s.multiset += (y ^ (y >> 31)) * 0x94d049bb133111ebULL;
  };
  if (t.dtype() == DType::kString) {
    for (const std::string& x : t.strings()) add(std::hash<std::string>{}(x));
  } else if (t.store() == Store::kField) {
    for (const Fp& x : t.span<Fp>()) add(static_cast<uint64_t>(x.r));
  } else if (IsFloat(t.dtype()) || t.element_bytes() > 8) {
    s.ordered = ContentHash(t);
    s.multiset = s.ordered;
  } else {
    // Integers and bools apart from residues, so that a count never equals a field value by chance.
    for (int64_t i = 0; i < t.size(); ++i)
      add(0xf00d000000000000ULL ^ static_cast<uint64_t>(t.AsInt(i)));
  }
  s.ordered |= 1;
  return s;
}

uint64_t ShapeHash(const Tensor& t) {
  uint64_t h = Mix(static_cast<uint64_t>(t.dtype()) + 77);
  for (int64_t d : t.shape()) h = Mix(h ^ static_cast<uint64_t>(d));
  return h;
}

}  // namespace

int ContextsFor(const Model& source, int base) {
  constexpr int64_t kFew = 8;
  constexpr int kForFewValues = 16;
  constexpr size_t kSmallGraph = 64;
  // So does an operand that only sometimes is the largest.
  for (const NodePtr& n : source.graph.nodes) {
    const OpSpec* row = source.graph.nodes.size() <= kSmallGraph ? FindOp(n->domain, n->op, source.Opset(n->domain)) : nullptr;
    if (row && row->Has(kDiscontinuous)) return std::max(base, kForFewValues);
  }
  for (const ValueInfo& v : source.graph.RequiredInputs()) {
    bool discrete = v.dtype == DType::kBool || IsInt(v.dtype);
    if (discrete && v.Static() && ElementCount(v.StaticShape()) <= kFew) return std::max(base, kForFewValues);
  }
  return base;
}

Model BindSymbols(const Model& model, int64_t extent) {
  Model bound = model;
  bool open = false;
  for (ValueInfo& v : bound.graph.inputs) {
    if (!v.shape) continue;
    for (DimDecl& d : *v.shape) {
      if (d.value < 0) d = {extent, {}}, open = true;
    }
  }
  return open ? bound : model;
}

namespace {
std::string Declared(const ValueInfo& v) {
  std::string s = DTypeName(v.dtype);
  if (!v.shape) return s + "[*]";
  s += "[";
  for (size_t i = 0; i < v.shape->size(); ++i) {
    const DimDecl& d = (*v.shape)[i];
    s += (i ? "," : "") + (d.value >= 0       ? std::to_string(d.value)
                           : d.symbol.empty() ? "?"
                                              : d.symbol);
  }
  return s + "]";
}
// Extents agree when equal, or when either side leaves both open.
bool SameDeclaration(const ValueInfo& a, const ValueInfo& b) {
  if (a.dtype != b.dtype || a.shape.has_value() != b.shape.has_value()) return false;
  if (!a.shape) return true;
  if (a.shape->size() != b.shape->size()) return false;
  for (size_t i = 0; i < a.shape->size(); ++i) {
    if ((*a.shape)[i].value != (*b.shape)[i].value) return false;
  }
  return true;
}
}  // namespace

Status SameInterface(const Model& source, const Model& target) {
  std::vector<ValueInfo> a = source.graph.RequiredInputs(), b = target.graph.RequiredInputs();
  if (a.size() != b.size()) {
    return Invalid("the source has " + std::to_string(a.size()) + " inputs, the target " +
                   std::to_string(b.size()));
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (!SameDeclaration(a[i], b[i])) {
      return Invalid("input " + std::to_string(i) + " is " + Declared(a[i]) +
                         " in the source and " + Declared(b[i]) + " in the target",
                     b[i].name);
    }
  }
  if (source.graph.outputs.size() != target.graph.outputs.size()) {
    return Invalid("the source has " + std::to_string(source.graph.outputs.size()) +
                   " outputs, the target " + std::to_string(target.graph.outputs.size()));
  }
  return {};
}

std::vector<uint64_t> Trace::OutputKeys() const {
  std::vector<uint64_t> keys;
  for (int o : model->outputs) {
    uint64_t h = signature[o].ordered;
    for (const std::vector<Tensor>& context : values) {
      h = context[o].defined() ? Mix(h ^ ShapeHash(context[o])) : 0;
      if (h == 0) break;
    }
    keys.push_back(h);
  }
  return keys;
}

struct Lab::Impl {
  LabOptions options;
  std::shared_ptr<const Prepared> source_model;
  std::unique_ptr<SnapPool> pool;
  std::vector<double> literals;
  Trace source;

  // What one context has computed so far.
  struct Context {
    int draw = 0;  // its place in the schedule
    std::unique_ptr<FieldContext> field;
    std::vector<Tensor> inputs;
    struct Seen {
      std::vector<Tensor> outputs;
      std::vector<Signature> signatures;
    };
    std::unordered_map<uint64_t, Seen> memo;
    std::vector<uint64_t> fresh;  // keys added by the run in progress
    std::shared_ptr<SnapPool::Cache> cache;
    std::unordered_map<uint64_t, Tensor> kept;  // small constants by content (and snap entry)
    bool source_done = false;
    std::vector<Signature> source_signature;
    std::vector<Tensor> source_values;
  };
  std::vector<Context> contexts;

  struct Run1 {
    std::vector<Signature> signature;
    std::vector<Tensor> values;
    std::string failure;
    int failed_node = -1;
    Code code = Code::kInvalid;
  };
  using Snaps = std::unordered_map<int, SnapPool::Match>;

  Status MakeContext(int k);
  Run1 RunOne(Context& c, const Prepared& m, const Snaps& snaps);
  Snaps SnapConstants(const Prepared& m, bool scalars, Trace* trace);
};

Lab::Lab() : impl_(std::make_unique<Impl>()) {}
Lab::~Lab() = default;
const Trace& Lab::source() const { return impl_->source; }
const SnapPool& Lab::pool() const { return *impl_->pool; }

double PowerOf(int draw) {
  return draw < kSecondLook ? kQuantilePowers[draw] : kFarPowers[(draw - kSecondLook) % std::size(kFarPowers)];
}
double SpreadOf(int draw) {
  return draw < kSecondLook ? kSpread[draw] : kFarSpread[(draw - kSecondLook) % std::size(kFarSpread)];
}

// Every second context of the second look: half of the elements are numbers that the models compare with.
void PlaceConstants(const std::vector<double>& literals, Choices& choices, Tensor* t) {
  std::vector<double> known = {0, 1, -1, 0.5, -0.5, 2};
  known.insert(known.end(), literals.begin(), literals.end());
  Fp* x = t->mutable_data<Fp>();
  for (int64_t i = 0; i < t->size(); ++i) {
    if (choices.Below(2) == 0) x[i] = Fp(known[choices.Below(known.size())]);
  }
}

Status Lab::Impl::MakeContext(int draw) {
  Context c;
  c.draw = draw;
  uint64_t seed = MixSeeds(options.seed ^ 0xf1e1d, static_cast<uint64_t>(draw));
  c.field = std::make_unique<FieldContext>(seed, literals, PowerOf(draw));
  Model bound = BindSymbols(source_model->model, 2 + draw % 3);
  c.inputs = TRY(RandomInputs(bound, seed));
  FieldScope scope(c.field.get());
  uint64_t index = 0;
  for (Tensor& t : c.inputs) {
    double spread = std::min(SpreadOf(draw), std::exp2(8.0 * static_cast<double>(t.element_bytes())));
    if (IsInt(t.dtype()) && spread > 0) {
      Choices choices(MixSeeds(seed, ++index));
      Tensor wide = t.Clone();
      for (int64_t i = 0; i < t.size(); ++i) {
        wide.Set(i, std::floor(choices.Uniform(IsSigned(t.dtype()) ? -spread : 0, spread)));
        // Powers of two are what shifts and masks tell apart.
        bool special = draw >= kSecondLook && draw % 2 == 1 && spread > 2 && choices.Below(2) == 0;
        if (special) wide.Set(i, std::exp2(std::floor(choices.Uniform(0, std::log2(spread)))));
      }
      t = wide;
    }
    if (!IsFloat(t.dtype())) continue;
    Tensor r = TRY(Tensor::Make(t.dtype(), t.shape(), Store::kField, options.limits));
    Fp* x = r.mutable_data<Fp>();
    Choices choices(MixSeeds(seed, ++index));
    for (int64_t i = 0; i < r.size(); ++i)
      x[i] = Fp::Raw(static_cast<double>(choices.Below(static_cast<uint64_t>(c.field->p()))));
    if (draw >= kSecondLook && draw % 2 == 1) PlaceConstants(literals, choices, &r);
    t = r;
  }
  c.cache = pool->NewCache();
  contexts.push_back(std::move(c));
  return {};
}

Result<std::unique_ptr<Lab>> Lab::Make(const Model& source, const Model& target,
                                       const LabOptions& options) {
  std::unique_ptr<Lab> lab(new Lab());
  Impl& m = *lab->impl_;
  m.options = options;
  m.source_model = TRY(Prepared::Of(source));
  m.pool = std::make_unique<SnapPool>(m.source_model);
  CollectLiterals(source, &m.literals);
  CollectLiterals(target, &m.literals);
  for (int k = 0; k < options.contexts && options.draws.empty(); ++k) TRY(m.MakeContext(k));
  for (int draw : options.draws) TRY(m.MakeContext(draw));
  m.source.model = m.source_model;
  return lab;
}

namespace {
// Values of the constants that a model computes, in double, as far as they can be computed.
std::unordered_map<int, Tensor> ComputedConstants(const Prepared& m, const Limits& limits) {
  std::unordered_map<int, Tensor> values;
  for (const PreparedNode& pn : m.nodes) {
    if (!pn.constant) continue;
    std::vector<Tensor> held;
    std::vector<const Tensor*> args;
    held.reserve(pn.inputs.size());
    bool known = true;
    for (int i : pn.inputs) {
      if (i < 0) {
        args.push_back(nullptr);
        continue;
      }
      auto it = values.find(i);
      known = known && (it != values.end() || m.initializer[i] >= 0);
      if (!known) break;
      held.push_back(it != values.end() ? it->second : m.Initial(i).To(Store::kDouble));
      args.push_back(&held.back());
    }
    if (!known) continue;
    Result<std::vector<Tensor>> out =
        EvalNode(*pn.row, *pn.node, args, Store::kDouble, limits, m.model.Opset(pn.node->domain));
    for (size_t o = 0; out.ok() && o < pn.outputs.size(); ++o) {
      if (pn.outputs[o] >= 0) values.emplace(pn.outputs[o], (*out)[o]);
    }
  }
  return values;
}
}  // namespace

Lab::Impl::Snaps Lab::Impl::SnapConstants(const Prepared& m, bool scalars, Trace* trace) {
  Snaps snaps;
  // Constants that something else than a constant reads: what the target computes from its
  // constants counts by value.
  std::vector<std::vector<std::pair<int, int>>> readers(m.names.size());  // node, input
  for (size_t n = 0; n < m.nodes.size(); ++n) {
    const PreparedNode& pn = m.nodes[n];
    for (size_t i = 0; i < pn.inputs.size() && !pn.constant; ++i) {
      if (pn.inputs[i] >= 0 && m.constant[pn.inputs[i]])
        readers[pn.inputs[i]].push_back({static_cast<int>(n), static_cast<int>(i)});
    }
  }
  auto own = [&](int v) {
    return m.initializer[v] >= 0 && !pool->IsSourceConstant(m.structure[v]);
  };
  // A constant of its own that only constants read is still a rounded one.
  for (size_t n = 0; n < m.nodes.size(); ++n) {
    for (int v : m.nodes[n].inputs) {
      if (v >= 0 && m.nodes[n].constant && readers[v].empty() && own(v))
        readers[v].push_back({static_cast<int>(n), -1});
    }
  }
  for (const PreparedNode& pn : m.nodes) {
    if (pn.node->op != "BatchNormalization" || !pn.node->domain.empty() || pn.constant ||
        pn.inputs.size() < 5)
      continue;
    std::vector<int> in(pn.inputs.begin() + 1, pn.inputs.begin() + 5);
    bool given =
        std::all_of(in.begin(), in.end(), [&](int v) { return v >= 0 && m.initializer[v] >= 0; });
    if (!given || std::none_of(in.begin(), in.end(), own) || readers[in[0]].size() > 1 ||
        readers[in[1]].size() > 1)
      continue;
    auto [scale, bias] =
        pool->FindNormalization(m.Initial(in[0]), m.Initial(in[1]), m.Initial(in[2]),
                                m.Initial(in[3]), pn.node->Float("epsilon", 1e-5f));
    if (!scale.found()) continue;
    snaps.emplace(in[0], scale);
    snaps.emplace(in[1], bias);
  }
  std::optional<std::unordered_map<int, Tensor>> computed;
  for (size_t i = 0; i < m.names.size(); ++i) {
    int v = static_cast<int>(i);
    if (!m.constant[v] || readers[v].empty() || snaps.count(v) ||
        pool->IsSourceConstant(m.structure[v]))
      continue;
    SnapPool::Match match;
    if (m.initializer[v] >= 0) {
      const Tensor& t = m.Initial(v);
      if (!IsFloat(t.dtype()) || (t.size() == 1 && !scalars)) continue;
      auto [n, input] = readers[v][0];
      match = pool->Find(t, m.nodes[n].node.get(), input);
      if (!match.found()) trace->foreign.push_back(v);
    } else {
      if (!computed) computed = ComputedConstants(m, options.limits);
      auto it = computed->find(v);
      if (it == computed->end()) continue;
      match = pool->FindComputed(it->second, static_cast<int>(computed->size()));
      // Weights that were only moved, as behind a Transpose, are still told by the node that reads
      // them.
      auto [n, input] = readers[v][0];
      if (!match.found() && IsFloat(it->second.dtype()) &&
          ViewWeights(*m.nodes[n].node, input, it->second.shape())) {
        match = pool->Find(it->second, m.nodes[n].node.get(), input);
      }
    }
    if (match.found()) snaps.emplace(v, std::move(match));
  }
  trace->snapped = static_cast<int>(snaps.size());
  return snaps;
}

Lab::Impl::Run1 Lab::Impl::RunOne(Context& c, const Prepared& m, const Snaps& snaps) {
  FieldScope scope(c.field.get());
  Run1 run;
  run.signature.resize(m.names.size());
  run.values.resize(m.names.size());
  for (size_t i = 0; i < m.inputs.size() && i < c.inputs.size(); ++i) {
    run.values[m.inputs[i]] = c.inputs[i];
    run.signature[m.inputs[i]] = Sign(c.inputs[i]);
  }
  // Constants are known by content, so that equal ones are equal without being embedded.
  auto constant_key = [&](int v) {
    auto it = snaps.find(v);
    return it == snaps.end() ? m.content[v] : Mix(m.content[v] ^ it->second.key) | 1;
  };
  auto load = [&](int v) -> Result<Tensor> {
    uint64_t key = constant_key(v);
    auto kept = c.kept.find(key);
    if (kept != c.kept.end()) return kept->second;
    auto it = snaps.find(v);
    const Tensor& t = m.Initial(v);
    Tensor field =
        it == snaps.end() ? t.To(Store::kField) : TRY(pool->FieldValue(it->second, t, *c.cache));
    if (field.size() <= kKeptConstant) c.kept.emplace(key, field);
    return field;
  };
  std::vector<uint64_t> key(m.names.size(), 0);
  for (size_t v = 0; v < m.names.size(); ++v) {
    if (m.initializer[v] >= 0) key[v] = constant_key(static_cast<int>(v));
  }
  for (size_t i = 0; i < m.inputs.size(); ++i) {
    key[m.inputs[i]] = Mix(run.signature[m.inputs[i]].ordered ^ ShapeHash(run.values[m.inputs[i]]));
  }
  for (size_t n = 0; n < m.nodes.size(); ++n) {
    const PreparedNode& pn = m.nodes[n];
    // Behind a node that fails the rest goes on as far as it can.
    if (std::any_of(pn.inputs.begin(), pn.inputs.end(),
                    [&](int i) { return i >= 0 && m.initializer[i] < 0 && !run.values[i].defined(); })) {
      continue;
    }
    uint64_t node_key = pn.hash;
    for (int i : pn.inputs) node_key = Mix(node_key ^ (i < 0 ? 1 : key[i]));
    auto seen = c.memo.find(node_key);
    if (seen == c.memo.end()) {
      std::vector<Tensor> held;
      held.reserve(pn.inputs.size());
      std::vector<const Tensor*> args;
      Status loaded;
      for (int i : pn.inputs) {
        if (i < 0) {
          args.push_back(nullptr);
          continue;
        }
        if (m.initializer[i] >= 0) {
          Result<Tensor> t = load(i);
          if (!t.ok()) {
            loaded = t.error();
            break;
          }
          held.push_back(*t);
        } else {
          held.push_back(run.values[i]);
        }
        args.push_back(&held.back());
      }
      uint32_t constants = 0;
      for (size_t i = 0; i < pn.inputs.size() && i < 32; ++i) {
        if (pn.inputs[i] >= 0 && m.constant[pn.inputs[i]]) constants |= 1u << i;
      }
      Result<std::vector<Tensor>> out =
          loaded.ok() ? EvalNode(*pn.row, *pn.node, args, Store::kField, options.limits,
                                 m.model.Opset(pn.node->domain), constants)
                      : Result<std::vector<Tensor>>(loaded.error());
      if (!out.ok()) {
        if (run.failed_node >= 0) continue;
        run.failure = out.error().ToString();
        run.code = out.error().code;
        run.failed_node = static_cast<int>(n);
        continue;
      }
      Context::Seen s{std::move(*out), {}};
      for (const Tensor& t : s.outputs) s.signatures.push_back(t.defined() ? Sign(t) : Signature{});
      seen = c.memo.emplace(node_key, std::move(s)).first;
      c.fresh.push_back(node_key);
    }
    for (size_t o = 0; o < pn.outputs.size() && o < seen->second.outputs.size(); ++o) {
      int v = pn.outputs[o];
      if (v < 0) continue;
      run.values[v] = seen->second.outputs[o];
      run.signature[v] = seen->second.signatures[o];
      if (auto it = pn.constant ? snaps.find(v) : snaps.end(); it != snaps.end()) {
        Result<Tensor> t = pool->FieldValue(it->second, run.values[v], *c.cache);
        if (t.ok()) run.values[v] = *t, run.signature[v] = Sign(*t);
      }
      key[v] = Mix(run.signature[v].ordered ^ ShapeHash(run.values[v]));
    }
  }
  for (int o : m.outputs) {
    if (m.initializer[o] < 0) continue;
    Result<Tensor> t = load(o);
    if (t.ok()) run.values[o] = *t, run.signature[o] = Sign(*t);
  }
  return run;
}

namespace {
void Combine(std::vector<Signature>* all, const std::vector<Signature>& one, int k) {
  if (all->empty()) all->resize(one.size());
  for (size_t v = 0; v < one.size(); ++v) {
    Signature& a = (*all)[v];
    if (!one[v].defined()) {
      a = {};
      continue;
    }
    if (k > 0 && !a.defined()) continue;
    a.ordered = Mix(a.ordered ^ one[v].ordered) | 1;
    a.multiset = Mix(a.multiset ^ one[v].multiset);
    a.size = one[v].size;
  }
}
}  // namespace

Result<Trace> Lab::Run(const Model& target, int n, bool remember) {
  Impl& m = *impl_;
  n = std::min<int>(n, static_cast<int>(m.contexts.size()));
  Trace t;
  t.model = TRY(Prepared::Of(target));
  Impl::Snaps snaps = m.SnapConstants(*t.model, true, &t);
  std::vector<Impl::Run1> runs(n);
  std::vector<Status> sources(n);
  // Contexts are independent: one thread each, at most `jobs` at a time.
  std::atomic<int> next{0};
  auto work = [&] {
    for (int k = next++; k < n; k = next++) {
      if (!m.contexts[k].source_done) {
        Impl::Run1 run = m.RunOne(m.contexts[k], *m.source_model, {});
        if (run.failed_node >= 0) {
          sources[k] = Error{run.code, "the source does not run in the field: " + run.failure, {}};
          continue;
        }
        m.contexts[k].source_done = true;
        m.contexts[k].source_signature = std::move(run.signature);
        m.contexts[k].source_values = std::move(run.values);
      }
      m.contexts[k].fresh.clear();
      runs[k] = m.RunOne(m.contexts[k], *t.model, snaps);
      if (!remember) {
        for (uint64_t key : m.contexts[k].fresh) m.contexts[k].memo.erase(key);
      }
    }
  };
  std::vector<std::thread> threads;
  for (int j = 1; j < std::min(m.options.jobs, n); ++j) threads.emplace_back(work);
  work();
  for (std::thread& th : threads) th.join();
  m.source.signature.clear();
  m.source.values.clear();
  for (int k = 0; k < n; ++k) {
    if (!sources[k].ok()) return sources[k].error();
    Combine(&t.signature, runs[k].signature, k);
    Combine(&m.source.signature, m.contexts[k].source_signature, k);
    t.values.push_back(std::move(runs[k].values));
    m.source.values.push_back(m.contexts[k].source_values);
    if (runs[k].failed_node >= 0 && t.failed_node < 0) {
      t.failed_node = runs[k].failed_node;
      t.failure = runs[k].failure;
      t.failure_code = runs[k].code;
    }
  }
  return t;
}

Result<int> Lab::FirstDifference(const Model& target) {
  Impl& m = *impl_;
  std::shared_ptr<const Prepared> prepared = TRY(Prepared::Of(target));
  Trace t;
  Impl::Snaps snaps = m.SnapConstants(*prepared, true, &t);
  for (Impl::Context& c : m.contexts) {
    Trace a, b;
    a.model = m.source_model;
    b.model = prepared;
    for (auto [model, trace, fixed] : {std::tuple{m.source_model.get(), &a, false}, std::tuple{prepared.get(), &b, true}}) {
      Impl::Run1 run = m.RunOne(c, *model, fixed ? snaps : Impl::Snaps{});
      trace->signature = std::move(run.signature);
      trace->values.push_back(std::move(run.values));
      trace->failed_node = run.failed_node;
      if (!fixed && run.failed_node >= 0) break;
    }
    c.memo.clear();
    if (a.failed_node < 0 && (b.failed_node >= 0 || a.OutputKeys() != b.OutputKeys())) return c.draw;
  }
  return -1;
}

Result<bool> Lab::Prove(const Model& target, std::string* reason, int* snapped, Trace* last) {
  Impl& m = *impl_;
  // The first context alone first: most unequal pairs differ there.
  for (int n : {1, static_cast<int>(m.contexts.size())}) {
    Trace t = TRY(Run(target, n, false));
    if (snapped) *snapped = t.snapped;
    if (t.failed_node >= 0) {
      if (t.failure_code == Code::kUnsupported || t.failure_code == Code::kLimit)
        return Error{t.failure_code, t.failure, {}};
      *reason = "the target does not run: " + t.failure;
      return false;
    }
    std::vector<uint64_t> a = m.source.OutputKeys(), b = t.OutputKeys();
    for (size_t i = 0; i < a.size(); ++i) {
      if (i >= b.size() || a[i] != b[i]) {
        *reason = "output '" +
                  t.model->names[t.model->outputs[std::min(i, t.model->outputs.size() - 1)]] +
                  "' differs in the field";
        return false;
      }
    }
    if (last) *last = std::move(t);
  }
  return true;
}

}  // namespace assay
