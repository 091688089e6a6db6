#pragma once
// Imports a model description (docs/model-language.md).
#include <string>
#include <string_view>

#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

// The module that `text` describes; `file` is how errors and places name it. It has
// - the state tensors, parameters and running statistics, in order of declaration;
// - `entry @init(%seed: i64[])`: one result per state, tied to it;
// - `entry @infer(inputs...)`: `training` is false; results that a label decides are left out, and
//   so are inputs that nothing else needs;
// - with options.train `entry @train_step(inputs..., %lr: f32[], %step: i64[], %total_steps: i64[],
//   %seed: i64[])`: the forward pass with `training` true. All results by name, and the new running
//   statistics, tied. Autodiff and the optimizer go on from the result named `loss`;
// - the bodies of scans.
Module import_model_text(std::string_view text, const std::string& file, const Options& options);

}  // namespace gradc
