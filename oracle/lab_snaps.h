// LabSnapper: says of the constants of targets which fold of the source's constants each stands for. Remembers its
// answers, because the proposals of a search share nearly all constants. For one thread.
#pragma once

#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "oracle/lab_context.h"

namespace assay {

class ConstantNodes;

class LabSnapper {
 public:
  LabSnapper(const SnapPool& pool, const Limits& limits) : pool_(pool), limits_(limits) {}

  // `foreign`: gets the initializers that are neither the source's nor a fold of it.
  LabSnaps Of(const Prepared& model, std::vector<int>* foreign);

 private:
  struct Reader {
    int node, input;
  };
  using Readers = std::vector<std::vector<Reader>>;
  Readers ReadersOfConstants(const Prepared& model) const;
  // `literal`: values that stay as they are beside what was found.
  void SnapNormalizations(const Prepared& model, const Readers& readers, LabSnaps* snaps,
                          std::set<int>* literal);
  SnapPool::Match OfLiteral(const Prepared& model, int v, const Reader& reader);
  SnapPool::Match OfComputed(const Prepared& model, int v, const Reader& reader, ConstantNodes* nodes);
  bool Own(const Prepared& model, int v) const {
    return model.Literal(v) && !pool_.IsSourceConstant(model.structure[v]);
  }

  const SnapPool& pool_;
  const Limits limits_;
  std::unordered_map<uint64_t, SnapPool::Match> literals_;      // by content and reader
  std::unordered_map<uint64_t, SnapPool::Match> computed_;      // by structure and reader
  std::unordered_map<uint64_t, std::pair<SnapPool::Match, SnapPool::Match>> normalizations_;
};

}  // namespace assay
