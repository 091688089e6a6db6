// Vector loops. Iteration i of a loop with L lanes and U vectors in flight runs in lane i % L of
// vector (i / L) % U. A carry has one value per lane and vector, to begin with a neutral one
// (the initial value joins at the end). They are folded by halves: vector u with vector u +
// ceil(U / 2) until one is left, then lane l with lane l + L / 2, and so on: for several carries of
// one fold at once, as long as more than one lane of each is left.
#include <algorithm>
#include <map>

#include "compiler/codegen/arithmetic.h"
#include "compiler/codegen/counted_loop.h"
#include "compiler/codegen/kernel_emitter.h"
#include "ir/diagnostic.h"

namespace gradc::codegen {
namespace {

using llvm::Value;
using loop::Code;
using loop::Instr;

// With carries, U is part of what the loop computes and depends on the extent only: four sums hide
// an addition's latency. Without, it saves loop overhead as long as the body is short.
size_t vectors_in_flight(const Instr& instr, int64_t lanes) {
  int64_t vectors = (instr.extent + lanes - 1) / lanes;
  constexpr size_t kShortBody = 12;
  bool is_short = instr.body.size() <= kShortBody;
  bool has_loops = std::any_of(instr.body.begin(), instr.body.end(),
                               [](const Instr& inner) { return inner.code == Code::loop; });
  int64_t most = instr.in_flight > 0                ? instr.in_flight
                 : !instr.folds.empty() || is_short ? 4
                 : has_loops                        ? 2
                                                    : 1;
  return static_cast<size_t>(std::min(vectors, most));
}

}  // namespace

Value* KernelEmitter::combine(Code fold, DType dtype, Value* x, Value* y) {
  return emit_arithmetic(b_, fold, dtype, dtype, std::array{x, y});
}

// The vectors of one carry become one.
Value* KernelEmitter::joined(Code fold, DType dtype, std::vector<Value*> vectors) {
  while (vectors.size() > 1) {
    size_t half = (vectors.size() + 1) / 2;
    for (size_t u = 0; u + half < vectors.size(); ++u)
      vectors[u] = combine(fold, dtype, vectors[u], vectors[u + half]);
    vectors.resize(half);
  }
  return vectors[0];
}

Value* KernelEmitter::folded(Code fold, DType dtype, Value* x) {
  for (auto width = static_cast<int>(lanes_) / 2; width > 0; width /= 2) {
    std::vector<int> low(static_cast<size_t>(width)), high(static_cast<size_t>(width));
    for (int lane = 0; lane < width; ++lane) {
      low[static_cast<size_t>(lane)] = lane;
      high[static_cast<size_t>(lane)] = width + lane;
    }
    x = combine(fold, dtype, b_.CreateShuffleVector(x, low), b_.CreateShuffleVector(x, high));
  }
  return lanes_ == 1 ? x : b_.CreateExtractElement(x, uint64_t{0});
}

// One vector of each value, folded over its lanes as `folded` does. A round makes one vector of
// two, x and y: lanes without bit `width` fold two of x, the others two of y. So value i ends in
// the lane whose bits are those of i in reverse.
std::vector<Value*> KernelEmitter::folded_together(Code fold, DType dtype,
                                                   const std::vector<Value*>& vectors) {
  auto lanes = static_cast<int>(lanes_);
  std::vector<Value*> left = vectors;
  for (int width = lanes / 2; width > 0; width /= 2) {
    std::vector<int> low, high;
    for (int lane = 0; lane < lanes; ++lane) {
      int from = (lane & width) != 0 ? lanes : 0;
      low.push_back(from + (lane & ~width));
      high.push_back(from + (lane | width));
    }
    std::vector<Value*> next;
    for (size_t i = 0; i < left.size(); i += 2) {
      Value* x = left[i];
      Value* y = i + 1 < left.size() ? left[i + 1] : llvm::PoisonValue::get(x->getType());
      next.push_back(combine(fold, dtype, b_.CreateShuffleVector(x, y, low),
                             b_.CreateShuffleVector(x, y, high)));
    }
    left = std::move(next);
  }
  std::vector<Value*> results;
  for (size_t i = 0; i < vectors.size(); ++i) {
    size_t number = i % static_cast<size_t>(lanes), lane = 0;
    for (int width = lanes / 2; width > 0; width /= 2, number /= 2)
      lane += number % 2 * static_cast<size_t>(width);
    results.push_back(b_.CreateExtractElement(left[i / static_cast<size_t>(lanes)], lane));
  }
  return results;
}

// One pass over the body for `vectors` vectors from iteration `first` on. carries[c][u] is the
// value of carry c in vector u; lanes that have nothing to do keep theirs.
std::vector<std::vector<Value*>> KernelEmitter::emit_vector_block(
    const Instr& instr, Value* first, size_t vectors, int64_t last_lanes,
    std::vector<std::vector<Value*>> carries) {
  block_.number = ++vector_blocks_;
  block_.vectors = vectors;
  block_.last_lanes = last_lanes;
  define(instr.params[0], first);
  for (size_t c = 0; c < carries.size(); ++c)
    for (size_t u = 0; u < vectors; ++u)
      define_vector(instr.params[c + 1], u, carries[c][u]);
  emit_body(instr.body);
  for (size_t c = 0; c < carries.size(); ++c)
    for (size_t u = 0; u < vectors; ++u) {
      Value* next = wide_vector(instr.body.back().operands[c], u);
      Value* active = active_lanes(u);
      carries[c][u] = active ? b_.CreateSelect(active, next, carries[c][u]) : next;
    }
  return carries;
}

void KernelEmitter::emit_vector_loop(const Instr& instr) {
  GRADC_CHECK(block_.number == 0, "a vector loop of @{} is inside of another", kernel_.name);
  std::vector<LaneShape> shapes = lane_shapes(kernel_, instr);
  size_t in_flight = vectors_in_flight(instr, lanes_);
  int64_t step = lanes_ * static_cast<int64_t>(in_flight);
  int64_t whole = instr.extent / step * step, rest = instr.extent - whole;
  std::vector<std::vector<Value*>> carries;
  for (size_t c = 0; c < instr.folds.size(); ++c) {
    DType dtype = kernel_.regs[instr.params[c + 1]];
    llvm::Type* type = vector_type(register_type(b_.getContext(), dtype));
    carries.emplace_back(in_flight, beginning_of(instr.folds[c], dtype, type));
  }
  block_ = {.shapes = &shapes, .outside = b_.GetInsertBlock()};

  std::vector<Value*> flat;
  for (const auto& values : carries)
    flat.insert(flat.end(), values.begin(), values.end());
  flat = emit_counted_loop(b_, whole, step, flat, [&](Value* i, std::span<Value* const> values) {
    for (size_t k = 0; k < values.size(); ++k)
      carries[k / in_flight][k % in_flight] = values[k];
    std::vector<Value*> next;
    for (const auto& c : emit_vector_block(instr, i, in_flight, lanes_, carries))
      next.insert(next.end(), c.begin(), c.end());
    return next;
  });
  for (size_t k = 0; k < flat.size(); ++k)
    carries[k / in_flight][k % in_flight] = flat[k];
  if (rest > 0) {
    int64_t vectors = (rest + lanes_ - 1) / lanes_;
    carries = emit_vector_block(instr, b_.getInt64(static_cast<uint64_t>(whole)),
                                static_cast<size_t>(vectors), rest - (vectors - 1) * lanes_,
                                std::move(carries));
  }
  block_ = {};
  for (uint32_t reg : splats_)
    values_[reg].splat = nullptr;
  splats_.clear();

  fold_carries(instr, carries);
}

// Over vectors and lanes, carries of one fold and type together; then come the initial values.
void KernelEmitter::fold_carries(const Instr& instr,
                                 const std::vector<std::vector<Value*>>& carries) {
  std::map<std::pair<Code, DType>, std::vector<size_t>> alike;
  for (size_t c = 0; c < carries.size(); ++c)
    alike[{instr.folds[c], kernel_.regs[instr.params[c + 1]]}].push_back(c);
  for (const auto& [kind, numbers] : alike) {
    auto [fold, dtype] = kind;
    std::vector<Value*> totals;
    for (size_t c : numbers) {
      Value* total = joined(fold, dtype, carries[c]);
      llvm::Constant* identity = identity_of(fold, dtype, total->getType());
      bool has_identity = identity == beginning_of(fold, dtype, total->getType());
      totals.push_back(has_identity ? total : combine(fold, dtype, identity, total));
    }
    if (totals.size() > 1 && lanes_ > 1)
      totals = folded_together(fold, dtype, totals);
    else
      for (Value*& total : totals)
        total = folded(fold, dtype, total);
    for (size_t i = 0; i < numbers.size(); ++i) {
      Value* initial = scalar(instr.operands[numbers[i]]);
      if (initial != identity_of(fold, dtype, initial->getType()))
        totals[i] = combine(fold, dtype, initial, totals[i]);
      define(instr.results[numbers[i]], totals[i]);
    }
  }
}

}  // namespace gradc::codegen
