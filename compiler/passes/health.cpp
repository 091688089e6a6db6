#include "compiler/passes/health.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <set>

#include "compiler/entries.h"
#include "compiler/passes/expression.h"
#include "compiler/passes/reverse.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

constexpr std::string_view kWatchPrefix = "watch/";

// Values of one layer, of each micro-batch.
struct WatchedLayer {
  int64_t axis = 0;  // of its units
  std::vector<ValueId> inputs, outputs, gradients;
};

bool consume(std::string_view& text, std::string_view prefix) {
  bool found = text.starts_with(prefix);
  if (found)
    text.remove_prefix(prefix.size());
  return found;
}

class Measurer {
 public:
  explicit Measurer(const Function& step) : step_(step), builder_(step_), ops_(step.ops.size()) {
    for (const Result& result : step.results)
      sort_in(result);
  }

  Function run() {
    std::erase_if(step_.results, [](const Result& result) {
      return result.name.starts_with(kWatchPrefix) || result.name.starts_with(kGradientPrefix);
    });
    for (const std::string& name : order_)
      measure(name, layers_[name]);
    for (const auto& [name, update] : updates_)
      measure_parameter(name, update);
    step_.results.insert(step_.results.end(), results_.begin(), results_.end());
    move_up();
    return std::move(step_);
  }

 private:
  void sort_in(const Result& result) {
    std::string_view name = result.name;
    if (!result.state.empty())
      next_[result.state] = result.value;
    else if (consume(name, kGradientPrefix))
      gradients_[std::string(name)] = result.value;
    else if (consume(name, kWatchUpdate))
      updates_.emplace_back(name, result.value);
    else if (consume(name, kWatchInput))
      layer(name).inputs.push_back(result.value);
    else if (consume(name, kWatchOutput))
      layer(name).outputs.push_back(result.value);
    else if (consume(name, kWatchGradient))
      layer(name).gradients.push_back(result.value);
  }

  // Of "1/dense_1", or "1.2/dense_1" for a later micro-batch.
  WatchedLayer& layer(std::string_view name) {
    int64_t axis = 0;
    std::from_chars(name.data(), name.data() + name.size(), axis);
    name.remove_prefix(std::min(name.find('/'), name.size() - 1) + 1);
    auto [found, fresh] = layers_.try_emplace(std::string(name));
    if (fresh)
      order_.emplace_back(name);
    found->second.axis = axis;
    return found->second;
  }

  Expr expr(ValueId value) { return {&builder_, value}; }

  Expr reduced(Opcode code, Expr x, const std::vector<int64_t>& axes) {
    return {&builder_, builder_.op(code, {x.id}, {{"axes", axes}})};
  }

  // Over all axes but that of the units, then over these: all that is measured of a tensor reduces
  // the same axes first, and is one sweep.
  std::vector<int64_t> batch_axes(const Type& type, int64_t axis) const {
    std::vector<int64_t> axes;
    for (int64_t i = 0; i < type.rank(); ++i)
      if (i != axis)
        axes.push_back(i);
    return axes;
  }

  Expr sum(Expr x, int64_t axis) {
    Expr units = reduced(Opcode::reduce_sum, x, batch_axes(x.type(), axis));
    return units.type().rank() > 0 ? reduced(Opcode::reduce_sum, units, {0}) : units;
  }

  Expr sum_of_squares(Expr x, int64_t axis) {
    Expr wide = cast(x, DType::f64);
    return sum(wide * wide, axis);
  }

  void result(Expr value, const std::string& name) {
    builder_.set_name(value.id, name);
    results_.push_back({value.id, std::string(kHealthPrefix) + name, ""});
  }

  void measure(const std::string& name, const WatchedLayer& layer) {
    GRADC_CHECK(layer.inputs.size() == layer.outputs.size(), "`{}`", name);
    builder_.phase = Phase::update;
    size_t first_op = step_.ops.size();
    std::map<std::string, std::vector<Expr>> means;
    for (size_t i = 0; i < layer.outputs.size(); ++i)
      measure_output(layer.inputs[i], layer.outputs[i], layer.axis, means);
    for (const auto& [what, values] : means)
      result(mean(values), "output/" + name + "/" + what);
    for (size_t i = first_op; i < step_.ops.size(); ++i)
      step_.ops[i].phase = Phase::update;  // also what the gradient rules of slopes append

    std::vector<Expr> squares;
    for (ValueId gradient : layer.gradients)
      squares.push_back(sum_of_squares(expr(gradient), layer.axis));
    if (squares.empty())
      return;
    // Of the mean loss of n micro-batches: each gradient is one n-th.
    auto count = static_cast<double>(squares.size());
    result((1 / count) * mean(squares), "gradient/" + name + "/square");
  }

