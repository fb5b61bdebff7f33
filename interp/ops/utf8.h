// Text as Unicode code points, for the operators on strings. Bytes that are not UTF-8 stand for
// themselves, so that nothing is lost.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace assay {

// The code point at `at`, which moves behind it. A byte that begins no valid sequence counts as
// 0xDC00 + byte, which AppendRune writes back as that byte.
inline char32_t NextRune(std::string_view s, size_t* at) {
  auto byte = [&](size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  unsigned first = byte(*at);
  int more = first < 0x80       ? 0
             : first >> 5 == 6  ? 1
             : first >> 4 == 14 ? 2
             : first >> 3 == 30 ? 3
                                : -1;
  char32_t rune = more <= 0 ? first : first & (0x3fu >> more);
  for (int k = 1; k <= more; ++k) {
    if (byte(*at + static_cast<size_t>(k)) >> 6 != 2) more = -1;
    rune = rune << 6 | (byte(*at + static_cast<size_t>(k)) & 0x3f);
  }
  if (more < 0) return ++*at, 0xDC00 + first;
  *at += 1 + static_cast<size_t>(more);
  return rune;
}

inline void AppendRune(char32_t r, std::string* out) {
  if (r >= 0xDC80 && r <= 0xDCFF) {
    *out += static_cast<char>(r - 0xDC00);
  } else if (r < 0x80) {
    *out += static_cast<char>(r);
  } else {
    int more = r < 0x800 ? 1 : r < 0x10000 ? 2 : 3;
    *out += static_cast<char>((more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0) | r >> (6 * more));
    while (more-- > 0) *out += static_cast<char>(0x80 | (r >> (6 * more) & 0x3f));
  }
}

// Simple case mapping of Latin, Greek and Cyrillic letters (Unicode, blocks up to U+052F); the
// locale plays no part, since a result may not depend on the machine.
inline char32_t LowerRune(char32_t r) {
  if (r >= 'A' && r <= 'Z') return r + 32;
  if (r < 0xC0) return r;
  if (r <= 0xDE) return r == 0xD7 ? r : r + 32;                // Latin-1
  if (r >= 0x100 && r <= 0x17F && r != 0x130 && r != 0x178) {  // Latin Extended-A, in pairs
    bool odd_upper = (r >= 0x139 && r <= 0x148) || (r >= 0x179 && r <= 0x17E);
    bool letter = r != 0x131 && r != 0x138 && r != 0x149 && r != 0x17F;
    return letter && (r & 1) == (odd_upper ? 1u : 0u) ? r + 1 : r;
  }
  if (r == 0x178) return 0xFF;
  if (r >= 0x391 && r <= 0x3AB && r != 0x3A2) return r + 32;  // Greek
  if (r >= 0x410 && r <= 0x42F) return r + 32;                // Cyrillic
  if (r >= 0x400 && r <= 0x40F) return r + 80;
  if (r >= 0x460 && r <= 0x52F && (r < 0x482 || r > 0x489) && (r < 0x4C0 || r > 0x4CF))
    return r | 1;
  return r;
}
inline char32_t UpperRune(char32_t r) {
  if (r >= 'a' && r <= 'z') return r - 32;
  if (r < 0xE0) return r;
  if (r == 0xFF) return 0x178;
  if (r == 0x3C2) return 0x3A3;
  for (char32_t distance : {char32_t{32}, char32_t{80}, char32_t{1}}) {
    if (LowerRune(r - distance) == r && LowerRune(r) == r) return r - distance;
  }
  return r;
}

inline std::string MapRunes(std::string_view s, char32_t (*map)(char32_t)) {
  std::string out;
  for (size_t at = 0; at < s.size();) AppendRune(map(NextRune(s, &at)), &out);
  return out;
}
inline std::string ToLower(std::string_view s) { return MapRunes(s, LowerRune); }
inline std::string ToUpper(std::string_view s) { return MapRunes(s, UpperRune); }

}  // namespace assay
