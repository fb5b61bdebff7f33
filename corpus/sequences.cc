#include "corpus/sequences.h"

#include <algorithm>
#include <map>
#include <queue>

#include "interp/choices.h"
#include "interp/op_spec.h"

namespace assay {
namespace {

// Appends of one graph; a hostile one stops growing here instead of taking minutes.
constexpr int64_t kWork = int64_t{1} << 26;
constexpr uint16_t kOtherId = 0xffff;  // every operator after the first 65,534 distinct ones

bool IsConstant(const Node& node) {
  return node.op == "Constant" && (node.domain.empty() || node.domain == "ai.onnx");
}

// Who makes a value, seen from one graph: an operator's index, or -1 for inputs and constants.
struct Scope {
  int parent = -1;
  std::unordered_map<std::string, int> makers;
};

struct Flattener {
  struct Open {
    const Graph* graph;
    int scope;
  };
  std::vector<Scope> scopes;
  std::vector<std::string> ops;
  std::vector<std::vector<int>> feeds;
  std::vector<Open> open;

  int Maker(int scope, const std::string& value) const {
    for (; scope >= 0; scope = scopes[scope].parent) {
      auto it = scopes[scope].makers.find(value);
      if (it != scopes[scope].makers.end()) return it->second;
    }
    return -1;
  }

  void Enter(const Graph& graph, int scope) {
    for (const Initializer& i : graph.initializers) scopes[scope].makers.emplace(i.name, -1);
    std::vector<std::pair<const Node*, int>> made;
    for (const NodePtr& n : graph.nodes) {
      int index = -1;
      if (!IsConstant(*n)) {
        index = static_cast<int>(ops.size());
        ops.push_back(SequenceName(*n));
        feeds.emplace_back();
        made.push_back({n.get(), index});
      }
      for (const std::string& o : n->outputs) {
        if (!o.empty()) scopes[scope].makers[o] = index;
      }
    }
    for (auto [node, index] : made) Connect(*node, index, scope);
  }

