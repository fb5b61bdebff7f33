#include "interp/regex.h"

#include <algorithm>
#include <string>

#include "interp/ops/utf8.h"

namespace assay {
namespace {

using Range = Regex::Range;
using Class = Regex::Class;
using Instruction = Regex::Instruction;
using Op = Regex::Op;

constexpr int kMaxDepth = 200;    // of groups within groups
constexpr int kMaxRepeat = 1000;  // as in RE2
constexpr char32_t kMaxRune = 0x10FFFF;

const std::vector<Range> kDigits = {{'0', '9'}}, kSpaces = {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}},
                         kWords = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};

bool Within(const std::vector<Range>& ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const Range& r) { return c >= r.lo && c <= r.hi; });
}

// The ranges that the given ones leave out.
std::vector<Range> Complement(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.lo < b.lo; });
  std::vector<Range> rest;
  char32_t next = 0;
  for (const Range& r : ranges) {
    if (r.lo > next) rest.push_back({next, r.lo - 1});
    next = std::max<char32_t>(next, r.hi + 1);
  }
  if (next <= kMaxRune) rest.push_back({next, kMaxRune});
  return rest;
}

// Compiles while it parses: each part of the pattern becomes a run of instructions whose jumps are
// relative to its start, so that repeating a part copies it.
class Parser {
 public:
  Parser(std::string_view pattern, std::vector<Class>* classes) : s_(pattern), classes_(classes) {}

  Result<std::vector<Instruction>> Run() {
    Code code = TRY(Alternatives(0));
    if (at_ < s_.size()) return Bad("')' without '('");
    return code;
  }

 private:
  using Code = std::vector<Instruction>;

  Error Bad(const std::string& what) const { return Invalid("regular expression: " + what); }
  bool More() const { return at_ < s_.size(); }
  bool Take(std::string_view text) {
    if (s_.substr(at_, text.size()) != text) return false;
    at_ += text.size();
    return true;
  }
  Status Check(const Code& code) const {
    if (code.size() <= static_cast<size_t>(Regex::kMaxInstructions)) return {};
    return LimitHit("regular expression: more than " + std::to_string(Regex::kMaxInstructions) +
                    " instructions");
  }

  // ---- building

  static void Append(Code& to, const Code& part) {
    int base = static_cast<int>(to.size());
    for (Instruction i : part) {
      if (i.op == Op::kSplit || i.op == Op::kJump) i.a += base;
      if (i.op == Op::kSplit) i.b += base;
      to.push_back(i);
    }
  }
  static Code Either(const Code& x, const Code& y) {
    Code code = {{Op::kSplit, 1, static_cast<int>(x.size()) + 2}};
    Append(code, x);
    code.push_back({Op::kJump, static_cast<int>(x.size() + y.size()) + 2, 0});
    Append(code, y);
    return code;
  }
  static Code Star(const Code& x) {
    int end = static_cast<int>(x.size()) + 2;
    Code code = {{Op::kSplit, 1, end}};
    Append(code, x);
    code.push_back({Op::kJump, 0, 0});
    return code;
  }
  Code OneOf(std::vector<Range> ranges, bool negated) {
    if (fold_) {
      std::vector<Range> folded = ranges;
      for (const Range& r : ranges) {
        for (char32_t c = 'a'; c <= 'z'; ++c) {
          if (c >= r.lo && c <= r.hi) folded.push_back({c - 32u, c - 32u});
          if (c - 32u >= r.lo && c - 32u <= r.hi) folded.push_back({c, c});
        }
      }
      ranges = std::move(folded);
    }
    classes_->push_back({std::move(ranges), negated});
    return {{Op::kClass, static_cast<int>(classes_->size()) - 1, 0}};
  }

  // ---- grammar

  Result<Code> Alternatives(int depth) {
    if (depth > kMaxDepth) return Bad("groups nest too deeply");
    Code code = TRY(Sequence(depth));
    while (Take("|")) {
      Code other = TRY(Sequence(depth));
      code = Either(code, other);
      TRY(Check(code));
    }
    return code;
  }

  Result<Code> Sequence(int depth) {
    Code code;
    while (More() && s_[at_] != '|' && s_[at_] != ')') {
      Code part = TRY(Atom(depth));
      part = TRY(Repeated(std::move(part)));
      Append(code, part);
      TRY(Check(code));
    }
    return code;
  }

  // {n}, {n,}, {n,m}; false (and nothing taken) when the brace is a character.
  bool Counts(int* least, int* most) {
    size_t start = at_;
    auto number = [&](int* n) {
      size_t begin = at_;
      *n = 0;
      while (More() && s_[at_] >= '0' && s_[at_] <= '9')
        *n = std::min(*n * 10 + (s_[at_++] - '0'), kMaxRepeat + 1);
      return at_ > begin;
    };
    bool ok = Take("{") && number(least);
    *most = *least;
    if (ok && Take(",") && !number(most)) *most = -1;
    ok = ok && Take("}");
    if (!ok) at_ = start;
    return ok;
  }

