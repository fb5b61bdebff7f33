// StringConcat, StringSplit and RegexFullMatch (ONNX opset 20) and StringNormalizer (10).
#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/elementwise.h"
#include "interp/ops/utf8.h"
#include "interp/regex.h"

namespace assay {
namespace {

constexpr DTypeSet kStrings = Bit(DType::kString);

// Strings are not counted by a tensor's limits: what a kernel writes is counted here.
Status ChargeText(const KernelContext& c, int64_t* total, size_t more) {
  if (__builtin_add_overflow(*total, static_cast<int64_t>(more), total) ||
      *total > c.limits().bytes)
    return LimitHit("the strings take more than " + std::to_string(c.limits().bytes) + " bytes");
  return {};
}

// ---- StringConcat: the strings of X before those of Y, broadcast

Status EvalConcat(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  const std::vector<std::string>&x = c.in(0).strings(), &y = c.in(1).strings();
  Status status;
  int64_t bytes = 0;
  ForBroadcast2(out->shape(), c.in(0).shape(), c.in(1).shape(),
                [&](int64_t i, int64_t ix, int64_t iy) {
                  if (!status.ok()) return;
                  status = ChargeText(c, &bytes, x[ix].size() + y[iy].size());
                  if (status.ok()) out->mutable_strings()[i] = x[ix] + y[iy];
                });
  return status;
}

// ---- StringSplit: the parts of each string between delimiters (runs of spaces without one), at
// most maxsplit splits, filled up with empty strings; and how many parts each string has

void SplitRule(RuleContext& c) {
  c.OutUnranked(0, DType::kString);
  OutLike(c, 1, DType::kInt64);
  if (!c.Ranked(0)) return;
  std::vector<Dim> dims = c.Dims(0);
  dims.push_back(Dim::Unknown());
  c.Out(0, DType::kString, dims);
}

constexpr char kSpaces[] = " \t\n\v\f\r";

std::vector<std::string> SplitAtSpaces(const std::string& s, int64_t splits) {
  std::vector<std::string> parts;
  size_t at = s.find_first_not_of(kSpaces);
  while (at != std::string::npos) {
    size_t end = static_cast<int64_t>(parts.size()) < splits ? s.find_first_of(kSpaces, at)
                                                             : std::string::npos;
    parts.push_back(s.substr(at, end - at));
    at = end == std::string::npos ? end : s.find_first_not_of(kSpaces, end);
  }
  return parts;
}

std::vector<std::string> SplitAt(const std::string& s, const std::string& delimiter,
                                 int64_t splits) {
  if (delimiter.empty()) return SplitAtSpaces(s, splits);
  std::vector<std::string> parts;
  size_t at = 0;
  while (static_cast<int64_t>(parts.size()) < splits) {
    size_t end = s.find(delimiter, at);
    if (end == std::string::npos) break;
    parts.push_back(s.substr(at, end - at));
    at = end + delimiter.size();
  }
  parts.push_back(s.substr(at));
  return parts;
}

Status EvalSplit(KernelContext& c) {
  const std::vector<std::string>& x = c.in(0).strings();
  int64_t splits = c.HasAttr("maxsplit") ? c.Int("maxsplit") : -1;
  if (splits < 0) splits = INT64_MAX;
  std::vector<std::vector<std::string>> parts(x.size());
  size_t most = 0;
  int64_t bytes = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    // A part takes a string of its own, however short it is.
    TRY(ChargeText(c, &bytes, (x[i].size() + 1) * sizeof(std::string)));
    parts[i] = SplitAt(x[i], c.String("delimiter"), splits);
    most = std::max(most, parts[i].size());
  }
  Shape shape = c.in(0).shape();
  shape.push_back(static_cast<int64_t>(most));
  Tensor* y = TRY(c.Out(0, shape));
  Tensor* lengths = TRY(c.Out(1));
  for (size_t i = 0; i < x.size(); ++i) {
    lengths->mutable_data<int64_t>()[i] = static_cast<int64_t>(parts[i].size());
    std::move(parts[i].begin(), parts[i].end(),
              y->mutable_strings().begin() + static_cast<int64_t>(i * most));
  }
  return {};
}

// ---- StringNormalizer: strings that are stop words dropped, the others in another case; [C] or
// [1,C]. One empty string where nothing is left.

void NormalizerRule(RuleContext& c) {
  c.OutUnranked(0, DType::kString);
  if (!c.Ranked(0)) return;
  c.Require(c.Rank(0) == 1 || c.Rank(0) == 2, "X is [C] or [1,C]");
  if (c.Rank(0) == 2) c.Require(c.In(0, 0) == Dim(1), "X is [C] or [1,C]");
  if (c.failed()) return;
  std::vector<Dim> dims = c.Dims(0);
  dims.back() = Dim::Unknown();
  c.Out(0, DType::kString, dims);
}

Status EvalNormalizer(KernelContext& c) {
  const std::string action = c.String("case_change_action");
  auto change = [&](const std::string& s) {
    return action == "LOWER" ? ToLower(s) : action == "UPPER" ? ToUpper(s) : s;
  };
  // Without regard to case words are compared in lower case.
  const bool exact = c.Int("is_case_sensitive") != 0;
  auto key = [&](const std::string& s) { return exact ? s : ToLower(s); };
  std::vector<std::string> stops, kept;
  if (const AttrValue* v = c.Attr("stopwords")) stops = std::get<std::vector<std::string>>(*v);
  for (std::string& s : stops) s = key(s);
  std::sort(stops.begin(), stops.end());
  for (const std::string& s : c.in(0).strings()) {
    if (!std::binary_search(stops.begin(), stops.end(), key(s))) kept.push_back(change(s));
  }
  if (kept.empty()) kept.emplace_back();
  Shape shape = c.in(0).shape();
  shape.back() = static_cast<int64_t>(kept.size());
  Tensor* y = TRY(c.Out(0, shape));
  y->mutable_strings() = std::move(kept);
  return {};
}

// ---- RegexFullMatch: does the pattern match all of each string?

void RegexRule(RuleContext& c) { OutLike(c, 0, DType::kBool); }

Status EvalRegex(KernelContext& c) {
  if (!c.HasAttr("pattern")) return Invalid("attribute 'pattern' is missing");
  Regex regex = TRY(Regex::Parse(c.String("pattern")));
  Tensor* y = TRY(c.Out(0));
  const std::vector<std::string>& x = c.in(0).strings();
  int64_t bytes = 0;
  for (const std::string& s : x) TRY(ChargeText(c, &bytes, s.size()));
  TRY(c.Charge({std::max<int64_t>(bytes, 1), regex.size()}));
  for (size_t i = 0; i < x.size(); ++i) y->mutable_data<bool>()[i] = regex.Matches(x[i]);
  return {};
}

// The shapes of what follows depend on the strings, so these are constants.
bool DrawSplit(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || ElementsOfInput(d, 0) * 8 > d.max_elements) return false;
  if (choices.Chance(0.7))
    d.Set("delimiter", choices.PickOf<std::string>({"", " ", ".", ",", ", "}));
  MaybeSet(choices, d, "maxsplit");
  Tensor text = RandomConstant(choices, DType::kString, d.shape(0));
  // Nothing splits into one part, for ONNX Runtime 1.30 into none; it cuts blanks off what is left,
  // too.
  for (std::string& s : text.mutable_strings()) {
    while (s.ends_with(' ')) s.pop_back();
    if (s.empty()) s = "a";
  }
  d.SetConstant(0, text);
  d.outputs = 2;
  return true;
}

