// Result<T>: a value or an Error. Untrusted input (models, flags, corpus files) yields an Error; our own
// bug aborts through CHECK. No exceptions of our own anywhere.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace assay {

// The kinds of failure; each maps to one documented exit code (see ExitCode).
enum class Code {
  kUsage,        // a bad flag or argument                           -> exit 2
  kInvalid,      // an input file or graph that breaks its format    -> exit 3
  kUnsupported,  // valid, but an operator or type we can't handle   -> exit 4
  kLimit,        // a Limits budget was hit                          -> exit 5
  kInternal,     // our own mistake, caught before it did harm       -> exit 70
  kInterrupted,  // SIGINT or SIGTERM; state is saved                -> exit 130
};

// What went wrong (`message`: what, got, wanted) and where (`where`: file, node, attribute).
struct Error {
  Code code = Code::kInvalid;
  std::string message;
  std::string where;

  // "where: message", one line.
  std::string ToString() const;
  int ExitCode() const;
  // The same error seen from further out: `outer` is put before `where`.
  Error In(const std::string& outer) const&;
};

Error Invalid(std::string message, std::string where = "");
Error Unsupported(std::string message, std::string where = "");
Error LimitHit(std::string message, std::string where = "");
Error Usage(std::string message, std::string where = "");

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by design
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT
  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const& { return std::get<1>(state_); }
  Error error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design
  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  void value() const {}
  const Error& error() const& { return *error_; }
  Error error() && { return *std::move(error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

[[noreturn]] void CheckFailed(const char* file, int line, const char* what);

}  // namespace assay

// `T x = TRY(f());` takes the value or returns the error. Use it only as a whole initializer or statement:
// g++ does not destroy other temporaries of the same full expression on the early return.
#define TRY(expr)                                          \
  ({                                                       \
    auto try_result_ = (expr);                             \
    if (!try_result_.ok()) return std::move(try_result_).error(); \
    std::move(try_result_).value();                        \
  })

// Our own invariants. Never reachable from a file, a flag or a seed.
#define CHECK(cond) \
  (static_cast<bool>(cond) ? (void)0 : ::assay::CheckFailed(__FILE__, __LINE__, #cond))
