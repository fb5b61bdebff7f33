// RNN, GRU and LSTM (ONNX opset 7, 14 with `layout`, 22): the gates of one step, with h the state
// before it and
// [.]_k the k-th block of H rows of W, R and B:
//   RNN   h' = f([xW + hR + B])
//   GRU   z, r = f(..);  n = g([xW]_h + (r.h)[R]_h + B) or, with linear_before_reset, g([xW]_h +
//   r.([hR]_h + B));
//         h' = (1 - z).n + z.h
//   LSTM  i, f = f(.. + P.c);  n = g(..);  c' = f.c + i.n;  o = f(.. + P.c');  h' = o.h(c')
// X [T,B,I], W [D,G*H,I], R [D,G*H,H], B [D,2*G*H], states [D,B,H]; Y [T,D,B,H]. With layout 1 the
// batch comes first. A sequence shorter than T ends at its length; Y is 0 behind it.
#include "interp/ops/recurrent.h"

#include "interp/draw.h"
#include "interp/kernels_matmul.h"

namespace assay {
namespace {

enum Input { kX, kW, kR, kB, kLengths, kH, kC, kP };
enum class Cell : uint8_t { kRnn = 1, kGru = 3, kLstm = 4 };

Cell CellOf(const OpSpec& spec) {
  return spec.name == "RNN" ? Cell::kRnn : spec.name == "GRU" ? Cell::kGru : Cell::kLstm;
}
int GatesOf(Cell cell) { return static_cast<int>(cell); }

// ---- rule

void RequireDims(RuleContext& c, int i, const std::vector<Dim>& want, const char* label) {
  if (!c.Has(i) || !c.Ranked(i)) return;
  c.Require(c.Rank(i) == static_cast<int>(want.size()), label);
  for (size_t d = 0; d < want.size() && !c.failed(); ++d)
    c.Require(c.In(i, static_cast<int>(d)) == want[d], label);
}

void RecurrentRule(RuleContext& c) {
  const Cell cell = CellOf(c.spec());
  const int outputs = cell == Cell::kLstm ? 3 : 2;
  for (int i = 0; i < outputs; ++i) c.OutUnranked(i, c.dtype(kX));
  bool batch_first = c.spec().FindAttr("layout") && c.IntValue("layout") != 0;
  c.Require(!batch_first || c.IntValue("layout") == 1, "layout is 0 or 1");
  c.Require(c.Float("clip") >= 0, "clip is not negative");
  std::string failure = CheckActivations(c.node(), cell == Cell::kLstm  ? 3
                                                   : cell == Cell::kGru ? 2
                                                                        : 1);
  c.Require(failure.empty(),
            "activations are as many as the gates of all directions ask for, and known");
  if (!c.Ranked(kX) || !c.Ranked(kR)) return;
  c.Require(c.Rank(kX) == 3 && c.Rank(kR) == 3, "X, W and R have three axes");
  if (c.failed()) return;
  Dim steps = c.In(kX, batch_first ? 1 : 0), batch = c.In(kX, batch_first ? 0 : 1),
      hidden = c.In(kR, 2);
  Dim directions = Dim(c.String("direction") == "bidirectional" ? 2 : 1),
      gates = Dim(GatesOf(cell));
  if (c.HasAttr("hidden_size"))
    c.Require(hidden == Dim(c.IntValue("hidden_size")), "R has hidden_size columns");
  RequireDims(c, kW, {directions, gates * hidden, c.In(kX, 2)},
              "W is [directions, gates * hidden, inputs]");
  RequireDims(c, kR, {directions, gates * hidden, hidden},
              "R is [directions, gates * hidden, hidden]");
  RequireDims(c, kB, {directions, Dim(2) * gates * hidden},
              "B is [directions, 2 * gates * hidden]");
  RequireDims(c, kLengths, {batch}, "sequence_lens has one entry a batch");
  std::vector<Dim> state = {directions, batch, hidden}, y = {steps, directions, batch, hidden};
  if (batch_first) state = {batch, directions, hidden}, y = {batch, steps, directions, hidden};
  RequireDims(c, kH, state, "the initial states are [directions, batch, hidden]");
  RequireDims(c, kC, state, "the initial states are [directions, batch, hidden]");
  RequireDims(c, kP, {directions, Dim(3) * hidden}, "P is [directions, 3 * hidden]");
  if (c.failed()) return;
  c.Out(0, c.dtype(kX), y);
  for (int i = 1; i < outputs; ++i) c.Out(i, c.dtype(kX), state);
}

// ---- kernel

struct Extents {
  int64_t steps, batch, inputs, hidden, directions;
  bool batch_first;
  int64_t gates;

