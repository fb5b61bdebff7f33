#include "fuzz/tables.h"

#include <algorithm>
#include <unordered_map>

namespace assay {

#define ENTRY(stem) std::vector<Transform> faults_##stem();
#include "fuzz_faults.inc"
#undef ENTRY
#define ENTRY(stem) std::vector<Transform> rewrites_##stem();
#include "fuzz_rewrites.inc"
#undef ENTRY

namespace {

const char* const kClassOrder[] = {"PP", "ID", "TSS", "WB", "LH", "CG",
                                   "DT", "OV", "IO",  "RN", "TR"};

size_t ClassRank(const std::string& cls) {
  return std::find(std::begin(kClassOrder), std::end(kClassOrder), cls) - std::begin(kClassOrder);
}

void CheckUnique(const std::vector<Transform>& table) {
  for (size_t i = 1; i < table.size(); ++i) CHECK(table[i - 1].name != table[i].name);
}

}  // namespace

const std::vector<Transform>& AllFaults() {
  static const std::vector<Transform> table = [] {
    std::vector<Transform> all;
    auto add = [&](std::vector<Transform> rows) {
      for (Transform& r : rows) {
        r.promise = Promise::kBreaks;
        r.cls = r.name.substr(0, r.name.find('_'));
        CHECK(ClassRank(r.cls) < std::size(kClassOrder));
        all.push_back(std::move(r));
      }
    };
#define ENTRY(stem) add(faults_##stem());
#include "fuzz_faults.inc"
#undef ENTRY
    std::sort(all.begin(), all.end(), [](const Transform& a, const Transform& b) {
      return std::pair(ClassRank(a.cls), a.name) < std::pair(ClassRank(b.cls), b.name);
    });
    CheckUnique(all);
    return all;
  }();
  return table;
}

const std::vector<Transform>& AllRewrites() {
  static const std::vector<Transform> table = [] {
    std::vector<Transform> all;
    auto add = [&](std::vector<Transform> rows) {
      for (Transform& r : rows) {
        r.promise = Promise::kPreserves;
        r.cls = "benign";
        all.push_back(std::move(r));
      }
    };
#define ENTRY(stem) add(rewrites_##stem());
#include "fuzz_rewrites.inc"
#undef ENTRY
    std::sort(all.begin(), all.end(),
              [](const Transform& a, const Transform& b) { return a.name < b.name; });
    CheckUnique(all);
    return all;
  }();
  return table;
}

const Transform* FindTransform(const std::string& name) {
  static const std::unordered_map<std::string, const Transform*> index = [] {
    std::unordered_map<std::string, const Transform*> m;
    for (const Transform& t : AllFaults()) m.emplace(t.name, &t);
    for (const Transform& t : AllRewrites()) m.emplace(t.name, &t);
    return m;
  }();
  auto it = index.find(name);
  return it == index.end() ? nullptr : it->second;
}

const std::vector<std::string>& FaultClasses() {
  static const std::vector<std::string> classes = [] {
    std::vector<std::string> c;
    for (const Transform& t : AllFaults()) {
      if (c.empty() || c.back() != t.cls) c.push_back(t.cls);
    }
    return c;
  }();
  return classes;
}

}  // namespace assay
