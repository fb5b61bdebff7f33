// The corpus: entries survive their file and folder form, garbage never traps, the store stays
// consistent.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "corpus/compress.h"
#include "corpus/entry.h"
#include "corpus/store.h"
#include "interp/onnx_io.h"

namespace assay {
namespace {

Model Chain(const std::vector<std::string>& ops) {
  Model m;
  m.opsets[""] = 17;
  m.graph.name = "g";
  m.graph.inputs = {ValueInfo::Of("x", DType::kFloat, {2, 3})};
  std::string at = "x";
  for (size_t i = 0; i < ops.size(); ++i) {
    std::string to = "v" + std::to_string(i);
    m.graph.nodes.push_back(MakeNode(ops[i], {at}, {to}, {}, "n" + std::to_string(i)));
    at = to;
  }
  m.graph.outputs = {ValueInfo::Of(at, DType::kFloat, {2, 3})};
  return m;
}

Entry Example() {
  Entry e;
  e.source = Chain({"Relu", "Neg"});
  e.target = Chain({"Relu"});
  e.steps = {{"B07", {"n0", ""}}, {"LH_X", {"n1", "pads[2]+1"}}, {"LH_X", {"n 0", ""}}};
  e.inputs = {{Tensor::Floats({2, 3}, {1, 2, 3, 4, 5, 6})},
              {Tensor::Floats({2, 3}, {0, 0, 0, 0, 0, 1})}};
  e.expected = {Verdict::kDifferent, true};
  e.note = "lost\nNeg";
  return e;
}

void ExpectSame(const Entry& a, const Entry& b) {
  EXPECT_EQ(SerializeModel(a.source).value(), SerializeModel(b.source).value());
  EXPECT_EQ(SerializeModel(a.target).value(), SerializeModel(b.target).value());
  EXPECT_EQ(StepsText(a.steps), StepsText(b.steps));
  EXPECT_EQ(a.expected, b.expected);
  ASSERT_EQ(a.inputs.size(), b.inputs.size());
  for (size_t s = 0; s < a.inputs.size(); ++s) {
    ASSERT_EQ(a.inputs[s].size(), b.inputs[s].size());
    for (size_t j = 0; j < a.inputs[s].size(); ++j)
      EXPECT_TRUE(a.inputs[s][j].Identical(b.inputs[s][j]));
  }
}

struct TempFolder {
  std::string path;
  TempFolder() {
    char name[] = "/tmp/assay_corpus_XXXXXX";
    path = mkdtemp(name);
  }
  ~TempFolder() { std::filesystem::remove_all(path); }
};

TEST(Entry, FileRoundTripsWithTheSameBytes) {
  Entry e = Example();
  std::string bytes = EncodeEntry(e).value();
  EXPECT_EQ(bytes, EncodeEntry(e).value());
  Entry back = DecodeEntry(bytes, "t", "id").value();
  ExpectSame(e, back);
  EXPECT_EQ(back.note, "lost Neg");
  EXPECT_EQ(back.id, "id");
  EXPECT_EQ(EncodeEntry(back).value(), bytes);
  EXPECT_EQ(EntryId(e), EntryId(back));
  EXPECT_TRUE(EntryId(e).starts_with("LH_X-")) << EntryId(e);
}

TEST(Entry, FolderRoundTripsAndMayLackEverythingButTheModels) {
  TempFolder t;
  Entry e = Example();
  ASSERT_TRUE(SaveCaseFolder(e, t.path + "/case_7").ok());
  Entry back = LoadCase(t.path + "/case_7").value();
  ExpectSame(e, back);
  EXPECT_EQ(back.id, "case_7");
  for (const char* gone : {"steps.txt", "case.txt", "test_data_set_0"}) {
    std::filesystem::remove_all(t.path + "/case_7/" + gone);
  }
  back = LoadCase(t.path + "/case_7/").value();
  EXPECT_TRUE(back.steps.empty());
  EXPECT_TRUE(back.inputs.empty());
  EXPECT_EQ(back.id, "case_7");
  std::filesystem::remove(t.path + "/case_7/target.onnx");
  EXPECT_EQ(LoadCase(t.path + "/case_7").error().code, Code::kInvalid);
}

TEST(Entry, DamagedBytesAreErrors) {
  std::string bytes = EncodeEntry(Example()).value();
  for (size_t n = 0; n < bytes.size(); n += 7)
    EXPECT_FALSE(DecodeEntry(bytes.substr(0, n), "t").ok());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ 0x41);
    (void)DecodeEntry(bad, "t").ok();  // an error or an entry, never a trap
  }
  std::string plain = Decompress(bytes, kMaxEntryBytes, "t").value();
  for (size_t i = 0; i < plain.size(); i += 3) {
    std::string bad = plain;
    bad[i] = static_cast<char>(bad[i] ^ 0x11);
    (void)DecodeEntry(Compress(bad), "t").ok();
    (void)DecodeEntry(Compress(plain.substr(0, i)), "t").ok();
  }
  for (std::string bad :
       {"source 99999999999999999999\n", "source 5\nab\n", "source\n", "input 1 0 0\n\n", "\n"}) {
    EXPECT_EQ(DecodeEntry(Compress("assay-case 1\n" + bad), "t").error().code, Code::kInvalid)
        << bad;
  }
}

