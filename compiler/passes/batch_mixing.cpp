#include "compiler/passes/batch_mixing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "compiler/entries.h"
#include "compiler/passes/accumulate.h"
#include "ir/element_context.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

// What a value has to do with the samples of a batch.
struct Share {
  enum class Kind : uint8_t {
    none,  // nothing
    samples,  // the element at index i of `axis` belongs to sample i / inner
    sum,  // a sum of what the samples give, each alone
    mixed
  };
  Kind kind = Kind::none;
  size_t axis = 0;
  int64_t inner = 1;
  bool mean = false;  // linear in what was divided by a multiple of the batch
  const Op* mixer = nullptr;  // of what is mixed: the op that did it
  bool operator==(const Share&) const = default;
};

using Kind = Share::Kind;

int64_t product(const Dims& dims, size_t begin, size_t end) {
  return std::accumulate(dims.begin() + static_cast<std::ptrdiff_t>(begin),
                         dims.begin() + static_cast<std::ptrdiff_t>(end), int64_t{1},
                         std::multiplies<>());
}

// Runs an element rule and notes, for each axis of each operand, which axis of the result gives the
// index there in all reads.
class IndexProbe : public loop::ElementContext {
 public:
  IndexProbe(loop::Builder& builder, const Function& function, const Op& op)
      : ElementContext(builder, op, 0), function_(function) {
    for (ValueId operand : op.operands) {
      b.add_buffer({.dtype = function.type(operand).dtype});
      axes_.emplace_back(function.type(operand).rank(), kUnread);
    }
    for (size_t axis = 0; axis < result_type().dims.size(); ++axis)
      position_.push_back(unknown_index());
    linear_ = unknown_index();
  }

  static constexpr int64_t kUnread = -1, kOther = -2;
  int64_t axis_of(size_t operand, size_t axis) const { return axes_[operand][axis]; }

  const Type& operand_type(size_t i) const override { return function_.type(op().operands[i]); }
  const Type& result_type() const override { return function_.type(op().results[0]); }
  std::span<const loop::Scalar> position() override { return position_; }
  loop::Scalar linear() override { return linear_; }

  loop::Scalar at(size_t i) override { return at(i, position_); }
  loop::Scalar at(size_t i, std::span<const loop::Scalar> indices) override {
    for (size_t axis = 0; axis < axes_[i].size(); ++axis) {
      auto same = std::ranges::find(position_, indices[axis].reg, &loop::Scalar::reg);
      note(axes_[i][axis], same == position_.end() ? kOther : same - position_.begin());
    }
    return element(i);
  }
  loop::Scalar at_linear(size_t i, loop::Scalar) override {
    for (int64_t& axis : axes_[i])
      axis = kOther;
    return element(i);
  }
  loop::Scalar at_if(loop::Scalar, size_t i, std::span<const loop::Scalar> indices,
                     loop::Scalar) override {
    return at(i, indices);
  }

 private:
  // Of which nothing is known: the number of a loop's iteration.
  loop::Scalar unknown_index() { return b.begin_for(loop::LoopKind::serial, int64_t{1} << 20)[0]; }
  static void note(int64_t& known, int64_t axis) {
    known = known == kUnread || known == axis ? axis : kOther;
  }
  loop::Scalar element(size_t i) { return b.load(static_cast<uint32_t>(i), linear_); }

  const Function& function_;
  std::vector<loop::Scalar> position_;
  loop::Scalar linear_;
  std::vector<std::vector<int64_t>> axes_;  // by operand and its axis
};

class MixingFinder {
 public:
  explicit MixingFinder(const Function& step)
      : step_(step),
        batch_(batch_size(step)),
        makers_(step.values.size()),
        shares_(step.values.size()) {
    for (const Parameter& parameter : step.parameters)
      if (parameter.state.empty() && !is_control_input(step[parameter.value].name) &&
          step.type(parameter.value).rank() > 0)
        share(parameter.value) = {.kind = Kind::samples};
  }

  std::optional<BatchMixing> run() {
    for (const Op& op : step_.ops) {
      for (ValueId result : op.results)
        makers_[result.index] = &op;
      visit(op);
    }
    for (const Result& result : step_.results)
      if (result.state.empty())
        if (std::optional<BatchMixing> found = judged(result))
          return found;
    return std::nullopt;
  }

 private:
  Share& share(ValueId id) { return shares_[id.index]; }
  const Dims& dims(ValueId id) const { return step_.type(id).dims; }

