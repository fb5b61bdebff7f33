#include "oracle/metric.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace assay {
namespace {

// The floor, in rounding units of the element and of the output's largest element.
constexpr double kFloorElement = 8, kFloorOutput = 2;
// Below this a float32 has no normal numbers left.
constexpr double kFloorAbsolute = 1e-37;
// A native run rounds every term of a reduction: that much more noise.
constexpr double kNativeFactor = 8;
constexpr int kFirstRuns = 4, kMoreRuns = 16;
// Where no operator jumps, 16 more runs never widen a bound of 4 that much.
constexpr double kFar = 1000;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool HasFloatAttribute(const Node& n) {
  return std::any_of(n.attrs.begin(), n.attrs.end(), [](const Attribute& a) {
    return TypeOf(a.value) == AttrType::kFloat || TypeOf(a.value) == AttrType::kFloats;
  });
}

// Integers times a number of few binary digits are exact: a little less than 2 would be cut off
// to 1.
bool ScalesExactly(const Node& n) {
  auto exact = [](float f) { return f * 256 == std::nearbyint(f * 256); };
  return std::all_of(n.attrs.begin(), n.attrs.end(), [&](const Attribute& a) {
    if (auto f = std::get_if<float>(&a.value)) return exact(*f);
    auto fs = std::get_if<std::vector<float>>(&a.value);
    return !fs || std::all_of(fs->begin(), fs->end(), exact);
  });
}

// The node with every floating-point attribute moved by some units in the last place.
NodePtr WithPerturbedAttributes(const Node& n, Noise& noise) {
  double amplitude = kNoise * MetricUnit(DType::kFloat);
  auto copy = std::make_shared<Node>(n);
  for (Attribute& a : copy->attrs) {
    if (auto f = std::get_if<float>(&a.value))
      *f = static_cast<float>(*f * noise.Factor(amplitude));
    if (auto fs = std::get_if<std::vector<float>>(&a.value)) {
      for (float& f : *fs) f = static_cast<float>(f * noise.Factor(amplitude));
    }
  }
  return copy;
}

// Can rounding change what the node computes by more than a factor of its size: a jump, the edge of
// a domain, a division by what may have cancelled?
bool MayJump(const Node& n, const OpSpec& row) {
  return row.Has(kDiscontinuous) || row.HasDomain() || n.op == "LpNormalization" ||
         n.op == "MeanVarianceNormalization" || (n.op == "MaxPool" && n.outputs.size() > 1);
}

// Floating-point inputs that a rule reads as extents.
bool ReadsAsExtent(const Node& n, size_t input) {
  return n.op == "Range" || n.op == "OneHot" ||
         ((n.op == "Resize" || n.op == "Upsample") && input > 0);
}

// Values that do not depend on the data of a graph input and end in an integer or an extent.
std::unordered_set<std::string> ShapeValues(const Model& model, const std::vector<NodePtr>& order) {
  std::unordered_set<std::string> from_data, exact;
  for (const ValueInfo& v : model.graph.RequiredInputs()) from_data.insert(v.name);
  auto depends = [&](const std::string& v) { return from_data.count(v) > 0; };
  for (const NodePtr& n : order) {
    if (n->op == "Shape" || n->op == "Size") continue;
    std::vector<std::string> read = ReadBy(*n);
    if (std::any_of(read.begin(), read.end(), depends))
      from_data.insert(n->outputs.begin(), n->outputs.end());
  }
  for (size_t k = order.size(); k-- > 0;) {
    const Node& n = *order[k];
    bool to_int =
        n.op == "Cast" &&
        !IsFloat(static_cast<DType>(std::clamp<int64_t>(n.Int("to", 1), 0, kDTypeCount - 1)));
    bool any_exact = std::any_of(n.outputs.begin(), n.outputs.end(),
                                 [&](const std::string& o) { return exact.count(o) > 0; });
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      if (depends(n.inputs[i])) continue;
      if (any_exact || ReadsAsExtent(n, i) || (to_int && !depends(n.outputs[0])))
        exact.insert(n.inputs[i]);
    }
  }
  return exact;
}