  int64_t Place(int64_t t, int64_t b) const { return batch_first ? b * steps + t : t * batch + b; }
  int64_t YRow(int64_t t, int64_t d, int64_t b) const {
    return (batch_first ? (b * steps + t) * directions + d : (t * directions + d) * batch + b) *
           hidden;
  }
  int64_t StateRow(int64_t d, int64_t b) const {
    return (batch_first ? b * directions + d : d * batch + b) * hidden;
  }
};

Extents ExtentsOf(const KernelContext& c) {
  Extents e;
  e.batch_first = c.spec().FindAttr("layout") && c.Int("layout") == 1;
  const Tensor &x = c.in(kX), &r = c.in(kR);
  e.steps = x.dim(e.batch_first ? 1 : 0), e.batch = x.dim(e.batch_first ? 0 : 1),
  e.inputs = x.dim(2);
  e.directions = r.dim(0), e.hidden = r.dim(2), e.gates = GatesOf(CellOf(c.spec()));
  return e;
}

Result<std::vector<int64_t>> LengthsOf(const KernelContext& c, const Extents& e) {
  std::vector<int64_t> lengths(static_cast<size_t>(e.batch), e.steps);
  for (int64_t b = 0; c.Has(kLengths) && b < e.batch; ++b) {
    lengths[b] = c.in(kLengths).AsInt(b);
    if (lengths[b] >= 0 && lengths[b] <= e.steps) continue;
    if (c.store() != Store::kField)
      return Invalid("sequence length " + std::to_string(lengths[b]) + " is outside [0, " +
                     std::to_string(e.steps) + "]");
    lengths[b] = static_cast<int64_t>(static_cast<uint64_t>(lengths[b]) %
                                      static_cast<uint64_t>(e.steps + 1));
  }
  return lengths;
}

// One direction of the layer.
template <class T>
class Direction {
 public:
  Direction(KernelContext& c, const Extents& e, int64_t d, std::vector<int64_t> lengths)
      : c_(c),
        e_(e),
        cell_(CellOf(c.spec())),
        d_(d),
        lengths_(std::move(lengths)),
        act_(ActivationsOf<T>(c, static_cast<int>(d))),
        clip_(static_cast<double>(c.Float("clip"))) {
    std::string direction = c.String("direction");
    reverse_ = direction == "reverse" || d == 1;
    coupled_ = cell_ == Cell::kLstm && c.Int("input_forget") != 0;
    after_product_ = cell_ == Cell::kGru && c.Int("linear_before_reset") != 0;
  }

  Status Run(T* y) {
    const int64_t rows = e_.gates * e_.hidden;
    Tensor inputs = TRY(c_.Scratch(c_.in(kX).dtype(), {e_.steps, e_.batch, rows}));
    Tensor product = TRY(c_.Scratch(c_.in(kX).dtype(), {e_.batch, rows}));
    TRY(LoadStates());
    // x W for all steps at once; rows follow the layout of X.
    MatrixProduct(c_.data<T>(kX), c_.data<T>(kW) + d_ * rows * e_.inputs, inputs.mutable_data<T>(),
                  e_.steps * e_.batch, e_.inputs, rows, false, true);
    const T* r = c_.data<T>(kR) + d_ * rows * e_.hidden;
    for (int64_t s = 0; s < e_.steps; ++s) {
      MatrixProduct(h_.data(), r, product.mutable_data<T>(), e_.batch, e_.hidden, rows, false,
                    true);
      if (cell_ == Cell::kGru && !after_product_) ResetThenProduct(s, r, inputs, product);
      for (int64_t b = 0; b < e_.batch; ++b) {
        if (s >= lengths_[b]) continue;
        int64_t t = reverse_ ? lengths_[b] - 1 - s : s;
        Step(b, inputs.data<T>() + e_.Place(t, b) * rows, product.data<T>() + b * rows);
        if (y) std::copy_n(h_.data() + b * e_.hidden, e_.hidden, y + e_.YRow(t, d_, b));
      }
    }
    return {};
  }
  void StoreStates(T* h, T* c) const {
    for (int64_t b = 0; b < e_.batch; ++b) {
      if (h) std::copy_n(h_.data() + b * e_.hidden, e_.hidden, h + e_.StateRow(d_, b));
      if (c) std::copy_n(cell_state_.data() + b * e_.hidden, e_.hidden, c + e_.StateRow(d_, b));
    }
  }

