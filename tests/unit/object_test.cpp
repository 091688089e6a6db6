// An object file, linked into a C program, gives the bits of the code in memory.
#include <bit>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "compiler/codegen/target.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "runtime/cpu.h"
#include "tests/support/native.h"
#include "tests/support/temporary_directory.h"

using namespace gradc;
using namespace gradc::test;

namespace {

const char kProgram[] = R"(
#include <stdio.h>
#include <string.h>
#include "runtime/gradc_runtime.h"

extern const gradc_module test_module;

static void run_serially(void* pool, int64_t count, gradc_body body, void* data) {
  (void)pool;
  body(data, 0, count, 0);
}

static _Alignas(64) float x[40 * 50], y[40 * 50];
static _Alignas(64) char arena[1 << 20];

int main(void) {
  for (int i = 0; i < 40 * 50; ++i) x[i] = (float)(i * 37 % 101 - 50) / 16;
  const gradc_entry* entry = &test_module.entries[0];
  if (test_module.abi_version != GRADC_ABI_VERSION || entry->arena_bytes > sizeof arena) return 1;
  gradc_context context;
  memset(&context, 0, sizeof context);
  context.arena = arena;
  context.parallel_for = run_serially;
  context.threads = 1;
  const void* inputs[] = {x};
  void* outputs[] = {y};
  entry->function(&context, inputs, outputs);
  for (int i = 0; i < 40 * 50; ++i) {
    unsigned bits;
    memcpy(&bits, &y[i], 4);
    printf("%u\n", bits);
  }
  return 0;
}
)";

const char kFunction[] = R"(module @m
entry @f(%x: f32[40,50]) {
  %m: f32[40] = reduce_max(%x) {axes=[1]}
  %m2: f32[40,50] = broadcast(%m) {axes=[0], shape=[40,50]}
  %d: f32[40,50] = sub(%x, %m2)
  %e: f32[40,50] = exp(%d)
  %s: f32[40] = reduce_sum(%e) {axes=[1]}
  %s2: f32[40,50] = broadcast(%s) {axes=[0], shape=[40,50]}
  %y: f32[40,50] = div(%e, %s2)
  return %y
}
)";

}  // namespace

TEST_CASE("an object in a C program gives the bits of the code in memory", "[object]") {
  Function function = parse_module(kFunction, "f.ir").functions.at(0);
  CodegenOptions options = codegen_options();
  Module module = planned_module(function, options);
  gradc_test::TemporaryDirectory directory;
  std::string stem = directory.file("test");
  gradc_test::write_text(stem + ".o", generate_code(module, options, CodeFormat::object));
  gradc_test::write_text(stem + ".c", kProgram);
  std::string command = fmt::format("cc -std=c11 -I{} {}.c {}.o -lm -o {} && {} > {}.txt",
                                    GRADC_SOURCE_DIR, stem, stem, stem, stem, stem);
  REQUIRE(std::system(command.c_str()) == 0);

  Tensor x{{DType::f32, {40, 50}}, {}};
  for (int i = 0; i < 40 * 50; ++i)
    x.data.push_back((i * 37 % 101 - 50) / 16.0);
  JitModule code(module, options);
  std::vector<Tensor> expected = run_entry(*code.get(), {&x, 1});
  std::ifstream printed(stem + ".txt");
  uint32_t bits = 0;
  for (double value : expected[0].data) {
    REQUIRE(printed >> bits);
    REQUIRE(bits == std::bit_cast<uint32_t>(static_cast<float>(value)));
  }
}

