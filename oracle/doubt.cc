#include "oracle/doubt.h"

#include <algorithm>
#include <set>

namespace assay {
namespace {

constexpr int kLooks = 28;
constexpr size_t kSmallGraph = 256;
constexpr int64_t kSmallElements = 1 << 18;

// Operators that map many values to few, beside those whose row says that they jump.
bool Forgets(const PreparedNode& n) {
  static const std::set<std::string> kOps = {
      "Abs",     "And",      "BitShift", "BitwiseAnd", "BitwiseOr",  "Celu",       "Clip",      "Div",
      "Elu",     "Equal",    "GlobalMaxPool", "HardSigmoid", "HardSwish", "LeakyRelu", "Max",   "MaxPool",
      "Min",     "Mod",      "Not",      "Or",         "PRelu",      "ReduceMax",  "ReduceMin", "Relu",
      "Selu",    "Shrink",   "Sign",     "ThresholdedRelu", "TopK",  "Where",      "Xor"};
  return !n.constant && (n.row->Has(kDiscontinuous) || kOps.count(n.node->op) > 0);
}

uint64_t OperandKey(const Trace& t, int v) {
  if (v < 0) return 1;
  const Signature& s = t.signature[v];
  // A constant by its bits: a moved bound is what this is about.
  if (t.model->initializer[v] >= 0) return Mix(t.model->content[v] ^ 2);
  return s.defined() ? Mix(s.multiset) : 0;
}

std::vector<uint64_t> Keys(const Trace& t) {
  std::vector<uint64_t> keys;
  for (const PreparedNode& n : t.model->nodes) {
    if (!Forgets(n)) continue;
    uint64_t key = n.hash;
    for (int i : n.inputs) key = Mix(key ^ OperandKey(t, i));
    keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

bool Small(const Model& m) {
  int64_t elements = 0;
  for (const Initializer& i : m.graph.initializers) elements += i.value.size();
  for (const ValueInfo& v : m.graph.RequiredInputs()) {
    if (v.Static()) elements += ElementCount(v.StaticShape());
  }
  return m.graph.nodes.size() <= kSmallGraph && elements <= kSmallElements;
}

}  // namespace

bool Doubtful(const Trace& source, const Trace& target) { return Keys(source) != Keys(target); }

Result<int> SecondLook(const Model& source, const Model& target, const LabOptions& options) {
  if (!Small(source) || !Small(target)) return -1;
  LabOptions more = options;
  more.draws.clear();
  for (int k = 0; k < kLooks; ++k) more.draws.push_back(kSecondLook + k);
  std::unique_ptr<Lab> lab = TRY(Lab::Make(source, target, more));
  return lab->FirstDifference(target);
}

}  // namespace assay