 private:
  Status LoadStates() {
    size_t n = static_cast<size_t>(e_.batch * e_.hidden);
    h_.assign(n, T());
    cell_state_.assign(cell_ == Cell::kLstm ? n : 0, T());
    for (int64_t b = 0; b < e_.batch; ++b) {
      if (c_.Has(kH))
        std::copy_n(c_.data<T>(kH) + e_.StateRow(d_, b), e_.hidden, h_.data() + b * e_.hidden);
      if (c_.Has(kC) && cell_ == Cell::kLstm)
        std::copy_n(c_.data<T>(kC) + e_.StateRow(d_, b), e_.hidden,
                    cell_state_.data() + b * e_.hidden);
    }
    return {};
  }
  // Bias of gate k, of W (0) or R (1), for unit j.
  T Bias(int64_t part, int64_t k, int64_t j) const {
    if (!c_.Has(kB)) return T();
    return c_.data<T>(kB)[((d_ * 2 + part) * e_.gates + k) * e_.hidden + j];
  }
  T Clipped(T v) const { return clip_ > 0 ? ScalarMax(-T(clip_), ScalarMin(T(clip_), v)) : v; }
  // What goes into the activation of gate k.
  T Sum(const T* x, const T* hr, int64_t k, int64_t j) const {
    return x[k * e_.hidden + j] + hr[k * e_.hidden + j] + Bias(0, k, j) + Bias(1, k, j);
  }
  T Peephole(int64_t k, int64_t j, T c) const {
    return c_.Has(kP) ? c_.data<T>(kP)[(d_ * 3 + k) * e_.hidden + j] * c : T();
  }

  // GRU without linear_before_reset: the third block of `product` becomes (r.h) R.
  void ResetThenProduct(int64_t s, const T* r, const Tensor& inputs, Tensor& product) {
    const int64_t rows = 3 * e_.hidden;
    std::vector<T> reset(h_.size()), turned(h_.size());
    for (int64_t b = 0; b < e_.batch; ++b) {
      if (s >= lengths_[b]) continue;
      int64_t t = reverse_ ? lengths_[b] - 1 - s : s;
      const T* x = inputs.data<T>() + e_.Place(t, b) * rows;
      for (int64_t j = 0; j < e_.hidden; ++j)
        reset[b * e_.hidden + j] =
            act_[0](Clipped(Sum(x, product.data<T>() + b * rows, 1, j))) * h_[b * e_.hidden + j];
    }
    MatrixProduct(reset.data(), r + 2 * e_.hidden * e_.hidden, turned.data(), e_.batch, e_.hidden,
                  e_.hidden, false, true);
    for (int64_t b = 0; b < e_.batch; ++b)
      std::copy_n(turned.data() + b * e_.hidden, e_.hidden,
                  product.mutable_data<T>() + b * rows + 2 * e_.hidden);
  }

  void Step(int64_t b, const T* x, const T* hr) {
    T* h = h_.data() + b * e_.hidden;
    for (int64_t j = 0; j < e_.hidden; ++j) {
      if (cell_ == Cell::kRnn)
        h[j] = act_[0](Clipped(Sum(x, hr, 0, j)));
      else if (cell_ == Cell::kGru)
        h[j] = Gru(x, hr, h[j], j);
      else
        h[j] = Lstm(x, hr, cell_state_[b * e_.hidden + j], j);
    }
  }
  T Gru(const T* x, const T* hr, T h, int64_t j) const {
    T z = act_[0](Clipped(Sum(x, hr, 0, j))), n;
    if (after_product_) {
      T r = act_[0](Clipped(Sum(x, hr, 1, j)));
      n = x[2 * e_.hidden + j] + r * (hr[2 * e_.hidden + j] + Bias(1, 2, j)) + Bias(0, 2, j);
    } else {
      n = Sum(x, hr, 2, j);
    }
    n = act_[1](Clipped(n));
    return (T(1) - z) * n + z * h;
  }
  T Lstm(const T* x, const T* hr, T& c, int64_t j) const {
    T i = act_[0](Clipped(Sum(x, hr, 0, j) + Peephole(0, j, c)));
    T f = coupled_ ? T(1) - i : act_[0](Clipped(Sum(x, hr, 2, j) + Peephole(2, j, c)));
    T n = act_[1](Clipped(Sum(x, hr, 3, j)));
    c = f * c + i * n;
    T o = act_[0](Clipped(Sum(x, hr, 1, j) + Peephole(1, j, c)));
    return o * act_[2](c);
  }

