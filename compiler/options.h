#pragma once
// What a user asks of a compilation, as the command line spells it. Every pass reads from here what
// it needs.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/target.h"
#include "ir/shared_bytes.h"
#include "ir/type.h"

namespace gradc {

enum class OptimizerKind : uint8_t {
  sgd,
  adam,
  adamw,
  rmsprop
};  // momentum and Nesterov are settings of sgd
enum class ScheduleKind : uint8_t { constant, cosine };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adamw;
  double momentum = 0;  // sgd: v = momentum * v + g, p -= lr * v; rmsprop: of what it follows
  bool nesterov = false;  // sgd: p -= lr * (g + momentum * v)
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double alpha = 0.99;  // rmsprop: decay of the average of g^2
  bool centered = false;  // rmsprop: divides by the deviation of g instead of its size
  double weight_decay = 0;  // adamw: decoupled; others: added to the gradient
  double clip_value = 0;  // 0: no clipping; else every gradient element is clamped to +-clip_value
  double clip_norm =
      0;  // 0: no clipping; else gradients are scaled so that their global norm is at most this
  ScheduleKind schedule = ScheduleKind::constant;  // factor on the input `lr`
  int64_t warmup_steps = 0;  // linear, to the full rate in the last of these steps
};

// A value that is given to an input at compile time.
struct BoundTensor {
  Type type;
  SharedBytes content;  // row-major
};

struct Options {
  // Import.
  std::map<std::string, int64_t> binds;  // --bind name=value
  std::map<std::string, std::vector<int64_t>> shapes;  // --shape input=1x3x224x224
  // Of ONNX files.
  std::map<std::string, std::vector<int64_t>> bind_lists;  // --bind input=0,1
  std::map<std::string, BoundTensor> bind_tensors;
  std::string loss;  // --loss NAME[:OUTPUT]; "" when the model brings its own
  bool train_mode = false;  // batch norm and dropout train in train_step, whatever the file says
  std::vector<std::string> parameters;  // glob patterns: these tensors are the parameters
  std::function<void(const std::string&)> warn;  // told what is odd but no error
  std::function<void(const std::string&)> explain;  // told why `fuse` leaves kernels apart
  DType precision = DType::f32;  // f16 or bf16: of products, convolutions and what lies between
  bool winograd = false;  // 3x3 convolutions by Winograd's tiles, where these are faster
  // Gradients and updates.
  bool train = false;  // keep train_step; else only what `infer` needs
  bool update = true;  // false: gradients are results (`gradc grad`), no optimizer
  bool input_gradients = false;  // with update = false: also of float inputs
  std::vector<std::string> frozen;  // glob patterns on parameter names
  OptimizerOptions optimizer;
  double loss_scale = 1;  // what gradients are multiplied by on their way through the backward pass
  int64_t accumulate = 1;  // micro-batches whose gradients make one update
  bool health = false;  // train_step measures its layers: results health/...
  // Memory.
  std::optional<int64_t> memory;  // bytes the arena may take
  std::optional<int64_t> memory_total;  // bytes all regions together may take
  std::vector<std::string> keep, recompute;  // glob patterns: plan/wishes.h
  double plan_effort = 1;  // times the steps in which a cheaper plan is searched for
  std::optional<double> plan_seconds;  // instead of a number of steps, for each entry
  bool invert = false;  // values may be made again from later ones, with other digits at their end
  // Target.
  std::string cpu = "native";
  Target target;  // what `cpu` names; compiler/codegen knows
  int threads = 1;  // the most that will run; thread scratch is sized for it
  bool expand_all = false;  // what has parts becomes primitives before autodiff
  // Measured schedules (`gradc bench --tune`): by key, the name of a choice of
  // compiler/lower/contract_choices.h; and for measuring, the choice of every contraction.
  std::map<std::string, std::string> tuned;
  std::string schedule_all;

  bool narrows() const { return precision != DType::f32; }
  bool has_winograd() const { return winograd; }
  // Recipes that give the same bits serve any budget; without one nothing is made twice.
  bool makes_again() const { return invert || memory || memory_total || !recompute.empty(); }
  bool has_no_budget() const { return !memory && !memory_total; }
  // Weights that nothing trains, and no budget that counts them, may be kept in a second order.
  bool keeps_packed() const { return !train && !memory_total; }
  bool has_wishes() const { return !keep.empty() || !recompute.empty(); }
  // Both are of the compiled step: there is nothing to do without one.
  bool accumulates() const { return accumulate > 1 && train && update; }
  bool measures_health() const { return health && train && update; }
};

}  // namespace gradc
