#include "fuzz/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace assay {
namespace {

// Series and status colours keep their contrast on both backgrounds.
constexpr char kStyle[] = R"css(
:root{--bg:#fbfbfa;--card:#fff;--ink:#1d2329;--soft:#5c6670;--line:#dfe3e6;--good:#1a7f4b;--warn:#a15c00;--bad:#c02f2f;
--accent:#2b5fab;--mark:#ffe3d3;--markline:#c4532b;--chip:#eef1f3;--s1:#2b5fab;--s2:#1a7f4b;--s3:#b06f00;--s4:#8a3fa0;--s5:#c02f2f}
@media(prefers-color-scheme:dark){:root{--bg:#14181b;--card:#1c2226;--ink:#e6eaed;--soft:#9aa5ae;--line:#333c43;--good:#4cc38a;
--warn:#e0a048;--bad:#ff7b72;--accent:#7db0ff;--mark:#4a2a1c;--markline:#ff9a6c;--chip:#262e33;--s1:#7db0ff;--s2:#4cc38a;--s3:#e0a048;
--s4:#cf95e3;--s5:#ff7b72}}
*{box-sizing:border-box}html{color-scheme:light dark;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:1120px;margin:0 auto;padding:1.5rem clamp(.9rem,3vw,2rem) 4rem}
h1{font-size:1.6rem;line-height:1.2;margin:.2rem 0 .3rem;letter-spacing:-.01em}h2{font-size:1.15rem;margin:2.4rem 0 .6rem}
h3{font-size:1rem;margin:0 0 .4rem}p{margin:.4rem 0}.soft{color:var(--soft)}.lead{font-size:1.05rem}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.6rem,1fr));gap:.7rem;margin:1.2rem 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.7rem .9rem}
.card b{display:block;font-size:1.45rem;line-height:1.25;font-variant-numeric:tabular-nums;font-weight:650}
.card span{color:var(--soft);font-size:.84rem}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{padding:.36rem .7rem;text-align:left;vertical-align:top}
th{color:var(--soft);font-weight:600;white-space:nowrap;border-bottom:1px solid var(--line)}tr+tr td{border-top:1px solid var(--line)}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}code,pre,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.85em}
td code{white-space:nowrap}tr.group td{background:var(--chip);font-weight:600;color:var(--soft)}
pre{background:var(--chip);border-radius:8px;padding:.55rem .75rem;margin:.5rem 0;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere;user-select:all}
.chips{display:flex;flex-wrap:wrap;gap:.3rem}.chip{background:var(--chip);border-radius:6px;padding:0 .45rem;font-size:.8rem;white-space:nowrap;border-left:3px solid var(--line);font-variant-numeric:tabular-nums}
.chip.good{border-left-color:var(--good);color:inherit}.chip.warn{border-left-color:var(--warn);color:inherit}.chip.bad{border-left-color:var(--bad);color:inherit}
.badge{display:inline-block;border:1px solid currentColor;border-radius:99px;padding:0 .6rem;font-size:.8rem;font-weight:600;white-space:nowrap}
.finding{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.8rem 1rem;margin:.8rem 0}
.finding>h3{overflow-wrap:anywhere}.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:.8rem}
figure{margin:0 0 .8rem;min-width:0;border:1px solid var(--line);border-radius:8px;padding:.5rem;overflow-x:auto}figcaption{color:var(--soft);font-size:.82rem;margin-bottom:.3rem}
details>summary{cursor:pointer;color:var(--accent);margin:.4rem 0}
svg{display:block;max-width:100%;height:auto;margin:0 auto}svg.chart{min-width:33rem}svg text{font-family:inherit;fill:var(--ink)}
.box{fill:var(--card);stroke:var(--soft);stroke-width:1.2}.box.port{fill:var(--chip);stroke:none}.box.marked{fill:var(--mark);stroke:var(--markline);stroke-width:2}
.edge{fill:none;stroke:var(--soft);stroke-width:1.3;opacity:.75}.tip{fill:var(--soft);opacity:.9}svg .small{font-size:10.5px;fill:var(--soft)}svg .op{font-size:13px;font-weight:600}
.grid{stroke:var(--line);stroke-width:1}.axis{font-size:11px;fill:var(--soft)}.curve{fill:none;stroke-width:2.2;stroke-linejoin:round}
.s1{stroke:var(--s1)}.s2{stroke:var(--s2)}.s3{stroke:var(--s3)}.s4{stroke:var(--s4)}.s5{stroke:var(--s5)}
text.s1{fill:var(--s1);stroke:none}text.s2{fill:var(--s2);stroke:none}text.s3{fill:var(--s3);stroke:none}text.s4{fill:var(--s4);stroke:none}text.s5{fill:var(--s5);stroke:none}
@media(max-width:40rem){th,td{padding:.32rem .45rem}table{font-size:.84rem}}
tr.ops td{border-top:0;padding-top:0}tr.ops+tr td{border-top:1px solid var(--line)}
@media print{body{background:#fff}.finding,.card{break-inside:avoid}}
)css";

// Length of the valid UTF-8 sequence at the start of `s`; 0 when there is none.
size_t SequenceLength(std::string_view s) {
  unsigned char c = static_cast<unsigned char>(s[0]);
  size_t n = c < 0x80                ? 1
             : c >= 0xc2 && c < 0xe0 ? 2
             : c >= 0xe0 && c < 0xf0 ? 3
             : c >= 0xf0 && c < 0xf5 ? 4
                                     : 0;
  if (n == 0 || n > s.size()) return 0;
  for (size_t i = 1; i < n; ++i) {
    if ((static_cast<unsigned char>(s[i]) & 0xc0) != 0x80) return 0;
  }
  unsigned char second = n > 1 ? static_cast<unsigned char>(s[1]) : 0x80;
  bool overlong = (c == 0xe0 && second < 0xa0) || (c == 0xf0 && second < 0x90);
  bool outside = (c == 0xed && second > 0x9f) || (c == 0xf4 && second > 0x8f);
  return overlong || outside ? 0 : n;
}

}  // namespace