  Expr mean(const std::vector<Expr>& values) {
    Expr total = values[0];
    for (size_t i = 1; i < values.size(); ++i)
      total = total + values[i];
    return (1 / static_cast<double>(values.size())) * total;
  }

  void measure_output(ValueId input, ValueId output, int64_t axis,
                      std::map<std::string, std::vector<Expr>>& means) {
    Expr y = cast(expr(output), DType::f64);
    Type type = y.type();
    double elements = static_cast<double>(std::max<int64_t>(type.elements(), 1));
    means["mean"].push_back((1 / elements) * sum(y, axis));
    means["square"].push_back((1 / elements) * sum(y * y, axis));
    if (input == output)
      return;
    Expr flat = flatness(input, output);
    means["flat"].push_back((1 / elements) * sum(flat, axis));
    if (type.rank() < 2)
      return;
    Expr dead = reduced(Opcode::reduce_min, flat, batch_axes(type, axis));
    auto units = static_cast<double>(std::max<int64_t>(dead.type().elements(), 1));
    means["dead"].push_back((1 / units) * reduced(Opcode::reduce_sum, dead, {0}));
  }

  // 1 where the slope of the activation from `input` to `output` is small, else 0.
  Expr flatness(ValueId input, ValueId output) {
    Reverse reverse(step_, {&input, 1});
    reverse.add(output, builder_.constant(step_.type(output), 1));
    reverse.run();
    Expr slope = expr(reverse.gradient(input));
    Expr size = apply(Opcode::abs, slope);
    Type wide = cast(slope, DType::f64).type();
    ValueId is_flat = builder_.op(Opcode::less, {size.id, number(size, kFlatSlope).id});
    return expr(builder_.select(is_flat, builder_.constant(wide, 1), builder_.constant(wide, 0)));
  }

  void measure_parameter(const std::string& name, ValueId update) {
    builder_.phase = Phase::update;
    int64_t last = step_.type(update).rank() - 1;
    std::string prefix = "parameter/" + name + "/";
    if (auto gradient = gradients_.find(name); gradient != gradients_.end())
      result(sum_of_squares(expr(gradient->second), last), prefix + "gradient");
    // Apart from the update's own kernel, which writes in place.
    builder_.phase = Phase::backward;
    result(sum_of_squares(expr(update), last), prefix + "update");
    result(sum_of_squares(expr(next_.at(name)), last), prefix + "weight");
  }

  // Moves each appended op behind the last op of the step that it depends on.
  void move_up() {
    std::vector<size_t> anchors(step_.values.size(), 0);  // by value: how many ops of the step
    std::vector<std::pair<size_t, size_t>> order;  // (anchor, op): stable
    for (size_t i = 0; i < step_.ops.size(); ++i) {
      size_t anchor = i + 1;
      if (i >= ops_) {
        anchor = 0;
        for (ValueId operand : step_.ops[i].operands)
          anchor = std::max(anchor, anchors[operand.index]);
      }
      for (ValueId value : step_.ops[i].results)
        anchors[value.index] = anchor;
      order.emplace_back(anchor, i);
    }
    std::sort(order.begin(), order.end());
    std::vector<Op> ops;
    for (const auto& [anchor, i] : order)
      ops.push_back(std::move(step_.ops[i]));
    step_.ops = std::move(ops);
  }

  Function step_;
  Builder builder_;
  size_t ops_;  // that the step had
  std::map<std::string, WatchedLayer> layers_;
  std::vector<std::string> order_;  // of layers, as the step comes to them
  std::map<std::string, ValueId> gradients_, next_;  // by parameter
  std::vector<std::pair<std::string, ValueId>> updates_;  // by parameter
  std::vector<Result> results_;
};

}  // namespace

Module health(const Module& module, const Options& options) {
  const Function* step = module.find_function(kTrainStep);
  if (!step || !options.measures_health())
    return module;
  Module result = module;
  *result.find_function(kTrainStep) = Measurer(*step).run();
  return result;
}

}  // namespace gradc
