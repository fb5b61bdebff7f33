#include "fuzz/convert.h"

#include <algorithm>

#include "fuzz/edit.h"

namespace assay {
namespace {

constexpr int kSiteTries = 6;  // sites of one transform tried before another transform is

class Converter {
 public:
  Converter(Subject subject, const Limits& limits, Choices& choices)
      : subject_(std::move(subject)), limits_(limits), choices_(choices) {}

  // Applies `t` at a random site; false when none takes it.
  bool AtRandomSite(const Transform& t) {
    std::vector<Site> sites = t.sites(subject_);
    for (int tries = 0; tries < kSiteTries && !sites.empty(); ++tries) {
      size_t k = static_cast<size_t>(choices_.Below(sites.size()));
      if (At(t, sites[k])) return true;
      sites.erase(sites.begin() + static_cast<std::ptrdiff_t>(k));
    }
    return false;
  }
  bool At(const Transform& t, const Site& site) {
    Result<Subject> after = t.Apply(subject_, site, limits_);
    if (!after.ok()) return false;
    subject_ = std::move(after).value();
    steps_.push_back({t.name, site});
    return true;
  }
  // One random row of those offered; false when none has a site.
  bool AnyOf(std::vector<const Transform*> rows) {
    while (!rows.empty()) {
      size_t k = static_cast<size_t>(choices_.Below(rows.size()));
      if (AtRandomSite(*rows[k])) return true;
      rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(k));
    }
    return false;
  }
  bool RandomFault() {
    std::vector<std::string> classes = FaultClasses();
    while (!classes.empty()) {
      size_t k = static_cast<size_t>(choices_.Below(classes.size()));
      std::vector<const Transform*> rows;
      for (const Transform& t : AllFaults()) {
        if (t.cls == classes[k]) rows.push_back(&t);
      }
      if (AnyOf(std::move(rows))) return true;
      classes.erase(classes.begin() + static_cast<std::ptrdiff_t>(k));
    }
    return false;
  }
  bool RandomRewrite() {
    std::vector<const Transform*> rows;
    for (const Transform& t : AllRewrites()) {
      if (t.name != "B27" && t.name != "B28") rows.push_back(&t);
    }
    return AnyOf(std::move(rows));
  }
  Status Scramble() {
    int64_t seed = static_cast<int64_t>(choices_.Below(1'000'000));
    std::string names = std::to_string(seed) + (choices_.Chance(0.3) ? ",io" : "");
    for (const auto& [name, argument] :
         {std::pair<const char*, std::string>{"B27", names}, {"B28", std::to_string(seed)}}) {
      const Transform* t = FindTransform(name);
      if (!t) continue;
      Site site{"*", argument};
      subject_ = TRY(t->Apply(subject_, site, limits_));
      steps_.push_back({name, site});
    }
    return {};
  }

  Subject subject_;
  std::vector<Step> steps_;

 private:
  const Limits& limits_;
  Choices& choices_;
};

Result<std::vector<const Transform*>> Named(const std::vector<std::string>& names,
                                            Promise promise) {
  std::vector<const Transform*> rows;
  for (const std::string& n : names) {
    const Transform* t = FindTransform(n);
    if (!t) return Usage("there is no transform '" + n + "'");
    if (t->promise != promise) {
      return Usage("'" + n + "' is a " + (t->promise == Promise::kBreaks ? "fault" : "rewrite"));
    }
    rows.push_back(t);
  }
  return rows;
}

}  // namespace

Result<Conversion> Convert(const Model& source, const ConvertOptions& options, Choices& choices) {
  std::vector<const Transform*> faults = TRY(Named(options.fault_names, Promise::kBreaks));
  std::vector<const Transform*> rewrites = TRY(Named(options.rewrite_names, Promise::kPreserves));
  faults.resize(faults.size() + static_cast<size_t>(std::max(options.faults, 0)),
                nullptr);  // null: a random one
  rewrites.resize(rewrites.size() + static_cast<size_t>(std::max(options.rewrites, 0)), nullptr);
  choices.Shuffle(rewrites);
  size_t before = static_cast<size_t>(choices.Below(rewrites.size() + 1));
  Converter c(TRY(Subject::Of(source, options.limits)), options.limits, choices);
  Conversion result;
  auto take = [&](const Transform* t, bool fault) {
    bool done = t ? c.AtRandomSite(*t) : fault ? c.RandomFault() : c.RandomRewrite();
    if (done)
      ++(fault ? result.faults : result.rewrites);
    else
      result.without_site.push_back(t ? t->name : fault ? "fault" : "rewrite");
  };
  for (size_t i = 0; i < before; ++i) take(rewrites[i], false);
  for (const Transform* t : faults) take(t, true);
  for (size_t i = before; i < rewrites.size(); ++i) take(rewrites[i], false);
  if (options.scramble) TRY(c.Scramble());
  result.target = std::move(c.subject_.model);
  result.steps = std::move(c.steps_);
  return result;
}

Result<Model> Replay(const Model& source, const std::vector<Step>& steps, const Limits& limits) {
  Subject subject = TRY(Subject::Of(source, limits));
  for (const Step& step : steps) {
    const Transform* t = FindTransform(step.transform);
    if (!t) return Usage("there is no transform '" + step.transform + "'", step.ToString());
    Result<Subject> after = t->Apply(subject, step.site, limits);
    if (!after.ok()) return after.error().In(step.ToString());
    subject = std::move(after).value();
  }
  return std::move(subject.model);
}

std::string StepsToText(const std::vector<Step>& steps) {
  std::string text;
  for (const Step& s : steps) text += s.ToString() + "\n";
  return text;
}
Result<std::vector<Step>> StepsFromText(const std::string& text) {
  std::vector<Step> steps;
  int number = 0;
  for (std::string line : Fields(text, '\n')) {
    ++number;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    Result<Step> step = Step::Parse(line);
    if (!step.ok()) return step.error().In("line " + std::to_string(number));
    steps.push_back(*step);
  }
  return steps;
}

}  // namespace assay