  // Of a result that is more than one number per sample the batch has to be the first axis.
  std::optional<BatchMixing> judged(const Result& result) {
    const Share& seen = share(result.value);
    if (seen.kind == Kind::mixed)
      return BatchMixing{
          fmt::format("samples meet in `{}` other than by a mean, which `{}` depends "
                      "on",
                      def(*seen.mixer).name, result.name),
          seen.mixer->loc};
    const Op* maker = makers_[result.value.index];
    std::string loc = maker ? maker->loc : "";
    if (seen.kind == Kind::sum && !seen.mean && is_float(step_.type(result.value).dtype))
      return BatchMixing{fmt::format("`{}` is a sum over the batch, not a mean", result.name), loc};
    if (seen.kind == Kind::samples && (seen.axis != 0 || seen.inner != 1))
      return BatchMixing{fmt::format("the first axis of `{}` is not the batch", result.name), loc};
    return std::nullopt;
  }

  void visit(const Op& op) {
    bool any = false;
    Share made;
    for (ValueId operand : op.operands) {
      const Share& of = share(operand);
      any = any || of.kind != Kind::none;
      if (of.kind == Kind::mixed)
        made = of;
    }
    if (!any)
      return;
    if (made.kind != Kind::mixed)
      made = made_by(op);
    if (made.kind == Kind::mixed && !made.mixer)
      made.mixer = &op;
    for (ValueId result : op.results)
      share(result) = made;
  }

  Share made_by(const Op& op) {
    Share made = is_any(op, Kind::sum) ? made_of_sums(op) : made_of_samples(op);
    made.mean = is_linear(op) && (all_are_means(op) || divides_by_batch(op));
    return made;
  }

  bool is_any(const Op& op, Kind kind) const {
    return std::ranges::any_of(
        op.operands, [&](ValueId operand) { return shares_[operand.index].kind == kind; });
  }

  Share made_of_samples(const Op& op) const {
    switch (def(op).kernel) {
      case KernelClass::map:
        return made_by_map(op);
      case KernelClass::view:
        return reshaped(shares_[op.operand(0).index], dims(op.operand(0)), dims(op.result()));
      case KernelClass::reduce:
        return reduced(op);
      case KernelClass::contract:
        return contracted(op);
      case KernelClass::custom:
        return along_axis(op);
      default:
        return {.kind = Kind::mixed};
    }
  }

  // What is linear in sums is a sum.
  Share made_of_sums(const Op& op) const {
    bool is_sum = is_linear(op) && !is_any(op, Kind::samples);
    return {.kind = is_sum ? Kind::sum : Kind::mixed};
  }

  // In all operands that have to do with samples, taken together.
  bool is_linear(const Op& op) const {
    if (def(op).kernel == KernelClass::reduce)
      return adds(op);
    if (op.code == Opcode::mul || op.code == Opcode::div || def(op).kernel == KernelClass::contract)
      return std::ranges::count_if(
                 op.operands,
                 [&](ValueId operand) { return shares_[operand.index].kind != Kind::none; }) == 1 &&
             (op.code != Opcode::div || shares_[op.operand(1).index].kind == Kind::none);
    constexpr Opcode kLinear[] = {Opcode::add,       Opcode::sub,     Opcode::neg,
                                  Opcode::cast,      Opcode::reshape, Opcode::transpose,
                                  Opcode::broadcast, Opcode::concat,  Opcode::stop_gradient};
    return std::ranges::find(kLinear, op.code) != std::end(kLinear);
  }

  bool all_are_means(const Op& op) const {
    return std::ranges::all_of(op.operands, [&](ValueId operand) {
      const Share& of = shares_[operand.index];
      return of.kind == Kind::none || of.mean;
    });
  }

  bool divides_by_batch(const Op& op) const {
    if (op.code != Opcode::mul && op.code != Opcode::div)
      return false;
    size_t factor = shares_[op.operand(0).index].kind == Kind::none ? 0 : 1;
    std::optional<double> number = constant(op.operand(factor));
    return number && divides_by_batch(op.code == Opcode::mul ? 1 / *number : *number);
  }

  bool divides_by_batch(double divisor) const {
    double times = divisor / static_cast<double>(batch_);
    return times > 0.5 && std::abs(times - std::round(times)) < 1e-5 * times;
  }