  KernelContext& c_;
  const Extents& e_;
  Cell cell_;
  int64_t d_;
  std::vector<int64_t> lengths_;
  std::vector<CellActivation<T>> act_;
  double clip_;
  bool reverse_ = false, coupled_ = false, after_product_ = false;
  std::vector<T> h_, cell_state_;
};

Status EvalRecurrent(KernelContext& c) {
  const Extents e = ExtentsOf(c);
  TRY(c.Charge({e.directions, std::max<int64_t>(e.steps, 1), std::max<int64_t>(e.batch, 1), e.gates,
                e.hidden, std::max<int64_t>(e.inputs + e.hidden, 1)}));
  std::vector<int64_t> lengths = TRY(LengthsOf(c, e));
  Tensor* out[3] = {};
  for (int i = 0; i < c.outputs(); ++i) {
    if (c.WantsOutput(i)) out[i] = TRY(c.Out(i));
  }
  return VisitFloat(c.in(kX), [&](auto zero) -> Status {
    using T = decltype(zero);
    auto data = [&](int i) { return out[i] ? out[i]->mutable_data<T>() : nullptr; };
    if (out[0]) std::fill_n(data(0), out[0]->size(), T());
    for (int64_t d = 0; d < e.directions; ++d) {
      Direction<T> direction(c, e, d, lengths);
      TRY(direction.Run(data(0)));
      direction.StoreStates(data(1), data(2));
    }
    return {};
  });
}

// ---- rows

// Activations for every gate of every direction. Affine and ScaledTanh get their numbers: as
// operators they are gone from ONNX, and with them their defaults. No ThresholdedRelu: it jumps.
void DrawActivations(Choices& choices, Draft& d, int64_t directions) {
  Cell cell = CellOf(*d.spec);
  int64_t each = cell == Cell::kLstm ? 3 : cell == Cell::kGru ? 2 : 1;
  static const std::vector<std::string> names = {
      "Relu",        "Tanh", "Sigmoid",  "Affine",   "LeakyRelu", "ScaledTanh",
      "HardSigmoid", "Elu",  "Softsign", "Softplus", "Tanh",      "Sigmoid"};
  bool needed = false;
  std::vector<std::string> chosen;
  std::vector<float> alphas, betas;
  for (int64_t i = 0; i < directions * each; ++i) {
    chosen.push_back(choices.Pick(names));
    const CellFnInfo& f = *FindCellFn(chosen.back());
    needed = needed || f.fn == CellFn::kAffine || f.fn == CellFn::kScaledTanh;
    if (f.has_alpha) alphas.push_back(choices.PickOf({f.alpha, 0.5f, 0.25f}));
    if (f.has_beta) betas.push_back(choices.PickOf({f.beta, 0.5f}));
  }
  d.Set("activations", chosen);
  if (!needed && choices.Chance(0.5)) return;
  if (!alphas.empty()) d.Set("activation_alpha", alphas);
  if (!betas.empty()) d.Set("activation_beta", betas);
}

// Both halves of B are added up, by converters at times before the graph runs. On a grid the sum is
// exact; the proof, in which the kernel adds, knows no other.
void DrawBiases(Choices& choices, Draft& d, Shape shape) {
  constexpr int64_t kGrid = 64;
  if (d.anything) return Ask(d, kB, d.inputs[kX].dtype, std::move(shape));
  Tensor b = IntegerConstant(choices, d.inputs[kX].dtype, std::move(shape), -kGrid, kGrid);
  for (int64_t i = 0; i < b.size(); ++i) b.Set(i, b.AsDouble(i) / kGrid);
  d.SetConstant(kB, b);
}

bool DrawRecurrent(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(kX) || d.inputs[kX].dims.size() != 3 || ElementsOfInput(d, kX) == 0) return false;
  const Cell cell = CellOf(*d.spec);
  const DType type = d.inputs[kX].dtype;
  const Shape x = d.shape(kX);
  // Few runtimes know the layout of batches first.
  const bool batch_first = d.anything && d.spec->FindAttr("layout") && choices.Chance(0.3);
  if (batch_first) d.Set("layout", int64_t{1});
  MaybeSet(choices, d, "direction", 0.6);
  int64_t directions = 1;
  for (const Attribute& a : d.attrs) {
    auto s = std::get_if<std::string>(&a.value);
    if (s && *s == "bidirectional") directions = 2;
  }
  const int64_t steps = x[batch_first ? 1 : 0], batch = x[batch_first ? 0 : 1],
                hidden = DrawExtent(choices, 5), rows = GatesOf(cell) * hidden;
  if (directions * rows * std::max(x[2], hidden) > d.max_elements ||
      x[0] * x[1] * directions * rows > d.max_elements)
    return false;
  d.Set("hidden_size", hidden);
  MaybeSet(choices, d, "linear_before_reset");
  MaybeSet(choices, d, "input_forget", 0.3);
  MaybeSet(choices, d, "clip", 0.2);
  if (choices.Chance(0.3)) DrawActivations(choices, d, directions);
  Ask(d, kW, type, {directions, rows, x[2]});
  Ask(d, kR, type, {directions, rows, hidden});
  if (choices.Chance(0.6)) DrawBiases(choices, d, {directions, 2 * rows});
  if (choices.Chance(0.4))
    d.SetConstant(kLengths, IntegerConstant(choices, DType::kInt32, {batch}, 1, steps));
  const Shape state =
      batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
  // Without a first state one step does not read R.
  if (steps == 1 || choices.Chance(0.4)) Ask(d, kH, type, state);
  if (cell == Cell::kLstm && choices.Chance(0.4)) Ask(d, kC, type, state);
  if (cell == Cell::kLstm && choices.Chance(0.3)) Ask(d, kP, type, {directions, 3 * hidden});
  d.outputs = static_cast<int>(choices.Between(1, cell == Cell::kLstm ? 3 : 2));
  // Whatever comes before the last output may be left out.
  for (int i = 0; i + 1 < d.outputs; ++i) {
    if (choices.Chance(0.3)) d.absent.push_back(i);
  }
  return true;
}

OpSpec Row(Cell cell, int since, DTypeSet types) {
  const char* name = cell == Cell::kRnn ? "RNN" : cell == Cell::kGru ? "GRU" : "LSTM";
  OpSpec row = Op(name, since).In("X", "T", types).In("W", "T", types).In("R", "T", types);
  row.In("B", "T", types, Arity::kOptional)
      .In("sequence_lens", "T1", Bit(DType::kInt32), Arity::kOptional);
  row.In("initial_h", "T", types, Arity::kOptional);
  if (cell == Cell::kLstm)
    row.In("initial_c", "T", types, Arity::kOptional).In("P", "T", types, Arity::kOptional);
  row.Out("Y", "T", types, Arity::kOptional).Out("Y_h", "T", types, Arity::kOptional);
  if (cell == Cell::kLstm) row.Out("Y_c", "T", types, Arity::kOptional);
  row.Attr({"activations", AttrType::kStrings, false, std::nullopt, {}})
      .Attr({"activation_alpha", AttrType::kFloats, false, std::nullopt, {}})
      .Attr({"activation_beta", AttrType::kFloats, false, std::nullopt, {}})
      .Attr({"clip", AttrType::kFloat, false, std::nullopt, {.floats = {1.0, 3.0}}})
      .String("direction", "forward", {.strings = {"forward", "reverse", "bidirectional"}})
      .Attr({"hidden_size", AttrType::kInt, false, std::nullopt, {.lo = 1, .hi = 16}});
  if (cell == Cell::kGru) row.Int("linear_before_reset", 0, {.lo = 0, .hi = 1});
  if (cell == Cell::kLstm) row.Int("input_forget", 0, {.lo = 0, .hi = 1});
  if (since >= 14) row.Int("layout", 0, {.lo = 0, .hi = 1});
  return row.Rule(RecurrentRule)
      .Eval(EvalRecurrent)
      .Draw(DrawRecurrent)
      .Class(Accuracy::kReduction);
}

}  // namespace

std::vector<OpSpec> ops_recurrent() {
  std::vector<OpSpec> rows;
  for (Cell cell : {Cell::kRnn, Cell::kGru, Cell::kLstm}) {
    OpSpec first = Row(cell, 7, kFloats16);
    std::string gates = std::to_string(GatesOf(cell) * 2);
    first.Example("graph(float[3,1,4] x, float[1," + gates + ",4] w, float[1," + gates +
                  ",2] r) -> (y) { y = " + first.name + "(x, w, r) {hidden_size=2} }");
    rows.push_back(first);
    rows.push_back(Row(cell, 14, kFloats16));
    rows.push_back(Row(cell, 22, kFloatsBf16));
  }
  return rows;
}

}  // namespace assay