  Result<Code> Repeated(Code part) {
    int times = 0;
    while (More()) {
      int least = 0, most = -1;
      if (Take("*"))
        least = 0, most = -1;
      else if (Take("+"))
        least = 1, most = -1;
      else if (Take("?"))
        least = 0, most = 1;
      else if (!Counts(&least, &most))
        break;
      if (least > kMaxRepeat || most > kMaxRepeat || (most >= 0 && most < least))
        return Bad("a repetition out of range");
      if (++times > kMaxDepth) return Bad("repetitions of repetitions");
      Take("?");  // which match is preferred plays no part
      int64_t copies = std::max(least, most) + 1;
      if (copies * static_cast<int64_t>(part.size() + 2) > Regex::kMaxInstructions) {
        return LimitHit("regular expression: more than " + std::to_string(Regex::kMaxInstructions) +
                        " instructions");
      }
      Code code;
      for (int i = 0; i < least; ++i) Append(code, part);
      if (most < 0) Append(code, Star(part));
      for (int i = least; i < most; ++i) Append(code, Either(part, {}));
      part = std::move(code);
    }
    return part;
  }

  Result<Code> Atom(int depth) {
    if (Take("(")) return Group(depth);
    if (Take("[")) return Bracket();
    if (Take("\\")) return Escape();
    if (Take("."))
      return OneOf(dot_all_ ? std::vector<Range>{} : std::vector<Range>{{'\n', '\n'}}, true);
    if (Take("^")) return Code{{Op::kBegin, 0, 0}};
    if (Take("$")) return Code{{Op::kEnd, 0, 0}};
    if (std::string_view("*+?").find(s_[at_]) != std::string_view::npos)
      return Bad("nothing to repeat");
    char32_t c = NextRune(s_, &at_);
    return OneOf({{c, c}}, false);
  }

  Result<Code> Group(int depth) {
    bool fold = fold_, dot_all = dot_all_;
    if (Take("?P<") || Take("?<")) {
      size_t end = s_.find('>', at_);
      if (end == std::string_view::npos) return Bad("a group's name has no end");
      at_ = end + 1;
    } else if (Take("?")) {
      bool on = true;
      while (More() && s_[at_] != ')' && s_[at_] != ':') {
        char flag = s_[at_++];
        if (flag == '-')
          on = false;
        else if (flag == 'i')
          fold_ = on;
        else if (flag == 's')
          dot_all_ = on;
        else if (flag != 'U')
          return Unsupported(std::string("regular expression: flag ") + flag);
      }
      if (Take(")")) return Code{};  // until the end of the enclosing group
      if (!Take(":")) return Bad("'(?' without an end");
    }
    Code code = TRY(Alternatives(depth + 1));
    if (!Take(")")) return Bad("'(' without ')'");
    fold_ = fold, dot_all_ = dot_all;
    return code;
  }

  // The ranges of \d and the like; false when `letter` is none of them.
  static bool Shorthand(char32_t letter, std::vector<Range>* ranges) {
    char32_t lower = letter | 32;
    if (letter > 127 || (lower != 'd' && lower != 's' && lower != 'w')) return false;
    std::vector<Range> r = lower == 'd' ? kDigits : lower == 's' ? kSpaces : kWords;
    if (lower != letter) r = Complement(r);
    ranges->insert(ranges->end(), r.begin(), r.end());
    return true;
  }

  Result<Code> Escape() {
    if (!More()) return Bad("'\\' at the end");
    std::vector<Range> ranges;
    if (Shorthand(static_cast<unsigned char>(s_[at_]), &ranges)) return ++at_, OneOf(ranges, false);
    if (Take("b")) return Code{{Op::kWordEdge, 0, 0}};
    if (Take("B")) return Code{{Op::kNoWordEdge, 0, 0}};
    if (Take("A")) return Code{{Op::kBegin, 0, 0}};
    if (Take("z")) return Code{{Op::kEnd, 0, 0}};
    char32_t c = TRY(EscapedRune());
    return OneOf({{c, c}}, false);
  }

  // Behind a backslash, what stands for one character.
  Result<char32_t> EscapedRune() {
    if (!More()) return Bad("'\\' at the end");
    char32_t c = NextRune(s_, &at_);
    constexpr std::string_view kNames = "tnrfva", kValues = "\t\n\r\f\v\a";
    size_t named = c < 128 ? kNames.find(static_cast<char>(c)) : std::string_view::npos;
    if (named != std::string_view::npos) return static_cast<char32_t>(kValues[named]);
    if (c == 'x') return HexRune();
    bool letter = c < 128 && ((c | 32) >= 'a' && (c | 32) <= 'z');
    if (c == 'p' || c == 'P')
      return Unsupported("regular expression: classes of Unicode properties");
    if (letter || (c >= '0' && c <= '9')) return Bad("an escape that means nothing");
    return c;
  }

