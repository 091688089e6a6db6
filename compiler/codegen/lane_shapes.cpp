#include "compiler/codegen/lane_shapes.h"

#include <algorithm>
#include <optional>

namespace gradc::codegen {
namespace {

using loop::Code;
using loop::Instr;

class Analysis {
 public:
  explicit Analysis(const loop::Kernel& kernel)
      : shapes_(kernel.regs.size()), constants_(kernel.regs.size()) {
    for (const Instr& instr : kernel.body)
      if (instr.code == Code::constant && instr.dtype == DType::i64)
        constants_[instr.results[0]] = instr.integer;
  }

  std::vector<LaneShape> run(const Instr& owner) {
    if (owner.code == Code::tile) {
      shapes_[owner.params[2]] = {LaneShape::affine, 1};
      shapes_[owner.params[3]] = {LaneShape::varying};
    } else {
      shapes_[owner.params[0]] = {LaneShape::affine, 1};
      for (size_t i = 1; i < owner.params.size(); ++i)
        shapes_[owner.params[i]] = {LaneShape::varying};
    }
    visit(owner.body);
    return std::move(shapes_);
  }

 private:
  void visit(const std::vector<Instr>& body) {
    for (const Instr& instr : body) {
      if (instr.code == Code::loop)
        loop(instr);
      else if (!instr.results.empty())
        shapes_[instr.results[0]] = shape(instr);
    }
  }

  // A carry that differs between lanes in any iteration does so in all: repeat until none changes.
  void loop(const Instr& instr) {
    auto meet = [&](uint32_t into, uint32_t from) {
      if (shapes_[from].kind == LaneShape::uniform || shapes_[into].kind == LaneShape::varying)
        return false;
      shapes_[into] = {LaneShape::varying};
      return true;
    };
    for (size_t i = 0; i < instr.operands.size(); ++i)
      meet(instr.params[i + 1], instr.operands[i]);
    for (bool changed = true; changed;) {
      changed = false;
      visit(instr.body);
      for (size_t i = 0; i < instr.operands.size(); ++i)
        changed |= meet(instr.params[i + 1], instr.body.back().operands[i]);
    }
    for (size_t i = 0; i < instr.results.size(); ++i)
      shapes_[instr.results[i]] = shapes_[instr.params[i + 1]];
  }

  LaneShape shape(const Instr& instr) const {
    const std::vector<uint32_t>& x = instr.operands;
    bool same = std::all_of(x.begin(), x.end(),
                            [&](uint32_t reg) { return shapes_[reg].kind == LaneShape::uniform; });
    if (same)
      return {};
    if (instr.dtype != DType::i64 || x.size() != 2 || shapes_[x[0]].kind == LaneShape::varying ||
        shapes_[x[1]].kind == LaneShape::varying)
      return {LaneShape::varying};
    int64_t a = shapes_[x[0]].step, b = shapes_[x[1]].step;
    if (instr.code == Code::add || instr.code == Code::sub)
      return affine(instr.code == Code::add ? a + b : a - b);
    if (instr.code == Code::mul && (constants_[x[0]] || constants_[x[1]]))
      return affine(constants_[x[0]] ? b * *constants_[x[0]] : a * *constants_[x[1]]);
    return {LaneShape::varying};
  }

  static LaneShape affine(int64_t step) {
    return step == 0 ? LaneShape{} : LaneShape{LaneShape::affine, step};
  }

  std::vector<LaneShape> shapes_;
  std::vector<std::optional<int64_t>> constants_;  // of i64 registers
};

}  // namespace

std::vector<LaneShape> lane_shapes(const loop::Kernel& kernel, const Instr& body) {
  return Analysis(kernel).run(body);
}

}  // namespace gradc::codegen
