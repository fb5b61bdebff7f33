#include "interp/symbols.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "interp/infer.h"

namespace assay {
namespace {

using Extents = std::vector<int64_t>;  // one of each symbol, or of one extent under each binding

// Bindings of a model's symbols and what it infers under them.
class Bindings {
 public:
  Bindings(const Model& model, const Limits& limits, std::vector<std::string> symbols)
      : model_(model), limits_(limits), symbols_(std::move(symbols)) {}

  struct Run {
    Extents extents;      // of each symbol
    int moved = kSeveral;  // the only symbol that is not as in the first run
    Inference known;
  };
  static constexpr int kSeveral = -1, kNone = -2;

  // A first binding that the model works under, each symbol moved alone, and some moved together. False where the
  // model allows too few to tell anything.
  bool Explore() {
    return Try([](int64_t i) { return 53 + 14 * i; }) || Try([](int64_t i) { return 240 * (i + 1); }) ||
           Try([](int64_t i) { return 4 + 3 * i; });
  }
  // Binds symbol `s` alone to `extent`; nothing where the model does not work there, or it was tried.
  void Move(int s, int64_t extent) {
    Extents x = runs_[0].extents;
    x[static_cast<size_t>(s)] = extent;
    Add(std::move(x), s);
  }
  const std::vector<Run>& runs() const { return runs_; }
  const std::vector<std::string>& symbols() const { return symbols_; }

 private:
  bool Add(Extents x, int moved) {
    if (std::find(tried_.begin(), tried_.end(), x) != tried_.end()) return false;
    tried_.push_back(x);
    std::map<std::string, int64_t> bound;
    for (size_t i = 0; i < symbols_.size(); ++i) bound[symbols_[i]] = x[i];
    Result<Inference> known = Infer(model_, bound, limits_);
    if (known.ok()) runs_.push_back({std::move(x), moved, *std::move(known)});
    return known.ok();
  }

  template <class F>
  bool Try(F first) {
    constexpr int kMoves = 5, kTogether = 3;
    runs_.clear();
    tried_.clear();
    Extents base;
    for (size_t i = 0; i < symbols_.size(); ++i) base.push_back(first(static_cast<int64_t>(i)));
    if (!Add(base, kNone)) return false;
    std::vector<Extents> moves(symbols_.size());
    for (size_t i = 0; i < symbols_.size(); ++i) {
      int64_t b = base[i];
      for (int64_t x : {b + 1, b + 2, b + 5, b + 12, b + 60, 2 * b, 3 * b, 4 * b, b + 240, 5 * b, b / 2}) {
        if (moves[i].size() == kMoves) break;
        size_t before = runs_.size();
        Move(static_cast<int>(i), x);
        if (runs_.size() > before) moves[i].push_back(x);
      }
      if (moves[i].size() < 2) return false;
    }
    for (size_t k = 0; symbols_.size() > 1 && k < kTogether; ++k) {
      Extents x;
      for (size_t i = 0; i < symbols_.size(); ++i) x.push_back(moves[i][(k + i) % moves[i].size()]);
      Add(std::move(x), kSeveral);
    }
    return true;
  }

  const Model& model_;
  const Limits& limits_;
  std::vector<std::string> symbols_;
  std::vector<Run> runs_;
  std::vector<Extents> tried_;
};

// floor((p * x + r) / q), for every r in [lo, hi] the same under all bindings so far.
struct Line {
  int64_t p = 1, q = 1, lo = 0, hi = 0;
};

std::string Scaled(int64_t factor, const std::string& what) {
  return factor == 1 ? what : factor == -1 ? "-" + what : std::to_string(factor) + "*" + what;
}
std::string Plus(const std::string& what, int64_t r) {
  return r == 0 ? what : what + (r > 0 ? " + " : " - ") + std::to_string(r > 0 ? r : -r);
}

class Expressions {
 public:
  explicit Expressions(Bindings* bindings) : bindings_(*bindings) {}

  // The expression of an extent that is `y` under the bindings; nothing: none fits.
  std::optional<DimDecl> Of(const Extents& y) {
    if (std::count(y.begin(), y.end(), int64_t{-1}) > 0) return std::nullopt;
    if (std::equal(y.begin() + 1, y.end(), y.begin())) return DimDecl{y[0], ""};
    std::vector<int> symbols = MovedBy(y);
    std::optional<std::string> text;
    if (symbols.size() == 1) text = OfOne(symbols[0], y);
    if (symbols.size() > 1) text = ProductOf(symbols, y);
    if (symbols.size() > 1 && !text) text = SumOf(symbols, y);
    if (!text) return std::nullopt;
    return DimDecl{-1, *text};
  }

