// Limits: budgets checked before anything is allocated or computed, so that a hostile model yields an
// error (exit 5) instead of exhausting the machine.
#pragma once

#include <cstdint>

namespace assay {

struct Limits {
  int64_t nodes = 200'000;                // nodes of a graph, subgraphs included
  int64_t elements = int64_t{1} << 30;    // elements of one tensor
  int64_t bytes = int64_t{12} << 30;      // bytes of live tensors of one run
  int64_t flops = int64_t{1} << 44;       // scalar operations of one run (multiply-add = 1)
  double seconds = 3600;                  // wall time of one run

  // For generated graphs and fuzz targets: small enough that no input takes seconds.
  static Limits Small() { return {2'000, int64_t{1} << 22, int64_t{256} << 20, int64_t{1} << 28, 2}; }
};

}  // namespace assay
