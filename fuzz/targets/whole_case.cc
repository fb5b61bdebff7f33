// libFuzzer target: choices -> generate -> convert -> verify -> repair -> judge. The bytes are the decisions of one
// small case; whatever they say, every stage answers with a value or an Error. What a case finds about verifier and
// repairer is the business of `assay campaign`, which counts it; here nothing may crash, hang or exhaust memory.
#include <cstddef>
#include <cstdint>
#include <span>

#include "fuzz/convert.h"
#include "gen/graph_gen.h"
#include "oracle/judge.h"
#include "oracle/repair.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace assay;
  Choices choices(std::span<const uint8_t>(data, size));
  GenOptions gen;
  gen.nodes = 1 + static_cast<int>(choices.Below(6));
  gen.opset = 7 + static_cast<int>(choices.Below(11));
  gen.max_elements = 512;
  ConvertOptions convert;
  convert.limits = Limits::Small();
  convert.faults = static_cast<int>(choices.Below(3));
  convert.rewrites = static_cast<int>(choices.Below(4));
  Result<Model> source = Generate(choices, gen);
  if (!source.ok()) return 0;
  Result<Conversion> conversion = Convert(*source, convert, choices);
  if (!conversion.ok()) return 0;
  Result<Model> again = Replay(*source, conversion->steps, convert.limits);
  CHECK(again.ok());
  JudgeOptions judge;
  judge.samples = 2;
  judge.limits = Limits::Small();
  (void)JudgePair(*source, conversion->target, judge).ok();
  RepairOptions repair;
  repair.limits = Limits::Small();
  repair.seconds = 1;
  repair.max_edits = 4;
  repair.verify.samples = 2;
  repair.verify.measure_time = false;
  Result<Repair> repaired = RepairTarget(*source, conversion->target, repair);
  if (repaired.ok()) (void)JudgeRepair(*source, conversion->target, repaired->fixed, judge);
  return 0;
}