  Result<char32_t> HexRune() {
    bool braced = Take("{");
    char32_t v = 0;
    int digits = 0;
    for (; More() && std::isxdigit(static_cast<unsigned char>(s_[at_])) && (braced || digits < 2);
         ++digits, ++at_) {
      unsigned char d = static_cast<unsigned char>(s_[at_]);
      v = std::min<char32_t>(
          v * 16 + static_cast<char32_t>(d <= '9' ? d - '0' : (d | 32) - 'a' + 10), kMaxRune);
    }
    if (digits == 0 || (braced && !Take("}"))) return Bad("'\\x' without a number");
    return v;
  }

  Result<Code> Bracket() {
    bool negated = Take("^"), first = true;
    std::vector<Range> ranges;
    for (; first || !Take("]"); first = false) {
      if (!More()) return Bad("'[' without ']'");
      if (Take("[:")) {
        TRY(Named(&ranges));
        continue;
      }
      if (s_[at_] == '\\' && at_ + 1 < s_.size() &&
          Shorthand(static_cast<unsigned char>(s_[at_ + 1]), &ranges)) {
        at_ += 2;
        continue;
      }
      char32_t lo = TRY(BracketRune()), hi = lo;
      if (at_ + 1 < s_.size() && s_[at_] == '-' && s_[at_ + 1] != ']') {
        ++at_;
        hi = TRY(BracketRune());
      }
      if (hi < lo) return Bad("a range that runs backwards");
      ranges.push_back({lo, hi});
    }
    return OneOf(std::move(ranges), negated);
  }
  Result<char32_t> BracketRune() {
    if (Take("\\")) return EscapedRune();
    if (!More()) return Bad("'[' without ']'");
    return NextRune(s_, &at_);
  }
  // [:alpha:] and the like, behind "[:".
  Status Named(std::vector<Range>* ranges) {
    static const std::vector<std::pair<std::string_view, std::vector<Range>>> kClasses = {
        {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
        {"alpha", {{'A', 'Z'}, {'a', 'z'}}},
        {"digit", kDigits},
        {"lower", {{'a', 'z'}}},
        {"upper", {{'A', 'Z'}}},
        {"word", kWords},
        {"space", {{'\t', '\r'}, {' ', ' '}}},
        {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
        {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}},
        {"blank", {{'\t', '\t'}, {' ', ' '}}}};
    bool negated = Take("^");
    size_t end = s_.find(":]", at_);
    if (end == std::string_view::npos) return Bad("'[:' without ':]'");
    for (const auto& [name, r] : kClasses) {
      if (s_.substr(at_, end - at_) != name) continue;
      std::vector<Range> all = negated ? Complement(r) : r;
      ranges->insert(ranges->end(), all.begin(), all.end());
      at_ = end + 2;
      return {};
    }
    return Bad("a class that is not known");
  }

  std::string_view s_;
  std::vector<Class>* classes_;
  size_t at_ = 0;
  bool fold_ = false, dot_all_ = false;
};

}  // namespace

bool Regex::Class::Has(char32_t c) const { return Within(ranges, c) != negated; }

Result<Regex> Regex::Parse(std::string_view pattern) {
  Regex regex;
  Parser parser(pattern, &regex.classes_);
  regex.program_ = TRY(parser.Run());
  regex.program_.push_back({Op::kMatch, 0, 0});
  return regex;
}

bool Regex::Matches(std::string_view text) const {
  // The instructions that some way through the pattern has come to, before the next character.
  std::vector<int> now, next, stack;
  std::vector<int64_t> reached(program_.size(), -1);
  auto is_word = [](char32_t c) { return Within(kWords, c); };
  constexpr char32_t kNone = 0xFFFFFFFF;
  char32_t previous = kNone;
  int64_t step = 0;
  bool matched = false;
  auto follow = [&](int start, size_t at, std::vector<int>& to) {
    size_t ahead = at;
    bool edge = is_word(previous) != (at < text.size() && is_word(NextRune(text, &ahead)));
    stack.assign(1, start);
    while (!stack.empty()) {
      int i = stack.back();
      stack.pop_back();
      if (reached[static_cast<size_t>(i)] == step) continue;
      reached[static_cast<size_t>(i)] = step;
      const Instruction& in = program_[static_cast<size_t>(i)];
      bool passes = (in.op == Op::kBegin && at == 0) || (in.op == Op::kEnd && at == text.size()) ||
                    (in.op == Op::kWordEdge && edge) || (in.op == Op::kNoWordEdge && !edge);
      if (in.op == Op::kMatch)
        matched = matched || at == text.size();
      else if (in.op == Op::kClass)
        to.push_back(i);
      else if (in.op == Op::kJump)
        stack.push_back(in.a);
      else if (in.op == Op::kSplit)
        stack.insert(stack.end(), {in.a, in.b});
      else if (passes)
        stack.push_back(i + 1);
    }
  };
  follow(0, 0, now);
  for (size_t at = 0; at < text.size() && !now.empty();) {
    char32_t c = NextRune(text, &at);
    previous = c;
    ++step;
    next.clear();
    for (int i : now) {
      if (classes_[static_cast<size_t>(program_[static_cast<size_t>(i)].a)].Has(c))
        follow(i + 1, at, next);
    }
    now.swap(next);
  }
  return matched;
}

}  // namespace assay
