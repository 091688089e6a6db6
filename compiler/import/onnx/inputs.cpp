#include "compiler/import/onnx/inputs.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/import/onnx/coverage.h"
#include "compiler/import/onnx/loss.h"
#include "compiler/import/onnx/names.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 40;
constexpr std::string_view kBatch = "batch";  // --batch N is --bind batch=N

std::vector<const ValueInfo*> true_inputs(const Model& model) {
  std::set<std::string> initializers;
  for (const Tensor& tensor : model.graph.initializers)
    initializers.insert(tensor.name);
  std::vector<const ValueInfo*> inputs;
  for (const ValueInfo& input : model.graph.inputs)
    if (!initializers.contains(input.name))
      inputs.push_back(&input);
  return inputs;
}

class Sizes {
 public:
  Sizes(const Model& model, const Options& options, const std::vector<std::string>& extra,
        const KnownInputs& known)
      : model_(model), options_(options), known_(known), inputs_(true_inputs(model)) {
    for (const ValueInfo* input : inputs_)
      if (input->shape)
        for (const Dim& dim : *input->shape)
          if (!dim.value && !dim.symbol.empty())
            symbols_[dim.symbol];
    check_names(extra);
    for (const auto& [name, value] : options.binds)
      if (auto symbol = symbols_.find(name); symbol != symbols_.end())
        bind(name, value, fmt::format("--bind {}={}", name, value));
    bind_by_shapes();
    bind_batch();
  }

  std::vector<Input> inputs(std::vector<Problem>* problems) {
    std::vector<Input> result;
    for (const ValueInfo* input : inputs_) {
      try {
        result.push_back(typed(*input));
      } catch (const UserError& error) {
        if (!problems || error.fault() != Fault::model_or_data)
          throw;
        problems->push_back(problem_of(error));
        result.push_back({input->name, {}, nullptr, nullptr, true});
      }
    }
    if (!open_.empty())
      report_open();
    return result;
  }

  std::vector<std::string> assume(Options& options) {
    std::vector<std::string> flags;
    for (const ValueInfo* input : inputs_) {
      bool anonymous = !input->shape;
      Dims dims = input->shape ? Dims() : Dims{1, 3, 224, 224};
      for (size_t i = 0; input->shape && i < input->shape->size(); ++i) {
        const Dim& dim = (*input->shape)[i];
        std::optional<int64_t> known = size(*input, i);
        dims.push_back(known.value_or(assumed_size(*input, i)));
        if (known)
          continue;
        anonymous |= dim.symbol.empty();
        if (!dim.symbol.empty()) {
          bind(dim.symbol, dims.back(), "assumption");
          options.binds[dim.symbol] = dims.back();
          flags.push_back(fmt::format("--bind {}={}", dim.symbol, dims.back()));
        }
      }
      if (anonymous && !is_given(input->name)) {
        options.shapes[input->name] = dims;
        flags.push_back(fmt::format("--shape {}={}", input->name, fmt::join(dims, "x")));
      }
    }
    return flags;
  }

 private:
  [[noreturn]] void bad_flag(const std::string& message) const {
    throw UserError(model_.path, message, Fault::command_line);
  }

  // One sample; an image of 224 by 224; 16 steps of all else.
  static int64_t assumed_size(const ValueInfo& input, size_t i) {
    return i == 0 ? 1 : input.shape->size() == 4 && i >= 2 && is_float_input(input) ? 224 : 16;
  }

  static bool is_float_input(const ValueInfo& input) {
    std::optional<DType> dtype = dtype_of(input.element_type);
    return dtype && is_float(*dtype);
  }

  bool is_given(const std::string& name) const {
    return options_.shapes.contains(name) || options_.bind_lists.contains(name) ||
           options_.bind_tensors.contains(name);
  }

  const ValueInfo* find_input(const std::string& name) const {
    for (const ValueInfo* input : inputs_)
      if (input->name == name)
        return input;
    return nullptr;
  }

  void check_known(std::string_view flag, std::string_view kind, const std::string& name,
                   const std::vector<std::string>& known) const {
    if (std::find(known.begin(), known.end(), name) != known.end())
      return;
    std::string near = nearest_name(name, known);
    bad_flag(fmt::format("{} {}: the model has no such {}{}", flag, name, kind,
                         near.empty() ? "" : fmt::format("; did you mean `{}`?", near)));
  }

  // Every flag must mean something.
  void check_names(const std::vector<std::string>& extra) const {
    std::vector<std::string> names = extra, bindable{std::string(kBatch)};
    for (const ValueInfo* input : inputs_)
      names.push_back(input->name);
    for (const auto& [symbol, value] : symbols_)
      bindable.push_back(symbol);
    bindable.insert(bindable.end(), names.begin(), names.end());
    for (const auto& [name, value] : options_.binds)
      check_known("--bind", "size or input", name, bindable);
    for (const auto& [name, value] : options_.bind_lists)
      check_known("--bind", "input", name, names);
    for (const auto& [name, value] : options_.bind_tensors)
      check_known("--bind", "input", name, names);
    for (const auto& [name, dims] : options_.shapes)
      check_known("--shape", "input", name, names);
  }

