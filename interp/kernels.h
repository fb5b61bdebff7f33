// What a kernel sees, and the helpers kernels share: access to inputs, attributes and outputs, and dispatch
// over the scalar type.
//
// A kernel is a template over the scalar T. Floating-point tensors arrive as float, double or Fp (the field of
// interp/field.h), depending on the domain in which the graph runs; float16 and bfloat16 arrive as float and the
// executor rounds what the kernel returns (rows with kMovesData get the raw bits instead). Integers, bool and
// string arrive as they are in every domain.
//
// The executor has run the row's rule on the very shapes and values before, so a kernel relies on what the rule
// requires and asks out_shape(i) for the extents that the rule has inferred.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "interp/field.h"
#include "interp/op_spec.h"

namespace assay {

class KernelContext {
 public:
  // `inputs` and `inferred` outlive the context.
  KernelContext(const OpSpec& spec, const Node& node, std::span<const Tensor* const> inputs,
                std::span<const TypeInfo> inferred, Store store, const Limits& limits, int opset, uint32_t constants = 0)
      : spec_(spec), node_(node), inputs_(inputs), inferred_(inferred),
        outputs_(inferred_.size()), store_(store), limits_(limits), opset_(opset), constants_(constants) {}

  const Node& node() const { return node_; }
  const OpSpec& spec() const { return spec_; }
  int opset() const { return opset_; }
  Store store() const { return store_; }
  const Limits& limits() const { return limits_; }

  int inputs() const { return static_cast<int>(inputs_.size()); }
  bool Has(int i) const { return i < inputs() && inputs_[i] != nullptr; }
  const Tensor& in(int i) const { return *inputs_[i]; }
  // Is the input known not to depend on data (EvalNode)?
  bool Constant(int i) const { return i < 32 && (constants_ >> i & 1) != 0; }
  template <class T>
  const T* data(int i) const {
    return inputs_[i]->data<T>();
  }

  // Attributes with the row's defaults.
  int64_t Int(const char* name) const;
  float Float(const char* name) const;
  std::string String(const char* name) const;
  std::vector<int64_t> Ints(const char* name) const;  // empty when absent and without default
  std::vector<float> FloatList(const char* name) const;
  bool HasAttr(const char* name) const { return node_.Find(name) != nullptr; }
  const AttrValue* Attr(const char* name) const { return node_.Find(name); }

  int outputs() const { return static_cast<int>(outputs_.size()); }
  bool WantsOutput(int i) const { return i < outputs() && !node_.outputs[i].empty(); }
  DType out_dtype(int i) const { return inferred_[i].dtype; }
  // Inferred extents; only for outputs whose shape the rule determines.
  Shape out_shape(int i) const { return inferred_[i].StaticShape(); }
  // Allocates output i with the inferred type (or the given shape, for data-dependent ones).
  Result<Tensor*> Out(int i);
  Result<Tensor*> Out(int i, Shape shape);
  // Output 0 may take the memory of `operand`, which is input 0 and which nobody reads afterwards.
  void Overwrite(const Tensor* operand) { spare_ = operand; }
  // What kernels with kTakesBounds apply to output 0 (Program::Run: their only reader does just that); null: nothing.
  const Bounds* bounds() const { return bounds_; }
  void TakeBounds(const Bounds* b) { bounds_ = b; }
  // A scratch tensor in the current store, within limits.
  Result<Tensor> Scratch(DType dtype, Shape shape) { return Tensor::Make(dtype, std::move(shape), ScratchStore(dtype), limits_); }
  // Makes an existing tensor output i (views, pass-through). Its element type must be the inferred one.
  void Set(int i, Tensor t) { outputs_[i] = std::move(t); }
  std::vector<Tensor>& results() { return outputs_; }
  // A subgraph in a graph attribute, made ready to run in the store of this run.
  class Body;
  Result<Body> MakeBody(const char* attr) const;
  // Called before work that is not linear in the tensors' sizes: LimitHit when the product of `factors` (each
  // >= 0), the node's multiply-adds, exceeds limits().flops.
  Status Charge(std::initializer_list<int64_t> factors) const;

 private:
  Store ScratchStore(DType dtype) const;
  const OpSpec& spec_;
  const Node& node_;
  std::span<const Tensor* const> inputs_;
  std::span<const TypeInfo> inferred_;
  std::vector<Tensor> outputs_;
  Store store_;
  const Limits& limits_;
  int opset_;
  uint32_t constants_;
  const Tensor* spare_ = nullptr;
  const Bounds* bounds_ = nullptr;
};

// ---- subgraphs -----------------------------------------------------------------------------------------------

class Program;

class KernelContext::Body {
 public:
  // `inputs` are its own, in order; what it captures follows by itself. Errors: those of Program::Run; LimitHit when
  // the runs of this body together take longer than a run may.
  Result<std::vector<Tensor>> Run(std::vector<Tensor> inputs) const;
  size_t inputs() const { return inputs_; }
  size_t outputs() const { return outputs_; }
  DType output_dtype(size_t i) const;  // as declared; may be kUndefined