  // Moves symbols to where the lines that fit so far differ. False: they don't.
  bool Distinguish(const Extents& y) {
    if (std::count(y.begin(), y.end(), int64_t{-1}) > 0) return false;
    std::vector<int> symbols = MovedBy(y);
    if (symbols.size() != 1) return false;
    std::optional<Line> line = LineOf(symbols[0], y);
    if (!line || line->lo == line->hi) return false;
    int64_t middle = line->lo + (line->hi - line->lo + 1) / 2;
    size_t before = bindings_.runs().size();
    int64_t base = X(0, symbols[0]);
    for (int64_t x = base; x < base + line->q && bindings_.runs().size() == before; ++x) {
      if ((line->p * x + middle) % line->q == 0) bindings_.Move(symbols[0], x);
    }
    return bindings_.runs().size() > before;
  }

 private:
  int64_t X(size_t run, int symbol) const { return bindings_.runs()[run].extents[static_cast<size_t>(symbol)]; }
  const std::string& Name(int symbol) const { return bindings_.symbols()[static_cast<size_t>(symbol)]; }
  // As part of an expression.
  std::string Term(int symbol) const {
    const std::string& name = Name(symbol);
    bool word = std::all_of(name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; });
    return word ? name : "(" + name + ")";
  }

  std::vector<int> MovedBy(const Extents& y) const {
    std::vector<int> symbols;
    for (size_t r = 1; r < y.size(); ++r) {
      int s = bindings_.runs()[r].moved;
      if (s >= 0 && y[r] != y[0] && std::find(symbols.begin(), symbols.end(), s) == symbols.end()) symbols.push_back(s);
    }
    return symbols;
  }