  void bind(const std::string& symbol, int64_t value, const std::string& flag) {
    if (value < 1)
      bad_flag(fmt::format("{}: {}", flag, kAtLeastOne));
    auto& [known, by] = symbols_[symbol];
    if (known && *known != value)
      bad_flag(fmt::format("{} and {} give `{}` two sizes", by, flag, symbol));
    known = value;
    by = flag;
  }

  void bind_by_shapes() {
    for (const ValueInfo* input : inputs_) {
      auto given = options_.shapes.find(input->name);
      if (given == options_.shapes.end() || !input->shape)
        continue;
      std::string flag = fmt::format("--shape {}={}", input->name, fmt::join(given->second, "x"));
      if (given->second.size() != input->shape->size())
        bad_flag(fmt::format("{}: the input has {} axes", flag, input->shape->size()));
      for (size_t i = 0; i < given->second.size(); ++i)
        if (const Dim& dim = (*input->shape)[i]; !dim.value && !dim.symbol.empty())
          bind(dim.symbol, given->second[i], flag);
    }
  }

  // Where no size is called `batch`, --batch is for the first size of the first input, whatever it
  // is called, and for those of the other inputs that are like it.
  void bind_batch() {
    auto batch = options_.binds.find(std::string(kBatch));
    if (batch == options_.binds.end() || symbols_.contains(batch->first) ||
        find_input(batch->first))
      return;
    auto has_axes = [](const ValueInfo* input) { return input->shape && !input->shape->empty(); };
    auto first = std::find_if(inputs_.begin(), inputs_.end(), has_axes);
    std::string flag = fmt::format("--batch {}", batch->second);
    if (first == inputs_.end())
      bad_flag(fmt::format("{}: no input has a known number of axes", flag));
    const Dim& dim = (*first)->shape->front();
    if (!dim.value && !dim.symbol.empty())
      return bind(dim.symbol, batch->second, flag);
    if (batch->second < 1)
      bad_flag(fmt::format("{}: {}", flag, kAtLeastOne));
    for (const ValueInfo* input : inputs_)
      if (has_axes(input) && input->shape->front().value == dim.value &&
          input->shape->front().symbol.empty())
        first_size_[input->name] = batch->second;
  }

  // The size of axis i, if it is known.
  std::optional<int64_t> size(const ValueInfo& input, size_t i) const {
    const Dim& dim = (*input.shape)[i];
    if (auto shape = options_.shapes.find(input.name); shape != options_.shapes.end())
      return shape->second[i];
    if (auto batch = first_size_.find(input.name); i == 0 && batch != first_size_.end())
      return batch->second;
    if (!dim.value && !dim.symbol.empty())
      return symbols_.at(dim.symbol).first;
    return dim.value;
  }

  // A rank that the file leaves open is known from --shape, or from the values that are bound.
  std::optional<Dims> known_dims(const ValueInfo& input) {
    if (auto bound = options_.bind_tensors.find(input.name); bound != options_.bind_tensors.end())
      return bound->second.type.dims;
    if (!input.shape) {
      if (auto given = options_.shapes.find(input.name); given != options_.shapes.end())
        return given->second;
      if (auto list = options_.bind_lists.find(input.name); list != options_.bind_lists.end())
        return Dims{static_cast<int64_t>(list->second.size())};
      open_.push_back(&input);
      return std::nullopt;
    }
    Dims dims;
    bool open = false;
    for (size_t i = 0; i < input.shape->size(); ++i) {
      std::optional<int64_t> known = size(input, i);
      if (auto list = options_.bind_lists.find(input.name);
          !known && list != options_.bind_lists.end() && input.shape->size() == 1)
        known = static_cast<int64_t>(list->second.size());
      std::optional<int64_t> in_file = (*input.shape)[i].value;
      if (known && in_file && *known != *in_file && options_.warn)
        options_.warn(fmt::format("{}: input `{}` has size {} on axis {} in the file, {} here",
                                  model_.path, readable(input.name), *in_file, i, *known));
      open |= !known;
      dims.push_back(known.value_or(0));
    }
    if (open)
      open_.push_back(&input);
    return open ? std::nullopt : std::optional(dims);
  }

