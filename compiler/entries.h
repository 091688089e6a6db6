#pragma once
// Names that importers, passes and tools agree on. Passes find values by name, never by position.
#include <string>
#include <string_view>

#include "ir/module.h"

namespace gradc {

// Entries of a module. After import their parameters are
//   init(%seed)    infer(inputs...)    train_step(inputs..., %lr, %step, %total_steps, %seed)
// and, bound to state (`%w: f32[..] = @w`), the state tensors that they read.
inline constexpr std::string_view kInit = "init";
inline constexpr std::string_view kInfer = "infer";
inline constexpr std::string_view kTrainStep = "train_step";
// Made by `prepack`: fills the state of role `derived` from the other state tensors.
inline constexpr std::string_view kPrepare = "prepare";

// Scalar inputs of train_step that are not data. `step` counts from 0.
inline constexpr std::string_view kLearningRate = "lr";  // f32
inline constexpr std::string_view kStep = "step";  // i64
inline constexpr std::string_view kTotalSteps = "total_steps";  // i64
inline constexpr std::string_view kSeed = "seed";  // i64

// The result that training minimises, and what autodiff names the results it adds.
inline constexpr std::string_view kLoss = "loss";
inline constexpr std::string_view kGradientPrefix = "grad/";  // of a parameter: grad/dense_1.w
inline constexpr std::string_view kInputGradientPrefix = "grad_";  // of an input: grad_image

// What `watch`, `autodiff` and `optimizer` leave for `health` to measure, and what it makes of
// them. Layers are named by what their parameters have in common: dense_1 of dense_1.w.
inline constexpr std::string_view kWatchInput = "watch/input/";  // what a layer's activation takes
inline constexpr std::string_view kWatchOutput = "watch/output/";  // and gives
inline constexpr std::string_view kWatchGradient = "watch/gradient/";  // of the activation's input
inline constexpr std::string_view kWatchUpdate = "watch/update/";  // what a parameter loses
inline constexpr std::string_view kHealthPrefix = "health/";

inline bool is_control_input(std::string_view name) {
  return name == kLearningRate || name == kStep || name == kTotalSteps || name == kSeed;
}

// A frozen parameter has no gradient; the importer sets the attribute, `--freeze` names others.
inline constexpr std::string_view kFrozen = "frozen";

}  // namespace gradc
