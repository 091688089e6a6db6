#include "compiler/import/onnx/loss.h"

#include <algorithm>
#include <array>

#include "compiler/entries.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"

namespace gradc::onnx {
namespace {

// The output, and the target as a tensor of the entry.
struct LossInput {
  Builder& b;
  ValueId output, target;
  int64_t class_axis = 0;
};

ValueId mean(Builder& b, ValueId x) {
  Dims dims = b.dims(x);
  ValueId sum = b.reduce_sum(x, other_axes({}, static_cast<int64_t>(dims.size())));
  return b.scale(sum, 1.0 / static_cast<double>(element_count(dims)));
}

ValueId cross_entropy(const LossInput& in) {
  return in.b.op(Opcode::cross_entropy, {in.output, in.target}, {{"axis", in.class_axis}});
}

// The mean of -output at the target's class: for outputs that are logarithms already.
ValueId negative_log_likelihood(const LossInput& in) {
  Builder& b = in.b;
  Dims with_one = b.dims(in.output);
  with_one[static_cast<size_t>(in.class_axis)] = 1;
  ValueId chosen = b.op(Opcode::gather_elements, {in.output, b.reshape(in.target, with_one)},
                        {{"axis", in.class_axis}});
  return b.neg(mean(b, chosen));
}

// -t log(p) - (1 - t) log(1 - p), logarithms cut at -100 so that p = 0 and 1 have a loss.
ValueId binary_cross_entropy(const LossInput& in) {
  Builder& b = in.b;
  auto logarithm = [&](ValueId p) {
    return b.op(Opcode::maximum, {b.op(Opcode::log, {p}), b.constant_like(p, -100)});
  };
  ValueId one = b.constant_like(in.output, 1);
  ValueId positive = b.mul(in.target, logarithm(in.output));
  ValueId negative = b.mul(b.sub(one, in.target), logarithm(b.sub(one, in.output)));
  return b.neg(mean(b, b.add(positive, negative)));
}

// The same of p = sigmoid(x): softplus(x) - t x.
ValueId binary_cross_entropy_of_logits(const LossInput& in) {
  ValueId product = in.b.mul(in.target, in.output);
  return mean(in.b, in.b.sub(in.b.op(Opcode::softplus, {in.output}), product));
}

template <Opcode code>
ValueId loss_op(const LossInput& in) {
  return in.b.op(code, {in.output, in.target});
}

struct LossRule {
  std::string_view name;
  bool classes;  // the target holds class numbers, and lacks the class axis
  ValueId (*build)(const LossInput& in);
  std::string_view wants;  // what the output must be
  Opcode not_after;  // an op that shows that it is something else
  std::string_view instead;
};

constexpr std::array<LossRule, 6> kLosses = {{
    {"cross_entropy", true, cross_entropy, "logits", Opcode::softmax, "nll"},
    {"nll", true, negative_log_likelihood, "log probabilities", Opcode::softmax, "cross_entropy"},
    {"bce", false, binary_cross_entropy, "probabilities", Opcode::relu, "bce_logits"},
    {"bce_logits", false, binary_cross_entropy_of_logits, "logits", Opcode::sigmoid, "bce"},
    {"mse", false, loss_op<Opcode::mse_loss>, "", Opcode::constant, ""},
    {"l1", false, loss_op<Opcode::l1_loss>, "", Opcode::constant, ""},
}};

std::pair<std::string, std::string> split_option(const std::string& loss) {
  size_t colon = loss.find(':');
  return colon == std::string::npos ? std::pair(loss, std::string())
                                    : std::pair(loss.substr(0, colon), loss.substr(colon + 1));
}

const LossRule* find_loss(const std::string& name) {
  for (const LossRule& rule : kLosses)
    if (rule.name == name)
      return &rule;
  return nullptr;
}

[[noreturn]] void bad_flag(const std::string& message) {
  throw UserError("", message, Fault::command_line);
}

// The named output, or the first that holds floats.
ValueId chosen_output(const Trace& trace, const NamedValues& results, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [result, value] : results) {
    names.push_back(result);
    bool fits = is_float(trace.b.type(value).dtype) && trace.b.type(value).rank() > 0;
    if (name.empty() ? fits : result == name)
      return value;
  }
  if (name.empty())
    fail("no output holds floats, so none can be trained");
  std::string near = nearest_name(name, names);
  bad_flag(fmt::format("--loss: the model has no output `{}`{}", name,
                       near.empty() ? "" : fmt::format("; did you mean `{}`?", near)));
}

Dims without_axis(Dims dims, int64_t axis) {
  dims.erase(dims.begin() + axis);
  return dims;
}

// A size of -1 in a given shape fits any.
bool fits(const Dims& given, const Dims& dims) {
  return std::equal(given.begin(), given.end(), dims.begin(), dims.end(),
                    [](int64_t a, int64_t b) { return a == b || a == -1; });
}

// Without the sizes of 1 after the batch: a global pool leaves [N,classes,1,1], the labels are [N].
Dims squeezed(Dims dims) {
  if (!dims.empty())
    dims.erase(std::remove(dims.begin() + 1, dims.end(), 1), dims.end());
  return dims;
}

// Axis 1 if the output without it has the target's shape, else the last. Sizes of 1 do not count.
int64_t class_axis(const Type& output, const std::optional<Dims>& target) {
  int64_t rank = output.rank();
  if (rank < 1)
    fail("the output is {}, it has no axis of classes", to_string(output));
  if (!target || rank == 1)
    return std::min<int64_t>(1, rank - 1);
  for (int64_t axis : {int64_t{1}, rank - 1}) {
    if (fits(squeezed(*target), squeezed(without_axis(output.dims, axis))))
      return axis;
  }
  throw UserError("", fmt::format("the target is {}, the output {}: neither without axis 1 nor "
                                  "without the last has it the target's shape",
                                  to_string(*target), to_string(output)))
      .with_help("bind the model's sizes to the data's, e.g. --batch N");
}

std::optional<Dims> given_target(const Options& options) {
  auto given = options.shapes.find(std::string(kTarget));
  return given == options.shapes.end() ? std::nullopt : std::optional(given->second);
}

void warn_of_output(const Trace& trace, const LossRule& rule, ValueId output) {
  for (const Op& op : trace.function.ops)
    if (std::find(op.results.begin(), op.results.end(), output) != op.results.end() &&
        op.code == rule.not_after)
      trace.import.warn(
          fmt::format("{}: --loss {} takes {}, but `{}` ends in {}{}", trace.import.model.path,
                      rule.name, rule.wants, trace.function[output].name, def(op).name,
                      rule.instead.empty() ? "" : fmt::format("; try {}", rule.instead)));
}

ValueId built_loss(Trace& trace, const NamedValues& results) {
  auto [name, output_name] = split_option(trace.import.options.loss);
  const LossRule& rule = *find_loss(name);
  ValueId output = chosen_output(trace, results, output_name);
  warn_of_output(trace, rule, output);
  Type type = trace.b.type(output), target = type;
  std::optional<Dims> given = given_target(trace.import.options);
  LossInput in{trace.b, output, {}, 0};
  if (rule.classes) {
    in.class_axis = class_axis(type, given);
    target = {DType::i64, without_axis(type.dims, in.class_axis)};
  } else if (given && !fits(*given, type.dims)) {
    fail("the target is {}, but the output is {}: `{}` compares them element by element",
         to_string(*given), to_string(type), rule.name);
  }
  for (const auto& parameter : trace.function.parameters)
    if (trace.function[parameter.value].name == kTarget)
      fail("the model has an input `{}` of its own, which is what --loss calls its target",
           kTarget);
  in.target = trace.input(target, std::string(kTarget));
  return rule.build(in);
}

// The output `loss`, or else the only one that is one float.
std::optional<ValueId> own_loss(const Trace& trace, const NamedValues& results) {
  std::optional<ValueId> scalar;
  int scalars = 0;
  for (const auto& [name, value] : results) {
    const Type type = trace.b.type(value);
    bool fits = is_float(type.dtype) && type.elements() == 1;
    if (name == kLoss && fits)
      return value;
    if (fits)
      scalar = value;
    scalars += fits;
  }
  return scalars == 1 ? scalar : std::nullopt;
}

}  // namespace

