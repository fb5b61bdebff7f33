// Text as tokens.
#include <cstring>

#include "interp/text_internal.h"

namespace assay::text {

bool IsDigits(std::string_view s) {
  if (!s.empty() && (s[0] == '+' || s[0] == '-')) s.remove_prefix(1);
  return !s.empty() && s.find_first_not_of("0123456789") == std::string_view::npos;
}

Error TokenReader::At(const Token& t, const std::string& message) const {
  return Invalid(message, where_ + ":" + std::to_string(t.line) + ":" + std::to_string(t.column));
}
Error TokenReader::Limit(const Token& t, const std::string& message) const {
  return LimitHit(message, At(t, "").where);
}
Error TokenReader::Unexpected(const std::string& wanted) const {
  constexpr size_t kShown = 40;
  std::string got =
      token_.kind == Kind::kEnd ? "the end" : "'" + token_.text.substr(0, kShown) + "'";
  return At(token_, "wanted " + wanted + ", got " + got);
}

void TokenReader::Skip(size_t n) {
  for (; n > 0; --n, ++at_) {
    ++column_;
    if (text_[at_] == '\n') {
      ++line_;
      column_ = 1;
    }
  }
}

// Blanks, semicolons and comments.
void TokenReader::SkipBlanks() {
  while (at_ < text_.size()) {
    char c = text_[at_];
    if (c == '#') {
      while (at_ < text_.size() && text_[at_] != '\n') Skip(1);
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';') {
      Skip(1);
    } else {
      return;
    }
  }
}

Result<Token> TokenReader::Next() {
  SkipBlanks();
  Token t{Kind::kEnd, "", line_, column_};
  if (at_ == text_.size()) return t;
  char c = text_[at_];
  if (text_.substr(at_, 2) == "->") {
    t.kind = Kind::kPunct;
    t.text = "->";
    Skip(2);
  } else if (IsWordChar(c)) {
    size_t end = at_;
    while (end < text_.size() && IsWordChar(text_[end]) && text_.substr(end, 2) != "->") ++end;
    t.kind = Kind::kWord;
    t.text = text_.substr(at_, end - at_);
    Skip(end - at_);
  } else if (c == '"') {
    t.kind = Kind::kString;
    t.text = TRY(String(t));
  } else if (c != '\0' && std::strchr("(){}[],=@?", c) != nullptr) {
    t.kind = Kind::kPunct;
    t.text = c;
    Skip(1);
  } else {
    return At(t, "unexpected character");
  }
  return t;
}

Result<std::string> TokenReader::String(const Token& start) {
  std::string out;
  Skip(1);
  while (at_ < text_.size() && text_[at_] != '"') {
    char c = text_[at_];
    Skip(1);
    if (c == '\\') c = TRY(Escape(start));
    out += c;
  }
  if (at_ == text_.size()) return At(start, "the string does not end");
  Skip(1);
  return out;
}

// What follows a backslash.
Result<char> TokenReader::Escape(const Token& start) {
  std::string_view rest = text_.substr(at_);
  if (rest.empty()) return At(start, "the string does not end");
  unsigned byte = 0;
  if (rest[0] == 'x' && rest.size() >= 3 && WholeHex(rest.substr(1, 2), &byte)) {
    Skip(3);
    return static_cast<char>(byte);
  }
  if (rest[0] != 'n' && rest[0] != '"' && rest[0] != '\\') {
    return At(start, "unknown escape in a string; there are \\n, \\\", \\\\ and \\xNN");
  }
  Skip(1);
  return rest[0] == 'n' ? '\n' : rest[0];
}

Status TokenReader::Advance() {
  Result<Token> t = Next();
  if (!t.ok()) return t.error();
  token_ = std::move(*t);
  return {};
}

bool TokenReader::IsType() const {
  return IsWord() &&
         (token_.text == "undefined" || DTypeFromName(token_.text) != DType::kUndefined);
}

Status TokenReader::Expect(const char* punct) {
  if (!Is(punct)) return Unexpected(std::string("'") + punct + "'");
  return Advance();
}

Result<bool> TokenReader::Accept(const char* punct) {
  if (!Is(punct)) return false;
  TRY(Advance());
  return true;
}

Result<std::string> TokenReader::Take(Kind kind, const char* what) {
  if (token_.kind != kind) return Unexpected(what);
  std::string text = std::move(token_.text);
  TRY(Advance());
  return text;
}

Result<std::string> TokenReader::TakeName() {
  if (token_.kind == Kind::kString) return Take(Kind::kString, "a name");
  if (IsWord() && token_.text != "_" && IsReservedWord(token_.text)) {
    return At(token_, "the name '" + token_.text + "' is reserved: quote it");
  }
  std::string name = TRY(Take(Kind::kWord, "a name"));
  return name == "_" ? std::string() : name;
}

Result<int64_t> TokenReader::TakeInt(int64_t lo, int64_t hi) {
  Token start = token_;
  std::string word = TRY(Take(Kind::kWord, "a number"));
  int64_t v = 0;
  if (!WholeNumber(word, &v) || v < lo || v > hi) {
    return At(start, "'" + word + "' is not a number in range");
  }
  return v;
}

Result<std::string> TokenReader::TakeHex() {
  Token start = token_;
  std::string digits = TRY(Take(Kind::kString, "hexadecimal digits in quotes"));
  std::string bytes;
  bytes.reserve(digits.size() / 2);
  for (size_t i = 0; i < digits.size(); i += 2) {
    unsigned byte = 0;
    if (i + 2 > digits.size() || !WholeHex(std::string_view(digits).substr(i, 2), &byte)) {
      return At(start, "wanted an even number of hexadecimal digits");
    }
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

Result<std::string> TokenReader::TakeExtra() {
  if (!IsWord("extra")) return std::string();
  TRY(Advance());
  return TakeHex();
}

Result<std::vector<DimDecl>> TokenReader::TakeDims() {
  std::vector<DimDecl> dims;
  TRY(Expect("["));
  while (!Is("]")) {
    if (!dims.empty()) TRY(Expect(","));
    DimDecl d;
    bool unknown = TRY(Accept("?"));
    if (!unknown && IsWord() && IsDigits(token_.text)) {
      d.value = TRY(TakeInt(0, INT64_MAX));
    } else if (!unknown) {
      d.symbol = TRY(TakeName());
      bool both = TRY(Accept("="));
      if (both) d.value = TRY(TakeInt(0, INT64_MAX));
    }
    dims.push_back(std::move(d));
  }
  TRY(Advance());
  return dims;
}

}  // namespace assay::text
