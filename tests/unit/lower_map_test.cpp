#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <string>

#include "compiler/lower/lower.h"
#include "ir/loop_text.h"
#include "ir/parse.h"

using namespace gradc;

namespace {

std::string loops_of(const std::string& kernel, int threads = 1) {
  Module module = parse_module("module @m\n" + kernel, "kernel.ir");
  std::string text = print(lower(module.functions.at(0), Target{}, threads));
  CHECK(print(parse_loops(text, "kernel.loops")) == text);
  return text;
}

}  // namespace

TEST_CASE("axes that every access runs through in order become one vector loop", "[lower]") {
  CHECK(loops_of(R"(kernel @k(%x: f32[8,4,6], %y: f32[8,24]) with {class="map"} {
  %y3: f32[8,4,6] = reshape(%y) {shape=[8,4,6]}
  %z: f32[8,4,6] = add(%x, %y3)
  return %z
})") == R"(loops @k(operand %x: f32[192], operand %y: f32[192], result %z: f32[192]) {
  vector %j in 0..192 {
    %x.1: f32 = load %x[%j]
    %y.1: f32 = load %y[%j]
    %add: f32 = add(%x.1, %y.1)
    store %z[%j] = %add
  }
}
)");
}

TEST_CASE("a broadcast along rows keeps the rows apart and its load out of them", "[lower]") {
  CHECK(loops_of(R"(kernel @k(%x: f32[8,16,32], %b: f32[16]) with {class="map"} {
  %all: f32[8,16,32] = broadcast(%b) {axes=[1], shape=[8,16,32]}
  %z: f32[8,16,32] = add(%x, %all)
  return %z
})") == R"(loops @k(operand %x: f32[4096], operand %b: f32[16], result %z: f32[4096]) {
  serial %i in 0..8 {
    %t: i64 = mul(%i, 512)
    serial %i.1 in 0..16 {
      %t.1: i64 = mul(%i.1, 32)
      %t.2: i64 = add(%t, %t.1)
      %b.1: f32 = load %b[%i.1]
      vector %j in 0..32 {
        %t.3: i64 = add(%t.2, %j)
        %x.1: f32 = load %x[%t.3]
        %add: f32 = add(%x.1, %b.1)
        store %z[%t.3] = %add
      }
    }
  }
}
)");
}

TEST_CASE("much work is cut into pieces for threads, with a shorter last one", "[lower]") {
  std::string text = loops_of(R"(kernel @k(%x: f32[100000]) with {class="map"} {
  %y: f32[100000] = tanh(%x)
  return %y
})",
                              2);
  CHECK(text.find("parallel %i in 0..31 {") != std::string::npos);
  CHECK(text.find("vector %j in 0..3200 {") != std::string::npos);
  CHECK(text.find("vector %j.1 in 0..800 {") != std::string::npos);
}

TEST_CASE("a concatenation along rows has a loop for each operand", "[lower]") {
  CHECK(loops_of(R"(kernel @k(%x: f32[8,32], %y: f32[8,16]) with {class="map"} {
  %c: f32[8,48] = concat(%x, %y) {axis=1}
  %z: f32[8,48] = relu(%c)
  return %z
})") == R"(loops @k(operand %x: f32[256], operand %y: f32[128], result %z: f32[384]) {
  serial %i in 0..8 {
    %t: i64 = mul(%i, 32)
    %t.1: i64 = mul(%i, 48)
    vector %j in 0..32 {
      %t.2: i64 = add(%t, %j)
      %x.1: f32 = load %x[%t.2]
      %max: f32 = max(%x.1, 0.0:f32)
      %t.3: i64 = add(%t.1, %j)
      store %z[%t.3] = %max
    }
    %t.4: i64 = mul(%i, 16)
    vector %j.1 in 0..16 {
      %t.5: i64 = add(%t.4, %j.1)
      %y.1: f32 = load %y[%t.5]
      %max.1: f32 = max(%y.1, 0.0:f32)
      %t.6: i64 = add(%t.1, %j.1)
      %t.7: i64 = add(%t.6, 32)
      store %z[%t.7] = %max.1
    }
  }
}
)");
  // Padding chooses less than its short parts cost.
  std::string padded = loops_of(R"(kernel @k(%x: f32[8,64]) with {class="map"} {
  %p: f32[8,66] = pad(%x) {high=[0,1], low=[0,1], value=0.0}
  %z: f32[8,66] = relu(%p)
  return %z
})");
  CHECK(padded.find("vector") == padded.rfind("vector"));
}