// A reduction rounds inside: it subtracts a mean, eliminates, adds terms that cancel. That shows as
// if its operands had moved. Most carry noise already; these are the positions of the others: graph
// inputs, and what was made of them without rounding. A position that an operand names (a point of
// a grid) is read as it is.
std::unordered_map<const Node*, std::vector<size_t>> OpenOperands(
    const Model& model, const std::vector<NodePtr>& order,
    const std::unordered_set<const Node*>& quiet) {
  std::unordered_map<const Node*, std::vector<size_t>> open;
  std::unordered_set<std::string> still;
  for (const ValueInfo& v : model.graph.RequiredInputs()) still.insert(v.name);
  for (const NodePtr& n : order) {
    Result<const OpSpec*> row = RowFor(model, *n);
    if (!row.ok()) continue;
    for (size_t i = 0; (*row)->accuracy == Accuracy::kReduction && i < n->inputs.size(); ++i) {
      if (still.count(n->inputs[i]) &&
          !(*row)->inputs[std::min(i, (*row)->inputs.size() - 1)].parameter)
        open[n.get()].push_back(i);
    }
    bool from_still = std::any_of(n->inputs.begin(), n->inputs.end(),
                                  [&](const auto& i) { return still.count(i) > 0; });
    if (quiet.count(n.get()) && from_still) still.insert(n->outputs.begin(), n->outputs.end());
  }
  return open;
}

double ScaleOf(const Tensor& t) {
  double scale = 0;
  if (!IsFloat(t.dtype())) return 0;
  const double* x = t.data<double>();
  for (int64_t i = 0; i < t.size(); ++i) {
    if (std::isfinite(x[i])) scale = std::max(scale, std::fabs(x[i]));
  }
  return scale;
}

// The distance of two values for spread and comparison: infinity where only one is finite or NaN
// meets a number.
double Distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  if (!std::isfinite(a) || !std::isfinite(b)) return kInfinity;
  return std::fabs(a - b);
}

std::string IndexText(const Shape& shape, int64_t i) {
  std::string text;
  Shape strides = Strides(shape);
  for (size_t d = 0; d < shape.size(); ++d) {
    text += (d ? "," : "") + std::to_string(strides[d] ? i / strides[d] % shape[d] : 0);
  }
  return "[" + text + "]";
}

}  // namespace

void Comparison::Merge(const Comparison& o) {
  if (o.margin > margin) note = o.note;
  margin = std::max(margin, o.margin);
  max_abs = std::max(max_abs, o.max_abs);
  relative_sum += o.relative_sum;
  relative_count += o.relative_count;
  elements += o.elements;
  masked += o.masked;
  type_mismatch |= o.type_mismatch;
  finite_mismatch |= o.finite_mismatch;
}

Result<Yardstick> Yardstick::Of(const Model& source) {
  Yardstick y;
  y.program_ = TRY(Program::Compile(source));
  const Model& model = y.program_.model();
  std::vector<NodePtr> order = TRY(Sorted(model.graph));
  y.exact_ = ShapeValues(model, order);
  for (const NodePtr& n : model.graph.nodes) {
    const OpSpec* row = TRY(RowFor(model, *n));
    if (row->traits & (kMovesData | kLayoutOnly)) y.quiet_.insert(n.get());
    if (IsWindow(*row)) y.windows_.insert(n.get());
    bool exact = !n->outputs.empty() && y.exact_.count(n->outputs[0]) > 0;  // the scales of a Resize
    if (HasFloatAttribute(*n) && !exact) y.with_attributes_.push_back(n);
    y.may_jump_ = y.may_jump_ || MayJump(*n, *row);
  }
  y.open_ = OpenOperands(model, order, y.quiet_);
  y.last_ = std::make_shared<LastSpread>();
  return y;
}

