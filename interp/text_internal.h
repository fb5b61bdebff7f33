// Shared by the files that read text: tokens, and the reader of tensors. Not for others.
#pragma once

#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "interp/text.h"

namespace assay::text {

enum class Kind { kEnd, kWord, kString, kPunct };

struct Token {
  Kind kind = Kind::kEnd;
  std::string text;  // of a string: unescaped; of punctuation: "(", "->", ...
  int line = 1, column = 1;
};

// The text as tokens, one of them in view.
class TokenReader {
 public:
  TokenReader(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

  const Token& token() const { return token_; }
  Status Advance();
  bool Is(const char* punct) const { return token_.kind == Kind::kPunct && token_.text == punct; }
  bool IsWord(const char* word) const { return token_.kind == Kind::kWord && token_.text == word; }
  bool IsWord() const { return token_.kind == Kind::kWord; }
  // The name of an element type, or "undefined".
  bool IsType() const;

  // Each takes what it says and moves on, or fails with "wanted .., got ..".
  Status Expect(const char* punct);
  Result<bool> Accept(const char* punct);  // false when it is something else
  Result<std::string> Take(Kind kind, const char* what);
  Result<std::string> TakeName();  // a word or a string; "_" is the empty name
  Result<int64_t> TakeInt(int64_t lo, int64_t hi);
  Result<std::string> TakeHex();
  Result<std::string> TakeExtra();  // empty when there is none
  Result<std::vector<DimDecl>> TakeDims();

  // Errors at a token.
  Error At(const Token& t, const std::string& message) const;
  Error Limit(const Token& t, const std::string& message) const;
  Error Unexpected(const std::string& wanted) const;

 private:
  Result<Token> Next();
  Result<std::string> String(const Token& start);
  Result<char> Escape(const Token& start);
  void Skip(size_t n);
  void SkipBlanks();

  std::string_view text_;
  std::string where_;
  size_t at_ = 0;
  int line_ = 1, column_ = 1;
  Token token_;
};

// Reads a tensor: type, extents and elements. `bytes` counts what all of them take, against the
// limits.
Result<Tensor> TakeTensor(TokenReader* in, const Limits& limits, int64_t* bytes);

// A number that is the whole of a word.
template <class T>
bool WholeNumber(std::string_view s, T* out) {
  if (!s.empty() && s[0] == '+') s.remove_prefix(1);
  auto r = std::from_chars(s.data(), s.data() + s.size(), *out);
  return !s.empty() && r.ec == std::errc() && r.ptr == s.data() + s.size();
}
// Hexadecimal digits that are the whole of a text; no sign.
template <class T>
bool WholeHex(std::string_view s, T* out) {
  auto r = std::from_chars(s.data(), s.data() + s.size(), *out, 16);
  return !s.empty() && r.ec == std::errc() && r.ptr == s.data() + s.size();
}
// Only digits, perhaps with a sign.
bool IsDigits(std::string_view s);
// A decimal, inf, nan, or nan:<bits>.
bool ParseFloat32(std::string_view s, float* out);

}  // namespace assay::text
