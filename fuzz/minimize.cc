#include "fuzz/minimize.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "fuzz/convert.h"
#include "fuzz/minimize_pair.h"
#include "interp/exec.h"
#include "interp/onnx_io.h"

namespace assay {
namespace {

// 0, n/2, n/4, 3n/4, ...: a large cut that works is met early, whatever side it lies on.
std::vector<size_t> Spread(size_t n) {
  size_t size = 1;
  while (size < n) size *= 2;
  std::vector<size_t> order;
  for (size_t i = 0; i < size; ++i) {
    size_t reversed = 0;
    for (size_t bit = 1, mirror = size / 2; mirror > 0; bit *= 2, mirror /= 2) {
      if (i & bit) reversed += mirror;
    }
    if (reversed < n) order.push_back(reversed);
  }
  return order;
}

bool SameModel(const Model& a, const Model& b) {
  Result<std::string> x = SerializeModel(a), y = SerializeModel(b);
  return x.ok() && y.ok() && *x == *y;
}

class Minimizer {
 public:
  Minimizer(const Entry& entry, const Interesting& interesting, const MinimizeOptions& options)
      : best_(entry),
        interesting_(interesting),
        options_(options),
        start_(std::chrono::steady_clock::now()) {}

  Result<Minimized> Run() {
    TRY(Subject::Of(best_.source, options_.limits));
    TRY(Subject::Of(best_.target, options_.limits));
    if (!Ask(best_))
      return Usage("the case is not what is to be kept, so nothing can be minimized", best_.id);
    Result<Model> replay = Replay(best_.source, best_.steps, options_.limits);
    same_interface_ = SamePorts(best_.source, best_.target);
    replayed_ = !best_.steps.empty() && replay.ok() && SameModel(*replay, best_.target);
    for (bool again = true; again && !Stopped();) {
      again = replayed_ && DropSteps();
      for (const Transform& row : AllReductions()) {
        while (!Stopped() && Reduce(row)) again = true;
      }
    }
    Minimized m{best_, tries_, accepted_, !Stopped(), replayed_};
    return m;
  }

 private:
  bool Stopped() {
    if (stopped_) return true;
    double elapsed =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    stopped_ = tries_ >= options_.max_tries || elapsed > options_.seconds ||
               (options_.cancelled && options_.cancelled());
    return stopped_;
  }

  bool Ask(const Entry& candidate) {
    ++tries_;
    bool yes = interesting_(candidate);
    if (options_.progress) {
      options_.progress({tries_, accepted_ + yes, SizeOf(best_.source), SizeOf(best_.target),
                         best_.steps.size()});
    }
    return yes;
  }

  // Takes the candidate over when it is interesting.
  bool Accept(Entry candidate) {
    if (Stopped() || !Ask(candidate)) return false;
    best_ = std::move(candidate);
    ++accepted_;
    return true;
  }

  bool WithSteps(const std::vector<Step>& steps) {
    Result<Model> target = Replay(best_.source, steps, options_.limits);
    if (!target.ok() || !Subject::Of(*target, options_.limits).ok()) return false;
    Entry candidate = best_;
    candidate.steps = steps;
    candidate.target = std::move(*target);
    return Accept(std::move(candidate));
  }

  // Delta debugging: ever smaller chunks are left out, until no single step can go.
  bool DropSteps() {
    bool any = false;
    for (size_t chunk = best_.steps.size(); chunk > 0;) {
      bool dropped = false;
      for (size_t at = 0; at < best_.steps.size() && !Stopped();) {
        std::vector<Step> rest = best_.steps;
        auto first = rest.begin() + static_cast<std::ptrdiff_t>(at);
        rest.erase(first, first + static_cast<std::ptrdiff_t>(std::min(chunk, rest.size() - at)));
        if (WithSteps(rest))
          dropped = any = true;
        else
          at += chunk;
      }
      if (Stopped()) break;
      if (!dropped || chunk > best_.steps.size())
        chunk = chunk == 1 && !dropped ? 0 : std::max<size_t>(1, chunk / 2);
    }
    return any;
  }

