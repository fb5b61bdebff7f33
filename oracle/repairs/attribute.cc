// Attributes (LH, and TSS for layout operators): the frontier node takes the attributes of its counterpart.
#include "oracle/proposal.h"

#include <algorithm>

namespace assay {
namespace {

struct Change {
  std::string name;
  const AttrValue* want;  // null: absent in the source
  const AttrValue* got;   // null: absent in the target
};

// Attributes whose values differ, defaults filled in.
std::vector<Change> Changes(const OpSpec& row, const Node& source, const Node& target) {
  std::vector<Change> changes;
  for (const AttrSpec& a : row.attrs) {
    const AttrValue* want = source.Find(a.name);
    const AttrValue* got = target.Find(a.name);
    const AttrValue* w = want ? want : (a.otherwise ? &*a.otherwise : nullptr);
    const AttrValue* g = got ? got : (a.otherwise ? &*a.otherwise : nullptr);
    if ((w && g && SameAttr(*w, *g)) || (!w && !g)) continue;
    changes.push_back({a.name, want, got});
  }
  return changes;
}

std::string Text(const OpSpec& row, const std::string& name, const AttrValue* v) {
  if (v) return AttrText(*v);
  const AttrSpec* a = row.FindAttr(name);
  return a && a->otherwise ? AttrText(*a->otherwise) + " (default)" : "absent";
}

void Propose(const RepairScene& scene, std::vector<Proposal>* out) {
  const PreparedNode& tn = scene.node();
  for (int s : scene.Counterparts(scene.frontier)) {
    const PreparedNode& sn = scene.s().nodes[s];
    if (sn.row != tn.row) continue;
    std::vector<Change> changes = Changes(*tn.row, *sn.node, *tn.node);
    if (changes.empty()) continue;
    auto propose = [&](const std::vector<Change>& set) {
      auto node = std::make_shared<Node>(*tn.node);
      Proposal p;
      for (const Change& c : set) {
        if (c.want) node->Set(c.name, *c.want);
        else node->Erase(c.name);
        std::string got = Text(*tn.row, c.name, c.got), want = Text(*tn.row, c.name, c.want);
        p.difference.what += (p.difference.what.empty() ? "" : ", ") + c.name;
        p.difference.source_value += (p.difference.source_value.empty() ? "" : "; ") + want;
        p.difference.target_value += (p.difference.target_value.empty() ? "" : "; ") + got;
        p.what += (p.what.empty() ? "" : "; ") + std::string("set ") + c.name + " from " + got + " to " + want + " as in the source";
      }
      int data = tn.inputs.empty() ? -1 : tn.inputs[0];
      p.difference.cls = ClassOf(scene, tn.node->op, false, data);
      p.difference.target_node = SiteName(*tn.node);
      p.difference.source_node = SiteName(*sn.node);
      p.model = ReplaceNode(scene.t(), scene.frontier, node);
      p.size = static_cast<int>(set.size());
      out->push_back(std::move(p));
    };
    if (changes.size() > 1) {
      for (const Change& c : changes) propose({c});
    }
    propose(changes);
  }
}

}  // namespace

RepairStrategy repair_attribute() {
  return {"attribute", "LH TSS", "The frontier node takes differing attributes of its counterpart in the source.", Propose};
}

}  // namespace assay