TEST_CASE("what is not scheduled or planned is no machine code", "[object]") {
  Function function = parse_module(kFunction, "f.ir").functions.at(0);
  CodegenOptions options = codegen_options();
  auto error_of = [&](const Module& module) -> std::string {
    try {
      generate_code(module, options, CodeFormat::object);
    } catch (const UserError& error) {
      return error.message();
    }
    return "";
  };
  Module planned = planned_module(function, options);
  CHECK(error_of(planned) == "");
  Module unplanned = planned, other_scratch = planned;
  unplanned.find_function("f")->arena_bytes.reset();
  CHECK(error_of(unplanned) == "@f has no arena; run `plan`");
  for (Function& kernel : other_scratch.functions)
    if (kernel.kind == FunctionKind::kernel)
      kernel.attrs.set("scratch", kernel.attrs.integer("scratch") + 64);
  CHECK(error_of(other_scratch).find("run `schedule`") != std::string::npos);
}

TEST_CASE("assembly and LLVM IR are text that names the kernels", "[object]") {
  Function function = parse_module(kFunction, "f.ir").functions.at(0);
  CodegenOptions options = codegen_options("x86-64-v3");
  Module module = planned_module(function, options);
  std::string assembly = generate_code(module, options, CodeFormat::assembly);
  std::string ir = generate_code(module, options, CodeFormat::llvm_ir);
  CHECK(assembly.find("test_module") != std::string::npos);
  CHECK(assembly.find("ymm") != std::string::npos);
  CHECK(assembly.find("zmm") == std::string::npos);
  CHECK(ir.find("define internal void @test.f") != std::string::npos);
}

TEST_CASE("CPUs have names", "[target]") {
  CHECK(target_for("x86-64-v2").vector_bytes == 16);
  CHECK(target_for("x86-64-v3").vector_bytes == 32);
  CHECK(target_for("x86-64-v4").vector_bytes == 64);
  CHECK(target_for("x86-64-v4").vector_registers == 32);
  try {
    target_for("znver9");
    FAIL("znver9 is not known");
  } catch (const UserError& error) {
    CHECK(error.fault() == Fault::command_line);
    CHECK(std::string(error.what()).find("unknown CPU `znver9`") != std::string::npos);
    CHECK(std::string(error.what()).find("did you mean `znver") != std::string::npos);
  }
}

TEST_CASE("a CPU's features can be said", "[target]") {
  Target more = target_for("x86-64-v4,+avx512bf16"), same = target_for("x86-64-v4");
  CHECK(more.cpu == "x86-64-v4,+avx512bf16");
  CHECK(cpu_model(more) == "x86-64-v4");
  CHECK(has_feature(more, "avx512bf16"));
  CHECK(more.matrix_bf16);
  CHECK(more.l2_bytes == same.l2_bytes);
  CHECK(!same.matrix_bf16);
  // AMX multiplies bf16; these cores do pairs at half of the rate.
  CHECK(target_for("sapphirerapids").matrix_bf16);
  CHECK(target_for("znver4").matrix_bf16);
  Target without = target_for("sapphirerapids,-amx-tile");
  CHECK(!without.matrix_bf16);
  CHECK(!has_feature(without, "amx-bf16"));  // which needs it
  CHECK(without.features.find("-amx-bf16") != std::string::npos);
  CHECK(required_features(without).find("amx") == std::string::npos);
  CHECK(target_for("x86-64-v4,-avx512f").vector_bytes == 32);
  for (auto [cpu, message] : {std::pair{"x86-64-v4,+avx512bf61", "unknown feature `avx512bf61`"},
                              {"x86-64-v4,avx512bf16", "is no feature with its sign"},
                              {"x86-64-v2,-sse4.1", "has no SSE4.1"},
                              {"neoverse-n1,+avx2", "unknown feature `avx2`"}}) {
    CAPTURE(cpu);
    try {
      target_for(cpu);
      FAIL("that is no CPU");
    } catch (const UserError& error) {
      CHECK(error.fault() == Fault::command_line);
      CHECK(std::string(error.what()).find(message) != std::string::npos);
    }
  }
}

// Code for a CPU may use what it requires, so the CPU that it is made on must have it.
TEST_CASE("this CPU has what code for it requires", "[target]") {
  CHECK(missing_cpu_feature(required_features(target_for("native"))) == "");
}
