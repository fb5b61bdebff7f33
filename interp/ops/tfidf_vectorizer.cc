// TfIdfVectorizer (ONNX opset 9): how often each n-gram of a pool occurs in a row of X, with up to
// max_skip_count elements left out between its members. X [C] or [B,C]; output [M] or [B,M], M one
// more than the largest of ngram_indexes. TF: the counts; IDF: 1 where there is one; TFIDF: the
// counts; the last two times `weights`.
#include <map>

#include "interp/draw.h"
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

// One n-gram of the pool: its elements, as text where they are strings, and its place in
// `ngram_indexes`.
using Gram = std::vector<std::string>;

struct Pool {
  std::map<Gram, int64_t> columns;    // n-gram -> column of the output
  std::map<int64_t, double> weights;  // of the columns
  int64_t width = 0;
};

std::vector<std::string> PoolItems(const Node& node) {
  std::vector<std::string> items;
  if (const AttrValue* v = node.Find("pool_strings")) return std::get<std::vector<std::string>>(*v);
  for (int64_t i : node.Ints("pool_int64s")) items.push_back(std::to_string(i));
  return items;
}

int64_t WidthOf(const Node& node) {
  int64_t width = 0;
  for (int64_t i : node.Ints("ngram_indexes")) width = std::max(width, i == INT64_MAX ? i : i + 1);
  return width;
}

void VectorizerRule(RuleContext& c) {
  const Node& node = c.node();
  std::vector<int64_t> counts = node.Ints("ngram_counts"), indexes = node.Ints("ngram_indexes");
  const int64_t items = static_cast<int64_t>(PoolItems(node).size());
  bool strings = c.dtype(0) == DType::kString;
  c.Require(node.Find(strings ? "pool_strings" : "pool_int64s") != nullptr,
            "the pool has the type of X");
  c.Require(!node.Find("pool_strings") || !node.Find("pool_int64s"), "there is one pool");
  c.Require(c.IntValue("min_gram_length") >= 1 &&
                c.IntValue("max_gram_length") >= c.IntValue("min_gram_length") &&
                c.IntValue("max_skip_count") >= 0,
            "gram lengths are at least 1 and in order");
  int64_t grams = 0;
  for (size_t n = 0; n < counts.size(); ++n) {
    int64_t end = n + 1 < counts.size() ? counts[n + 1] : items;
    bool fits = counts[n] >= 0 && counts[n] <= end && end <= items;
    c.Require(fits && (end - counts[n]) % static_cast<int64_t>(n + 1) == 0,
              "ngram_counts cuts the pool into n-grams");
    if (c.failed()) return;
    grams += (end - counts[n]) / static_cast<int64_t>(n + 1);
  }
  c.Require(static_cast<int64_t>(indexes.size()) >= grams, "every n-gram has a column");
  for (int64_t i : indexes) c.Require(i >= 0, "columns are not negative");
  const int64_t width = WidthOf(node);
  std::vector<float> weights;
  if (const AttrValue* w = node.Find("weights")) weights = std::get<std::vector<float>>(*w);
  c.Require(weights.empty() || static_cast<int64_t>(weights.size()) >= grams,
            "every n-gram has a weight");
  c.OutUnranked(0, DType::kFloat);
  if (!c.Ranked(0) || c.failed()) return;
  c.Require(c.Rank(0) == 1 || c.Rank(0) == 2, "X is [C] or [B,C]");
  if (c.failed()) return;
  if (c.Rank(0) == 2)
    c.Out(0, DType::kFloat, {c.In(0, 0), Dim(width)});
  else
    c.Out(0, DType::kFloat, {Dim(width)});
}

// `weights`: of the n-grams, in the order of the pool; or none.
Pool PoolOf(const Node& node, int64_t shortest, int64_t longest,
            const std::vector<float>& weights) {
  Pool pool;
  std::vector<std::string> items = PoolItems(node);
  std::vector<int64_t> counts = node.Ints("ngram_counts"), indexes = node.Ints("ngram_indexes");
  size_t id = 0;
  for (size_t n = 0; n < counts.size(); ++n) {
    size_t length = n + 1, begin = static_cast<size_t>(counts[n]),
           end = n + 1 < counts.size() ? static_cast<size_t>(counts[n + 1]) : items.size();
    for (size_t at = begin; at + length <= end; at += length, ++id) {
      if (id < weights.size()) pool.weights[indexes[id]] = static_cast<double>(weights[id]);
      if (static_cast<int64_t>(length) < shortest || static_cast<int64_t>(length) > longest)
        continue;
      Gram gram(items.begin() + static_cast<int64_t>(at),
                items.begin() + static_cast<int64_t>(at + length));
      pool.columns[gram] = indexes[id];
    }
  }
  pool.width = WidthOf(node);
  return pool;
}

// Adds what row [begin, end) holds to `counts`. Single elements are counted once, whatever is left
// out between.
void CountGrams(const Pool& pool, const std::string* begin, int64_t n, int64_t shortest,
                int64_t longest, int64_t skips, double* counts) {
  int64_t most = 0;
  for (const auto& [gram, column] : pool.columns)
    most = std::max(most, static_cast<int64_t>(gram.size()));
  longest = std::min(longest, most);
  for (int64_t step = 1; step <= std::min(skips, n) + 1; ++step) {
    for (int64_t start = 0; start < n; ++start) {
      Gram gram;
      for (int64_t at = start; at < n && static_cast<int64_t>(gram.size()) < longest; at += step) {
        gram.push_back(begin[at]);
        int64_t length = static_cast<int64_t>(gram.size());
        if (length < shortest || (length == 1 && step > 1)) continue;
        auto found = pool.columns.find(gram);
        if (found != pool.columns.end()) counts[found->second] += 1;
      }
    }
  }
}