  // With the smallest divisor.
  std::optional<Line> LineOf(int s, const Extents& y) const {
    constexpr int64_t kMostDivisor = 128;
    size_t low = 0, high = 0;
    for (size_t r = 0; r < y.size(); ++r) {
      if (X(r, s) < X(low, s)) low = r;
      if (X(r, s) > X(high, s)) high = r;
    }
    double slope = static_cast<double>(y[high] - y[low]) / static_cast<double>(X(high, s) - X(low, s));
    for (int64_t q = 1; q <= kMostDivisor; ++q) {
      auto near = static_cast<int64_t>(std::floor(slope * static_cast<double>(q)));
      for (int64_t p : {near, near + 1}) {
        if (p == 0 || std::gcd(p, q) != 1) continue;
        Line line{p, q, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
        for (size_t r = 0; r < y.size() && line.lo <= line.hi; ++r) {
          line.lo = std::max(line.lo, q * y[r] - p * X(r, s));
          line.hi = std::min(line.hi, q * (y[r] + 1) - p * X(r, s) - 1);
        }
        if (line.lo <= line.hi) return line;
      }
    }
    return std::nullopt;
  }

  std::optional<std::string> OfOne(int s, const Extents& y) const {
    std::optional<Line> line = LineOf(s, y);
    if (!line) return std::nullopt;
    std::string above = Scaled(line->p, Term(s));
    if (line->p == 1 && line->q == 1 && line->lo == 0) return Name(s);
    if (line->q == 1) return Plus(above, line->lo);
    std::string divisor = "/" + std::to_string(line->q);
    if (line->lo == line->hi) {
      above = Plus(above, line->lo);
      return "floor(" + (line->lo == 0 ? above : "(" + above + ")") + divisor + ")";
    }
    // Only multiples of the divisor are allowed.
    for (size_t r = 0; r < y.size(); ++r) {
      if (line->p * X(r, s) != line->q * y[r]) return std::nullopt;
    }
    return above + divisor;
  }

  // A rational number times the product of the symbols.
  std::optional<std::string> ProductOf(const std::vector<int>& symbols, const Extents& y) const {
    auto product = [&](size_t run) {
      __int128 all = 1;
      for (int s : symbols) all *= X(run, s);
      return all;
    };
    __int128 p = y[0], q = product(0);
    for (__int128 a = p, b = q; b != 0;) {
      __int128 rest = a % b;
      a = b, b = rest;
      if (b == 0) p /= a, q /= a;
    }
    for (size_t r = 0; r < y.size(); ++r) {
      if (q * y[r] != p * product(r)) return std::nullopt;
    }
    std::string text;
    for (int s : symbols) text += (text.empty() ? "" : "*") + Term(s);
    text = Scaled(static_cast<int64_t>(p), text);
    return q == 1 ? text : text + "/" + std::to_string(static_cast<int64_t>(q));
  }

  // Integers times symbols, plus a number.
  std::optional<std::string> SumOf(const std::vector<int>& symbols, const Extents& y) const {
    std::string text;
    int64_t rest = y[0];
    std::vector<int64_t> factors;
    for (int s : symbols) {
      size_t moved = 1;
      while (bindings_.runs()[moved].moved != s) ++moved;
      int64_t by = X(moved, s) - X(0, s), change = y[moved] - y[0];
      if (change % by != 0 || change == 0) return std::nullopt;
      factors.push_back(change / by);
      rest -= factors.back() * X(0, s);
      if (text.empty())
        text = Scaled(factors.back(), Term(s));
      else
        text += (factors.back() > 0 ? " + " : " - ") + Scaled(std::abs(factors.back()), Term(s));
    }
    for (size_t r = 0; r < y.size(); ++r) {
      int64_t sum = rest;
      for (size_t i = 0; i < symbols.size(); ++i) sum += factors[i] * X(r, symbols[i]);
      if (sum != y[r]) return std::nullopt;
    }
    return Plus(text, rest);
  }

  Bindings& bindings_;
};

// Null: of no value of the graph, or not a tensor.
const TypeInfo* TensorType(const Inference& known, const std::string& value) {
  auto it = known.types.find(value);
  bool tensor = it != known.types.end() && it->second.dtype != DType::kUndefined && !IsList(it->second.dtype);
  return tensor ? &it->second : nullptr;
}

// An extent under each binding; -1: unknown.
Extents ExtentUnder(const Bindings& bindings, const std::string& value, size_t axis) {
  Extents y;
  for (const Bindings::Run& run : bindings.runs()) {
    const TypeInfo* t = TensorType(run.known, value);
    bool known = t && t->ranked && axis < t->dims.size() && t->dims[axis].known();
    y.push_back(known ? t->dims[axis].value() : -1);
  }
  return y;
}

// What holds whatever the symbols are.
std::vector<DimDecl> Certain(const TypeInfo& type) {
  std::vector<DimDecl> dims;
  for (const Dim& d : type.dims) dims.push_back(d.known() ? DimDecl{d.value(), ""} : DimDecl{});
  return dims;
}

std::vector<std::string> SymbolsOf(const Graph& g) {
  std::vector<std::string> symbols;
  for (const ValueInfo& v : g.inputs) {
    if (!v.shape) continue;
    for (const DimDecl& d : *v.shape) {
      bool is_new = !d.symbol.empty() && std::find(symbols.begin(), symbols.end(), d.symbol) == symbols.end();
      if (d.value < 0 && is_new) symbols.push_back(d.symbol);
    }
  }
  return symbols;
}

// Writes what the bindings tell of the values' extents into `shapes`.
void Express(const std::vector<std::string>& values, Bindings* bindings,
             std::map<std::string, std::vector<DimDecl>>* shapes) {
  std::vector<std::pair<std::string, size_t>> open;
  for (const std::string& value : values) {
    const TypeInfo* type = TensorType(bindings->runs()[0].known, value);
    if (!type || !type->ranked) continue;
    bool same_rank = std::all_of(bindings->runs().begin(), bindings->runs().end(), [&](const auto& run) {
      const TypeInfo* t = TensorType(run.known, value);
      return t && t->ranked && t->dims.size() == type->dims.size();
    });
    if (!same_rank) continue;
    // A rank may itself be known only where the extents are.
    std::vector<DimDecl>& shape = shapes->emplace(value, std::vector<DimDecl>(type->dims.size())).first->second;
    for (size_t a = 0; a < shape.size(); ++a) {
      if (shape[a].value < 0) open.push_back({value, a});
    }
  }
  Expressions expressions(bindings);
  constexpr size_t kMostRuns = 200;
  for (const auto& [value, axis] : open) {
    while (bindings->runs().size() < kMostRuns && expressions.Distinguish(ExtentUnder(*bindings, value, axis))) {
    }
  }
  for (const auto& [value, axis] : open) {
    if (std::optional<DimDecl> d = expressions.Of(ExtentUnder(*bindings, value, axis))) (*shapes)[value][axis] = *d;
  }
}

void Fill(const std::vector<DimDecl>& known, ValueInfo* v) {
  if (!v->shape) {
    v->shape = known;
    return;
  }
  for (size_t a = 0; a < v->shape->size() && a < known.size(); ++a) {
    DimDecl& d = (*v->shape)[a];
    if (d.value < 0 && d.symbol.empty()) d = known[a];
  }
}

}  // namespace

Result<Model> DeclareTypes(const Model& model, const Limits& limits) {
  Inference certain = TRY(Infer(model, {}, limits));
  std::vector<std::string> values;
  for (const NodePtr& n : model.graph.nodes) {
    for (const std::string& value : n->outputs) {
      if (!value.empty() && TensorType(certain, value)) values.push_back(value);
    }
  }
  std::map<std::string, std::vector<DimDecl>> shapes;
  for (const std::string& value : values) {
    if (certain.types.at(value).ranked) shapes[value] = Certain(certain.types.at(value));
  }
  Bindings bindings(model, limits, SymbolsOf(model.graph));
  if (!bindings.symbols().empty() && bindings.Explore()) Express(values, &bindings, &shapes);

  Model typed = model;
  Graph& g = typed.graph;
  auto declare = [&](ValueInfo* v) {
    auto it = shapes.find(v->name);
    if (it == shapes.end()) return;
    v->dtype = certain.types.at(v->name).dtype;
    Fill(it->second, v);
    shapes.erase(it);
  };
  for (ValueInfo& v : g.outputs) declare(&v);
  for (ValueInfo& v : g.value_info) declare(&v);
  for (const std::string& value : values) {
    if (!shapes.count(value)) continue;
    g.value_info.push_back({value, DType::kUndefined, std::nullopt, {}});
    declare(&g.value_info.back());
  }
  return typed;
}

}  // namespace assay