 private:
  friend class KernelContext;
  std::shared_ptr<const Program> program_;
  std::vector<Tensor> captured_;
  size_t inputs_ = 0, outputs_ = 0;
  Store store_ = Store::kNative;
  Limits limits_;
  std::chrono::steady_clock::time_point start_;
};

// ---- dispatch over the stored scalar type --------------------------------------------------------------------
// Each calls f(T{}) with the C++ type in which `t` is stored and returns what f returns (a Status).

template <class F>
Status VisitFloat(const Tensor& t, F&& f) {  // float, double, Fp
  if (t.store() == Store::kField) return f(Fp{});
  if (t.store() == Store::kDouble || (t.store() == Store::kNative && t.dtype() == DType::kDouble)) return f(double{});
  if (t.store() == Store::kFloat || t.dtype() == DType::kFloat) return f(float{});
  return Unsupported(std::string("no kernel for element type ") + DTypeName(t.dtype()));
}

template <class F>
Status VisitInt(const Tensor& t, F&& f) {
  switch (t.dtype()) {
    case DType::kInt8: return f(int8_t{});
    case DType::kInt16: return f(int16_t{});
    case DType::kInt32: return f(int32_t{});
    case DType::kInt64: return f(int64_t{});
    case DType::kUint8: return f(uint8_t{});
    case DType::kUint16: return f(uint16_t{});
    case DType::kUint32: return f(uint32_t{});
    case DType::kUint64: return f(uint64_t{});
    default: return Unsupported(std::string("no kernel for element type ") + DTypeName(t.dtype()));
  }
}

template <class F>
Status VisitNumeric(const Tensor& t, F&& f) {  // VisitFloat or VisitInt
  return IsFloat(t.dtype()) ? VisitFloat(t, f) : VisitInt(t, f);
}

// For moving elements: f gets an unsigned integer (or 16-byte) type of the element's size, or std::string.
struct Bytes16 {
  uint64_t a, b;
};
template <class F>
Status VisitBytes(const Tensor& t, F&& f) {
  if (t.dtype() == DType::kString) return f(std::string{});
  switch (t.element_bytes()) {
    case 1: return f(uint8_t{});
    case 2: return f(uint16_t{});
    case 4: return f(uint32_t{});
    case 8: return f(uint64_t{});
    case 16: return f(Bytes16{});
    default: return Unsupported(std::string("no kernel for element type ") + DTypeName(t.dtype()));
  }
}

// Elements of a tensor as T, std::string included (which data<T>() does not serve).
template <class T>
const T* ElementsOf(const Tensor& t) {
  if constexpr (std::is_same_v<T, std::string>) return t.strings().data();
  else return t.data<T>();
}
template <class T>
T* MutableElementsOf(Tensor& t) {
  if constexpr (std::is_same_v<T, std::string>) return t.mutable_strings().data();
  else return t.mutable_data<T>();
}

// ---- scalar functions that mean the same in every domain -------------------------------------------------------
// Named like the ONNX operators. For Fp: a formula or an uninterpreted hash, see oracle documentation.

template <class T>
inline constexpr bool kIsFp = std::is_same_v<T, Fp>;

#define ASSAY_SCALAR_FN(Name, std_fn, parity)                      \
  template <class T>                                               \
  T Name(T x) {                                                    \
    if constexpr (kIsFp<T>) return Uninterpreted(#Name, x, parity); \
    else return std_fn(x);                                         \
  }
ASSAY_SCALAR_FN(ScalarExp, std::exp, Parity::kExp)
ASSAY_SCALAR_FN(ScalarTanh, std::tanh, Parity::kOdd)
ASSAY_SCALAR_FN(ScalarErf, std::erf, Parity::kOdd)
ASSAY_SCALAR_FN(ScalarSin, std::sin, Parity::kOdd)
ASSAY_SCALAR_FN(ScalarCos, std::cos, Parity::kEven)
ASSAY_SCALAR_FN(ScalarTan, std::tan, Parity::kOdd)
ASSAY_SCALAR_FN(ScalarAsin, std::asin, Parity::kOdd)
ASSAY_SCALAR_FN(ScalarAcos, std::acos, Parity::kNone)
ASSAY_SCALAR_FN(ScalarAtan, std::atan, Parity::kOdd)
ASSAY_SCALAR_FN(ScalarSinh, std::sinh, Parity::kOdd)
ASSAY_SCALAR_FN(ScalarCosh, std::cosh, Parity::kEven)
ASSAY_SCALAR_FN(ScalarAsinh, std::asinh, Parity::kOdd)
ASSAY_SCALAR_FN(ScalarAcosh, std::acosh, Parity::kNone)
ASSAY_SCALAR_FN(ScalarAtanh, std::atanh, Parity::kOdd)
ASSAY_SCALAR_FN(ScalarFloor, std::floor, Parity::kNone)
ASSAY_SCALAR_FN(ScalarCeil, std::ceil, Parity::kNone)
ASSAY_SCALAR_FN(ScalarRoundEven, std::nearbyint, Parity::kOdd)
#undef ASSAY_SCALAR_FN

template <class T>
T ScalarSqrt(T x) {
  if constexpr (kIsFp<T>) {
    if (x.r == 0 || x.r == 1) return x;
    return Uninterpreted("ScalarSqrt", x);
  } else {
    return std::sqrt(x);
  }
}
template <class T>
T ScalarLog(T x) {
  if constexpr (kIsFp<T>) return x.r == 1 ? Fp() : Uninterpreted("ScalarLog", x);
  else return std::log(x);
}
// x^y; for Fp small integer exponents multiply, 0.5 is Sqrt, the rest is uninterpreted.
template <class T>
T ScalarPow(T x, T y) {
  if constexpr (kIsFp<T>) {
    for (int n = 0; n <= 4; ++n) {
      if (y == Fp(n) || y == -Fp(n)) {
        Fp r = Fp(1);
        for (int i = 0; i < n; ++i) r *= x;
        return y == Fp(n) ? r : Fp(1) / r;
      }
    }
    if (y == Fp(0.5)) return ScalarSqrt(x);
    if (y == -Fp(0.5)) return Fp(1) / ScalarSqrt(x);
    return Uninterpreted("ScalarPow", x, y);
  } else {
    return std::pow(x, y);
  }
}
// NaN wins, as in numpy. Written without branches, so that vectors serve.
template <class T>
T ScalarMax(T a, T b) {
  T larger = a < b ? b : a;
  if constexpr (std::is_floating_point_v<T>) return b != b && a == a ? b : larger;
  else return larger;
}
template <class T>
T ScalarMin(T a, T b) {
  T smaller = b < a ? b : a;
  if constexpr (std::is_floating_point_v<T>) return b != b && a == a ? b : smaller;
  else return smaller;
}
template <class T>
T ScalarAbs(T x) {
  if constexpr (kIsFp<T>) return ScalarMax(x, -x);
  else if constexpr (std::is_floating_point_v<T>) return std::fabs(x);
  else if constexpr (std::is_unsigned_v<T>) return x;
  else return x < 0 ? static_cast<T>(std::make_unsigned_t<T>(0) - static_cast<std::make_unsigned_t<T>>(x)) : x;
}
template <class T>
T ScalarSigmoid(T x) {
  if constexpr (kIsFp<T>) return Fp(1) / (Fp(1) + ScalarExp(-x));
  else return x >= 0 ? T(1) / (T(1) + std::exp(-x)) : std::exp(x) / (T(1) + std::exp(x));
}

// Integer arithmetic with defined overflow (two's complement wrap-around).
template <class T>
T WrapAdd(T a, T b) {
  if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) + static_cast<std::make_unsigned_t<T>>(b));
  else return a + b;
}
template <class T>
T WrapSub(T a, T b) {
  if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) - static_cast<std::make_unsigned_t<T>>(b));
  else return a - b;
}
template <class T>
T WrapMul(T a, T b) {
  // Through 64 bits: uint16 * uint16 would be promoted to a signed int and overflow.
  if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else return a * b;
}

