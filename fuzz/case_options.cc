// The options of a case as JSON (the journal's first line) and as flags (replay commands).
#include <fmt/format.h>

#include "fuzz/run_case.h"

namespace assay {
namespace {

// A word for a shell, quoted where it must be.
std::string Quoted(const std::string& s) {
  bool plain = !s.empty() &&
               s.find_first_not_of(
                   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-=:,@%") ==
                   std::string::npos;
  if (plain) return s;
  std::string out = "'";
  for (char c : s) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

template <class T>
Status Read(const nlohmann::json& j, const char* key, T* out) {
  auto it = j.find(key);
  if (it == j.end()) return {};
  bool fits = std::is_same_v<T, std::string> ? it->is_string()
              : std::is_same_v<T, bool>      ? it->is_boolean()
                                             : it->is_number();
  if (!fits)
    return Invalid(std::string("'") + key + "' has another type", "the journal's first line");
  *out = it->get<T>();
  return {};
}

}  // namespace

nlohmann::ordered_json CaseOptions::ToJson() const {
  return {{"seed", seed},
          {"nodes", nodes},
          {"faults", max_faults},
          {"rewrites", max_rewrites},
          {"repair", repair},
          {"profile", profile},
          {"converter", converter},
          {"verifier", verifier},
          {"repairer", repairer},
          {"runtime", runtime},
          {"command_seconds", command.seconds},
          {"command_bytes", command.bytes}};
}

Result<CaseOptions> CaseOptions::FromJson(const nlohmann::json& j) {
  CaseOptions o;
  TRY(Read(j, "seed", &o.seed));
  TRY(Read(j, "nodes", &o.nodes));
  TRY(Read(j, "faults", &o.max_faults));
  TRY(Read(j, "rewrites", &o.max_rewrites));
  TRY(Read(j, "repair", &o.repair));
  TRY(Read(j, "profile", &o.profile));
  TRY(Read(j, "converter", &o.converter));
  TRY(Read(j, "verifier", &o.verifier));
  TRY(Read(j, "repairer", &o.repairer));
  TRY(Read(j, "runtime", &o.runtime));
  TRY(Read(j, "command_seconds", &o.command.seconds));
  TRY(Read(j, "command_bytes", &o.command.bytes));
  return o;
}

std::string CaseOptions::Flags() const {
  const CaseOptions usual;
  std::string f = fmt::format("--seed {} --nodes {}", seed, nodes);
  if (max_faults != usual.max_faults) f += fmt::format(" --faults {}", max_faults);
  if (max_rewrites != usual.max_rewrites) f += fmt::format(" --rewrites {}", max_rewrites);
  if (!repair) f += " --no-repair";
  if (profile != usual.profile) f += " --profile " + Quoted(profile);
  const std::pair<const char*, const std::string*> commands[] = {{"converter", &converter},
                                                                 {"verifier", &verifier},
                                                                 {"repairer", &repairer},
                                                                 {"runtime", &runtime}};
  for (const auto& [name, text] : commands) {
    if (!text->empty()) f += fmt::format(" --{} {}", name, Quoted(*text));
  }
  if (command.seconds != usual.command.seconds)
    f += fmt::format(" --command-time {}", command.seconds);
  if (command.bytes != usual.command.bytes)
    f += fmt::format(" --command-memory {}", command.bytes >> 20);
  return f;
}

}  // namespace assay
