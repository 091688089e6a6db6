#pragma once
// Imports ONNX models: a module with the entries `infer` and, with options.train, `train_step`, as
// compiler/entries.h describes them. Its state tensors, parameters first, hold the file's tensors
// as content and keep their names; docs/onnx.md has the rules.
#include <optional>
#include <string>
#include <vector>

#include "compiler/import/onnx/inputs.h"
#include "compiler/import/onnx/onnx_model.h"
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc::onnx {

// Errors are at `model.onnx: node "/fc1/Gemm" (#12, Gemm)`.
Module import_onnx(const std::string& path, const Options& options);

// The same for a file that was read already, or made by hand. The inputs in `known` stay inputs,
// but nodes that must know their values at compile time take these.
Module import_model(const Model& model, const Options& options, const KnownInputs& known = {});

// The same without stopping at the first error: what is wrong is added to `problems`, and there is
// no module. Flags that are wrong are thrown all the same.
std::optional<Module> try_import(const Model& model, const Options& options,
                                 std::vector<Problem>& problems);

}  // namespace gradc::onnx
