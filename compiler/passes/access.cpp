#include "compiler/passes/access.h"

#include <numeric>

#include "ir/element_context.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

// Answers an element rule with loads from anywhere and notes which indices it asks for.
class AccessProbe : public loop::ElementContext {
 public:
  AccessProbe(loop::Builder& builder, const Function& function, const Op& op)
      : ElementContext(builder, op, 0), function_(function), accesses_(op.operands.size()) {
    for (ValueId operand : op.operands)
      b.add_buffer({.dtype = function.type(operand).dtype});
    for (size_t axis = 0; axis < function.type(op.results[0]).dims.size(); ++axis)
      position_.push_back(unknown_index());
    linear_ = unknown_index();
  }

  const Type& operand_type(size_t i) const override { return function_.type(op().operands[i]); }
  const Type& result_type() const override { return function_.type(op().results[0]); }
  std::span<const loop::Scalar> position() override { return position_; }
  loop::Scalar linear() override { return linear_; }

  loop::Scalar at(size_t i) override { return note(i, identity_map(operand_type(i).rank())); }
  loop::Scalar at(size_t i, std::span<const loop::Scalar> indices) override {
    return note(i, axis_map(indices));
  }
  loop::Scalar at_linear(size_t i, loop::Scalar) override { return note(i, std::nullopt); }
  loop::Scalar at_if(loop::Scalar, size_t i, std::span<const loop::Scalar>,
                     loop::Scalar otherwise) override {
    note(i, std::nullopt);
    return otherwise;
  }

  // An operand that was not read at all is read nowhere in particular.
  std::vector<AxisMap> result() const {
    std::vector<AxisMap> maps;
    for (const std::vector<AxisMap>& seen : accesses_) {
      bool same = !seen.empty();
      for (const AxisMap& map : seen)
        same = same && map == seen[0];
      maps.push_back(same ? seen[0] : std::nullopt);
    }
    return maps;
  }

 private:
  // An index of which nothing is known: the number of a loop's iteration.
  loop::Scalar unknown_index() { return b.begin_for(loop::LoopKind::serial, int64_t{1} << 20)[0]; }

  AxisMap axis_map(std::span<const loop::Scalar> indices) const {
    std::vector<int64_t> map;
    for (const loop::Scalar& index : indices) {
      size_t axis = 0;
      while (axis < position_.size() && position_[axis].reg != index.reg)
        ++axis;
      if (axis == position_.size())
        return std::nullopt;
      map.push_back(static_cast<int64_t>(axis));
    }
    return map;
  }

  loop::Scalar note(size_t i, AxisMap map) {
    accesses_[i].push_back(std::move(map));
    return b.load(static_cast<uint32_t>(i), linear_);
  }

  const Function& function_;
  std::vector<loop::Scalar> position_;
  loop::Scalar linear_;
  std::vector<std::vector<AxisMap>> accesses_;  // by operand
};

}  // namespace

AxisMap identity_map(int64_t rank) {
  std::vector<int64_t> map(static_cast<size_t>(rank));
  std::iota(map.begin(), map.end(), 0);
  return map;
}

AxisMap compose(const AxisMap& outer, const AxisMap& inner) {
  if (!outer || !inner)
    return std::nullopt;
  std::vector<int64_t> map;
  for (int64_t axis : *inner)
    map.push_back((*outer)[static_cast<size_t>(axis)]);
  return map;
}

std::vector<AxisMap> operand_accesses(const Function& function, const Op& op) {
  loop::Kernel kernel;
  loop::Builder builder(kernel);
  AccessProbe probe(builder, function, op);
  def(op).element(probe);
  return probe.result();
}

}  // namespace gradc
