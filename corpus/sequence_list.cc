#include "corpus/sequence_list.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace assay {
namespace {

using nlohmann::json;

// One sequence of a JSON list: an array of names or a string "A>B>C"; empty when it is neither.
std::vector<std::string> SequenceOf(const json& item) {
  if (item.is_string()) return SplitSequence(item.get_ref<const std::string&>());
  std::vector<std::string> ops;
  if (!item.is_array()) return ops;
  for (const json& op : item) {
    if (!op.is_string() || op.get_ref<const std::string&>().empty()) return {};
    ops.push_back(op.get<std::string>());
  }
  return ops;
}

std::string Joined(const std::vector<std::string>& ops) {
  std::string text;
  for (const std::string& op : ops) text += (text.empty() ? "" : ">") + op;
  return text;
}

}  // namespace

int SequenceList::Add(const std::vector<std::string>& ops) {
  int state = 0;
  for (const std::string& op : ops) {
    int id = ids_.emplace(op, static_cast<int>(ids_.size())).first->second;
    auto [it, fresh] = states_[state].next.emplace(id, static_cast<int>(states_.size()));
    state = it->second;
    if (fresh) states_.emplace_back();
  }
  if (states_[state].sequence < 0) {
    states_[state].sequence = static_cast<int>(sequences_.size());
    sequences_.push_back(ops);
    covered_.push_back(false);
  }
  return states_[state].sequence;
}

Result<SequenceList> SequenceList::Parse(std::string_view text, const std::string& where,
                                         const std::vector<std::string>& only) {
  SequenceList list;
  auto take = [&](const std::string& name, const std::vector<std::string>& ops) {
    bool taken = only.empty() || std::find(only.begin(), only.end(), name) != only.end();
    if (taken && !ops.empty()) list.lists_[name].push_back(list.Add(ops));
  };
  size_t first = text.find_first_not_of(" \t\r\n");
  bool is_json = first != std::string_view::npos && (text[first] == '{' || text[first] == '[');
  if (is_json) {
    json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (parsed.is_discarded()) return Invalid("not a JSON document", where);
    json lists = parsed.is_array() ? json{{"", parsed}} : parsed;
    for (const auto& [name, items] : lists.items()) {
      if (!items.is_array()) continue;
      for (const json& item : items) take(name, SequenceOf(item));
      if (list.states_.size() > kMost) return LimitHit("more sequences than can be read", where);
    }
  } else {
    for (int number = 1; !text.empty(); ++number) {
      size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
      line = line.substr(0, line.find('#'));
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      std::vector<std::string> ops = SplitSequence(line);
      if (ops.empty())
        return Invalid("not an operator sequence like A>B>C", where + ":" + std::to_string(number));
      take("", ops);
      if (list.states_.size() > kMost) return LimitHit("more sequences than can be read", where);
    }
  }
  for (const std::string& name : only) {
    if (!list.lists_.count(name)) return Usage("has no list '" + name + "'", where);
  }
  if (list.sequences_.empty()) return Invalid("holds no operator sequence", where);
  return list;
}

void SequenceList::Cover(const Flow& flow) {
  // active[i]: states whose sequence ends in operator i.
  std::vector<std::vector<int>> active(flow.ops.size());
  for (size_t i = 0; i < flow.ops.size(); ++i) {
    auto id = ids_.find(flow.ops[i]);
    if (id == ids_.end()) continue;
    auto step = [&](int from) {
      auto it = states_[from].next.find(id->second);
      if (it != states_[from].next.end()) active[i].push_back(it->second);
    };
    step(0);
    for (int p : flow.feeds[i]) {
      for (int s : active[p]) step(s);
    }
    std::sort(active[i].begin(), active[i].end());
    active[i].erase(std::unique(active[i].begin(), active[i].end()), active[i].end());
    for (int s : active[i]) {
      if (states_[s].sequence >= 0) covered_[states_[s].sequence] = true;
    }
  }
}

void SequenceList::Cover(const SequenceSet& set) {
  for (size_t i = 0; i < sequences_.size(); ++i) {
    if (!covered_[i] && set.Contains(sequences_[i])) covered_[i] = true;
  }
}

SequenceList::Count SequenceList::All() const {
  return {std::count(covered_.begin(), covered_.end(), true),
          static_cast<int64_t>(sequences_.size())};
}

std::map<std::string, SequenceList::Count> SequenceList::ByList() const {
  std::map<std::string, Count> counts;
  for (const auto& [name, members] : lists_) {
    std::vector<int> distinct = members;
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    Count& c = counts[name];
    c.total = static_cast<int64_t>(distinct.size());
    for (int i : distinct) c.covered += covered_[i];
  }
  return counts;
}

std::vector<std::string> SequenceList::Missing() const {
  std::vector<std::string> names;
  for (size_t i = 0; i < sequences_.size(); ++i) {
    if (!covered_[i]) names.push_back(Joined(sequences_[i]));
  }
  return names;
}

}  // namespace assay
