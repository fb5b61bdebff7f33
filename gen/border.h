// Border: where a graph meets the programs around a runtime, which exchange arrays of few element
// types. With GenOptions::anything, what is of another type is cast as it comes in and goes out.
// Thread rule: that of the builder.
#pragma once

#include "gen/builder.h"
#include "gen/graph_gen.h"

namespace assay {

class Border {
 public:
  Border(Choices& choices, GraphBuilder& builder, const GenOptions& options)
      : choices_(choices), builder_(builder), options_(options) {}

  // A value of that type: a new graph input, or a Cast of one. Its id.
  int NewInput(DType t, const Shape& shape);
  // Puts a Cast behind unread values of types that are not exchanged, strings become numbers; what
  // no operator can turn stays as it is.
  void CastOutputs();

 private:
  static constexpr DTypeSet kExchanged = kFloats16 | kInts | Bit(DType::kBool);
  bool Crosses(DType t) const { return !options_.anything || Contains(kExchanged, t); }
  // The id of the new value; -1 when the options or the types forbid it.
  int CastTo(int id, DType to);
  int Number(int id);

  Choices& choices_;
  GraphBuilder& builder_;
  const GenOptions& options_;
};

}  // namespace assay