std::vector<std::string> loss_names() {
  std::vector<std::string> names;
  for (const LossRule& rule : kLosses)
    names.emplace_back(rule.name);
  return names;
}

void check_loss_option(const std::string& loss) {
  std::string name = split_option(loss).first;
  if (loss.empty() || find_loss(name))
    return;
  std::string near = nearest_name(name, loss_names());
  bad_flag(fmt::format("--loss {}: there is no such loss{}; the losses are {}", loss,
                       near.empty() ? "" : fmt::format("; did you mean `{}`?", near),
                       fmt::join(loss_names(), ", ")));
}

void add_loss(Trace& trace, NamedValues& results) {
  const Options& options = trace.import.options;
  trace.b.loc = options.loss.empty() ? "" : "--loss " + options.loss;
  ValueId loss;
  if (!options.loss.empty()) {
    loss = built_loss(trace, results);
    std::erase_if(results, [](const auto& result) { return result.first == kLoss; });
  } else if (std::optional<ValueId> own = own_loss(trace, results)) {
    loss = trace.b.reshape(*own, {});
  } else {
    throw UserError("", "the model brings no loss: no output is one float")
        .with_help(fmt::format("name one: --loss {}", fmt::join(loss_names(), ", --loss ")));
  }
  for (auto& [name, value] : results)
    if (name == kLoss)
      return void(value = loss);
  results.emplace_back(kLoss, loss);
}

}  // namespace gradc::onnx
