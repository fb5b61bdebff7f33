// Pages for people: one self-contained HTML file, no script and nothing from outside, readable on a
// phone and on paper, light or dark as the reader's system is. Every text that comes from models or
// files goes through Escape.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

// Text as HTML content or attribute value; control characters and broken UTF-8 are replaced, texts
// longer than `max_bytes` cut.
std::string Escape(std::string_view text, size_t max_bytes = 2000);

// A whole document: the style sheet, a heading, and `body` as it is.
std::string HtmlPage(const std::string& title, const std::string& body);

// "12 345" with thin spaces; "97.3 %" ("–" when there is nothing to count).
std::string Grouped(int64_t n);
std::string Share(int64_t part, int64_t whole);

// A line chart as inline SVG: several series over one x axis, y logarithmic. Points in order of x.
struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;
};
std::string LogChart(const std::vector<Series>& series, const std::string& x_title,
                     const std::string& y_title);

}  // namespace assay