  // The number that all elements are.
  std::optional<double> constant(ValueId value) const {
    const Op* maker = makers_[value.index];
    while (maker && (maker->code == Opcode::broadcast || maker->code == Opcode::reshape ||
                     maker->code == Opcode::cast))
      maker = makers_[maker->operand(0).index];
    if (!maker || maker->code != Opcode::constant)
      return std::nullopt;
    return maker->attrs.real("value");
  }

  Share made_by_map(const Op& op) const {
    loop::Kernel kernel;
    loop::Builder builder(kernel);
    IndexProbe probe(builder, step_, op);
    def(op).element(probe);
    std::optional<Share> made;
    for (size_t i = 0; i < op.operands.size(); ++i) {
      const Share& of = shares_[op.operand(i).index];
      if (of.kind == Kind::none)
        continue;
      int64_t axis = probe.axis_of(i, of.axis);
      if (axis == IndexProbe::kUnread)
        continue;
      Share moved{.kind = Kind::samples, .axis = static_cast<size_t>(axis), .inner = of.inner};
      if (axis < 0 || dims(op.result())[moved.axis] != batch_ * of.inner ||
          (made && *made != moved))
        return {.kind = Kind::mixed};
      made = moved;
    }
    return made.value_or(Share{});
  }

  // The axis of the new shape along which samples lie at the same distance.
  Share reshaped(const Share& of, const Dims& from, const Dims& to) const {
    int64_t distance = product(from, of.axis + 1, from.size()) * of.inner;
    for (size_t axis = 0; axis < to.size(); ++axis) {
      int64_t step = product(to, axis + 1, to.size());
      if (distance % step == 0 && to[axis] == batch_ * (distance / step))
        return {.kind = Kind::samples, .axis = axis, .inner = distance / step};
    }
    return {.kind = Kind::mixed};
  }

  static bool adds(const Op& op) { return def(op).reduce.combine == loop::Code::add; }

  Share reduced(const Op& op) const {
    Share made = shares_[op.operand(0).index];
    std::vector<int64_t> axes = op.attrs.integers("axes");
    auto folded = static_cast<int64_t>(made.axis);
    if (std::ranges::find(axes, folded) != axes.end())
      return {.kind = adds(op) ? Kind::sum : Kind::mixed};
    made.axis -= static_cast<size_t>(
        std::ranges::count_if(axes, [&](int64_t axis) { return axis < folded; }));
    return made;
  }

  // The loop of a contraction that an operand's samples are numbered by, if there is one.
  Share contracted(const Op& op) const {
    std::vector<Type> types;
    for (ValueId operand : op.operands)
      types.push_back(step_.type(operand));
    Contraction contraction = def(op).contraction(types, step_.type(op.result()), op.attrs);
    std::optional<int> loop;
    int64_t inner = 1;
    for (size_t i = 0; i < 2; ++i) {
      const Share& of = shares_[op.operand(i).index];
      if (of.kind == Kind::none)
        continue;
      const AffineIndex& index = contraction.operand_indices[i][of.axis];
      bool plain = index.terms.size() == 1 && index.terms[0].second == 1 && index.offset == 0 &&
                   index.divisor == 1;
      if (!plain || (loop && (*loop != index.terms[0].first || inner != of.inner)))
        return {.kind = Kind::mixed};
      loop = index.terms[0].first;
      inner = of.inner;
    }
    auto number = static_cast<size_t>(*loop);
    if (number < contraction.result_dims.size())
      return reshaped({.kind = Kind::samples, .axis = number, .inner = inner},
                      contraction.result_dims, dims(op.result()));
    bool both = std::ranges::all_of(
        op.operands, [&](ValueId operand) { return shares_[operand.index].kind != Kind::none; });
    return {.kind = both ? Kind::sum : Kind::mixed};
  }

  // Cumulative sums, the largest few: they work along one axis.
  Share along_axis(const Op& op) const {
    const Attr* attr = op.attrs.find("axis");
    const Share& of = shares_[op.operand(0).index];
    bool apart = attr && op.operands.size() == 1 && std::holds_alternative<int64_t>(*attr) &&
                 std::get<int64_t>(*attr) != static_cast<int64_t>(of.axis);
    return apart ? of : Share{.kind = Kind::mixed};
  }

  const Function& step_;
  int64_t batch_;
  std::vector<const Op*> makers_;  // by value
  std::vector<Share> shares_;  // by value
};

}  // namespace

std::optional<BatchMixing> batch_mixing(const Function& step) {
  return MixingFinder(step).run();
}

}  // namespace gradc
