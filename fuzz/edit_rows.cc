// Rows out of arguments and edits, and what they write into a step's argument.
#include "fuzz/edit.h"

#include <algorithm>
#include <charconv>

#include "interp/choices.h"

namespace assay {

Error DoesNotApply(const std::string& why) { return Invalid(why); }

namespace {

using NameAt = std::function<std::string(const View&, int)>;

Transform OnEach(Transform row, ArgumentsFn arguments, EditFn edit,
                 std::function<int(const View&)> count, NameAt name,
                 std::function<int(const View&, const std::string&)> find) {
  row.sites = [arguments, count, name](const Subject& s) {
    View view(s);
    std::vector<Site> sites;
    for (int i = 0, n = count(view); i < n; ++i) {
      for (std::string& a : arguments(view, i)) sites.push_back({name(view, i), std::move(a)});
    }
    return sites;
  };
  row.apply = [arguments, edit, find, transform = row.name](const Subject& s,
                                                            const Site& site) -> Result<Model> {
    View view(s);
    int i = find(view, site.node);
    if (i < 0)
      return Invalid("the site names nothing in this graph", transform + "@" + site.ToString());
    std::vector<std::string> listed = arguments(view, i);
    if (std::find(listed.begin(), listed.end(), site.argument) == listed.end()) {
      return Invalid("the transform does not apply at this site",
                     transform + "@" + site.ToString());
    }
    Edit e(view, transform, site.node);
    e.At(i);
    TRY(edit(e, i, site.argument));
    return e.Done();
  };
  return row;
}

}  // namespace

Transform OnNodes(Transform row, ArgumentsFn arguments, EditFn edit) {
  // A second node of the same name can't be named by a site.
  auto unique = [arguments](const View& v, int i) {
    return v.Find(SiteName(v.node(i))) == i ? arguments(v, i) : std::vector<std::string>{};
  };
  return OnEach(
      std::move(row), unique, std::move(edit), [](const View& v) { return v.size(); },
      [](const View& v, int i) { return SiteName(v.node(i)); },
      [](const View& v, const std::string& name) { return v.Find(name); });
}

Transform OnInputs(Transform row, ArgumentsFn arguments, EditFn edit) {
  auto at_zero = [edit](Edit& e, int i, const std::string& argument) {
    e.At(0);
    return edit(e, i, argument);
  };
  return OnEach(
      std::move(row), std::move(arguments), at_zero,
      [](const View& v) { return static_cast<int>(v.graph().inputs.size()); },
      [](const View& v, int i) { return v.graph().inputs[i].name; },
      [](const View& v, const std::string& name) {
        const std::vector<ValueInfo>& in = v.graph().inputs;
        auto it =
            std::find_if(in.begin(), in.end(), [&](const ValueInfo& x) { return x.name == name; });
        return it == in.end() ? -1 : static_cast<int>(it - in.begin());
      });
}

Transform Either(Transform first, Transform second) {
  Transform row = first;
  row.sites = [a = first.sites, b = second.sites](const Subject& s) {
    std::vector<Site> sites = a(s), more = b(s);
    sites.insert(sites.end(), more.begin(), more.end());
    return sites;
  };
  row.apply = [first, second](const Subject& s, const Site& site) -> Result<Model> {
    std::vector<Site> sites = first.sites(s);
    bool mine = std::find(sites.begin(), sites.end(), site) != sites.end();
    return mine ? first.apply(s, site) : second.apply(s, site);
  };
  return row;
}

Transform OnGraph(Transform row, std::function<std::vector<std::string>(const View&)> arguments,
                  std::function<Result<Model>(const View&, const std::string&)> edit) {
  row.sites = [arguments](const Subject& s) {
    View view(s);
    std::vector<Site> sites;
    for (std::string& a : arguments(view)) sites.push_back({"*", std::move(a)});
    return sites;
  };
  row.apply = [edit, transform = row.name](const Subject& s, const Site& site) -> Result<Model> {
    if (site.node != "*")
      return Invalid("the site of a whole graph is *", transform + "@" + site.ToString());
    return edit(View(s), site.argument);
  };
  return row;
}

std::vector<std::string> Fields(const std::string& text, char separator) {
  std::vector<std::string> fields(1);
  for (char c : text) {
    if (c == separator)
      fields.emplace_back();
    else
      fields.back() += c;
  }
  return fields;
}
std::optional<int64_t> ParseInt(const std::string& text) {
  int64_t v = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return v;
}
std::string Join(const std::vector<int64_t>& v) {
  std::string s;
  for (size_t i = 0; i < v.size(); ++i) s += (i ? "," : "") + std::to_string(v[i]);
  return s;
}
std::optional<std::vector<int64_t>> ParseInts(const std::string& text) {
  std::vector<int64_t> v;
  for (const std::string& f : Fields(text, ',')) {
    std::optional<int64_t> x = ParseInt(f);
    if (!x) return std::nullopt;
    v.push_back(*x);
  }
  return v;
}

uint64_t HashText(const std::string& text) {
  uint64_t h = 0xcbf29ce484222325ULL;
  for (unsigned char c : text) h = (h ^ c) * 0x100000001b3ULL;
  return Mix(h);
}

}  // namespace assay
