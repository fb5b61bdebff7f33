#include "oracle/repair.h"

#include "oracle/repair_search.h"

namespace assay {
namespace {

Result<SearchResult> Search(const Model& source, const Model& target, const RepairOptions& options,
                            const std::shared_ptr<const SearchResult>& known) {
  if (known && known->equal && static_cast<int>(known->steps.size()) <= options.max_edits) return *known;
  return SearchRepair(source, target, options);
}

}  // namespace

Result<Repair> RepairTarget(const Model& source, const Model& target, const RepairOptions& options) {
  Repair r;
  VerifyOptions verify = options.verify;
  verify.seed = options.seed;
  verify.jobs = options.jobs;
  verify.limits = options.limits;
  if (options.verify_before) r.before = TRY(Verify(source, target, verify));
  if (options.verify_before && r.before.verdict == Verdict::kEquivalent) {
    r.fixed = target;
    r.verdict = Verdict::kEquivalent;
    r.after = r.before;
    return r;
  }
  SearchResult found = TRY(Search(source, target, options, r.before.search ? r.before.search : options.known));
  r.fixed = std::move(found.fixed);
  for (const Healed& h : found.steps) {
    if (!h.edit.what.empty()) r.edits.push_back(h.edit);
  }
  if (options.verify_after) {
    // Other inputs and another proof than the search used.
    verify.seed = MixSeeds(options.seed, 0xaf7e4);
    verify.localize = false;
    r.after = TRY(Verify(source, r.fixed, verify));
    r.verdict = r.after.verdict;
  } else {
    r.verdict = found.equal ? Verdict::kEquivalent : Verdict::kDifferent;
  }
  return r;
}

}  // namespace assay