std::string Escape(std::string_view text, size_t max_bytes) {
  std::string out;
  bool cut = text.size() > max_bytes;
  size_t taken = 0;
  while (!text.empty()) {
    size_t n = SequenceLength(text);
    size_t step = std::max<size_t>(n, 1);
    if (cut && taken + step > max_bytes) break;
    taken += step;
    char c = text[0];
    if (n == 0)
      out += "\xEF\xBF\xBD";
    else if (n > 1)
      out.append(text.substr(0, n));
    else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else if (c == '\n' || c == '\t')
      out += c;
    else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f)
      out += "\xEF\xBF\xBD";
    else
      out += c;
    text.remove_prefix(step);
  }
  if (cut) out += "…";
  return out;
}

std::string HtmlPage(const std::string& title, const std::string& body) {
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
         "'unsafe-inline'\">\n"
         "<title>" +
         Escape(title) + "</title>\n<style>" + kStyle + "</style></head>\n<body><main>\n" + body +
         "</main></body></html>\n";
}

std::string Grouped(int64_t n) {
  std::string digits = std::to_string(n), out;
  size_t first = digits[0] == '-' ? 1 : 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > first && (digits.size() - i) % 3 == 0) out += "\u202f";
    out += digits[i];
  }
  return out;
}

std::string Share(int64_t part, int64_t whole) {
  if (whole <= 0) return "–";
  if (part == whole) return "100 %";
  double percent = 100 * static_cast<double>(part) / static_cast<double>(whole);
  // Never rounded to what it is not.
  return fmt::format("{:.1f} %", part > 0 ? std::clamp(percent, 0.1, 99.9) : 0.0);
}