  // One pass over the sites of a reduction; sites that failed are not asked again within it.
  bool Reduce(const Transform& row) {
    bool any = false;
    std::set<std::string> failed;
    for (bool again = true; again && !Stopped();) {
      again = false;
      Result<Subject> source = Subject::Of(best_.source, options_.limits);
      if (!source.ok()) return any;
      std::vector<Site> sites = row.sites(*source);
      for (size_t i : Spread(sites.size())) {
        if (Stopped()) return any;
        if (failed.count(sites[i].ToString())) continue;
        if (ReduceAt(row, *source, sites[i])) {
          again = any = true;
          break;
        }
        failed.insert(sites[i].ToString());
      }
    }
    return any;
  }

  bool ReduceAt(const Transform& row, const Subject& source, const Site& site) {
    Result<Subject> smaller = row.Apply(source, site, options_.limits);
    if (!smaller.ok()) return false;
    Entry candidate = best_;
    candidate.source = smaller->model;
    candidate.inputs = InputsFor(candidate.source, best_, options_.seed, options_.limits);
    if (replayed_ || options_.convert) {
      if (Stopped()) return false;
      Result<Model> target = replayed_ ? Replay(candidate.source, candidate.steps, options_.limits)
                                       : options_.convert(candidate.source);
      if (!target.ok() || !Subject::Of(*target, options_.limits).ok()) return false;
      candidate.target = std::move(*target);
      return Accept(std::move(candidate));
    }
    candidate.steps.clear();
    for (Model& target : ReduceAlike(row, source, site, best_.target, options_.limits)) {
      candidate.target = std::move(target);
      // A pair that began with one interface must not come to differ by having two.
      if (same_interface_ && !SamePorts(candidate.source, candidate.target)) continue;
      if (Accept(candidate)) return true;
    }
    return false;
  }

  Entry best_;
  const Interesting& interesting_;
  const MinimizeOptions& options_;
  std::chrono::steady_clock::time_point start_;
  int64_t tries_ = 0, accepted_ = 0;
  bool stopped_ = false, replayed_ = false, same_interface_ = true;
};

// Cut to the declared extents when it is larger, in the same element type; an undefined tensor when
// it can't be.
Tensor Fitted(const Tensor& have, const ValueInfo& want) {
  if (have.dtype() != want.dtype || !want.shape ||
      static_cast<int>(want.shape->size()) != have.rank())
    return {};
  Tensor t = have;
  for (int axis = 0; axis < t.rank(); ++axis) {
    int64_t extent = (*want.shape)[axis].value;
    if (extent < 0 || extent == t.dim(axis)) continue;
    if (extent > t.dim(axis)) return {};
    t = Prefix(t, axis, extent);
  }
  return t;
}

}  // namespace

std::vector<std::vector<Tensor>> InputsFor(const Model& smaller, const Entry& larger, uint64_t seed,
                                           const Limits& limits) {
  std::vector<ValueInfo> before = larger.source.graph.RequiredInputs(),
                         after = smaller.graph.RequiredInputs();
  std::vector<std::vector<Tensor>> sets;
  for (size_t s = 0; s < larger.inputs.size(); ++s) {
    Result<std::vector<Tensor>> drawn = RandomInputs(smaller, MixSeeds(seed, s));
    if (!drawn.ok()) return {};
    std::vector<Tensor> inputs = std::move(*drawn);
    std::optional<Execution> run;  // of the larger model, when a value of it is asked for
    for (size_t i = 0; i < after.size() && i < inputs.size(); ++i) {
      auto at = std::find_if(before.begin(), before.end(),
                             [&](const ValueInfo& v) { return v.name == after[i].name; });
      Tensor have;
      if (at != before.end()) {
        size_t index = static_cast<size_t>(at - before.begin());
        if (index < larger.inputs[s].size()) have = larger.inputs[s][index];
      } else {
        if (!run) {
          ExecOptions exec;
          exec.keep_all = true;
          exec.limits = limits;
          Result<Execution> result = Run(larger.source, larger.inputs[s], exec);
          run = result.ok() ? std::move(*result) : Execution{};
        }
        auto value = run->values.find(after[i].name);
        if (value != run->values.end()) have = value->second;
      }
      Tensor fitted = have.defined() ? Fitted(have, after[i]) : Tensor();
      if (fitted.defined()) inputs[i] = std::move(fitted);
    }
    sets.push_back(std::move(inputs));
  }
  return sets;
}

Result<Minimized> Minimize(const Entry& entry, const Interesting& interesting,
                           const MinimizeOptions& options) {
  return Minimizer(entry, interesting, options).Run();
}

}  // namespace assay