TEST_CASE("a concatenation along an outer axis has loops for each operand", "[lower]") {
  CHECK(
      loops_of(R"(kernel @k(%x: f32[1,32], %y: f32[3,32], %s: f32[4,32]) with {class="map"} {
  %c: f32[4,32] = concat(%x, %y) {axis=0}
  %z: f32[4,32] = mul(%c, %s)
  return %z
})") ==
      R"(loops @k(operand %x: f32[32], operand %y: f32[96], operand %s: f32[128], result %z: f32[128]) {
  vector %j in 0..32 {
    %x.1: f32 = load %x[%j]
    %s.1: f32 = load %s[%j]
    %mul: f32 = mul(%x.1, %s.1)
    store %z[%j] = %mul
  }
  vector %j.1 in 0..96 {
    %y.1: f32 = load %y[%j.1]
    %t: i64 = add(%j.1, 32)
    %s.2: f32 = load %s[%t]
    %mul.1: f32 = mul(%y.1, %s.2)
    store %z[%t] = %mul.1
  }
}
)");
}

TEST_CASE("a transpose moves squares, and only what is read across", "[lower]") {
  std::string moved = loops_of(R"(kernel @k(%x: f32[40,64,9]) with {class="map"} {
  %t: f32[40,9,64] = transpose(%x) {permutation=[0,2,1]}
  return %t
})");
  CHECK(moved.find("transpose %t[") != std::string::npos);
  CHECK(moved.find("vector") == std::string::npos);
  std::string along = loops_of(R"(kernel @k(%x: f32[40,9,64]) with {class="map"} {
  %t: f32[9,40,64] = transpose(%x) {permutation=[1,0,2]}
  return %t
})");
  CHECK(along.find("transpose") == std::string::npos);
  std::string computed = loops_of(R"(kernel @k(%x: f32[32,48], %y: f32[48,32]) with {class="map"} {
  %t: f32[48,32] = transpose(%x) {permutation=[1,0]}
  %z: f32[48,32] = mul(%t, %y)
  return %z
})");
  CHECK(computed.find("transpose %across_0[0]") != std::string::npos);
  CHECK(computed.find("load %y") != std::string::npos);
  CHECK(computed.find("load %x") == std::string::npos);
}

TEST_CASE("a sweep over whole rows fetches the next ones in memory's order", "[lower]") {
  auto of_columns = [](int64_t columns) {
    return loops_of(fmt::format(R"(
kernel @k(%x: f32[2048,{0}]) with {{axes=[0], class="reduce", domain=[2048,{0}]}} {{
  %y: f32[{0}] = reduce_sum(%x) {{axes=[0]}}
  return %y
}})",
                                columns));
  };
  // Eight rows of 384 are visited at once: each column asks for eight elements of the next eight.
  CHECK(of_columns(384).find(R"(
        %t.3: i64 = mul(%j.1, 8)
        %t.4: i64 = add(%t.2, %t.3)
        %t.5: i64 = add(%t.4, 3072)
        fetch %x[%t.5]
)") != std::string::npos);
  // Part of a row is no run of memory.
  CHECK(of_columns(8192).find("fetch") == std::string::npos);
}

// A pipeline has a loop in which three rows are: the last pass of one, the second of the next, and
// the first of that behind, whose operand it fetches. Rows without functions are read, then
// written.
TEST_CASE("rows that compute functions go through a pipeline", "[lower]") {
  auto of_rows = [](const std::string& function) {
    return loops_of(fmt::format(R"(
kernel @k(%x: f32[4096,384]) with {{axes=[1], class="reduce", domain=[4096,384]}} {{
  %m: f32[4096] = reduce_max_number(%x) {{axes=[1]}}
  %m2: f32[4096,384] = broadcast(%m) {{axes=[0], shape=[4096,384]}}
  %d: f32[4096,384] = sub(%x, %m2)
  %e: f32[4096,384] = {}(%d)
  %s: f32[4096] = reduce_sum(%e) {{axes=[1]}}
  %s2: f32[4096,384] = broadcast(%s) {{axes=[0], shape=[4096,384]}}
  %y: f32[4096,384] = mul(%e, %s2)
  return %y
}})",
                                function));
  };
  CHECK(of_rows("exp_normal").find(R"(fold add, %c.13: f32 = -inf:f32 fold max_number) {
      %t.4: i64 = add(%t.3, %j.2)
      %t.5: i64 = add(%t.4, 768)
      %x.4: f32 = load %x[%t.5]
      %t.6: i64 = add(%t.4, 1280)
      fetch %x[%t.6]
      %t.7: i64 = add(%t.4, 384)
      %x.5: f32 = load %x[%t.7]
      %e.1: f32 = load %e[%j.2]
      %mul: f32 = mul(%e.1, %c.8)
      store %y[%t.4] = %mul
)") != std::string::npos);
  std::string read_first = of_rows("abs");
  CHECK(read_first.find("fetch") == std::string::npos);
  CHECK(read_first.find("fold add, ") == std::string::npos);
}