Status EvalVectorizer(KernelContext& c) {
  const Tensor& x = c.in(0);
  const int64_t shortest = c.Int("min_gram_length"), longest = c.Int("max_gram_length"),
                skips = c.Int("max_skip_count");
  const Pool pool = PoolOf(c.node(), shortest, longest, c.FloatList("weights"));
  Tensor* y = TRY(c.Out(0));
  const int64_t rows = x.rank() == 2 ? x.dim(0) : 1, n = x.rank() == 0 ? 1 : x.dim(x.rank() - 1);
  int64_t most = 1;
  for (const auto& [gram, column] : pool.columns)
    most = std::max(most, static_cast<int64_t>(gram.size()));
  TRY(c.Charge({rows, n, std::min(skips, n) + 1, most, most, 16}));
  std::vector<std::string> items;
  if (x.dtype() == DType::kString)
    items = x.strings();
  else
    for (int64_t v : x.AsInts()) items.push_back(std::to_string(v));
  const std::string mode = c.String("mode");
  std::vector<double> counts(static_cast<size_t>(y->size()), 0);
  for (int64_t r = 0; r < rows; ++r) {
    double* row = counts.data() + r * pool.width;
    CountGrams(pool, items.data() + r * n, n, shortest, longest, skips, row);
    for (int64_t k = 0; k < pool.width; ++k) {
      double v = mode == "IDF" ? (row[k] > 0 ? 1 : 0) : row[k];
      auto weight = pool.weights.find(k);
      if (mode != "TF" && weight != pool.weights.end()) v *= weight->second;
      y->Set(r * pool.width + k, v);
    }
  }
  return {};
}

// A pool of n-grams of lengths 1 to `longest`, made of what X may hold.
bool DrawVectorizer(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty() || d.inputs[0].dims.size() > 2) return false;
  bool strings = d.inputs[0].dtype == DType::kString;
  int64_t longest = choices.Between(1, 3), shortest = choices.Between(1, longest), grams = 0;
  std::vector<int64_t> counts, indexes, numbers;
  std::vector<std::string> words;
  std::set<std::vector<int64_t>> known;
  for (int64_t n = 1; n <= longest; ++n) {
    counts.push_back(static_cast<int64_t>(strings ? words.size() : numbers.size()));
    for (int64_t k = choices.Between(1, 3); k > 0; --k) {
      std::vector<int64_t> gram(static_cast<size_t>(n));
      for (int64_t& item : gram) item = choices.Between(0, 3);
      if (!strings && !known.insert(gram).second) continue;  // twice: which column counts is open
      for (int64_t item : gram)
        strings ? words.push_back(RandomWord(choices)) : numbers.push_back(item);
      ++grams;
    }
  }
  for (int64_t i = 0; i < grams; ++i) indexes.push_back(i);
  choices.Shuffle(indexes);
  d.Set("min_gram_length", shortest);
  d.Set("max_gram_length", longest);
  d.Set("max_skip_count", choices.Between(0, 2));
  d.Set("ngram_counts", counts);
  d.Set("ngram_indexes", indexes);
  d.Set("mode", choices.PickOf<std::string>({"TF", "IDF", "TFIDF"}));
  if (strings)
    d.Set("pool_strings", words);
  else
    d.Set("pool_int64s", numbers);
  if (choices.Chance(0.5)) {
    std::vector<float> weights(static_cast<size_t>(grams));
    for (float& w : weights) w = static_cast<float>(choices.Between(1, 8)) / 4;
    d.Set("weights", weights);
  }
  return true;
}

}  // namespace

std::vector<OpSpec> ops_tfidf_vectorizer() {
  auto needed = [](const char* name, AttrType type) {
    return AttrSpec{name, type, true, std::nullopt, {}};
  };
  OpSpec row = Op("TfIdfVectorizer", 9)
                   .In("X", "T", Bit(DType::kString) | kIndexInts)
                   .Out("Y", "T1", Bit(DType::kFloat));
  AttrSpec mode = needed("mode", AttrType::kString);
  mode.domain.strings = {"TF", "IDF", "TFIDF"};
  row.Attr(mode);
  for (const char* name : {"max_gram_length", "max_skip_count", "min_gram_length"}) {
    row.Attr(needed(name, AttrType::kInt));
    row.attrs.back().domain = {.lo = 1, .hi = 3};
  }
  row.Attr(needed("ngram_counts", AttrType::kInts)).Attr(needed("ngram_indexes", AttrType::kInts));
  row.Ints("pool_int64s")
      .Attr({"pool_strings", AttrType::kStrings, false, std::nullopt, {}})
      .Attr({"weights", AttrType::kFloats, false, std::nullopt, {}});
  row.Example(
      "graph(int64[5] x) -> (y) { y = TfIdfVectorizer(x) {mode=\"TF\", min_gram_length=1, "
      "max_gram_length=1, "
      "max_skip_count=0, ngram_counts=[0], ngram_indexes=[0, 1], pool_int64s=[2, 3]} }");
  return {
      row.Rule(VectorizerRule).Eval(EvalVectorizer).Draw(DrawVectorizer).Traits(kDiscontinuous)};
}

}  // namespace assay
