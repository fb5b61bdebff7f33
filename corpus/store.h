// The store: a folder of entries (corpus/entry.h) with `index.txt`, one line an entry, for people
// and for diffs:
//   id | expectation | faults | rewrites | operators of the target | note
// The entries are the truth; the index is written anew from them by every change.
#pragma once

#include <string>
#include <vector>

#include "corpus/entry.h"

namespace assay {

struct StoredCase {
  std::string id, path;
};

// The entries of a corpus, sorted by id. Errors: Invalid when the folder is missing.
Result<std::vector<StoredCase>> ListEntries(const std::string& folder);

// Writes an entry (under entry.id, or EntryId() where that is empty) without touching the index;
// makes the folder when it is missing. Returns the id. Errors: Usage when an entry of that id and
// other content is there, unless `replace`.
Result<std::string> PutEntry(const std::string& folder, const Entry& entry, bool replace = false);
// PutEntry, then the index.
Result<std::string> AddEntry(const std::string& folder, const Entry& entry);
Status RemoveEntry(const std::string& folder, const std::string& id);

// The line of the index, without its end; and the whole text for a folder. A file that can't be
// read is an error.
std::string IndexLine(const Entry& entry);
Result<std::string> IndexText(const std::string& folder, const Limits& limits = Limits{});
Status WriteIndex(const std::string& folder, const Limits& limits = Limits{});

// Names of faults (or rewrites) among the steps, distinct, in step order.
std::vector<std::string> FaultsOf(const Entry& entry);
std::vector<std::string> RewritesOf(const Entry& entry);

// The ids that a smallest set (greedy) can do without: what is kept has the same operator sequences
// (of source and target, length 1 to `max_length`), faults, rewrites and expectations. Ties keep
// the smaller entry, then the lower id.
Result<std::vector<std::string>> Redundant(const std::vector<Entry>& entries, int max_length);

}  // namespace assay
