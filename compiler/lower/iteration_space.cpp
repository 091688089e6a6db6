#include "compiler/lower/iteration_space.h"

#include <algorithm>

namespace gradc {
namespace {

using loop::Code;
using loop::Instr;
using loop::LoopKind;
using loop::Scalar;

// What the trial shows of the loops, one per axis.
struct Trial {
  std::vector<bool> pinned;  // the index is used for more than addresses
  std::vector<std::vector<int64_t>> accesses;  // the step of each access along each axis
};

class Observer {
 public:
  Observer(const loop::Builder& builder, std::span<const Scalar> indices)
      : builder_(builder), indices_(indices) {
    trial.pinned.resize(indices.size());
  }

  void look_at(const std::vector<Instr>& body) {
    for (const Instr& instr : body) {
      look_at(instr);
      look_at(instr.body);
    }
  }

  Trial trial;

 private:
  int64_t step(uint32_t reg, size_t axis) const {
    for (auto [term, coefficient] : builder_.linear({reg, DType::i64}).terms)
      if (term == indices_[axis].reg)
        return coefficient;
    return 0;
  }

  bool is_index(uint32_t reg) const { return builder_.dtype(reg) == DType::i64; }

  void pin(uint32_t reg) {
    for (size_t axis = 0; axis < indices_.size(); ++axis)
      if (is_index(reg) && step(reg, axis) != 0)
        trial.pinned[axis] = true;
  }

  // Sums and multiples are seen through; what uses their terms in any other way pins them.
  void look_at(const Instr& instr) {
    bool is_linear = instr.dtype == DType::i64 && !instr.results.empty() &&
                     (instr.code == Code::add || instr.code == Code::mul) &&
                     builder_.linear({instr.results[0], DType::i64}).terms !=
                         std::vector<std::pair<uint32_t, int64_t>>{{instr.results[0], 1}};
    if (is_linear || instr.code == Code::loop)
      return;
    bool is_access =
        instr.code == Code::load || instr.code == Code::load_if || instr.code == Code::store;
    size_t address = instr.code == Code::load_if ? 1 : 0;
    for (size_t i = 0; i < instr.operands.size(); ++i) {
      if (!is_access || i != address) {
        pin(instr.operands[i]);
        continue;
      }
      std::vector<int64_t>& steps = trial.accesses.emplace_back();
      for (size_t axis = 0; axis < indices_.size(); ++axis)
        steps.push_back(step(instr.operands[i], axis));
    }
  }

  const loop::Builder& builder_;
  std::span<const Scalar> indices_;
};

double cost_of(const Instr& instr) {
  switch (instr.code) {
    case Code::load:
    case Code::load_if:
    case Code::store:
      return kAccessNanoseconds;
    case Code::div:
    case Code::rem:
    case Code::sqrt:
      return 0.1;
    case Code::exp:
    case Code::exp_normal:
    case Code::log:
    case Code::sin:
    case Code::cos:
    case Code::atan:
    case Code::tanh:
    case Code::sigmoid:
    case Code::erf:
    case Code::expm1:
    case Code::log1p:
    case Code::gelu:
    case Code::gelu_slope:
    case Code::gelu_tanh:
    case Code::gelu_tanh_slope:
      return 0.4;
    case Code::pow:
      return 1;
    case Code::loop:
      return static_cast<double>(instr.extent) * gradc::nanoseconds_of(instr.body);
    default:
      return 0.01;
  }
}

}  // namespace

double nanoseconds_of(const std::vector<Instr>& body) {
  double sum = 0;
  for (const Instr& instr : body)
    sum += cost_of(instr);
  return sum;
}

void lower_point(KernelValues& values, std::span<const Scalar> indices) {
  const std::vector<Result>& results = values.function().results;
  std::vector<Scalar> elements;
  for (const Result& result : results)
    elements.push_back(values.element(result.value, indices));
  for (size_t i = 0; i < results.size(); ++i)
    values.store(i, indices, elements[i]);
}

IterationSpace analyse(const Function& kernel, const Dims& dims, const PointBody& body) {
  loop::Kernel trial_kernel;
  loop::Builder builder(trial_kernel);
  KernelValues values(kernel, builder);
  std::vector<Scalar> indices;
  for (int64_t extent : dims)
    indices.push_back(builder.begin_for(LoopKind::serial, extent)[0]);
  body(values, indices);
  for (size_t i = 0; i < dims.size(); ++i)
    builder.end_for();
  remove_unused(trial_kernel);
  Observer observer(builder, indices);
  observer.look_at(trial_kernel.body);

  // Axes a and b, with nothing but sizes of 1 between them, are one loop if each access steps over
  // a as over a whole round of b.
  const Trial& trial = observer.trial;
  auto are_one = [&](size_t a, size_t b) {
    return !trial.pinned[a] && !trial.pinned[b] &&
           std::all_of(trial.accesses.begin(), trial.accesses.end(),
                       [&](const auto& steps) { return steps[a] == steps[b] * dims[b]; });
  };
  IterationSpace space{{{}}, nanoseconds_of(trial_kernel.body)};
  std::optional<size_t> last;  // axis of the last group that is longer than 1
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] > 1) {
      if (last && !are_one(*last, axis))
        space.groups.emplace_back();
      last = axis;
    }
    space.groups.back().dims.push_back(dims[axis]);
  }
  return space;
}

double element_nanoseconds(const Function& kernel, const Op& op) {
  Function alone;
  for (ValueId operand : op.operands) {
    alone.values.push_back(kernel[operand]);
    alone.parameters.push_back({ValueId{static_cast<uint32_t>(alone.values.size() - 1)}, ""});
  }
  Op copy = op;
  for (uint32_t i = 0; i < copy.operands.size(); ++i)
    copy.operands[i] = {i};
  for (ValueId& result : copy.results) {
    alone.values.push_back(kernel[result]);
    result = {static_cast<uint32_t>(alone.values.size() - 1)};
  }
  alone.ops = {copy};
  alone.results = {{copy.result(), "", ""}};
  const Type& type = kernel.type(op.result());
  auto store = [&](KernelValues& values, std::span<const loop::Scalar> indices) {
    values.store(0, indices, values.element(copy.result(), indices));
  };
  return analyse(alone, type.dims, store).nanoseconds / static_cast<double>(type.elements());
}

std::vector<Scalar> axis_indices(loop::Builder& b, std::span<const AxisGroup> groups,
                                 std::span<const Scalar> numbers) {
  std::vector<Scalar> indices;
  for (size_t i = 0; i < groups.size(); ++i)
    for (Scalar index : unravel(b, numbers[i], groups[i].dims))
      indices.push_back(index);
  return indices;
}

}  // namespace gradc
