// The most inputs that an op has in any opset: in a file, more of them are a mistake that would
// otherwise go unseen, as optional inputs are read only where they matter.
#include <algorithm>
#include <cstdint>
#include <map>
#include <sstream>
#include <string>

#include "compiler/import/onnx/onnx_nodes.h"

namespace gradc::onnx {
namespace {

struct InputLimit {
  size_t most;
  const char* ops;
};

constexpr InputLimit kLimits[] = {
    {0, "Constant SequenceEmpty"},
    {1,
     "Abs Acos Acosh ArgMax ArgMin Asin Asinh Atan Atanh AveragePool Cast Ceil Celu "
     "ConcatFromSequence ConstantOfShape Cos Cosh "
     "DepthToSpace Elu Erf "
     "Exp EyeLike Flatten Floor Gelu GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Hardmax "
     "Identity If IsInf IsNaN LRN LeakyRelu Log LogSoftmax LpNormalization MaxPool "
     "MeanVarianceNormalization Mish Neg Not Reciprocal "
     "Relu Round Selu SequenceLength Shape Shrink Sigmoid Sign Sin Sinh Size Softmax Softplus "
     "Softsign "
     "SpaceToDepth "
     "Sqrt Swish Tan Tanh ThresholdedRelu Transpose"},
    {2,
     "Add And CastLike CumSum Div Equal Expand Gather GatherElements GatherND Greater "
     "GreaterOrEqual GridSample Less LessOrEqual MatMul Mod Mul Or PRelu Pow RMSNormalization "
     "ReduceL1 "
     "ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
     "ReduceSum ReduceSumSquare Reshape SequenceAt SequenceErase Split SplitToSequence Squeeze Sub "
     "SwiGLU "
     "TopK Trilu Unsqueeze Upsample Xor"},
    {3,
     "Clip Conv ConvTranspose Dropout Gemm GroupNormalization InstanceNormalization "
     "LayerNormalization NegativeLogLikelihoodLoss OneHot Range Scatter ScatterElements "
     "ScatterND SequenceInsert SoftmaxCrossEntropyLoss Tile Where"},
    {4, "Pad Resize RotaryEmbedding"},
    {5, "BatchNormalization Slice"},
    {6, "GRU RNN"},
    {7, "Attention"},
    {8, "LSTM"},
};

std::map<std::string, size_t, std::less<>> by_op() {
  std::map<std::string, size_t, std::less<>> limits;
  for (const InputLimit& limit : kLimits) {
    std::istringstream ops(limit.ops);
    for (std::string op; ops >> op;)
      limits[op] = limit.most;
  }
  return limits;
}

}  // namespace

size_t most_inputs(std::string_view op) {
  static const auto kByOp = by_op();
  auto found = kByOp.find(op);
  return found == kByOp.end() ? SIZE_MAX : found->second;
}

}  // namespace gradc::onnx
