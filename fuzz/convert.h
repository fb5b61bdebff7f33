// The built-in converter: benign rewrites and faults at random or named, then the scramble that
// every real converter ends with (other names, another order). What it did is a list of steps;
// replaying them gives the same bytes.
#pragma once

#include <string>
#include <vector>

#include "fuzz/tables.h"
#include "interp/choices.h"

namespace assay {

struct ConvertOptions {
  int faults = 0;                        // how many random faults, beside the named ones
  int rewrites = 0;                      // how many random rewrites, beside the named ones
  std::vector<std::string> fault_names;  // each once, at a random site
  std::vector<std::string> rewrite_names;
  bool scramble = true;  // end with B27 and B28
  Limits limits = Limits{};
};

struct Conversion {
  Model target;
  std::vector<Step> steps;
  // Named transforms without a site in this model, and how many of the random ones found none.
  std::vector<std::string> without_site;
  int faults = 0, rewrites = 0;  // applied, the scramble not counted
};

// Converts a model. Rewrites come before and behind the faults (so that they also hit the damaged
// region). A random step that does not apply is replaced by another one; the class of a random
// fault is drawn first, so that all classes are as frequent as their sites allow. Errors: the
// source is invalid or unsupported, an unknown name (Usage).
Result<Conversion> Convert(const Model& source, const ConvertOptions& options, Choices& choices);

// Applies the steps in order. Errors: a step names no transform (Usage) or does not apply.
Result<Model> Replay(const Model& source, const std::vector<Step>& steps,
                     const Limits& limits = Limits{});

// A steps file: one step a line; blank lines and lines that start with # are skipped.
std::string StepsToText(const std::vector<Step>& steps);
Result<std::vector<Step>> StepsFromText(const std::string& text);

}  // namespace assay
