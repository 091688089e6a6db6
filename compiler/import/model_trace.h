#pragma once
// The functions under construction while the model runs symbolically: an entry, and the bodies of
// the scans that are open in it.
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "compiler/import/composed_functions.h"
#include "compiler/import/model_value.h"
#include "ir/builder.h"

namespace gradc::model_text {

struct StateDecl {
  StateTensor tensor;
  Initializer initializer;
};

class Trace {
 public:
  // Bodies of scans go to `bodies`. Training entries get the inputs lr, step, total_steps and seed
  // once `inputs_done` is called.
  Trace(std::string entry_name, bool training, std::vector<Function>& bodies);

  bool training() const { return training_; }
  const std::vector<StateDecl>& states() const { return states_; }
  int64_t next_stream() { return streams_++; }  // numbers the random ops of the entry

  TensorRef input(const Type& type, const std::string& name);
  void inputs_done();
  TensorRef training_input(std::string_view name) const;  // invalid id outside of training

  // Declares a state tensor and binds it.
  TensorRef state(StateDecl decl);
  // The state's content after this call of a training entry; inference leaves all states alone.
  void update(const TensorRef& state, const TensorRef& content);

  Type type(const TensorRef& tensor) const;  // a copy: ops to come would leave a reference dangling
  std::vector<TensorRef> op(Opcode code, std::span<const TensorRef> operands, Attrs attrs);
  TensorRef op1(Opcode code, std::initializer_list<TensorRef> operands, Attrs attrs = {});
  TensorRef constant(const Type& type, double value);
  TensorRef broadcast_to(const TensorRef& x, const Dims& dims);
  TensorRef reshape(const TensorRef& x, Dims dims);
  TensorRef matmul(const TensorRef& x, const TensorRef& y, bool transpose_x, bool transpose_y);
  TensorRef composed(const ComposedFunction& function, const TensorRef& x);
  // Names x after a variable if it is newer than the first `value_count` values: a value keeps its
  // first name, and a state its own.
  size_t value_count() const { return top().function.values.size(); }
  void name(const TensorRef& x, const std::string& name, size_t value_count);
  // Where the ops and states to come are from.
  void set_loc(std::string loc) { loc_ = std::move(loc); }

  // A scan: open with the carries and sequences, then append its body, then close with what the
  // body carries on and gives. Returns the body's parameters, and then the results of the scan.
  struct ScanShape {
    std::vector<TensorRef> carries, sequences;
    bool reverse = false;
  };
  std::vector<TensorRef> open_scan(const ScanShape& scan);
  std::vector<TensorRef> close_scan(const ScanShape& scan, std::span<const TensorRef> results);
  bool in_scan() const { return levels_.size() > 1; }

  // The entry, with these results, the updates tied, and without dead ops. Inputs of an inference
  // entry, and states, that nothing reads are gone.
  Function finish(const std::vector<std::pair<std::string, TensorRef>>& results);
  // By result of the same list: bit i is set when it depends on input i.
  std::vector<std::vector<bool>> input_dependence(
      const std::vector<std::pair<std::string, TensorRef>>& results) const;

 private:
  struct Level {
    Function function;
    Builder builder{function};
    std::map<ValueId, ValueId> captured;  // value of the level below -> parameter of this one
    std::vector<ValueId> captures;  // in the order of the parameters
  };
  Level& top() { return *levels_.back(); }
  const Level& top() const { return *levels_.back(); }
  ValueId at_level(const TensorRef& tensor, int level);
  ValueId here(const TensorRef& tensor) { return at_level(tensor, innermost()); }
  int innermost() const { return static_cast<int>(levels_.size()) - 1; }
  // What `append` appends to the innermost function; errors of shape rules name the op.
  template <typename Append>
  std::vector<TensorRef> appended(std::string_view op_name, Append append);
  Builder& builder();  // of the innermost function, at the current place
  TensorRef wrap(ValueId id) const { return {id, innermost()}; }

  bool training_;
  std::vector<Function>& bodies_;
  std::vector<std::unique_ptr<Level>> levels_;
  std::vector<StateDecl> states_;
  std::set<std::string> state_names_;
  std::set<ValueId> bound_;  // the entry's parameters that are states
  std::map<ValueId, ValueId> updates_;  // one of these -> its new content
  std::string loc_;
  int64_t streams_ = 0;
  size_t ops_ = 0, inputs_ = 0, scans_ = 0;
};

}  // namespace gradc::model_text
