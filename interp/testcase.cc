#include "interp/testcase.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "interp/npy.h"
#include "interp/onnx_io.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

constexpr char kDataSetPrefix[] = "test_data_set_";

// The number after a prefix; -1 when the name is not of that form.
int NumberAfter(const std::string& name, const std::string& prefix) {
  if (name.rfind(prefix, 0) != 0 || name.size() == prefix.size() || name.size() > prefix.size() + 8)
    return -1;
  int n = 0;
  for (char c : name.substr(prefix.size())) {
    if (c < '0' || c > '9') return -1;
    n = n * 10 + (c - '0');
  }
  return n;
}

Status MakeFolder(const std::string& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) return Usage("can't be made: " + failure.message(), folder);
  return {};
}

std::string TensorPath(const std::string& folder, const std::string& role, size_t j) {
  return folder + "/" + role + "_" + std::to_string(j) + ".pb";
}

bool CloseEnough(double got, double want, double rtol, double atol) {
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want);
  if (std::isinf(got) || std::isinf(want)) return got == want;
  return std::fabs(got - want) <= atol + rtol * std::fabs(want);
}

template <class T>
bool ComplexMatches(const Tensor& got, const Tensor& want, int64_t i, double rtol, double atol) {
  std::complex<T> g = got.data<std::complex<T>>()[i], w = want.data<std::complex<T>>()[i];
  return CloseEnough(g.real(), w.real(), rtol, atol) && CloseEnough(g.imag(), w.imag(), rtol, atol);
}

// An element as text, for messages.
std::string Show(const Tensor& t, int64_t i) {
  if (t.dtype() == DType::kString) return "'" + t.strings()[i] + "'";
  if (t.dtype() == DType::kComplex64) {
    std::complex<float> c = t.data<std::complex<float>>()[i];
    return std::to_string(c.real()) + "+" + std::to_string(c.imag()) + "i";
  }
  char text[32];
  if (IsFloat(t.dtype()))
    std::snprintf(text, sizeof(text), "%.9g", t.AsDouble(i));
  else
    std::snprintf(text, sizeof(text), "%lld", static_cast<long long>(t.AsInt(i)));
  return text;
}

bool ElementMatches(const Tensor& got, const Tensor& want, int64_t i, double rtol, double atol) {
  switch (want.dtype()) {
    case DType::kString:
      return got.strings()[i] == want.strings()[i];
    case DType::kComplex64:
      return ComplexMatches<float>(got, want, i, rtol, atol);
    case DType::kComplex128:
      return ComplexMatches<double>(got, want, i, rtol, atol);
    default:
      break;
  }
  // A unit in the last place of bfloat16 is more than the usual tolerance, and release 1.12 of the
  // test data cuts off where others round.
  constexpr double kBfloat16Unit = 0x1p-7;
  if (want.dtype() == DType::kBfloat16) rtol = std::max(rtol, kBfloat16Unit);
  if (IsFloat(want.dtype())) return CloseEnough(got.AsDouble(i), want.AsDouble(i), rtol, atol);
  return got.AsInt(i) == want.AsInt(i);
}

}  // namespace

Result<std::vector<std::string>> FindCases(const std::string& root) {
  std::error_code failure;
  if (!fs::is_directory(root, failure)) return Invalid("is not a folder", root);
  std::vector<std::string> cases;
  if (fs::is_regular_file(root + "/model.onnx", failure)) cases.push_back(root);
  auto it = fs::recursive_directory_iterator(root, fs::directory_options::skip_permission_denied,
                                             failure);
  for (; !failure && it != fs::recursive_directory_iterator(); it.increment(failure)) {
    std::error_code ignored;
    if (it->is_directory(ignored) && fs::is_regular_file(it->path() / "model.onnx", ignored)) {
      cases.push_back(it->path());
    }
  }
  if (failure) return Invalid("can't be listed: " + failure.message(), root);
  std::sort(cases.begin(), cases.end());
  return cases;
}

