// LinearAttention (ONNX opset 27): a state [dk,dv] a key head, which each step decays, writes k and
// v into and reads with the queries. At step t, with g the decay and e the erase gate (1 where
// there is none):
//   S = exp(g_t) * S;  v = v_t, or beta_t (v_t - S^T (e_t k_t)) with a delta rule;  S = S + k_t
//   v^T;  o_t = scale S^T q_t
//
// query [B,T,Hq*dk], key [B,T,Hk*dk], value [B,T,Hk*dv], state [B,Hk,dk,dv], decay [B,T,Hk or
// Hk*dk], beta [B,T,Hk or 1].
#include "interp/ops/normalization.h"

namespace assay {
namespace {

enum Input { kQuery, kKey, kValue, kState, kDecay, kBeta, kErase };

bool Gates(const std::string& rule) { return rule == "gated" || rule == "gated_delta"; }
bool Corrects(const std::string& rule) { return rule == "delta" || rule == "gated_delta"; }

void LinearAttentionRule(RuleContext& c) {
  int64_t q_heads = c.IntValue("q_num_heads"), heads = c.IntValue("kv_num_heads");
  std::string rule = c.String("update_rule");
  c.Require(heads > 0 && q_heads > 0 && q_heads % heads == 0,
            "each key head serves as many query heads");
  c.Require(c.Has(kDecay) == Gates(rule), "the gated rules, and only they, have a decay");
  c.Require(c.Has(kBeta) == Corrects(rule), "the delta rules, and only they, have a beta");
  c.Require(!c.Has(kErase) || Corrects(rule), "only the delta rules have an erase gate");
  DType state = c.Has(kState) ? c.dtype(kState) : c.dtype(kQuery);
  c.OutUnranked(0, c.dtype(kQuery));
  c.OutUnranked(1, state);
  if (!c.Ranked(kQuery) || !c.Ranked(kKey) || !c.Ranked(kValue) || c.failed()) return;
  for (int i : {kQuery, kKey, kValue, kDecay, kBeta, kErase}) {
    if (!c.Has(i) || !c.Ranked(i)) continue;
    c.Require(c.Rank(i) == 3, "operands are [B,T,..]");
    if (c.failed()) return;
    c.Require(c.In(i, 0) == c.In(kQuery, 0) && c.In(i, 1) == c.In(kQuery, 1),
              "operands are equally long");
  }
  c.Require(Divides(Dim(q_heads), c.In(kQuery, 2)) && Divides(Dim(heads), c.In(kKey, 2)) &&
                Divides(Dim(heads), c.In(kValue, 2)),
            "the last axes hold whole heads");
  Dim dk = FloorDiv(c.In(kKey, 2), Dim(heads)), dv = FloorDiv(c.In(kValue, 2), Dim(heads));
  c.Require(FloorDiv(c.In(kQuery, 2), Dim(q_heads)) == dk,
            "queries and keys have heads of the same size");
  if (c.Has(kDecay) && c.Ranked(kDecay))
    c.Require(c.In(kDecay, 2) == Dim(heads) || c.In(kDecay, 2) == c.In(kKey, 2),
              "decay is by head or by key");
  if (c.Has(kBeta) && c.Ranked(kBeta))
    c.Require(c.In(kBeta, 2) == Dim(heads) || c.In(kBeta, 2) == Dim(1),
              "beta is by head or one for all");
  if (c.Has(kErase) && c.Ranked(kErase))
    c.Require(c.In(kErase, 2) == c.In(kKey, 2), "the erase gate is by key");
  const std::vector<Dim> shape = {c.In(kQuery, 0), Dim(heads), dk, dv};
  if (c.Has(kState) && c.Ranked(kState)) {
    c.Require(c.Rank(kState) == 4, "past_state is [B,H,dk,dv]");
    for (int d = 0; d < 4 && !c.failed(); ++d)
      c.Require(c.In(kState, d) == shape[d], "past_state is [B,H,dk,dv]");
  }
  c.Out(0, c.dtype(kQuery), {c.In(kQuery, 0), c.In(kQuery, 1), Dim(q_heads) * dv});
  c.Out(1, state, shape);
}

// Element j of head h at step `at` (batch and time together) of an operand with `count` numbers a
// head; one for all where it has fewer.
template <class W>
struct Gate {
  std::vector<W> values;
  int64_t width = 0, heads = 1;
  W at(int64_t step, int64_t h, int64_t j) const {
    if (width == 1) return values[step];
    int64_t each = width / heads;
    return values[step * width + h * each + (each == 1 ? 0 : j)];
  }
};

template <class W>
struct Recurrence {
  std::vector<W> q, k, v, state;
  Gate<W> decay, beta, erase;
  int64_t heads, dk, dv;
  bool gates, corrects, erases;

