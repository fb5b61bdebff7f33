// Files and bytes: what protobuf parses, what goes wrong before it does.
#include "interp/onnx_io.h"

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <onnx/onnx_pb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <fstream>

#include "interp/onnx_io_internal.h"

namespace assay {
namespace onnx_io {
namespace {

// Nested graphs take three messages a level; the rest leaves room for types and functions.
constexpr int kRecursionLimit = 4 * kMaxGraphDepth + 20;
// protobuf's own limit for one message.
constexpr int64_t kMaxFileBytes = INT_MAX;

template <class Proto>
bool ParseStream(google::protobuf::io::ZeroCopyInputStream* in, Proto* p) {
  google::protobuf::io::CodedInputStream coded(in);
  coded.SetRecursionLimit(kRecursionLimit);
  return p->ParseFromCodedStream(&coded) && coded.ConsumedEntireMessage();
}

const char kNotProtobuf[] = "is truncated or not an ONNX file (protobuf can't parse it)";

template <class Proto>
Status ParseBytes(std::string_view bytes, Proto* p) {
  if (bytes.empty()) return Invalid("is empty");
  if (static_cast<int64_t>(bytes.size()) > kMaxFileBytes)
    return Invalid("is larger than the 2 GB of protobuf");
  google::protobuf::io::ArrayInputStream in(bytes.data(), static_cast<int>(bytes.size()));
  if (!ParseStream(&in, p)) return Invalid(kNotProtobuf);
  return {};
}

// A file opened for reading; Invalid when it is missing or a folder.
class InputFile {
 public:
  ~InputFile() {
    if (fd_ >= 0) close(fd_);
  }
  Status Open(const std::string& path) {
    fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat st {};
    if (fd_ < 0 || fstat(fd_, &st) != 0)
      return Invalid(std::string("can't be read: ") + std::strerror(errno));
    if (S_ISDIR(st.st_mode)) return Invalid("is a folder, not a file");
    if (S_ISREG(st.st_mode)) size_ = st.st_size;
    return {};
  }
  int fd() const { return fd_; }
  int64_t size() const { return size_; }  // -1: not a regular file

 private:
  int fd_ = -1;
  int64_t size_ = -1;
};

template <class Proto>
Status ParseFile(const std::string& path, Proto* p) {
  InputFile file;
  TRY(file.Open(path));
  if (file.size() == 0) return Invalid("is empty");
  if (file.size() > kMaxFileBytes)
    return Invalid(
        "is larger than the 2 GB of protobuf; weights of this size belong into external data");
  google::protobuf::io::FileInputStream in(file.fd(), 1 << 20);
  if (!ParseStream(&in, p)) return Invalid(kNotProtobuf);
  return {};
}

Result<Model> FromProto(onnx::ModelProto* p, LoadState* state) { return TakeModel(p, state); }

Result<Tensor> FromProto(onnx::TensorProto* p, LoadState* state) {
  Tensor t = TRY(TakeTensor(p, state));
  if (!t.defined())
    return Unsupported("element type " + std::to_string(p->data_type()) + " or a segment");
  return t;
}

// The text before the file's own name, "" or ending in a slash.
std::string FolderOf(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

template <class T>
Result<T> Within(Result<T> r, const std::string& where) {
  if (!r.ok()) return r.error().In(where);
  return r;
}

template <class Proto, class T>
Result<T> LoadFile(const std::string& path, const Limits& limits) {
  Proto p;
  if (Status s = ParseFile(path, &p); !s.ok()) return s.error().In(path);
  LoadState state{limits, FolderOf(path), true};
  return Within(FromProto(&p, &state), path);
}

template <class Proto, class T>
Result<T> LoadBytes(std::string_view bytes, const std::string& where, const Limits& limits) {
  Proto p;
  if (Status s = ParseBytes(bytes, &p); !s.ok()) return s.error().In(where);
  LoadState state{limits};
  return Within(FromProto(&p, &state), where);
}

}  // namespace
}  // namespace onnx_io

Result<Model> LoadModel(const std::string& path, const Limits& limits) {
  return onnx_io::LoadFile<onnx::ModelProto, Model>(path, limits);
}
Result<Model> ParseModel(std::string_view bytes, const std::string& where, const Limits& limits) {
  return onnx_io::LoadBytes<onnx::ModelProto, Model>(bytes, where, limits);
}
Result<Tensor> LoadTensor(const std::string& path, const Limits& limits) {
  return onnx_io::LoadFile<onnx::TensorProto, Tensor>(path, limits);
}
Result<Tensor> ParseTensor(std::string_view bytes, const std::string& where, const Limits& limits) {
  return onnx_io::LoadBytes<onnx::TensorProto, Tensor>(bytes, where, limits);
}

Result<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  onnx_io::InputFile file;
  if (Status s = file.Open(path); !s.ok()) return s.error().In(path);
  std::string bytes;
  char block[1 << 16];
  for (;;) {
    ssize_t n = read(file.fd(), block, sizeof(block));
    if (n < 0) return Invalid(std::string("can't be read: ") + std::strerror(errno), path);
    if (n == 0) return bytes;
    bytes.append(block, static_cast<size_t>(n));
    if (static_cast<int64_t>(bytes.size()) > max_bytes) {
      return LimitHit("is longer than " + std::to_string(max_bytes) + " bytes", path);
    }
  }
}

Status WriteFile(const std::string& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) return Usage(std::string("can't be written: ") + std::strerror(errno), path);
  return {};
}

ValueKind KindOf(const ValueInfo& value) {
  if (value.dtype != DType::kUndefined) return ValueKind::kTensor;
  onnx::ValueInfoProto p;
  if (!p.ParseFromString(value.extra)) return ValueKind::kUnknown;
  switch (p.type().value_case()) {
    case onnx::TypeProto::kTensorType:
      return ValueKind::kTensor;
    case onnx::TypeProto::kSequenceType:
      return ValueKind::kSequence;
    case onnx::TypeProto::kOptionalType:
      return ValueKind::kOptional;
    case onnx::TypeProto::kMapType:
      return ValueKind::kMap;
    case onnx::TypeProto::kSparseTensorType:
      return ValueKind::kSparseTensor;
    default:
      return ValueKind::kUnknown;
  }
}

const char* ValueKindName(ValueKind kind) {
  switch (kind) {
    case ValueKind::kTensor:
      return "tensor";
    case ValueKind::kSequence:
      return "sequence";
    case ValueKind::kOptional:
      return "optional";
    case ValueKind::kMap:
      return "map";
    case ValueKind::kSparseTensor:
      return "sparse tensor";
    case ValueKind::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace assay
