// The equation of an Einsum, e.g. "bij,bjk->bik": which label each axis of each operand carries.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace assay {

// Labels are numbers: letters first (A-Z, then a-z), then the axes that "..." stands for.
struct EinsumEquation {
  static constexpr int kLetters = 52;
  static constexpr int kMaxLabels = kLetters + 16;

  std::vector<std::vector<int>> terms;  // one an operand, one label an axis
  std::vector<int> output;
  const char* error = nullptr;  // why it is not valid, else null
};

// Reads an equation for operands of these ranks. Without "->" the output holds the axes of "...",
// then the letters that occur once, in order.
inline EinsumEquation ParseEinsum(const std::string& text, const std::vector<int>& ranks) {
  EinsumEquation e;
  auto fail = [&](const char* why) {
    e.error = why;
    return e;
  };
  constexpr int kEllipsis = -1;
  std::vector<std::vector<int>> terms(1);
  bool arrow = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char ch = text[i];
    if (ch == ' ') continue;
    if (ch >= 'A' && ch <= 'Z')
      terms.back().push_back(ch - 'A');
    else if (ch >= 'a' && ch <= 'z')
      terms.back().push_back(ch - 'a' + 26);
    else if (text.compare(i, 3, "...") == 0)
      terms.back().push_back(kEllipsis), i += 2;
    else if (ch == ',' && !arrow)
      terms.emplace_back();
    else if (text.compare(i, 2, "->") == 0 && !arrow)
      terms.emplace_back(), arrow = true, ++i;
    else
      return fail("the equation has letters, commas, '...' and one '->'");
  }
  std::vector<int> output;
  if (arrow) {
    output = std::move(terms.back());
    terms.pop_back();
  }
  if (terms.size() != ranks.size()) return fail("the equation has one term for each input");
  int ellipsis = 0;  // axes of the longest "..."
  std::vector<int> extra(terms.size(), 0);
  for (size_t i = 0; i < terms.size(); ++i) {
    auto dots = std::count(terms[i].begin(), terms[i].end(), kEllipsis);
    extra[i] = ranks[i] - static_cast<int>(terms[i].size()) + static_cast<int>(dots);
    if (dots > 1) return fail("a term has at most one '...'");
    if (extra[i] < 0 || (dots == 0 && extra[i] != 0))
      return fail("each term has one label for each axis");
    ellipsis = std::max(ellipsis, extra[i]);
  }
  if (EinsumEquation::kLetters + ellipsis > EinsumEquation::kMaxLabels)
    return fail("'...' stands for at most 16 axes");
  // Axes of "..." align at the last one, as in broadcasting.
  auto expand = [&](const std::vector<int>& term, int axes) {
    std::vector<int> labels;
    for (int l : term) {
      if (l != kEllipsis) labels.push_back(l);
      for (int k = ellipsis - axes; l == kEllipsis && k < ellipsis; ++k)
        labels.push_back(EinsumEquation::kLetters + k);
    }
    return labels;
  };
  std::vector<int> uses(EinsumEquation::kMaxLabels, 0);
  for (size_t i = 0; i < terms.size(); ++i) {
    e.terms.push_back(expand(terms[i], extra[i]));
    for (int l : e.terms.back()) ++uses[l];
  }
  if (arrow) {
    if (std::count(output.begin(), output.end(), kEllipsis) > 1)
      return fail("a term has at most one '...'");
    e.output = expand(output, ellipsis);
  } else {
    e.output = expand({kEllipsis}, ellipsis);
    for (int l = 0; l < EinsumEquation::kLetters; ++l) {
      if (uses[l] == 1) e.output.push_back(l);
    }
  }
  std::vector<int> sorted = e.output;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return fail("no output label occurs twice");
  for (int l : e.output) {
    if (uses[l] == 0) return fail("every output label occurs in an input");
  }
  return e;
}

}  // namespace assay