  void Connect(const Node& node, int index, int scope) {
    for (const std::string& i : node.inputs) {
      int maker = i.empty() ? -1 : Maker(scope, i);
      if (maker >= 0) feeds[index].push_back(maker);
    }
    for (const Attribute& a : node.attrs) {
      const auto* body = std::get_if<std::shared_ptr<const Graph>>(&a.value);
      if (!body || !*body) continue;
      Scope inner;
      inner.parent = scope;
      for (size_t i = 0; i < (*body)->inputs.size(); ++i) {
        bool fed = i < node.inputs.size() && !node.inputs[i].empty();
        inner.makers[(*body)->inputs[i].name] = fed ? Maker(scope, node.inputs[i]) : -1;
      }
      scopes.push_back(std::move(inner));
      open.push_back({body->get(), static_cast<int>(scopes.size()) - 1});
    }
  }
};

}  // namespace

std::string SequenceName(const Node& node) {
  return node.domain.empty() || node.domain == "ai.onnx" ? node.op : node.domain + "." + node.op;
}

Result<Flow> FlowOf(const Graph& graph) {
  Flattener f;
  f.scopes.emplace_back();
  f.open.push_back({&graph, 0});
  while (!f.open.empty()) {
    Flattener::Open next = f.open.back();
    f.open.pop_back();
    f.Enter(*next.graph, next.scope);
  }
  const size_t n = f.ops.size();
  std::vector<std::vector<int>> readers(n);
  std::vector<int> waiting(n, 0), place(n, -1);
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (size_t i = 0; i < n; ++i) {
    std::vector<int>& in = f.feeds[i];
    std::sort(in.begin(), in.end());
    in.erase(std::unique(in.begin(), in.end()), in.end());
    for (int p : in) readers[p].push_back(static_cast<int>(i));
    waiting[i] = static_cast<int>(in.size());
    if (in.empty()) ready.push(static_cast<int>(i));
  }
  Flow flow;
  flow.ops.reserve(n);
  flow.feeds.reserve(n);
  while (!ready.empty()) {
    int i = ready.top();
    ready.pop();
    place[i] = static_cast<int>(flow.ops.size());
    std::vector<int> in;
    for (int p : f.feeds[i]) in.push_back(place[p]);
    std::sort(in.begin(), in.end());
    flow.ops.push_back(f.ops[i]);
    flow.feeds.push_back(std::move(in));
    for (int r : readers[i]) {
      if (--waiting[r] == 0) ready.push(r);
    }
  }
  if (flow.ops.size() < n) return Invalid("the graph has a cycle", graph.name);
  return flow;
}

SequenceSet::SequenceSet(int max_length) : seen_(std::clamp(max_length, 1, kLongest)) {}

size_t SequenceSet::KeyHash::operator()(Key k) const {
  return Mix(static_cast<uint64_t>(k) ^ Mix(static_cast<uint64_t>(k >> 64)));
}

SequenceSet::Key SequenceSet::Renamed(Key key, const std::vector<uint16_t>& to) {
  Key renamed = 0;
  for (int shift = 0; shift < 16 * kLongest; shift += 16) {
    uint16_t id = static_cast<uint16_t>(key >> shift);
    if (id == 0) break;
    renamed |= Key{to[id]} << shift;
  }
  return renamed;
}

uint16_t SequenceSet::Intern(const std::string& op) {
  auto it = ids_.find(op);
  if (it != ids_.end()) return it->second;
  if (names_.size() + 1 >= kOtherId) return kOtherId;
  names_.push_back(op);
  uint16_t id = static_cast<uint16_t>(names_.size());
  ids_.emplace(op, id);
  return id;
}

Result<int64_t> SequenceSet::Insert(const Graph& graph) {
  Flow flow = TRY(FlowOf(graph));
  return Insert(flow);
}

int64_t SequenceSet::Insert(const Flow& flow) {
  const size_t n = flow.ops.size(), lengths = seen_.size();
  // Ids of this graph alone, in alphabetical order: what the bound keeps depends on no other graph.
  std::map<std::string, uint16_t> local;
  for (const std::string& op : flow.ops) local.emplace(op, kOtherId);
  std::vector<uint16_t> global(size_t{kOtherId} + 1, kOtherId);
  uint16_t last = 0;
  for (auto& [op, id] : local) {
    if (last + 1 >= kOtherId) break;
    id = ++last;
    global[id] = Intern(op);
  }
  std::vector<int> readers(n, 0);
  for (const std::vector<int>& in : flow.feeds) {
    for (int p : in) ++readers[p];
  }
  // suffixes[i][k]: sequences of length k+1 that end in operator i; dropped after their last
  // reader.
  std::vector<std::vector<std::vector<Key>>> suffixes(n);
  int64_t fresh = 0, work = 0;
  for (size_t i = 0; i < n; ++i) {
    const Key id = local[flow.ops[i]];
    std::vector<std::vector<Key>>& mine = suffixes[i];
    mine.resize(lengths);
    mine[0] = {id};
    for (size_t k = 1; k < lengths && work < kWork; ++k) {
      for (int p : flow.feeds[i]) {
        for (Key s : suffixes[p][k - 1]) mine[k].push_back(s << 16 | id);
        work += static_cast<int64_t>(suffixes[p][k - 1].size());
      }
      std::sort(mine[k].begin(), mine[k].end());
      mine[k].erase(std::unique(mine[k].begin(), mine[k].end()), mine[k].end());
      if (mine[k].size() > kSuffixesKept) mine[k].resize(kSuffixesKept);
    }
    for (size_t k = 0; k < lengths; ++k) {
      for (Key s : mine[k]) fresh += seen_[k].insert(Renamed(s, global)).second;
    }
    for (int p : flow.feeds[i]) {
      if (--readers[p] == 0) suffixes[p] = {};
    }
    if (readers[i] == 0) mine = {};
  }
  return fresh;
}

void SequenceSet::Insert(const std::vector<std::string>& ops) {
  for (size_t begin = 0; begin < ops.size(); ++begin) {
    Key key = 0;
    for (size_t k = 0; k < seen_.size() && begin + k < ops.size(); ++k) {
      key = key << 16 | Intern(ops[begin + k]);
      seen_[k].insert(key);
    }
  }
}

void SequenceSet::Merge(const SequenceSet& other) {
  if (&other == this) return;
  std::vector<uint16_t> map(size_t{kOtherId} + 1, kOtherId);
  for (size_t i = 0; i < other.names_.size(); ++i) map[i + 1] = Intern(other.names_[i]);
  for (size_t k = 0; k < std::min(seen_.size(), other.seen_.size()); ++k) {
    for (Key s : other.seen_[k]) seen_[k].insert(Renamed(s, map));
  }
}

int64_t SequenceSet::Count(int length) const {
  return length < 1 || length > max_length() ? 0 : static_cast<int64_t>(seen_[length - 1].size());
}

bool SequenceSet::KeyOf(const std::vector<std::string>& ops, Key* key) const {
  *key = 0;
  for (const std::string& op : ops) {
    auto it = ids_.find(op);
    if (it == ids_.end()) return false;
    *key = *key << 16 | it->second;
  }
  return true;
}

bool SequenceSet::Contains(const std::vector<std::string>& ops) const {
  Key key;
  if (ops.empty() || ops.size() > seen_.size() || !KeyOf(ops, &key)) return false;
  return seen_[ops.size() - 1].count(key) != 0;
}

std::string SequenceSet::NameOf(Key key) const {
  std::string text;
  for (int shift = 16 * (kLongest - 1); shift >= 0; shift -= 16) {
    uint16_t id = static_cast<uint16_t>(key >> shift);
    if (id == 0) continue;
    if (!text.empty()) text += '>';
    text += id == kOtherId ? std::string("(other)") : names_[id - 1];
  }
  return text;
}

std::vector<std::string> SequenceSet::Names(int length) const {
  std::vector<std::string> names;
  if (length < 1 || length > max_length()) return names;
  for (Key k : seen_[length - 1]) names.push_back(NameOf(k));
  std::sort(names.begin(), names.end());
  return names;
}

std::string SequenceSet::ToText() const {
  std::string text;
  for (size_t k = 0; k < seen_.size(); ++k) {
    std::unordered_set<Key, KeyHash> implied;
    if (k + 1 < seen_.size()) {
      const Key mask = (Key{1} << (16 * (k + 1))) - 1;
      for (Key s : seen_[k + 1]) {
        implied.insert(s >> 16);
        implied.insert(s & mask);
      }
    }
    std::vector<std::string> lines;
    for (Key s : seen_[k]) {
      if (!implied.count(s)) lines.push_back(NameOf(s));
    }
    std::sort(lines.begin(), lines.end());
    for (const std::string& l : lines) text += l + "\n";
  }
  return text;
}

SequenceSet SequenceSet::Parse(std::string_view text, int max_length) {
  SequenceSet set(max_length);
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    line = line.substr(0, line.find('#'));
    set.Insert(SplitSequence(line));
  }
  return set;
}

