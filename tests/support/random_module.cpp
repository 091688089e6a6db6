#include "tests/support/random_module.h"

#include <algorithm>
#include <cmath>

#include "compiler/entries.h"
#include "ir/builder.h"
#include "tests/support/feed.h"

namespace gradc::test {
namespace {

constexpr int kTries = 20;  // to place an op, with other operands
constexpr double kLargest = 8;  // magnitude of floats; larger results are not taken
constexpr int64_t kLargestTensor = 512;
constexpr double kMove = 1e-3;  // how far operands are moved to find kinks
constexpr double kBend = 2e-4;  // and how far from a straight line results may then be
constexpr int kMoves = 6;

bool contains(const std::vector<Opcode>& codes, Opcode code) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

class Generator {
 public:
  Generator(uint64_t seed, const RandomModuleOptions& options)
      : feed_(seed), options_(options), b_(function_) {
    function_.name = "main";
    for (Opcode code : all_opcodes())
      if (!def(code).examples.empty() && !contains(options.without, code))
        codes_.push_back(code);
  }

  RandomModule run() {
    int64_t wanted = options_.min_ops + feed_.below(options_.max_ops - options_.min_ops + 1);
    RandomModule result;
    while (static_cast<int64_t>(result.drawn.size()) < wanted) {
      Opcode code = codes_[static_cast<size_t>(feed_.below(static_cast<int64_t>(codes_.size())))];
      if (place(code))
        result.drawn.push_back(code);
    }
    finish();
    result.module.name = "random";
    result.module.functions = {std::move(function_)};
    result.arguments = std::move(arguments_);
    return result;
  }

 private:
  // The function's size, to take back what did not work out.
  struct Mark {
    size_t values, ops, parameters;
  };
  Mark mark() const {
    return {function_.values.size(), function_.ops.size(), function_.parameters.size()};
  }
  void take_back(const Mark& mark) {
    function_.values.resize(mark.values);
    function_.ops.resize(mark.ops);
    function_.parameters.resize(mark.parameters);
    arguments_.resize(mark.parameters);
    tensors_.resize(mark.values);
    evaluated_ops_ = mark.ops;
  }

  bool place(Opcode code) {
    auto lines = example_lines(def(code).examples);
    for (int i = 0; i < kTries; ++i) {
      auto line = lines[static_cast<size_t>(feed_.below(static_cast<int64_t>(lines.size())))];
      Example example = parse_example(line);
      Mark before = mark();
      is_good_ = true;
      std::vector<ValueId> operands;
      for (size_t k = 0; k < example.operands.size(); ++k)
        operands.push_back(
            operand(example.operands[k], def(code).domains.items[k], index_limit(example)));
      b_.op_multi(code, operands, example.attrs);
      evaluate();
      if (is_good_)
        return true;
      take_back(before);
    }
    return false;
  }

  // Evaluates the ops that have no values yet. Good is what is not too large and not near a kink.
  void evaluate() {
    for (; evaluated_ops_ < function_.ops.size(); ++evaluated_ops_) {
      const Op& op = function_.ops[evaluated_ops_];
      std::vector<Tensor> operands;
      for (ValueId operand : op.operands)
        operands.push_back(tensors_[operand.index]);
      std::vector<Type> types;
      for (ValueId result : op.results)
        types.push_back(function_.type(result));
      std::vector<Tensor> results = eval_op(Module{}, op, operands, types);
      is_good_ = is_good_ && is_usable(results) && is_straight(op, operands, results);
      tensors_.insert(tensors_.end(), results.begin(), results.end());
    }
  }

  static bool is_usable(const std::vector<Tensor>& tensors) {
    for (const Tensor& tensor : tensors)
      for (double value : tensor.data)
        if (!(std::abs(value) <= (is_float(tensor.type.dtype) ? kLargest : 1000)) ||
            tensor.type.elements() > kLargestTensor)
          return false;
    return true;
  }

