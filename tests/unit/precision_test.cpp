#include "compiler/passes/precision.h"

#include <catch2/catch.hpp>
#include <set>

#include "compiler/check.h"
#include "compiler/passes/autodiff.h"
#include "compiler/passes/narrow_reads.h"
#include "compiler/pipeline.h"
#include "ir/op_def.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

Options narrow(DType dtype = DType::bf16) {
  Options options = training();
  options.precision = dtype;
  return options;
}

Module in_bf16(const std::string& text) {
  Module module = precision(parsed(text), narrow());
  verify(module);
  return module;
}

// A module with one entry @infer that computes `ops` from %x: f32[2,4] and %w: f32[4,4].
Module computing(const std::string& ops, const std::string& results) {
  return in_bf16(
      "module @m\n\nentry @infer(%x: f32[2,4], %w: f32[4,4], %i: i32[2]) {\nforward:\n"
      "  %p: f32[2,4] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n" +
      ops + "  return " + results + "\n}\n");
}

// The type in which the op of this name computes its first result.
DType computed_in(const Module& module, Opcode code) {
  for (const Op& op : module.function("infer").ops)
    if (op.code == code)
      return module.function("infer").type(op.results[0]).dtype;
  FAIL("no such op");
  return DType::f32;
}

size_t count(const Function& function, Opcode code) {
  size_t found = 0;
  for (const Op& op : function.ops)
    found += op.code == code;
  return found;
}

void check_equal_results(const Module& plain, const Module& module) {
  const Function &right = plain.function("train_step"), &step = module.function("train_step");
  State state = random_state(plain, 3), same = state;
  std::vector<Tensor> wanted = eval(plain, right, random_arguments(right, 3), state);
  std::vector<Tensor> seen = eval(module, step, random_arguments(step, 3), same);
  REQUIRE(seen.size() == wanted.size());
  for (size_t i = 0; i < seen.size(); ++i) {
    INFO(step.results[i].name);
    REQUIRE(seen[i].type == wanted[i].type);
    for (size_t e = 0; e < seen[i].data.size(); ++e)
      CHECK(seen[i].data[e] == Approx(wanted[i].data[e]).epsilon(1e-12));
  }
}

}  // namespace

TEST_CASE("nothing changes in f32", "[precision]") {
  Module module = parsed(kMlp);
  CHECK(print(precision(module, training())) == print(module));
}

TEST_CASE("products are narrow, and what is between them", "[precision]") {
  Module module = in_bf16(kMlp);
  const Function& step = module.function("train_step");
  for (const Op& op : step.ops) {
    INFO(def(op).name);
    if (op.code == Opcode::dot) {
      CHECK(step.type(op.operand(0)).dtype == DType::bf16);
      CHECK(step.type(op.operand(1)).dtype == DType::bf16);
      CHECK(step.type(op.result()).dtype == DType::bf16);
    } else if (op.code != Opcode::cast) {
      CHECK(step.type(op.result()).dtype == DType::f32);
    }
  }
  // Inputs, state and results are what they were.
  Module plain = parsed(kMlp);
  const Function& before = plain.function("train_step");
  for (size_t i = 0; i < step.parameters.size(); ++i)
    CHECK(step.type(step.parameters[i].value) == before.type(before.parameters[i].value));
  for (size_t i = 0; i < step.results.size(); ++i)
    CHECK(step.type(step.results[i].value) == before.type(before.results[i].value));
}

TEST_CASE("a value is cast once for all of its readers", "[precision]") {
  Module module = computing(
      "  %a: f32[2,4] = tanh(%p)\n  %b: f32[2,4] = exp(%p)\n"
      "  %c: f32[2,4] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n",
      "a=%a, b=%b, c=%c");
  // x, w; p; a and b down and up again; c up.
  CHECK(count(module.function("infer"), Opcode::cast) == 8);
}

TEST_CASE("ops that round compute in f32, those that are exact do not", "[precision]") {
  CHECK(computed_in(computing("  %y: f32[2,4] = tanh(%p)\n", "y=%y"), Opcode::tanh) == DType::f32);
  CHECK(computed_in(computing("  %y: f32[4,2] = transpose(%p) {permutation=[1,0]}\n", "y=%y"),
                    Opcode::transpose) == DType::bf16);
  CHECK(computed_in(computing("  %y: f32[2,4] = maximum(%p, %x)\n", "y=%y"), Opcode::maximum) ==
        DType::bf16);
  CHECK(computed_in(computing("  %y: f32[2,4] = add(%p, %x)\n", "y=%y"), Opcode::add) ==
        DType::f32);
  // What no product has made narrow stays as it is.
  CHECK(computed_in(computing("  %y: f32[4,2] = transpose(%x) {permutation=[1,0]}\n", "y=%y, p=%p"),
                    Opcode::transpose) == DType::f32);
}

TEST_CASE("what is smaller than its operands stays f32", "[precision]") {
  Module module = computing(
      "  %sum: f32[2] = reduce_sum(%p) {axes=[1]}\n  %y: f32[2] = exp(%sum)\n"
      "  %loss: f32[] = cross_entropy(%p, %i) {axis=1, ignore_index=-100}\n",
      "y=%y, loss=%loss");
  const Function& infer = module.function("infer");
  for (const Op& op : infer.ops)
    if (op.code == Opcode::reduce_sum || op.code == Opcode::exp ||
        op.code == Opcode::cross_entropy) {
      CHECK(infer.type(op.operand(0)).dtype == DType::f32);
      CHECK(infer.type(op.result()).dtype == DType::f32);
    }
  CHECK(infer.ops.back().code != Opcode::cast);
}

// The evaluator rounds nothing, so casts are not seen in its numbers, only the formulas are.
TEST_CASE("gradients are those of f32 but for rounding, and f32", "[precision]") {
  for (DType dtype : {DType::bf16, DType::f16}) {
    Module module = autodiff(precision(parsed(kMlp), narrow(dtype)), narrow(dtype));
    check_equal_results(autodiff(parsed(kMlp), training()), module);
  }
}

TEST_CASE("the loss scale cancels out", "[precision]") {
  Options scaled = training();
  scaled.loss_scale = 1024;
  Module module = autodiff(parsed(kMlp), scaled);
  check_equal_results(autodiff(parsed(kMlp), training()), module);
  // It is on the way there: the first gradient is that of the loss.
  CHECK(print(module).find("value=1024") != std::string::npos);
}

TEST_CASE("the backward pass reads what the forward pass rounded", "[precision]") {
  Module plain = autodiff(precision(parsed(kMlp), narrow()), narrow());
  CHECK(print(narrow_reads(plain, training())) == print(plain));
  Module module = narrow_reads(plain, narrow());
  verify(module);
  check_equal_results(plain, module);
  const Function& step = module.function("train_step");
  std::vector<std::optional<OpId>> definitions = defining_ops(step);
  std::set<uint32_t> rounded;
  for (const Op& op : step.ops)
    if (op.code == Opcode::cast && op.phase == Phase::forward && definitions[op.operand(0).index] &&
        step.type(op.result()).dtype == DType::bf16)
      rounded.insert(op.operand(0).index);
  REQUIRE_FALSE(rounded.empty());
  for (const Op& op : step.ops)
    for (ValueId operand : op.operands)
      CHECK((op.phase == Phase::forward || !rounded.contains(operand.index)));
}
