#pragma once
// The function under construction while a graph is run symbolically: an entry of the module, or a
// scratch function whose results become constants.
#include <map>
#include <string>
#include <vector>

#include "compiler/import/onnx/constant.h"
#include "compiler/import/onnx/states.h"
#include "compiler/options.h"
#include "ir/builder.h"

namespace gradc::onnx {

// What a name of the file stands for.
struct ImportValue {
  enum class Kind : uint8_t {
    absent,  // an optional input that is not there
    tensor,  // `id` of the function under construction
    constant,  // known now: folded, and only made a tensor where an op needs one
    weight,  // a float tensor of the file that may be a parameter: known, but never folded
    sequence  // `parts`, which are none themselves
  };
  Kind kind = Kind::absent;
  ValueId id;
  // Of a constant and of a weight; of a tensor where it is small and made of weights and of inputs
  // whose values are known alone, for nodes that must know its value.
  ConstantPtr constant;
  std::string name;  // unique in the file: what its state is called, should it become one
  std::vector<ImportValue> parts;
  // The file's type of whole numbers that are held in a wider one, else 0. Arithmetic would not
  // wrap around in that: nodes may only move, compare or cast them.
  ElementType narrower = 0;
};

// What the entries of one import share.
struct Import {
  const Model& model;
  const Options& options;
  States states;
  std::vector<Function> bodies;  // of scans

  void warn(const std::string& message) const {
    if (options.warn)
      options.warn(message);
  }
};

class Trace {
 public:
  Trace(Import& shared, std::string_view entry);
  // One whose constants become parameters with `arguments`, for evaluation.
  explicit Trace(Import& shared) : Trace(shared, "") {}

  Import& import;
  Function function;
  Builder b{function};
  Trace(const Trace&) = delete;

  bool is_scratch() const { return function.name.empty(); }
  bool is_train_step() const;
  const std::vector<ConstantPtr>& arguments() const { return arguments_; }

  ValueId input(const Type& type, const std::string& name);
  // lr, step, total_steps or seed; made when asked for.
  ValueId control(std::string_view name);
  int64_t next_stream() { return streams_++; }  // numbers the random ops of the entry

  // The value as a tensor of the function. A constant of one number, or of two that hide the future
  // from attention, becomes ops; others, and weights, state.
  ValueId tensor(const ImportValue& value);
  // The value as state, whatever it is; only of constants and weights.
  ValueId state(const ImportValue& value, Role role);
  // The state's content after this call. Inference leaves all states alone.
  void update(ValueId state, ValueId content);

  // A function of the module for `scan`; returns its name.
  std::string add_body(Function body);

  // The entry with these results: its parameters in the order of compiler/entries.h, states that
  // were updated tied, dead ops and unread states gone.
  Function finish(const std::vector<std::pair<std::string, ValueId>>& results);

 private:
  std::vector<ConstantPtr> arguments_;
  std::map<std::string, ValueId> controls_, states_;
  std::map<const Constant*, ValueId> constants_;
  std::vector<ConstantPtr> kept_;  // keeps the keys of constants_ alive
  std::map<std::string, ValueId> updates_;  // by state
  int64_t streams_ = 0;
};

}  // namespace gradc::onnx