Result<Reference> Yardstick::Measure(const std::vector<Tensor>& inputs,
                                     const MetricOptions& options) const {
  std::vector<Tensor> doubles;
  for (const Tensor& t : inputs) doubles.push_back(t.To(Store::kDouble));
  Reference r(this, std::move(doubles), options);
  ExecOptions exec;
  exec.store = Store::kDouble;
  exec.limits = options.limits;
  r.outputs_ = TRY(program_.Run(r.inputs_, exec)).outputs;
  for (Tensor& t : r.outputs_) {
    t = t.To(Store::kDouble);
    r.scale_.push_back(ScaleOf(t));
  }
  if (!options.native) return r;
  // The source's own native run is the first sample of the spread; what overflows there is masked.
  exec.store = Store::kNative;
  std::vector<Tensor> native = TRY(program_.Run(inputs, exec)).outputs;
  r.Widen(0, false);
  r.TakeSpread(native);
  return r;
}

void Reference::PerturbedRun(uint64_t seed, bool attributes) {
  Noise noise(seed);
  double units = options_.native ? kNativeFactor * kNoise : kNoise;
  const Program& program = yardstick_->program_;
  const std::unordered_set<std::string>& exact = yardstick_->exact_;
  std::unordered_map<const Node*, NodePtr> moved;
  if (attributes) {
    for (const NodePtr& n : yardstick_->with_attributes_)
      moved.emplace(n.get(), WithPerturbedAttributes(*n, noise));
  }
  std::map<std::string, Tensor> constants;
  for (const Initializer& i : program.model().graph.initializers) {
    if (IsFloat(i.value.dtype()) && !exact.count(i.name))
      constants.emplace(i.name, Perturbed(i.value, units * Unit(i.value.dtype()), noise));
  }
  ExecOptions exec;
  exec.store = Store::kDouble;
  exec.limits = options_.limits;
  exec.overrides = &constants;
  exec.instead = &moved;
  std::vector<Tensor> opened;
  exec.before_node = [&](const Node& n, std::vector<const Tensor*>& operands) {
    bool floats = std::any_of(operands.begin(), operands.end(),
                              [](const Tensor* t) { return t && IsFloat(t->dtype()); });
    if (!floats && ScalesExactly(n)) moved.erase(&n);
    auto open = yardstick_->open_.find(&n);
    if (open == yardstick_->open_.end()) return;
    opened.resize(operands.size());
    for (size_t i : open->second) {
      if (!operands[i] || !IsFloat(operands[i]->dtype())) continue;
      // In double only the double's own rounding happens inside.
      DType inside = options_.native ? operands[i]->dtype() : DType::kDouble;
      opened[i] = Perturbed(*operands[i], units * Unit(inside), noise);
      operands[i] = &opened[i];
    }
  };
  exec.after_node = [&](const Node& n, std::vector<Tensor>& out) {
    if (yardstick_->quiet_.count(&n)) return;
    bool window = yardstick_->windows_.count(&n) > 0;
    for (size_t i = 0; i < out.size() && i < n.outputs.size(); ++i) {
      if (out[i].defined() && IsFloat(out[i].dtype()) && !exact.count(n.outputs[i]))
        out[i] = window ? Shifted(out[i], units * MetricUnit(DType::kFloat), noise)
                        : Perturbed(out[i], units * Unit(out[i].dtype()), noise);
    }
  };
  Result<Execution> run = program.Run(inputs_, exec);
  if (run.ok()) TakeSpread(run->outputs);
}