namespace {

constexpr double kWidth = 720, kHeight = 300, kLeft = 52, kRight = 96, kTop = 14, kBottom = 40;

std::string Compact(double v) {
  if (v >= 1e6) return fmt::format("{:g}M", v / 1e6);
  if (v >= 1e3) return fmt::format("{:g}k", v / 1e3);
  return fmt::format("{:g}", v);
}

// A step of 1, 2 or 5 times a power of ten that cuts [0, max] into about five.
double NiceStep(double max) {
  double base = std::pow(10, std::floor(std::log10(std::max(max, 1.0) / 5)));
  for (double m : {1.0, 2.0, 5.0}) {
    if (max / (base * m) <= 6) return std::max(1.0, base * m);
  }
  return std::max(1.0, base * 10);
}

struct Scale {
  double x_max = 1, decades = 1;
  double X(double x) const { return kLeft + (kWidth - kLeft - kRight) * x / x_max; }
  double Y(double y) const {
    double t = y <= 1 ? 0 : std::log10(y) / decades;
    return kHeight - kBottom - (kHeight - kTop - kBottom) * t;
  }
};

std::string Grid(const Scale& scale, const std::string& x_title, const std::string& y_title) {
  std::string svg;
  for (int d = 0; d <= static_cast<int>(scale.decades); ++d) {
    double v = std::pow(10, d), y = scale.Y(v);
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft,
        kWidth - kRight, y, y);
    svg +=
        fmt::format("<text class=\"axis\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
                    kLeft - 8, y + 4, Compact(v));
  }
  double step = NiceStep(scale.x_max);
  for (double x = 0; x <= scale.x_max * 1.0001; x += step) {
    svg += fmt::format(
        "<text class=\"axis\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
        scale.X(x), kHeight - kBottom + 18, Compact(x));
  }
  svg +=
      fmt::format("<text class=\"axis\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
                  (kLeft + kWidth - kRight) / 2, kHeight - 4, Escape(x_title));
  svg += fmt::format(
      "<text class=\"axis\" transform=\"translate(12 {:.1f}) rotate(-90)\" "
      "text-anchor=\"middle\">{}</text>",
      (kTop + kHeight - kBottom) / 2, Escape(y_title));
  return svg;
}

}  // namespace

std::string LogChart(const std::vector<Series>& series, const std::string& x_title,
                     const std::string& y_title) {
  Scale scale;
  double top = 10;
  for (const Series& s : series) {
    for (auto [x, y] : s.points) {
      scale.x_max = std::max(scale.x_max, x);
      top = std::max(top, y);
    }
  }
  scale.decades = std::ceil(std::log10(top) - 1e-9);
  std::string svg = fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {} {}\" width=\"{}\" role=\"img\" aria-label=\"{} by "
      "{}\">",
      kWidth, kHeight, kWidth, Escape(y_title), Escape(x_title));
  svg += Grid(scale, x_title, y_title);
  std::vector<size_t> by_height;  // lines from the highest end to the lowest
  for (size_t i = 0; i < series.size(); ++i) {
    if (!series[i].points.empty()) by_height.push_back(i);
  }
  std::stable_sort(by_height.begin(), by_height.end(), [&](size_t a, size_t b) {
    return series[a].points.back().second > series[b].points.back().second;
  });
  double last_label = -1e9;
  for (size_t i : by_height) {
    const Series& s = series[i];
    std::string path;
    for (auto [x, y] : s.points) {
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", scale.X(x), scale.Y(y));
    }
    int colour = static_cast<int>(i % 5) + 1;
    svg += fmt::format("<path class=\"curve s{}\" d=\"{}\"/>", colour, path);
    // Labels stand at the line ends, apart from each other.
    double y = std::max(scale.Y(s.points.back().second) + 4, last_label + 14);
    last_label = y;
    svg += fmt::format("<text class=\"axis s{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", colour,
                       scale.X(s.points.back().first) + 6, y, Escape(s.name));
  }
  return svg + "</svg>";
}

}  // namespace assay
