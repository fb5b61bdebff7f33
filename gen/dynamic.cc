#include "gen/dynamic.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "interp/exec.h"

namespace assay {
namespace {

constexpr double kNamed = 0.75;   // of the extents that may have a name
constexpr size_t kMaxTries = 10;  // extents that are tried
constexpr size_t kMaxNames = 4;

struct Place {
  size_t input;
  size_t axis;
};
// Places that hold the same extent whatever it is.
struct Symbol {
  std::string name;
  int64_t extent = 0;
  std::vector<Place> places;
};

// Bodies say nothing of extents that may change, but ranks: ONNX Runtime wants a Loop's counter to
// be a scalar.
void DropExtents(std::vector<ValueInfo>* values) {
  for (ValueInfo& v : *values) {
    if (v.shape) v.shape->assign(v.shape->size(), DimDecl{});
  }
}
void DropShapes(Graph* g) {
  for (NodePtr& n : g->nodes) {
    auto copy = std::make_shared<Node>(*n);
    for (Attribute& a : copy->attrs) {
      auto body = std::get_if<std::shared_ptr<const Graph>>(&a.value);
      if (!body) continue;
      Graph bare = **body;
      DropExtents(&bare.inputs);
      DropExtents(&bare.outputs);
      DropShapes(&bare);
      a.value = std::make_shared<const Graph>(std::move(bare));
    }
    n = std::move(copy);
  }
}

class Namer {
 public:
  Namer(Choices& choices, const std::vector<Tensor>& inputs, Model* model)
      : choices_(choices), model_(*model), out_(model) {
    DropShapes(&model_.graph);
    for (const ValueInfo& v : model_.graph.RequiredInputs()) names_.push_back(v.name);
    for (const Tensor& t : inputs) shapes_.push_back(t.shape());
  }

  int Run() {
    std::optional<std::vector<Shape>> base = OutputShapes(shapes_);
    if (!base) return 0;
    size_t tries = 0;
    for (const Symbol& s : Candidates()) {
      if (symbols_.size() == kMaxNames || ++tries > kMaxTries) break;
      bool taken = false;
      for (const Place& p : s.places) taken |= IsNamed(p);
      if (taken || !choices_.Chance(kNamed)) continue;
      std::optional<std::vector<Shape>> moved = OutputShapes(Moved(s));
      if (!moved || !SameRanks(*base, *moved)) continue;
      symbols_.push_back(s);
      symbols_.back().name =
          s.places[0].axis == 0 && !has_batch_ ? "batch" : "d" + std::to_string(symbols_.size());
      has_batch_ |= symbols_.back().name == "batch";
      moved_.push_back(*std::move(moved));
    }
    if (symbols_.empty()) return 0;
    Declare(*base);
    return static_cast<int>(symbols_.size());
  }

 private:
  // All places with one extent together, then each alone.
  std::vector<Symbol> Candidates() {
    std::vector<Symbol> together, alone;
    for (size_t i = 0; i < shapes_.size(); ++i) {
      for (size_t a = 0; a < shapes_[i].size(); ++a) {
        int64_t extent = shapes_[i][a];
        if (extent == 0) continue;
        alone.push_back({"", extent, {{i, a}}});
        auto same = std::find_if(together.begin(), together.end(),
                                 [&](const Symbol& s) { return s.extent == extent; });
        if (same == together.end())
          together.push_back(alone.back());
        else
          same->places.push_back({i, a});
      }
    }
    choices_.Shuffle(together);
    choices_.Shuffle(alone);
    together.insert(together.end(), alone.begin(), alone.end());
    return together;
  }

  bool IsNamed(const Place& p) const {
    for (const Symbol& s : symbols_) {
      for (const Place& q : s.places) {
        if (p.input == q.input && p.axis == q.axis) return true;
      }
    }
    return false;
  }

  std::vector<Shape> Moved(const Symbol& s) const {
    std::vector<Shape> shapes = shapes_;
    for (const Place& p : s.places) shapes[p.input][p.axis] = s.extent + 1;
    return shapes;
  }

  // Shapes of the outputs for inputs of those shapes; nothing when the model does not work there.
  std::optional<std::vector<Shape>> OutputShapes(const std::vector<Shape>& shapes) const {
    Model m = model_;
    for (ValueInfo& v : m.graph.inputs) {
      auto at = std::find(names_.begin(), names_.end(), v.name);
      if (at != names_.end())
        v = ValueInfo::Of(v.name, v.dtype, shapes[static_cast<size_t>(at - names_.begin())]);
    }
    for (ValueInfo& v : m.graph.outputs) v.shape.reset();
    Result<std::vector<Tensor>> inputs = RandomInputs(m, 1);
    if (!inputs.ok()) return std::nullopt;
    ExecOptions exec;
    exec.limits = Limits::Small();
    Result<Execution> run = assay::Run(m, *inputs, exec);
    if (!run.ok()) return std::nullopt;
    std::vector<Shape> out;
    for (const Tensor& t : run->outputs) {
      for (int64_t i = 0; IsFloat(t.dtype()) && i < t.size(); ++i) {
        if (!std::isfinite(t.AsDouble(i))) return std::nullopt;
      }
      out.push_back(t.shape());
    }
    return out;
  }

  static bool SameRanks(const std::vector<Shape>& a, const std::vector<Shape>& b) {
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i].size() != b[i].size()) return false;
    }
    return true;
  }

  // An output's extent is a number, what one symbol says, or a name of its own.
  DimDecl ExtentOf(const std::vector<Shape>& base, size_t output, size_t axis) {
    int64_t was = base[output][axis];
    size_t moves = 0, by = 0;
    for (size_t s = 0; s < symbols_.size(); ++s) {
      if (moved_[s][output][axis] != was) ++moves, by = s;
    }
    if (moves == 0) return {was, ""};
    const Symbol& s = symbols_[by];
    if (moves == 1 && was == s.extent && moved_[by][output][axis] == was + 1) return {-1, s.name};
    return {-1, "o" + std::to_string(++own_)};
  }

  void Declare(const std::vector<Shape>& base) {
    DropShapes(&out_->graph);
    for (const Symbol& s : symbols_) {
      for (const Place& p : s.places) {
        for (ValueInfo& v : out_->graph.inputs) {
          if (v.name == names_[p.input]) (*v.shape)[p.axis] = {-1, s.name};
        }
      }
    }
    for (size_t o = 0; o < base.size(); ++o) {
      std::vector<DimDecl> dims;
      for (size_t a = 0; a < base[o].size(); ++a) dims.push_back(ExtentOf(base, o, a));
      out_->graph.outputs[o].shape = std::move(dims);
    }
  }

  Choices& choices_;
  Model model_;  // as it was
  Model* out_;
  std::vector<std::string> names_;  // of the inputs
  std::vector<Shape> shapes_;
  std::vector<Symbol> symbols_;
  std::vector<std::vector<Shape>> moved_;  // output shapes when that symbol alone is one larger
  bool has_batch_ = false;
  int own_ = 0;
};

}  // namespace

int MakeDynamic(Choices& choices, const std::vector<Tensor>& inputs, Model* model) {
  return Namer(choices, inputs, model).Run();
}

}  // namespace assay