// ---- iteration -----------------------------------------------------------------------------------------------

// Strides with which a tensor of `shape` is read under broadcasting to `out` (0 on broadcast axes).
Shape BroadcastStrides(const Shape& shape, const Shape& out);

// Calls f(out_index, a_index, b_index) for all elements of `out` in order.
template <class F>
void ForBroadcast2(const Shape& out, const Shape& a, const Shape& b, F&& f) {
  int64_t n = ElementCount(out);
  if (a == out && b == out) {
    for (int64_t i = 0; i < n; ++i) f(i, i, i);
    return;
  }
  Shape sa = BroadcastStrides(a, out), sb = BroadcastStrides(b, out);
  int rank = static_cast<int>(out.size());
  std::vector<int64_t> at(out.size(), 0);
  int64_t inner = rank ? out[rank - 1] : 1, ia = 0, ib = 0, step_a = rank ? sa[rank - 1] : 0,
          step_b = rank ? sb[rank - 1] : 0;
  for (int64_t i = 0; i < n; i += inner) {
    for (int64_t j = 0; j < inner; ++j) f(i + j, ia + j * step_a, ib + j * step_b);
    for (int d = rank - 2; d >= 0; --d) {
      ia += sa[d];
      ib += sb[d];
      if (++at[d] < out[d]) break;
      ia -= sa[d] * out[d];
      ib -= sb[d] * out[d];
      at[d] = 0;
    }
  }
}

// c[M,N] = a[M,K] * b[K,N], row-major, any scalar domain; `transpose_*` reads the operand as its transpose
// ([K,M], [N,K]). float and double through Eigen, Fp exactly, integers with wrap-around.
template <class T>
void MatrixProduct(const T* a, const T* b, T* c, int64_t m, int64_t k, int64_t n, bool transpose_a = false,
                   bool transpose_b = false);

}  // namespace assay