bool DrawNormalizer(Choices& choices, Draft& d) {
  d.attrs.clear();
  Shape shape = {DrawExtent(choices, 6)};
  if (choices.Chance(0.4)) shape.insert(shape.begin(), 1);
  MaybeSet(choices, d, "case_change_action", 0.7);
  MaybeSet(choices, d, "is_case_sensitive");
  if (choices.Chance(0.7)) {
    std::vector<std::string> stopwords;
    for (uint64_t n = 1 + choices.Below(3); n > 0; --n) stopwords.push_back(RandomText(choices));
    d.Set("stopwords", stopwords);
  }
  // The locale that every system has.
  d.Set("locale", "C");
  d.SetConstant(0, RandomConstant(choices, DType::kString, shape));
  return true;
}

bool DrawRegex(Choices& choices, Draft& d) {
  d.attrs.clear();
  d.Set("pattern",
        choices.PickOf<std::string>({"[a-z0-1]*", ".*[a1].*", "[A-Z2-3].*", "(a|b|ab|2)+", "[^ 2]*",
                                     "(.* .*|[13])", "[02-9a-z]+", ".{0,3}[^3]", "(?:.*[0-1]).*"}));
  return true;
}

OpSpec Row(const char* name, int since) { return Op(name, since).Class(Accuracy::kExact); }

}  // namespace

std::vector<OpSpec> ops_strings() {
  const AttrDomain cases{.strings = {"NONE", "LOWER", "UPPER"}};
  return {
      Row("StringConcat", 20)
          .In("X", "T", kStrings)
          .In("Y", "T", kStrings)
          .Out("Z", "T", kStrings)
          .Rule(BroadcastAll)
          .Eval(EvalConcat)
          .Traits(kElementwise | kBroadcasts),
      Row("StringSplit", 20)
          .In("X", "T1", kStrings)
          .Out("Y", "T2", kStrings)
          .Out("Z", "T3", Bit(DType::kInt64))
          .Attr({"delimiter", AttrType::kString, false, AttrValue(std::string()), {}})
          .Attr({"maxsplit", AttrType::kInt, false, std::nullopt, {.lo = 0, .hi = 3}})
          .Rule(SplitRule)
          .Eval(EvalSplit)
          .Draw(DrawSplit)
          .Example(
              "opset 20 graph(string[2] x) -> (y, n) { y, n = StringSplit(x) {delimiter=\".\"} }"),
      Row("RegexFullMatch", 20)
          .In("X", "T1", kStrings)
          .Out("Y", "T2", kBoolSet)
          .Attr({"pattern", AttrType::kString, false, std::nullopt, {}})
          .Rule(RegexRule)
          .Eval(EvalRegex)
          .Draw(DrawRegex)
          .Traits(kElementwise | kDiscontinuous)
          .Example(
              "opset 20 graph(string[2] x) -> (y) { y = RegexFullMatch(x) {pattern=\"[a-m]+\"} }"),
      Row("StringNormalizer", 10)
          .In("X", "", kStrings)
          .Out("Y", "", kStrings)
          .String("case_change_action", "NONE", cases)
          .Int("is_case_sensitive", 0, {.lo = 0, .hi = 1})
          .Attr({"locale", AttrType::kString, false, std::nullopt, {}})
          .Attr({"stopwords", AttrType::kStrings, false, std::nullopt, {}})
          .Rule(NormalizerRule)
          .Eval(EvalNormalizer)
          .Draw(DrawNormalizer)
          .Example("graph(string[3] x) -> (y) { y = StringNormalizer(x) "
                   "{case_change_action=\"UPPER\"} }")};
}

}  // namespace assay
