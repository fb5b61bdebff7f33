#include "interp/regex.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(Regex, MatchesWholeTexts) {
  struct Case {
    const char *pattern, *text;
    bool matches;
  };
  const Case cases[] = {
      {"", "", true},
      {"", "a", false},
      {"abc", "abc", true},
      {"abc", "abcd", false},
      {"a|bc", "bc", true},
      {"a|bc|", "", true},
      {"a*b+c?", "aabb", true},
      {"a*b+c?", "aacc", false},
      {"(ab){2,3}", "ababab", true},
      {"(ab){2,3}", "ab", false},
      {"a{2}", "aa", true},
      {"a{2,}", "aaaaa", true},
      {"a{,2}", "a{,2}", true},
      {"[a-c]+", "abcab", true},
      {"[^a-c]", "d", true},
      {"[^a-c]", "a", false},
      {"[]a]+", "]a", true},
      {"[a-]+", "a-", true},
      {"\\d+\\.\\d*", "12.5", true},
      {"\\w+@\\w+", "me@home", true},
      {"\\S\\s\\S", "a b", true},
      {"[\\d_]+", "1_2", true},
      {"[[:alpha:]]+", "abC", true},
      {"[[:^digit:]]", "7", false},
      {".", "\n", false},
      {"(?s).", "\n", true},
      {"(?i)AbC", "aBc", true},
      {"(?i:a)b", "AB", false},
      {".", "\xc3\xa9", true},
      {"[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", true},
      {"^a$", "a", true},
      {"a^b", "ab", false},
      {"\\bab\\b", "ab", true},
      {"a\\Bb", "ab", true},
      {"a\\bb", "ab", false},
      {"\\x41\\x{42}", "AB", true},
      {"(?P<name>x)y", "xy", true},
      {"a*?b", "aab", true},
      {"(a*)*", "aaaa", true},
      {"(a|a)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false},
      {"(\\W|^)[\\w.\\-]{0,25}@(yahoo|gmail)\\.com(\\W|$)", "account@gmail.com", true}};
  for (const Case& c : cases) {
    Result<Regex> regex = Regex::Parse(c.pattern);
    ASSERT_TRUE(regex.ok()) << c.pattern << ": " << regex.error().ToString();
    EXPECT_EQ(regex->Matches(c.text), c.matches) << c.pattern << " on " << c.text;
  }
}

TEST(Regex, RefusesWhatIsNone) {
  for (const char* bad : {"(", ")", "a)", "[", "[a", "*", "a|*", "\\", "[z-a]", "a{3,2}", "a{1001}",
                          "(?", "(?P<x", "[[:nope:]]", "\\x", "\\y"})
    EXPECT_EQ(Regex::Parse(bad).error().code, Code::kInvalid) << bad;
  EXPECT_EQ(Regex::Parse("\\pL").error().code, Code::kUnsupported);
  EXPECT_EQ(Regex::Parse("((a{1000}){1000}){1000}").error().code, Code::kLimit);
  EXPECT_FALSE(Regex::Parse(std::string(100'000, '(')).ok());
}

}  // namespace
}  // namespace assay
