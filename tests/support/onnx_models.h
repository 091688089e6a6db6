#pragma once
// ONNX models made by hand, and the values that they compute by the evaluator.
#include <map>
#include <string>
#include <vector>

#include "compiler/import/onnx/onnx_import.h"
#include "ir/eval.h"

namespace gradc::test {

onnx::Attribute attribute(const std::string& name, int64_t value);
onnx::Attribute attribute(const std::string& name, double value);
onnx::Attribute attribute(const std::string& name, const char* value);
onnx::Attribute attribute(const std::string& name, std::vector<int64_t> value);
onnx::Attribute attribute(const std::string& name, std::vector<double> value);
onnx::Attribute attribute(const std::string& name, const onnx::Tensor& value);
onnx::Attribute attribute(const std::string& name, const onnx::Graph& value);

using Attributes = std::vector<onnx::Attribute>;
using List = std::vector<int64_t>;
using Values = std::vector<double>;

Tensor floats(const Dims& dims, const Values& values);  // f32
Tensor integers(const Values& values);  // i64, one axis

onnx::Tensor tensor(const std::string& name, DType dtype, const Dims& dims,
                    const std::vector<double>& values);
onnx::Tensor f32(const std::string& name, const Dims& dims, const std::vector<double>& values);
onnx::Tensor i64(const std::string& name, const std::vector<int64_t>& values);  // one axis

// A size that is a number, a name, or -1 for unknown.
struct Size : onnx::Dim {
  Size(int64_t number);  // NOLINT(google-explicit-constructor)
  Size(int number) : Size(int64_t{number}) {}  // NOLINT(google-explicit-constructor)
  Size(const char* name);  // NOLINT(google-explicit-constructor)
};
onnx::ValueInfo value_info(const std::string& name, DType dtype, const std::vector<Size>& sizes);

onnx::Node node(const std::string& op, const std::vector<std::string>& inputs,
                const std::vector<std::string>& outputs,
                const std::vector<onnx::Attribute>& attributes = {});

// A model `t.onnx` of these nodes; node i is called n<i>.
struct ModelParts {
  std::vector<onnx::ValueInfo> inputs;
  std::vector<onnx::Tensor> initializers;
  std::vector<onnx::Node> nodes;
  std::vector<std::string> outputs;
  int64_t opset = 17;
};
onnx::Model model(const ModelParts& parts);

// What @infer gives for these inputs, in order, with the contents that the file brought; by output.
std::map<std::string, Tensor> infer(const Module& module, const std::vector<Tensor>& inputs);
// The same of one node whose inputs are graph inputs; those of `constants`, by position, are
// initializers. Absent ones have rank 1 and size 0. Gives the outputs in order.
std::vector<Tensor> run_node(onnx::Node node, int64_t opset, const std::vector<Tensor>& inputs,
                             const std::vector<size_t>& constants = {});

// The whole message of the error that the import ends with, or "no error".
std::string import_error(const onnx::Model& model, const Options& options = {});

}  // namespace gradc::test
