#include "compiler/passes/pack.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/check.h"
#include "ir/op_def.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// h = tanh(dot(h, w) + b), `steps` times.
std::string steps(int count, int rows, int columns, const char* phase = "forward", int sum_w = 1) {
  std::string text = fmt::format(
      "module @m\nparam @w: f32[{0},{0}]\n\nentry @infer(%h0: "
      "f32[{1},{0}], %b: f32[{0}], %w: f32[{0},{0}] = @w) {{\n{2}:\n",
      columns, rows, phase);
  for (int i = 0; i < count; ++i)
    text += fmt::format(
        "  %z{0}: f32[{1},{2}] = dot(%h{0}, %w) {{batch_a=[], batch_b=[], sum_a=[1], "
        "sum_b=[{4}]}}\n"
        "  %c{0}: f32[{1},{2}] = broadcast(%b) {{axes=[1], shape=[{1},{2}]}}\n"
        "  %a{0}: f32[{1},{2}] = add(%z{0}, %c{0})\n  %h{3}: f32[{1},{2}] = tanh(%a{0})\n",
        i, rows, columns, i + 1, sum_w);
  return text + fmt::format("  return h=%h{}\n}}\n", count);
}

size_t count(const Module& module, Opcode code) {
  const std::vector<Op>& ops = module.functions[0].ops;
  return static_cast<size_t>(
      std::count_if(ops.begin(), ops.end(), [&](const Op& op) { return op.code == code; }));
}

Module packed(const std::string& text) {
  Module module = parsed(text), after = pack(module, Options{});
  verify(after);
  return after;
}

}  // namespace

TEST_CASE("a weight that many products of few rows read is in order once", "[pack]") {
  for (int sum_w : {0, 1}) {
    std::string text = steps(9, 32, 128, "forward", sum_w);
    Module after = packed(text);
    CHECK(count(after, Opcode::transpose) == 1);
    CHECK(count(after, Opcode::dot) == 9);
    for (const Op& op : after.functions[0].ops) {
      if (op.code == Opcode::dot)
        CHECK(after.functions[0].type(op.operand(1)).dims == Dims{2, 128, 64});
      // What follows a product has its shape, and is part of its kernel.
      if (op.code == Opcode::add || op.code == Opcode::broadcast)
        CHECK(after.functions[0].type(op.result()).dims == Dims{32, 2, 64});
    }
    CHECK(print(pack(after, Options{})) == print(after));
    CHECK(first_difference(parsed(text), after) == std::nullopt);
  }
}

TEST_CASE("a weight stays as it is where packing it does not pay", "[pack]") {
  auto unchanged = [](const std::string& text) {
    return print(packed(text)) == print(parsed(text));
  };
  CHECK(!unchanged(steps(8, 32, 128)));
  CHECK(unchanged(steps(7, 32, 128)));  // few readers
  CHECK(unchanged(steps(8, 31, 128)));  // rows
  CHECK(unchanged(steps(8, 65, 128)));
  CHECK(unchanged(steps(8, 32, 64)));  // columns
  CHECK(unchanged(steps(8, 32, 96)));
  CHECK(unchanged(steps(8, 32, 128, "backward")));
}