TEST(Entry, ABombIsALimit) {
  std::string bomb = Compress(std::string(64 << 20, 'a'));
  EXPECT_LT(bomb.size(), 16384u);
  EXPECT_EQ(Decompress(bomb, 1 << 20, "t").error().code, Code::kLimit);
  Limits small;
  small.bytes = 1 << 20;
  EXPECT_EQ(DecodeEntry(bomb, "t", "", small).error().code, Code::kLimit);
  EXPECT_EQ(Decompress(bomb + "x", 1 << 28, "t").error().code, Code::kInvalid);
}

TEST(Entry, ExpectationsAsText) {
  for (std::string good : {"equivalent", "different healed", "different unhealed", "undecided"}) {
    EXPECT_EQ(Expectation::Parse(good).value().ToString(), good);
  }
  for (std::string bad : {"", "Different", "different healed ", "healed"})
    EXPECT_FALSE(Expectation::Parse(bad).ok());
}

TEST(Entry, StepsAsText) {
  std::vector<Step> steps =
      ParseSteps("# from a campaign\nB07@n0\r\n\nLH_X@n1:pads[2]+1\n", "t").value();
  EXPECT_EQ(StepsText(steps), "B07@n0\nLH_X@n1:pads[2]+1\n");
  Error e = ParseSteps("B07@n0\nnonsense\n", "f").error();
  EXPECT_EQ(e.where, "f:2");
}

TEST(Store, AddsListsIndexesAndRemoves) {
  TempFolder t;
  std::string folder = t.path + "/c";
  EXPECT_FALSE(ListEntries(folder).ok());
  Entry e = Example();
  e.note = "a | b";
  std::string id = AddEntry(folder, e).value();
  EXPECT_EQ(AddEntry(folder, e).value(), id);
  Entry other = Example();
  other.id = "zz";
  other.steps.clear();
  ASSERT_TRUE(AddEntry(folder, other).ok());
  EXPECT_EQ(ReadFile(folder + "/index.txt").value(),
            "# id | expected | faults | rewrites | operators of the target | note\n" + id +
                " | different healed | LH_X | B07 | Relu | a _ b\nzz | different healed | - | - | "
                "Relu | lost Neg\n");
  std::vector<StoredCase> cases = ListEntries(folder).value();
  ASSERT_EQ(cases.size(), 2u);
  ExpectSame(LoadCase(cases[0].path).value(), e);
  EXPECT_EQ(LoadCase(cases[0].path).value().id, id);

  other.id = id;
  EXPECT_EQ(AddEntry(folder, other).error().code, Code::kUsage);
  other.id = "../up";
  EXPECT_EQ(AddEntry(folder, other).error().code, Code::kUsage);
  EXPECT_FALSE(RemoveEntry(folder, "../c/zz").ok());
  ASSERT_TRUE(RemoveEntry(folder, "zz").ok());
  EXPECT_EQ(ListEntries(folder).value().size(), 1u);

  ASSERT_TRUE(WriteFile(folder + "/bad.case.zst", "garbage").ok());
  EXPECT_EQ(IndexText(folder).error().code, Code::kInvalid);
}

TEST(Store, RedundantEntriesAddNoSequenceNoStepNoVerdict) {
  Entry a = Example(), b = Example(), c = Example(), d = Example();
  a.id = "a";
  b.id = "b";
  b.source = Chain({"Relu", "Neg", "Abs"});
  c.id = "c";
  c.steps.push_back({"WB_DRIFT", {"n0", ""}});
  d.id = "d";
  EXPECT_EQ(Redundant({a, b, c, d}, 3).value(), (std::vector<std::string>{"a", "d"}));
  EXPECT_EQ(Redundant({d, a}, 3).value(), (std::vector<std::string>{"d"}));
}

}  // namespace
}  // namespace assay