std::vector<std::string> SplitSequence(std::string_view text) {
  std::vector<std::string> parts;
  for (bool more = true; more;) {
    size_t end = text.find('>');
    std::string_view part = text.substr(0, end);
    more = end != std::string_view::npos;
    text = more ? text.substr(end + 1) : std::string_view();
    while (!part.empty() && std::string_view(" \t\r").find(part.front()) != std::string_view::npos)
      part.remove_prefix(1);
    while (!part.empty() && std::string_view(" \t\r").find(part.back()) != std::string_view::npos)
      part.remove_suffix(1);
    // Names are printable ASCII without blanks: a file of another kind has no sequences.
    bool word = !part.empty() &&
                std::all_of(part.begin(), part.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (!word) return {};
    parts.emplace_back(part);
  }
  return parts;
}

std::vector<uint64_t> FeasibleSequences(const OperatorPairs& pairs, int max_length) {
  std::map<std::string, size_t> ids;
  for (const auto& [from, to] : pairs) ids.emplace(from, ids.size()), ids.emplace(to, ids.size());
  auto add = [](uint64_t n, uint64_t* sum) {
    if (__builtin_add_overflow(*sum, n, sum)) *sum = UINT64_MAX;
  };
  // walks[op]: sequences of the current length that end in the operator.
  std::vector<uint64_t> walks(ids.size(), 1), feasible;
  for (int length = 1; length <= max_length; ++length) {
    uint64_t sum = 0;
    for (uint64_t w : walks) add(w, &sum);
    feasible.push_back(sum);
    std::vector<uint64_t> longer(ids.size(), 0);
    for (const auto& [from, to] : pairs) add(walks[ids[from]], &longer[ids[to]]);
    walks = std::move(longer);
  }
  return feasible;
}

}  // namespace assay
