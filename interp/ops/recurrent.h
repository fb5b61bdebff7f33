// Activations of recurrent cells, by name (ONNX RNN, GRU, LSTM, attribute `activations`).
// activation_alpha and activation_beta are handed out in the order of the activations, to those
// that have such a number.
#pragma once

#include <algorithm>
#include <cctype>

#include "interp/ops/elementwise.h"

namespace assay {

enum class CellFn : uint8_t {
  kRelu,
  kTanh,
  kSigmoid,
  kAffine,
  kLeakyRelu,
  kThresholdedRelu,
  kScaledTanh,
  kHardSigmoid,
  kElu,
  kSoftsign,
  kSoftplus
};

struct CellFnInfo {
  const char* name;  // in lower case: runtimes don't distinguish
  CellFn fn;
  bool has_alpha, has_beta;
  float alpha, beta;  // defaults
};
inline constexpr CellFnInfo kCellFns[] = {
    {"relu", CellFn::kRelu, false, false, 0, 0},
    {"tanh", CellFn::kTanh, false, false, 0, 0},
    {"sigmoid", CellFn::kSigmoid, false, false, 0, 0},
    {"affine", CellFn::kAffine, true, true, 1, 0},
    {"leakyrelu", CellFn::kLeakyRelu, true, false, 0.01f, 0},
    {"thresholdedrelu", CellFn::kThresholdedRelu, true, false, 1, 0},
    {"scaledtanh", CellFn::kScaledTanh, true, true, 1, 1},
    {"hardsigmoid", CellFn::kHardSigmoid, true, true, 0.2f, 0.5f},
    {"elu", CellFn::kElu, true, false, 1, 0},
    {"softsign", CellFn::kSoftsign, false, false, 0, 0},
    {"softplus", CellFn::kSoftplus, false, false, 0, 0},
};

inline const CellFnInfo* FindCellFn(std::string name) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const CellFnInfo& f : kCellFns) {
    if (name == f.name) return &f;
  }
  return nullptr;
}

inline int DirectionsOf(const Node& node) {
  return node.String("direction", "forward") == "bidirectional" ? 2 : 1;
}

// "" when `activations` is absent or has `each` known names a direction. An RNN of one direction may
// have two, as ONNX's own default has; the first counts.
inline std::string CheckActivations(const Node& node, int each) {
  const AttrValue* v = node.Find("activations");
  if (!v) return "";
  const auto& names = std::get<std::vector<std::string>>(*v);
  const int count = static_cast<int>(names.size());
  if (count != each * DirectionsOf(node) && !(each == 1 && count == 2))
    return "as many activations as gates";
  for (const std::string& name : names) {
    if (!FindCellFn(name)) return "activation '" + name + "'";
  }
  return "";
}

template <class T>
struct CellActivation {
  CellFn fn;
  T alpha, beta;
  T operator()(T x) const {
    const T zero = T(), one = T(1);
    switch (fn) {
      case CellFn::kRelu:
        return ScalarMax(x, zero);
      case CellFn::kTanh:
        return ScalarTanh(x);
      case CellFn::kSigmoid:
        return ScalarSigmoid(x);
      case CellFn::kAffine:
        return alpha * x + beta;
      case CellFn::kLeakyRelu:
        return x < zero ? alpha * x : x;
      case CellFn::kThresholdedRelu:
        return x < alpha ? zero : x;
      case CellFn::kScaledTanh:
        return alpha * ScalarTanh(beta * x);
      case CellFn::kHardSigmoid:
        return ScalarMax(zero, ScalarMin(one, alpha * x + beta));
      case CellFn::kElu:
        return x < zero ? alpha * (ScalarExp(x) - one) : x;
      case CellFn::kSoftsign:
        return x / (one + ScalarAbs(x));
      case CellFn::kSoftplus:
        return ScalarLog(one + ScalarExp(x));
    }
    return x;
  }
};

// The activations of one direction of a node that CheckActivations has passed; by default Tanh for
// RNN, Sigmoid and Tanh for GRU, Sigmoid, Tanh and Tanh for LSTM.
template <class T>
std::vector<CellActivation<T>> ActivationsOf(const KernelContext& c, int direction) {
  const std::string& op = c.spec().name;
  std::vector<std::string> one = {"tanh"};
  if (op != "RNN")
    one = op == "GRU" ? std::vector<std::string>{"sigmoid", "tanh"}
                      : std::vector<std::string>{"sigmoid", "tanh", "tanh"};
  std::vector<std::string> names;
  for (int d = 0; d < DirectionsOf(c.node()); ++d)
    names.insert(names.end(), one.begin(), one.end());
  if (const AttrValue* v = c.Attr("activations")) names = std::get<std::vector<std::string>>(*v);
  std::vector<float> alphas = c.FloatList("activation_alpha"),
                     betas = c.FloatList("activation_beta");
  size_t next_alpha = 0, next_beta = 0;
  std::vector<CellActivation<T>> all;
  for (const std::string& name : names) {
    const CellFnInfo& f = *FindCellFn(name);
    float alpha = f.has_alpha && next_alpha < alphas.size() ? alphas[next_alpha++] : f.alpha;
    float beta = f.has_beta && next_beta < betas.size() ? betas[next_beta++] : f.beta;
    all.push_back({f.fn, T(static_cast<double>(alpha)), T(static_cast<double>(beta))});
  }
  auto begin = all.begin() + direction * static_cast<int64_t>(one.size());
  return {begin, begin + static_cast<int64_t>(one.size())};
}

}  // namespace assay
