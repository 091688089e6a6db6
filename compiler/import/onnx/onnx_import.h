#pragma once
// Imports ONNX models: a module with the entries `infer` and, with options.train, `train_step`, as
// compiler/entries.h describes them. Its state tensors, parameters first, hold the file's tensors
// as content and keep their names; docs/onnx.md has the rules.
#include <string>

#include "compiler/import/onnx/onnx_model.h"
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc::onnx {

// Errors are at `model.onnx: node "/fc1/Gemm" (#12, Gemm)`.
Module import_onnx(const std::string& path, const Options& options);

// The same for a file that was read already, or made by hand.
Module import_model(const Model& model, const Options& options);

}  // namespace gradc::onnx