  // Whether f(x + move) - 2 f(x) + f(x - move) is small for some random moves of float operands.
  bool is_straight(const Op& op, const std::vector<Tensor>& operands,
                   const std::vector<Tensor>& results) {
    std::vector<Type> types;
    for (const Tensor& result : results)
      types.push_back(result.type);
    for (int i = 0; i < kMoves; ++i) {
      std::vector<Tensor> ahead = operands, back = operands;
      for (size_t k = 0; k < operands.size(); ++k)
        for (size_t n = 0; n < operands[k].data.size(); ++n) {
          double move = is_float(operands[k].type.dtype) ? kMove * (2 * feed_.uniform() - 1) : 0;
          ahead[k].data[n] += move;
          back[k].data[n] -= move;
        }
      std::vector<Tensor> more = eval_op(Module{}, op, ahead, types);
      std::vector<Tensor> less = eval_op(Module{}, op, back, types);
      for (size_t k = 0; k < results.size(); ++k)
        for (size_t n = 0; n < results[k].data.size(); ++n)
          if (!(std::abs(more[k].data[n] + less[k].data[n] - 2 * results[k].data[n]) < kBend))
            return false;
    }
    return true;
  }

  ValueId parameter(const Type& type, Domain domain, int64_t index_limit) {
    evaluate();
    arguments_.push_back(feed_.tensor(type, domain, index_limit));
    tensors_.push_back(arguments_.back());
    return b_.parameter(type, "x" + std::to_string(function_.parameters.size()));
  }

  // A value of `type` within `domain`: a new parameter, or made of a value that is there.
  ValueId operand(const Type& type, Domain domain, int64_t index_limit) {
    bool is_number = domain == Domain::index || domain == Domain::seed;
    if (is_number || feed_.chance(0.2))
      return parameter(type, domain, index_limit);
    std::vector<ValueId> same, fitting;
    for (uint32_t i = 0; i < function_.values.size(); ++i) {
      ValueId value{i};
      if (function_.type(value) == type)
        same.push_back(value);
      if (function_.type(value).dtype == type.dtype)
        fitting.push_back(value);
    }
    if (!same.empty() && feed_.chance(0.6))
      return into(domain, any_of(same));
    if (type.dtype == DType::boolean && feed_.chance(0.5)) {
      Type real{DType::f32, type.dims};
      ValueId x = operand(real, Domain::real, 1), y = operand(real, Domain::real, 1);
      return b_.op(Opcode::less, {x, y});
    }
    if (!fitting.empty())
      return into(domain, fit(any_of(fitting), type.dims));
    return parameter(type, domain, index_limit);
  }

  ValueId any_of(const std::vector<ValueId>& values) {
    return values[static_cast<size_t>(feed_.below(static_cast<int64_t>(values.size())))];
  }

  // x repeated or cut to `dims`.
  ValueId fit(ValueId x, const Dims& dims) {
    if (b_.dims(x) == dims)
      return x;
    int64_t have = b_.type(x).elements(), want = element_count(dims);
    ValueId flat = b_.reshape(x, {have});
    if (have < want) {
      int64_t times = (want + have - 1) / have;
      flat = b_.reshape(b_.broadcast(flat, {1}, {times, have}), {times * have});
      have *= times;
    }
    if (have > want) {
      int64_t begin = feed_.below(have - want + 1);
      flat = b_.op(Opcode::slice, {flat},
                   {{"begin", std::vector{begin}},
                    {"end", std::vector{begin + want}},
                    {"step", std::vector<int64_t>{1}}});
    }
    return b_.reshape(flat, dims);
  }