void Reference::TakeSpread(const std::vector<Tensor>& outputs) {
  for (size_t o = 0; o < outputs_.size(); ++o) {
    const Tensor& a = outputs_[o];
    std::vector<double>& spread = spread_.of[o];
    if (a.dtype() == DType::kString) continue;
    if (outputs[o].shape() != a.shape()) {
      spread_.open_shape[o] = true;
      std::fill(spread.begin(), spread.end(), kInfinity);
      continue;
    }
    if (IsFloat(a.dtype())) {
      Tensor b = outputs[o].To(Store::kDouble);
      const double *x = a.data<double>(), *y = b.data<double>();
      for (int64_t i = 0; i < a.size(); ++i) spread[i] = std::max(spread[i], Distance(x[i], y[i]));
    } else {
      int64_t width = a.element_bytes();
      for (int64_t i = 0; i < a.size(); ++i) {
        if (std::memcmp(a.raw() + i * width, outputs[o].raw() + i * width,
                        static_cast<size_t>(width)) != 0) {
          spread[i] = kInfinity;
        }
      }
    }
  }
}

void Reference::Widen(int runs, bool attributes) {
  if (spread_.of.empty()) {
    spread_.open_shape.assign(outputs_.size(), false);
    for (const Tensor& t : outputs_) spread_.of.emplace_back(static_cast<size_t>(t.size()), 0.0);
  }
  for (int k = 0; k < runs; ++k)
    PerturbedRun(MixSeeds(options_.seed, static_cast<uint64_t>(spread_.runs++)), attributes);
}

bool Reference::finite() const {
  for (const Tensor& t : outputs_) {
    for (int64_t i = 0; IsFloat(t.dtype()) && i < t.size(); ++i) {
      if (!std::isfinite(t.data<double>()[i])) return false;
    }
  }
  return true;
}

double Reference::Bound(size_t o, int64_t i) const {
  const Tensor& t = outputs_[o];
  double spread = spread_.of.empty() ? 0 : spread_.of[o][i];
  if (!IsFloat(t.dtype())) return spread;
  double u = Unit(t.dtype()), x = std::fabs(t.data<double>()[i]);
  // An output of zeros alone has no scale: what cancels there leaves the rounding of numbers
  // around 1.
  double scale = scale_[o] > 0 ? scale_[o] : 1;
  double floor =
      u * (kFloorOutput * scale + (std::isfinite(x) ? kFloorElement * x : 0)) + kFloorAbsolute;
  return kSafety * spread + floor;
}

void Reference::CompareOutput(size_t o, const Tensor& other, Comparison* c) const {
  const Tensor& want = outputs_[o];
  auto label = [&] {
    return fmt::format("output {} '{}'", o, yardstick_->program_.model().graph.outputs[o].name);
  };
  if (!spread_.of.empty() && spread_.open_shape[o] && want.dtype() == other.dtype()) {
    c->elements += want.size();
    c->masked += want.size();
    return;
  }
  if (want.dtype() != other.dtype() || want.shape() != other.shape()) {
    c->type_mismatch = true;
    c->margin = kBeyondMargin;
    c->note = fmt::format("{}: {} against {}", label(), want.TypeString(), other.TypeString());
    return;
  }
  c->elements += want.size();
  if (want.dtype() == DType::kString) {
    if (want.strings() == other.strings()) return;
    c->margin = kBeyondMargin;
    c->note = label() + ": strings differ";
    return;
  }
  if (want.Identical(other) && spread_.of.empty()) {
    for (int64_t i = 0; IsFloat(want.dtype()) && i < want.size(); ++i)
      c->relative_count += want.data<double>()[i] != 0;
    return;
  }
  Tensor got = other.To(Store::kDouble);
  bool real = IsFloat(want.dtype());
  int64_t width = want.element_bytes();
  int64_t worst = -1;
  for (int64_t i = 0; i < want.size(); ++i) {
    double bound = Bound(o, i);
    if (bound == kInfinity) {
      ++c->masked;
      continue;
    }
    double a = want.AsDouble(i), b = got.AsDouble(i), d = Distance(a, b), margin = 0;
    if (!real) {
      margin =
          std::memcmp(want.raw() + i * width, got.raw() + i * width, static_cast<size_t>(width))
              ? kBeyondMargin
              : 0;
    } else if (d == kInfinity) {
      c->finite_mismatch = true;
      margin = kBeyondMargin;
    } else {
      margin = d == 0 ? 0 : std::min(d / bound, kBeyondMargin);
    }
    if (std::isfinite(d)) {
      c->max_abs = std::max(c->max_abs, d);
      if (a != 0 && std::isfinite(a)) c->relative_sum += d / std::fabs(a), ++c->relative_count;
    }
    if (margin > c->margin) c->margin = margin, worst = i;
  }
  if (worst >= 0) {
    c->note = fmt::format("{}{}: {:.9g} against {:.9g}, bound {:.3g}", label(),
                          IndexText(want.shape(), worst), want.AsDouble(worst), got.AsDouble(worst),
                          Bound(o, worst));
  }
}

