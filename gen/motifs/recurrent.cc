// LSTM, GRU and RNN on [T,N,I].
#include "gen/motifs/layers.h"

namespace assay {
namespace {

// A layer with `gates` gates and `states` final states.
int Layer(Sketch& s, int x, const char* op, int64_t gates, int states, std::vector<Param> params) {
  const Shape shape = s.shape(x);
  int64_t t = shape[0], n = shape[1], in = shape[2], hidden = s.choices().Between(1, 5);
  std::string direction = s.choices().PickOf({"forward", "forward", "reverse", "bidirectional"});
  int64_t d = direction == "bidirectional" ? 2 : 1;
  double scale = 1 / std::sqrt(static_cast<double>(in + hidden));
  std::vector<int> inputs = {x, s.Weight(x, {d, gates * hidden, in}, scale),
                             s.Weight(x, {d, gates * hidden, hidden}, scale)};
  bool bias = s.choices().Chance(0.6), lengths = s.choices().Chance(0.2),
       initial = s.choices().Chance(0.4);
  inputs.push_back(bias ? s.Weight(x, {d, 2 * gates * hidden}, 0.3) : Sketch::kAbsent);
  Tensor steps = Tensor::Make(DType::kInt32, {n}).value();
  for (int64_t i = 0; i < n; ++i) steps.Set(i, static_cast<double>(s.choices().Between(1, t)));
  inputs.push_back(lengths ? s.Constant(steps) : Sketch::kAbsent);
  for (int i = 0; i < states; ++i)
    inputs.push_back(initial ? s.Weight(x, {d, n, hidden}, 0.5) : Sketch::kAbsent);
  while (inputs.back() == Sketch::kAbsent) inputs.pop_back();
  params.push_back({"hidden_size", hidden});
  if (direction != "forward") params.push_back({"direction", direction});
  int outputs = static_cast<int>(s.choices().Between(1, 1 + states));
  int first = s.Node(op, inputs, params, outputs);
  if (first < 0) return first;
  if (outputs > 1 && s.choices().Chance(0.4)) return first + 1;
  // [T,D,N,H], without the direction as exporters write it.
  return d == 1 && s.choices().Chance(0.5) ? s.Node("Squeeze", {first}, {{"axes", Shape{1}}})
                                           : first;
}

int Lstm(Sketch& s, int x) { return Layer(s, x, "LSTM", 4, 2, {}); }
int Gru(Sketch& s, int x) {
  return Layer(s, x, "GRU", 3, 1,
               {{"linear_before_reset", static_cast<int64_t>(s.choices().Below(2))}});
}
int Rnn(Sketch& s, int x) { return Layer(s, x, "RNN", 1, 1, {}); }

}  // namespace

std::vector<Motif> motifs_recurrent() {
  auto row = [](const char* name, const char* doc, int (*build)(Sketch&, int)) {
    return Motif{
        .name = name, .doc = doc, .tags = kRecurrent, .min_rank = 3, .max_rank = 3, .build = build};
  };
  return {row("lstm", "an LSTM layer", Lstm), row("gru", "a GRU layer", Gru),
          row("rnn", "an RNN layer", Rnn)};
}

}  // namespace assay