  // x, or a function of it, within `domain`.
  ValueId into(Domain domain, ValueId x) {
    if (!is_float(b_.type(x).dtype))
      return x;
    evaluate();
    auto within = [&](double low, double high) {
      const std::vector<double>& data = tensors_[x.index].data;
      return std::all_of(data.begin(), data.end(),
                         [&](double value) { return value > low && value < high; });
    };
    if (domain == Domain::positive)
      return within(0.2, 3) ? x : b_.shift(b_.scale(b_.op(Opcode::sigmoid, {x}), 1.8), 0.2);
    if (domain == Domain::unit)
      return within(-0.9, 0.9) ? x : b_.scale(b_.op(Opcode::tanh, {x}), 0.9);
    return within(-3, 3) ? x : b_.scale(b_.op(Opcode::tanh, {x}), 2);
  }

  // loss = the mean of each float that nothing reads, weighted and summed.
  void finish() {
    std::vector<int> uses = use_counts(function_);
    std::optional<ValueId> loss;
    std::vector<ValueId> others;
    for (uint32_t i = 0; i < uses.size(); ++i) {
      ValueId value{i};
      Type type = function_.type(value);
      if (!is_float(type.dtype) ? uses[i] == 0 : feed_.chance(0.1))
        others.push_back(value);
      if (!is_float(type.dtype) || uses[i] > 0)
        continue;
      if (type.dtype != DType::f32)
        value = b_.op(Opcode::cast, {value}, {{"dtype", DType::f32}});
      double weight = (0.5 + feed_.uniform()) / static_cast<double>(type.elements());
      ValueId term = b_.reduce_sum(b_.scale(value, weight), other_axes({}, type.rank()));
      loss = loss ? b_.add(*loss, term) : term;
    }
    b_.result(loss ? *loss : b_.constant(scalar_type(DType::f32), 0.0), "loss");
    for (size_t i = 0; i < others.size(); ++i)
      b_.result(others[i], "out" + std::to_string(i));
  }

  Feed feed_;
  RandomModuleOptions options_;
  Function function_;
  Builder b_;
  std::vector<Opcode> codes_;
  std::vector<Tensor> arguments_;
  std::vector<Tensor> tensors_;  // of the values of the first evaluated_ops_ ops and parameters
  size_t evaluated_ops_ = 0;
  bool is_good_ = true;  // since an op was last begun
};

}  // namespace

RandomModule random_module(uint64_t seed, const RandomModuleOptions& options) {
  return Generator(seed, options).run();
}

RandomModel random_model(uint64_t seed, const RandomModuleOptions& options) {
  RandomModule random = random_module(seed, options);
  Function& infer = random.module.functions[0];
  Feed feed(seed);
  RandomModel model;
  std::vector<Parameter> inputs, bound;
  for (size_t i = 0; i < infer.parameters.size(); ++i) {
    Value& value = infer[infer.parameters[i].value];
    if (!is_float(value.type.dtype) || (!bound.empty() && feed.chance(0.5))) {
      inputs.push_back(infer.parameters[i]);
      model.infer_arguments.push_back(random.arguments[i]);
      continue;
    }
    value.name = "w" + std::to_string(bound.size());
    bound.push_back({infer.parameters[i].value, value.name});
    random.module.states.push_back({value.name, value.type, Role::parameter, {}, ""});
    model.state[value.name] = random.arguments[i];
  }
  infer.name = kInfer;
  infer.parameters = inputs;
  Function train = infer;
  train.name = kTrainStep;
  model.train_arguments = model.infer_arguments;
  Builder b(train);
  b.parameter(scalar_type(DType::f32), std::string(kLearningRate));
  model.train_arguments.push_back({scalar_type(DType::f32), {0.125}});
  for (auto [name, number] : {std::pair{kStep, 3.0}, {kTotalSteps, 10.0}, {kSeed, 7.0}}) {
    b.parameter(scalar_type(DType::i64), std::string(name));
    model.train_arguments.push_back({scalar_type(DType::i64), {number}});
  }
  for (Function* entry : {&infer, &train})
    entry->parameters.insert(entry->parameters.end(), bound.begin(), bound.end());
  random.module.functions.push_back(std::move(train));
  model.module = std::move(random.module);
  return model;
}

}  // namespace gradc::test