std::vector<std::string> FindDataSets(const std::string& case_folder) {
  std::vector<std::pair<int, std::string>> found;
  std::error_code failure;
  for (auto it = fs::directory_iterator(case_folder, failure);
       !failure && it != fs::directory_iterator(); it.increment(failure)) {
    int k = NumberAfter(it->path().filename(), kDataSetPrefix);
    if (k >= 0) found.emplace_back(k, it->path());
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> folders;
  for (auto& [k, path] : found) folders.push_back(std::move(path));
  return folders;
}

std::string NpyName(const std::string& value) {
  std::string name;
  for (char c : value) {
    bool plain = std::isalnum(static_cast<unsigned char>(c)) || std::strchr("_-.:+", c);
    name += plain && c != '\0' ? c : '_';
  }
  if (name.empty() || name[0] == '.') name.insert(0, "_");
  return name + ".npy";
}

Result<std::vector<Tensor>> LoadTensors(const std::string& folder, const std::string& role,
                                        const std::vector<ValueInfo>& values,
                                        const Limits& limits) {
  std::vector<Tensor> tensors;
  for (size_t j = 0; j < values.size(); ++j) {
    const ValueInfo& v = values[j];
    ValueKind kind = KindOf(v);
    ListType list = ListTypeOf(v);
    if (list.kind != DType::kUndefined) {
      tensors.push_back(TRY(LoadList(TensorPath(folder, role, j), list, limits)));
      continue;
    }
    if (kind != ValueKind::kTensor && kind != ValueKind::kUnknown) {
      return Unsupported(role + " '" + v.name + "' is a " + ValueKindName(kind), folder);
    }
    std::string pb = TensorPath(folder, role, j), npy = folder + "/" + NpyName(v.name);
    std::error_code ignored;
    bool use_npy = !fs::exists(pb, ignored) && fs::exists(npy, ignored);
    Result<Tensor> loaded = use_npy ? LoadNpy(npy, limits) : LoadTensor(pb, limits);
    Tensor t = TRY(std::move(loaded));
    if (v.dtype == DType::kBfloat16 && t.dtype() == DType::kUint16)
      t = t.WithDType(DType::kBfloat16);
    tensors.push_back(std::move(t));
  }
  return tensors;
}

Result<DataSet> LoadDataSet(const std::string& folder, const Model& model, const Limits& limits) {
  DataSet d;
  d.inputs = TRY(LoadTensors(folder, "input", model.graph.RequiredInputs(), limits));
  d.outputs = TRY(LoadTensors(folder, "output", model.graph.outputs, limits));
  return d;
}

Status SaveTensors(const std::string& folder, const std::string& role,
                   const std::vector<ValueInfo>& values, const std::vector<Tensor>& tensors) {
  CHECK(values.size() == tensors.size());
  TRY(MakeFolder(folder));
  for (size_t j = 0; j < tensors.size(); ++j) {
    TRY(SaveTensor(tensors[j], values[j].name, TensorPath(folder, role, j)));
  }
  return {};
}

Status SaveCase(const std::string& folder, const Model& model, const DataSet& data) {
  std::string data_folder = folder + "/" + kDataSetPrefix + "0";
  TRY(MakeFolder(folder));
  TRY(SaveModel(model, folder + "/model.onnx"));
  TRY(SaveTensors(data_folder, "input", model.graph.RequiredInputs(), data.inputs));
  return SaveTensors(data_folder, "output", model.graph.outputs, data.outputs);
}

std::string Mismatch(const Tensor& got, const Tensor& want, double rtol, double atol) {
  if (got.dtype() != want.dtype() || got.shape() != want.shape()) {
    return "got " + got.TypeString() + ", want " + want.TypeString();
  }
  if (IsList(want.dtype())) {
    for (int64_t i = 0; i < want.size(); ++i) {
      size_t at = static_cast<size_t>(i);
      std::string item = Mismatch(got.items()[at], want.items()[at], rtol, atol);
      if (!item.empty()) return "item " + std::to_string(i) + ": " + item;
    }
    return "";
  }
  int64_t wrong = 0, first = -1;
  for (int64_t i = 0; i < want.size(); ++i) {
    if (ElementMatches(got, want, i, rtol, atol)) continue;
    if (wrong++ == 0) first = i;
  }
  if (wrong == 0) return "";
  return std::to_string(wrong) + " of " + std::to_string(want.size()) +
         " elements differ; element " + std::to_string(first) + ": got " + Show(got, first) +
         ", want " + Show(want, first);
}

}  // namespace assay