Comparison Reference::CompareOnce(const std::vector<Tensor>& others) const {
  Comparison c;
  if (others.size() != outputs_.size()) {
    c.type_mismatch = true;
    c.margin = kBeyondMargin;
    c.note = fmt::format("{} outputs against {}", outputs_.size(), others.size());
    return c;
  }
  for (size_t o = 0; o < others.size(); ++o) CompareOutput(o, others[o], &c);
  return c;
}

uint64_t Reference::Key() const {
  uint64_t key = Mix(options_.seed ^ (options_.native ? 1 : 0));
  for (const std::vector<Tensor>* list : {&inputs_, &outputs_}) {
    for (const Tensor& t : *list) key = Mix(key ^ t.ContentHash());
  }
  return key;
}

bool Reference::Settled(const Comparison& c) const {
  if (!c.beyond()) return true;
  return !yardstick_->may_jump_ && !c.finite_mismatch && c.margin > kFar;
}

Comparison Reference::Compare(const std::vector<Tensor>& others) {
  Comparison c = CompareOnce(others);
  if (!options_.widen || !c.beyond()) return c;
  uint64_t key = Key();
  {
    std::lock_guard<std::mutex> lock(yardstick_->last_->mutex);
    if (yardstick_->last_->key == key && spread_.runs == 0) spread_ = yardstick_->last_->spread;
  }
  if (spread_.runs < kFirstRuns) Widen(kFirstRuns, false);
  c = CompareOnce(others);
  // A difference that falls within the bound has nothing more to stand.
  while (!Settled(c) && spread_.runs < kFirstRuns + kMoreRuns) {
    Widen(1, true);
    c = CompareOnce(others);
  }
  std::lock_guard<std::mutex> lock(yardstick_->last_->mutex);
  yardstick_->last_->key = key;
  yardstick_->last_->spread = spread_;
  return c;
}

Comparison CompareTarget(Reference& reference, const Program& target,
                         const std::vector<Tensor>& inputs, const Limits& limits, Store store) {
  ExecOptions exec;
  exec.store = store;
  exec.limits = limits;
  Result<Execution> run = target.Run(inputs, exec);
  if (run.ok()) return reference.Compare(run->outputs);
  Comparison c;
  c.type_mismatch = true;
  c.margin = kBeyondMargin;
  c.note = "the target does not run: " + run.error().ToString();
  return c;
}

bool Overflows(const Program& program, const std::vector<Tensor>& inputs, const Limits& limits) {
  bool overflows = false;
  ExecOptions exec;
  exec.store = Store::kDouble;
  exec.limits = limits;
  exec.after_node = [&](const Node&, std::vector<Tensor>& out) {
    for (const Tensor& t : out) {
      if (!t.defined() || t.store() != Store::kDouble) continue;
      overflows = overflows || std::any_of(t.data<double>(), t.data<double>() + t.size(),
                                           [](double x) { return !std::isfinite(x); });
    }
  };
  (void)program.Run(inputs, exec).ok();
  return overflows;
}

}  // namespace assay