  Input typed(const ValueInfo& input) {
    std::string place = fmt::format("{}: input `{}`", model_.path, readable(input.name));
    if (input.kind != "tensor")
      throw UserError(place, fmt::format("is a {}; only tensors are supported", input.kind));
    std::optional<DType> dtype = dtype_of(input.element_type);
    if (!dtype)
      throw UserError(place, fmt::format("holds {}; supported are f32 f64 f16 bf16 i8 u8 i16 i32 "
                                         "i64 bool",
                                         name_of(input.element_type)));
    Input result{input.name, {*dtype, {}}, nullptr};
    std::optional<Dims> dims = known_dims(input);
    if (!dims)
      return result;
    try {
      check_sizes(*dims);
    } catch (const UserError& error) {
      throw error.at(place);
    }
    result.type.dims = *dims;
    result.bound = bound_value(result);
    if (auto known = known_.find(input.name); known != known_.end())
      result.known = given_value(result, known->second);
    return result;
  }

  ConstantPtr given_value(const Input& input, const BoundTensor& value) const {
    if (value.type != input.type)
      bad_flag(fmt::format("input `{}` is {}, the value bound to it is {}", readable(input.name),
                           to_string(input.type), to_string(value.type)));
    return constant_of(input.type, value.content);
  }

  ConstantPtr bound_value(const Input& input) const {
    const std::string& name = input.name;
    if (auto tensor = options_.bind_tensors.find(name); tensor != options_.bind_tensors.end())
      return given_value(input, tensor->second);
    std::vector<int64_t> values;
    if (auto list = options_.bind_lists.find(name); list != options_.bind_lists.end())
      values = list->second;
    else if (auto scalar = options_.binds.find(name); scalar != options_.binds.end())
      values = {scalar->second};
    else
      return nullptr;
    std::string flag = fmt::format("--bind {}={}", name, fmt::join(values, ","));
    if (is_float(input.type.dtype))
      bad_flag(fmt::format("{}: the input is {}, only whole numbers can be bound", flag,
                           to_string(input.type)));
    if (static_cast<int64_t>(values.size()) != input.type.elements())
      bad_flag(fmt::format("{}: the input is {}, which has {} elements", flag,
                           to_string(input.type), input.type.elements()));
    ConstantPtr exact = integers_constant(values);
    if (input.type.dtype == DType::i64)
      return constant_of(input.type, exact->content);
    return numbers_constant(input.type, numbers_of(*exact));
  }

  [[noreturn]] void report_open() const {
    std::vector<std::string> what, flags;
    std::set<std::string> named;
    for (const ValueInfo* input : open_) {
      bool anonymous = !input->shape;
      std::vector<std::string> form;
      for (size_t i = 0; input->shape && i < input->shape->size(); ++i) {
        const Dim& dim = (*input->shape)[i];
        std::optional<int64_t> known = size(*input, i);
        form.push_back(known ? std::to_string(*known) : dim.symbol.empty() ? "?" : dim.symbol);
        anonymous |= !known && dim.symbol.empty();
        if (!known && !dim.symbol.empty() && named.insert(dim.symbol).second)
          flags.push_back(fmt::format("--bind {}=N", dim.symbol));
      }
      what.push_back(fmt::format(
          "`{}` is {}", readable(input->name),
          input->shape ? fmt::format("[{}]", fmt::join(form, ",")) : "of unknown rank"));
      if (anonymous)
        flags.push_back(
            fmt::format("--shape {}={}", input->name,
                        input->shape ? fmt::format("{}", fmt::join(form, "x")) : "1x3x224x224"));
    }
    throw UserError(model_.path, fmt::format("sizes of inputs are open: {}", fmt::join(what, ", ")))
        .with_help(fmt::format("bind them: {}", fmt::join(flags, " ")));
  }

  const Model& model_;
  const Options& options_;
  const KnownInputs& known_;
  std::vector<const ValueInfo*> inputs_, open_;
  // By symbol: its size, and the flag that gave it.
  std::map<std::string, std::pair<std::optional<int64_t>, std::string>> symbols_;
  std::map<std::string, int64_t> first_size_;  // by input, from --batch
};

}  // namespace

void check_sizes(const Dims& dims) {
  int64_t elements = 1;
  for (int64_t dim : dims) {
    if (dim < 0)
      fail("{} has a negative size", to_string(dims));
    if (dim > 0 && elements > kMostElements / dim)
      fail("{} has more than 2^40 elements", to_string(dims));
    elements *= std::max<int64_t>(dim, 1);
  }
}

std::vector<Input> resolve_inputs(const Model& model, const Options& options,
                                  const std::vector<std::string>& extra, const KnownInputs& known,
                                  std::vector<Problem>* problems) {
  return Sizes(model, options, extra, known).inputs(problems);
}

std::vector<std::string> assume_open_sizes(const Model& model, Options& options) {
  // The flags may give a shape to what is no input; whoever imports says so.
  Options known = options;
  return Sizes(model, known, {std::string(kTarget)}, {}).assume(options);
}

}  // namespace gradc::onnx
