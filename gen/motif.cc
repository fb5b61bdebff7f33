#include "gen/motif.h"

#include <algorithm>

#include "gen/graph_gen.h"

namespace assay {

#define ENTRY(stem) std::vector<Motif> motifs_##stem();
#include "gen_motifs.inc"
#undef ENTRY

namespace {

constexpr int kPlaceTries = 6;
constexpr double kTwisted = 0.6;  // of bait; the rest is exact
constexpr int kOpportunities = 5;

// Does every node, those of bodies included, keep to the options' lists of operators?
bool Listed(const Graph& body, const GenOptions& options);
bool Listed(const Node& node, const GenOptions& options) {
  if (!options.Allows(node.op)) return false;
  for (const Attribute& a : node.attrs) {
    auto body = std::get_if<std::shared_ptr<const Graph>>(&a.value);
    if (body && !Listed(**body, options)) return false;
  }
  return true;
}
bool Listed(const Graph& body, const GenOptions& options) {
  return std::all_of(body.nodes.begin(), body.nodes.end(),
                     [&](const NodePtr& n) { return Listed(*n, options); });
}

bool Fits(const GraphBuilder& builder, GraphBuilder::Mark mark, const GenOptions& options) {
  for (size_t n = mark.nodes; n < builder.nodes().size(); ++n) {
    if (!Listed(*builder.nodes()[n].node, options)) return false;
  }
  for (size_t v = mark.values; v < builder.values().size(); ++v) {
    if (ElementCount(builder.values()[v].shape()) > options.max_elements) return false;
  }
  return true;
}

}  // namespace

const std::vector<Motif>& AllMotifs() {
  static const std::vector<Motif> table = [] {
    std::vector<Motif> all;
    auto add = [&](std::vector<Motif> rows) {
      for (Motif& r : rows) all.push_back(std::move(r));
    };
#define ENTRY(stem) add(motifs_##stem());
#include "gen_motifs.inc"
#undef ENTRY
    std::sort(all.begin(), all.end(),
              [](const Motif& a, const Motif& b) { return a.name < b.name; });
    for (size_t i = 1; i < all.size(); ++i) CHECK(all[i - 1].name != all[i].name);
    return all;
  }();
  return table;
}

const Motif* FindMotif(const std::string& name) {
  for (const Motif& m : AllMotifs()) {
    if (m.name == name) return &m;
  }
  return nullptr;
}

bool PlaceMotif(Choices& choices, GraphBuilder& builder, const GenOptions& options,
                const Motif& motif, int value) {
  if (motif.since > builder.opset() || !motif.Reads(builder.value(value))) return false;
  GraphBuilder::Mark mark = builder.Here();
  Sketch sketch(choices, builder);
  sketch.Allow(motif.allow);
  if (motif.kind == MotifKind::kBait && choices.Chance(kTwisted)) {
    Twist twist = static_cast<Twist>(1 + choices.Below(kTwists - 1));
    sketch.Apply(twist, static_cast<int>(choices.Below(kOpportunities)));
  }
  int out = motif.build(sketch, value);
  if (out >= 0 && builder.nodes().size() > mark.nodes && Fits(builder, mark, options)) return true;
  builder.Rollback(mark);
  return false;
}

bool PlaceSomeMotif(Choices& choices, GraphBuilder& builder, const GenOptions& options,
                    uint32_t tags) {
  std::vector<const Motif*> rows;
  std::vector<double> upto;
  for (const Motif& m : AllMotifs()) {
    if ((m.tags & tags) == 0 || m.since > builder.opset() || options.Rests(m.name)) continue;
    rows.push_back(&m);
    upto.push_back((upto.empty() ? 0 : upto.back()) + m.weight);
  }
  for (int i = 0; i < kPlaceTries && !rows.empty(); ++i) {
    double at = choices.Uniform() * upto.back();
    size_t drawn =
        static_cast<size_t>(std::upper_bound(upto.begin(), upto.end(), at) - upto.begin());
    const Motif& motif = *rows[std::min(drawn, rows.size() - 1)];
    std::vector<int> values;
    for (int v : builder.live()) {
      if (motif.Reads(builder.value(v))) values.push_back(v);
    }
    if (values.empty()) continue;
    // The newer half is likelier: deep graphs rather than wide ones.
    size_t from = choices.Chance(0.6) ? values.size() / 2 : 0;
    int value = values[from + choices.Below(values.size() - from)];
    if (PlaceMotif(choices, builder, options, motif, value)) return true;
  }
  return false;
}

}  // namespace assay