  // Step `at` of head h, whose state is S [dk,dv].
  void Write(int64_t at, int64_t h, W* s, std::vector<W>& write) const {
    const W *key = k.data() + (at * heads + h) * dk, *value = v.data() + (at * heads + h) * dv;
    for (int64_t d = 0; gates && d < dk; ++d) {
      W factor = ScalarExp(decay.at(at, h, d));
      for (int64_t m = 0; m < dv; ++m) s[d * dv + m] *= factor;
    }
    for (int64_t m = 0; m < dv; ++m) {
      write[m] = value[m];
      if (!corrects) continue;
      W found = W(0);
      for (int64_t d = 0; d < dk; ++d) {
        W at_key = erases ? erase.at(at, h, d) * key[d] : key[d];
        found += s[d * dv + m] * at_key;
      }
      write[m] = beta.at(at, h, 0) * (value[m] - found);
    }
    for (int64_t d = 0; d < dk; ++d) {
      for (int64_t m = 0; m < dv; ++m) s[d * dv + m] += key[d] * write[m];
    }
  }
};

template <class W>
Result<Gate<W>> LoadGate(const KernelContext& c, int i, int64_t heads) {
  Gate<W> g;
  if (!c.Has(i)) return g;
  g.values = TRY(LoadAs<W>(c.in(i)));
  g.width = c.in(i).dim(2);
  g.heads = heads;
  return g;
}

template <class W>
Status Run(KernelContext& c) {
  const Shape out = c.out_shape(0);
  const int64_t heads = c.Int("kv_num_heads"), q_heads = c.Int("q_num_heads"),
                group = q_heads / heads;
  const int64_t batch = out[0], steps = out[1], dv = out[2] / q_heads,
                dk = c.in(kKey).dim(2) / heads;
  TRY(c.Charge({batch, steps, q_heads, std::max<int64_t>(dk, 1), std::max<int64_t>(dv, 1), 4}));
  Recurrence<W> r;
  r.q = TRY(LoadAs<W>(c.in(kQuery)));
  r.k = TRY(LoadAs<W>(c.in(kKey)));
  r.v = TRY(LoadAs<W>(c.in(kValue)));
  r.decay = TRY(LoadGate<W>(c, kDecay, heads));
  r.beta = TRY(LoadGate<W>(c, kBeta, heads));
  r.erase = TRY(LoadGate<W>(c, kErase, heads));
  // The state as a tensor first: its size is checked against the limits.
  TRY(c.Scratch(DType::kDouble, {batch, heads, dk, dv}));
  r.state.assign(static_cast<size_t>(batch * heads * dk * dv), W(0));
  if (c.Has(kState)) r.state = TRY(LoadAs<W>(c.in(kState)));
  r.heads = heads, r.dk = dk, r.dv = dv;
  r.gates = c.Has(kDecay), r.corrects = c.Has(kBeta), r.erases = c.Has(kErase);
  W scale = W(static_cast<double>(c.Float("scale")));
  if (scale == W(0)) scale = W(1) / ScalarSqrt(FromInteger<W>(std::max<int64_t>(dk, 1)));
  std::vector<W> y(static_cast<size_t>(ElementCount(out)), W(0)), write(static_cast<size_t>(dv));
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t t = 0; t < steps; ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        int64_t at = b * steps + t;
        W* s = r.state.data() + (b * heads + h) * dk * dv;
        r.Write(at, h, s, write);
        for (int64_t g = h * group; g < (h + 1) * group; ++g) {
          for (int64_t m = 0; m < dv; ++m) {
            W sum = W(0);
            for (int64_t d = 0; d < dk; ++d)
              sum += r.q[(at * q_heads + g) * dk + d] * s[d * dv + m];
            y[(at * q_heads + g) * dv + m] = scale * sum;
          }
        }
      }
    }
  }
  TRY(StoreOutput(c, 0, y));
  return StoreOutput(c, 1, r.state);
}

Status EvalLinearAttention(KernelContext& c) {
  return VisitFloat(c.in(kQuery),
                    [&](auto zero) -> Status { return Run<Wide<decltype(zero)>>(c); });
}

}  // namespace

std::vector<OpSpec> ops_linear_attention() {
  constexpr DTypeSet kTypes = kFloatsBf16 & ~Bit(DType::kDouble);
  const AttrDomain heads{.ints = {1, 2, 4}};
  return {
      Op("LinearAttention", 27)
          .In("query", "T", kTypes)
          .In("key", "T", kTypes)
          .In("value", "T", kTypes)
          .In("past_state", "S", kTypes, Arity::kOptional)
          .In("decay", "T", kTypes, Arity::kOptional)
          .In("beta", "T", kTypes, Arity::kOptional)
          .In("erase_gate", "T", kTypes, Arity::kOptional)
          .Out("output", "T", kTypes)
          .Out("present_state", "S", kTypes)
          .Attr({"q_num_heads", AttrType::kInt, true, std::nullopt, heads})
          .Attr({"kv_num_heads", AttrType::kInt, true, std::nullopt, heads})
          .Int("chunk_size", 64, {.ints = {64}})
          .Float("scale", 0, {.floats = {0.0, 0.5}})
          .String("update_rule", "gated_delta",
                  {.strings = {"gated_delta", "linear", "gated", "delta"}})
          .Rule(LinearAttentionRule)
          .Eval(EvalLinearAttention)
          .LeftOut("opset 27, beyond the last that is generated")
          .Class(Accuracy::kReduction)
          .Example(
              "opset 27 graph(float[1,3,4] q, float[1,3,4] k, float[1,3,6] v) -> (y, s) { y, s = "
              "LinearAttention(q, k, v) {q_num_heads=2, kv_num_heads=2, update_rule=\"linear\"} "
              "}")};
}

}  // namespace assay
