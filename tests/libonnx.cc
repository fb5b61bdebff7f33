#include "tests/libonnx.h"

#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include "interp/onnx_io.h"

namespace assay {

std::string LibonnxSays(const Model& model) {
  onnx::ModelProto proto;
  if (!proto.ParseFromString(SerializeModel(model).value())) return "does not parse";
  try {
    onnx::checker::check_model(proto);
    onnx::shape_inference::InferShapes(
        proto, onnx::OpSchemaRegistry::Instance(),
        onnx::ShapeInferenceOptions(/*check_type=*/true, /*strict_mode=*/1));
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

}  // namespace assay
