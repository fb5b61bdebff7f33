// The report of one or several campaign folders (shards merge): what was injected, detected and
// repaired, how operator-sequence coverage grew, and every finding with the command that makes it
// again and drawings of both graphs. Reads what docs/campaigns.md describes, nothing else; a folder
// of a running campaign will do.
#pragma once

#include <string>
#include <vector>

#include "corpus/sequences.h"
#include "fuzz/journal.h"

namespace assay {

// One campaign folder.
struct Shard {
  std::string folder;
  nlohmann::json header;  // the journal's first line
  int64_t cases = 0;
  double seconds = 0;  // 0: not known
  std::vector<Counts::GrowthPoint> growth;
};

// A finding whose folder is there.
struct KeptFinding {
  std::string folder, kind, signature, what, replay;
  int64_t index = -1;
};

struct CampaignData {
  std::vector<Shard> shards;
  Counts counts;       // merged; `sequences` is the union's where the sets are there
  double seconds = 0;  // of all shards together
  SequenceSet sequences;
  std::vector<KeptFinding> findings;          // by weight of kind, then signature, then case
  std::map<std::string, std::string> replay;  // signature -> command
  std::vector<std::string> notes;             // what could not be read, one line each
};

// Reads folders. One that was given twice, or the same shard of the same campaign, counts once (the
// longer one). Errors: Invalid when a folder has no readable journal.
Result<CampaignData> ReadCampaigns(const std::vector<std::string>& folders);

// summary.json of the merged shards, and `shards`, `notes`.
nlohmann::ordered_json ReportJson(const CampaignData& data);

// The page. At most `max_drawn` findings are drawn; all are listed.
std::string ReportHtml(const CampaignData& data, size_t max_drawn = 24);

}  // namespace assay
