// Contractions as machine code: the right numbers, the same bits for every way to split the work,
// and tiles that stay in registers.
#include "tests/support/native_contract.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <sstream>

#include "compiler/codegen/target.h"
#include "compiler/kernel.h"
#include "compiler/lower/contract_choices.h"
#include "compiler/lower/lower.h"
#include "compiler/passes/fuse.h"
#include "compiler/passes/pack.h"
#include "compiler/plan/plan.h"
#include "ir/builder.h"
#include "runtime/cpu.h"

using namespace gradc;
using test::contract_entry;
using test::Fused;
using test::run_with;

namespace {

void check_native(const std::string& example, Fused fused, const std::string& cpu) {
  CAPTURE(example, cpu);
  Function entry = contract_entry(example, fused);
  std::vector<Tensor> arguments = test::random_arguments(entry, 1);
  Tensor result = test::run_native(entry, arguments, cpu).at(0);
  Tensor expected = eval_closed({}, entry, arguments).at(0);
  REQUIRE(result.type == expected.type);
  double worst = 0;
  for (size_t i = 0; i < result.data.size(); ++i) {
    double error = std::abs(result.data[i] - expected.data[i]);
    worst = std::max(
        worst, std::isnan(error) ? INFINITY : error / std::max(1.0, std::abs(expected.data[i])));
  }
  // The arguments are multiples of 1/8, so that sums are exact; only the epilogue rounds.
  double rounding = result.type.dtype == DType::bf16 ? 0x1p-7 : 4e-7;
  CHECK(worst <= (fused == Fused::nothing ? 0 : rounding));
}

// Arguments whose sums depend on the order.
std::vector<Tensor> rough_arguments(const Function& function) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<Tensor> arguments = test::random_arguments(function, 1);
  for (Tensor& argument : arguments)
    for (double& value : argument.data)
      value = uniform(random);
  return arguments;
}

// The innermost loops of an assembly text that multiply: from a label to the jump back to it.
std::vector<std::string> multiplying_loops(const std::string& assembly,
                                           const std::string& multiply = "vfmadd") {
  std::vector<std::string> found;
  std::istringstream lines(assembly);
  std::string line, label, body;
  while (std::getline(lines, line)) {
    if (line.starts_with(".LBB")) {
      label = line.substr(0, line.find(':'));
      body.clear();
    }
    body += line + '\n';
    bool jumps_back =
        line.find("\tj") != std::string::npos && !label.empty() && line.ends_with("\t" + label);
    if (jumps_back && body.find(multiply) != std::string::npos)
      found.push_back(body);
  }
  return found;
}

constexpr const char* kPairs =
    "dot(f32[70,272], f32[272,10]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}";
constexpr const char* kProduct =
    "dot(f32[70,300], f32[300,150]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}";
constexpr const char* kWideWeights =
    "dot(f32[300,1100], f32[300,159]) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}";
constexpr const char* kManyRows =
    "dot(f32[1100,300], f32[159,300]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}";
constexpr const char* kEveryOtherPixel =
    "conv(f32[2,47,46,300], f32[159,300,1,1]) {channels_last=true, dilation=[1,1], groups=1, "
    "high=[0,0], low=[0,0], stride=[2,2]}";
constexpr const char* kFewColumns =
    "dot(f32[64,512], f32[10,512]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}";
constexpr const char* kManyColumns =
    "dot(f32[32,200], f32[300,200]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}";
constexpr const char* kConv =
    "conv(f32[4,12,14,14], f32[40,12,5,5]) {dilation=[1,1], groups=1, high=[2,2], low=[2,2], "
    "stride=[1,1]}";
constexpr const char* kDataGradient =
    "conv_data_gradient(f32[4,40,14,14], f32[40,20,3,3]) {dilation=[1,1], groups=1, high=[1,1], "
    "low=[1,1], size=[14,14], stride=[1,1]}";
constexpr const char* kWeightGradient =
    "conv_weight_gradient(f32[4,12,14,14], f32[4,40,14,14]) {dilation=[1,1], groups=1, "
    "high=[2,2], low=[2,2], size=[5,5], stride=[1,1]}";

// Channels last: rows are images, or channels that are copied.
constexpr const char* kConvLast =
    "conv(f32[7,9,9,12], f32[40,12,3,3]) {channels_last=true, dilation=[1,1], groups=1, "
    "high=[1,1], low=[1,1], stride=[1,1]}";
// Rows are pixels, copied with their padding; channels are summed in parts.
constexpr const char* kFewImages =
    "conv(f32[2,9,9,64], f32[130,64,3,3]) {channels_last=true, dilation=[1,1], groups=1, "
    "high=[1,1], low=[1,1], stride=[1,1]}";
// The same of few planes, whose first and last have taps that meet nothing.
constexpr const char* kFewPlanes =
    "conv(f32[1,3,6,7,32], f32[40,32,3,3,3]) {channels_last=true, dilation=[1,1,1], groups=1, "
    "high=[1,1,1], low=[1,1,1], stride=[1,1,1]}";
// Channels of the weight are read with their taps, in parts.
constexpr const char* kFewPixelsDataGradient =
    "conv_data_gradient(f32[4,5,5,128], f32[128,20,3,3]) {channels_last=true, dilation=[1,1], "
    "groups=1, high=[1,1], low=[1,1], size=[9,9], stride=[2,2]}";
constexpr const char* kStridedDataGradientLast =
    "conv_data_gradient(f32[7,5,5,40], f32[40,20,3,3]) {channels_last=true, dilation=[1,1], "
    "groups=1, high=[1,1], low=[1,1], size=[9,9], stride=[2,2]}";
constexpr const char* kWeightGradientLast =
    "conv_weight_gradient(f32[4,7,7,72], f32[4,7,7,40]) {channels_last=true, dilation=[1,1], "
    "groups=1, high=[1,1], low=[1,1], size=[3,3], stride=[1,1]}";
}  // namespace

TEST_CASE("contractions compute natively what they evaluate to", "[native][contract]") {
  size_t number = 0;
  for (const auto& cases : {test::op_examples(), test::dot_cases(), test::convolution_cases()})
    for (const std::string& example : cases) {
      check_native(example, number % 2 ? Fused::nothing : Fused::both, "native");
      if (number++ % 4 == 0)
        check_native(example, Fused::nothing, "x86-64-v3");
    }
}

// Of those by which this machine can multiply bf16: AMX tiles, dot products of pairs, tiles of f32.
std::vector<std::string> narrow_cpus() {
  std::vector<std::string> cpus;
  for (const char* cpu : {"native", "x86-64-v4,+avx512bf16", "x86-64-v3"})
    if (missing_cpu_feature(required_features(target_for(cpu))).empty())
      cpus.emplace_back(cpu);
  return cpus;
}

TEST_CASE("products of bf16 are those of f32, rounded once", "[native][contract]") {
  std::vector<std::string> cases = test::matrix_cases();
  for (const auto& more : {test::window_cases(), test::pixel_cases()})
    cases.insert(cases.end(), more.begin(), more.end());
  for (const std::string& example : cases) {
    CAPTURE(example);
    Function entry = contract_entry(example, Fused::nothing);
    std::vector<Tensor> arguments = test::random_arguments(entry, 1);
    Tensor expected = test::as_stored(eval_closed({}, entry, arguments).at(0));
    for (const std::string& cpu : narrow_cpus()) {
      CAPTURE(cpu);
      for (int threads : {1, 2})
        CHECK(test::run_native(entry, arguments, cpu, threads).at(0).data == expected.data);
    }

    // What is computed in the kernel is rounded before and behind the product.
    entry = contract_entry(example, Fused::both);
    arguments = test::random_arguments(entry, 2);
    expected = eval_closed({}, entry, arguments).at(0);
    for (const std::string& cpu : narrow_cpus()) {
      CAPTURE(cpu);
      Tensor result = test::run_native(entry, arguments, cpu).at(0);
      double error = 0, size = 0;
      for (size_t i = 0; i < result.data.size(); ++i) {
        error += std::pow(result.data[i] - expected.data[i], 2);
        size += std::pow(expected.data[i], 2);
      }
      CHECK(std::sqrt(error) < 0.01 * std::sqrt(size));
      CHECK(test::run_native(entry, arguments, cpu, 2).at(0).data == result.data);
    }
  }
}

TEST_CASE("blocks of a matrix unit never change a bit", "[native][contract]") {
  Function entry = contract_entry(
      "dot(bf16[150,300], bf16[300,90]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
      Fused::epilogue);
  std::vector<Tensor> arguments = rough_arguments(entry);
  for (Tensor& argument : arguments)
    argument = test::as_stored(argument);
  for (const std::string& cpu : narrow_cpus()) {
    if (!target_for(cpu).matrix_bf16)
      continue;
    CAPTURE(cpu);
    std::vector<double> bits = run_with(
        entry, arguments, 1, [](ContractSchedule& s) { CHECK(s.method == ContractMethod::matrix); },
        {}, cpu);
    for (int threads : {1, 2})
      for (int64_t rows : {1, 16, 33, 150})
        for (int64_t columns : {16, 48, 90}) {
          auto blocks = [&](ContractSchedule& s) {
            s.blocks[0] = rows;
            s.blocks[1] = columns;
          };
          CHECK(run_with(entry, arguments, threads, blocks, {}, cpu) == bits);
        }
  }
}

TEST_CASE("tasks of a convolution on a matrix unit never change a bit", "[native][contract]") {
  for (const std::string example :
       {"conv(bf16[3,9,10,36], bf16[70,36,3,3]) {channels_last=true, dilation=[1,1], groups=1, "
        "high=[1,1], low=[1,1], stride=[1,1]}",
        "conv_data_gradient(bf16[3,5,6,40], bf16[40,70,3,3]) {channels_last=true, "
        "dilation=[1,1], groups=1, high=[1,1], low=[1,1], size=[9,11], stride=[2,2]}",
        "conv_weight_gradient(bf16[5,9,10,36], bf16[5,9,10,70]) {channels_last=true, "
        "dilation=[1,1], groups=1, high=[1,1], low=[1,1], size=[3,3], stride=[1,1]}"}) {
    Function entry = contract_entry(example, Fused::epilogue);
    std::vector<Tensor> arguments = rough_arguments(entry);
    for (Tensor& argument : arguments)
      argument = test::as_stored(argument);
    for (const std::string& cpu : narrow_cpus()) {
      if (!target_for(cpu).matrix_bf16)
        continue;
      CAPTURE(example, cpu);
      std::vector<double> bits = run_with(
          entry, arguments, 1,
          [](ContractSchedule& s) {
            CHECK((s.method == ContractMethod::windows || s.method == ContractMethod::pixels));
          },
          {}, cpu);
      int64_t most = example.starts_with("conv_weight") ? 36 : 70;
      for (int threads : {1, 2, 7})
        for (int64_t rows : {16, 50, 256})
          for (int64_t columns : {16, 48, 70}) {
            auto tasks = [&](ContractSchedule& s) {
              s.rows = rows;
              if (s.row_loop >= 0)
                s.blocks[static_cast<size_t>(s.row_loop)] = std::min<int64_t>(rows, 70);
              s.blocks[static_cast<size_t>(s.vector_loop)] = std::min(columns, most);
            };
            CHECK(run_with(entry, arguments, threads, tasks, {}, cpu) == bits);
          }
    }
  }
}

TEST_CASE("tiles of pairs of bf16 stay in registers", "[native][contract]") {
  Function entry = contract_entry(
      "dot(bf16[150,300], bf16[300,160]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
      Fused::nothing);
  CodegenOptions codegen = test::codegen_options("znver4");
  std::string assembly =
      generate_code(test::planned_module(entry, codegen), codegen, CodeFormat::assembly);
  std::vector<std::string> loops = multiplying_loops(assembly, "vdpbf16ps");
  REQUIRE(loops.size() >= 2);
  for (const std::string& loop : loops) {
    INFO(loop);
    CHECK(loop.find("(%rsp") == std::string::npos);
    CHECK(loop.find("(%rbp") == std::string::npos);
  }
}

TEST_CASE("threads, tiles and blocks never change a bit of a contraction", "[native][contract]") {
  for (const char* example :
       {kProduct, kConv, kDataGradient, kWeightGradient, kConvLast, kStridedDataGradientLast,
        kFewPixelsDataGradient, kWeightGradientLast}) {
    CAPTURE(example);
    Function entry = contract_entry(example, Fused::nothing);
    std::vector<Tensor> arguments = rough_arguments(entry);
    std::vector<double> bits = run_with(entry, arguments, 1, [](ContractSchedule&) {});
    CHECK(run_with(entry, arguments, 2, [](ContractSchedule&) {}) == bits);
    CHECK(run_with(entry, arguments, 1, [](ContractSchedule& s) {
            s.rows = 3;
            s.vectors = 2;
          }) == bits);
    CHECK(run_with(entry, arguments, 2, [](ContractSchedule& s) {
            size_t summed = s.blocks.size() == 3 ? 2 : 4;  // the outermost
            s.blocks[summed] = (s.blocks[summed] + 1) / 2;
            s.direct_store = false;
            s.sums_in = -1;
            s.stage_b = true;
          }) == bits);
  }
}

TEST_CASE("threads never change a bit of a depthwise convolution", "[native][contract]") {
  for (const char* example :
       {"conv(f32[19,24,24,40], f32[40,1,3,3]) {channels_last=true, dilation=[1,1], groups=40, "
        "high=[1,1], low=[1,1], stride=[2,2]}",
        "conv_data_gradient(f32[19,12,12,40], f32[40,1,3,3]) {channels_last=true, dilation=[1,1], "
        "groups=40, high=[1,1], low=[1,1], size=[24,24], stride=[2,2]}",
        "conv_weight_gradient(f32[19,24,24,40], f32[19,12,12,40]) {channels_last=true, "
        "dilation=[1,1], groups=40, high=[1,1], low=[1,1], size=[3,3], stride=[2,2]}"}) {
    CAPTURE(example);
    Function entry = contract_entry(example, Fused::epilogue);
    std::vector<Tensor> arguments = rough_arguments(entry);
    auto depthwise = [](ContractSchedule& s) { CHECK(s.method == ContractMethod::depthwise); };
    CHECK(run_with(entry, arguments, 1, depthwise) == run_with(entry, arguments, 3, depthwise));
  }
}

TEST_CASE("going over panels of rows never changes a bit", "[native][contract]") {
  const char* example = GENERATE(kWideWeights, kManyRows, kEveryOtherPixel);
  CAPTURE(example);
  Function entry = contract_entry(example, Fused::epilogue);
  std::vector<Tensor> arguments = rough_arguments(entry);
  auto in_tiles = [&](ContractSchedule& s) { CHECK(s.method == ContractMethod::tile); };
  std::vector<double> bits = run_with(entry, arguments, 1, in_tiles, {.panels = false});
  for (int threads : {1, 2})
    for (int64_t group : {1, 3, 16})
      for (int64_t pass : {300, 256, 70})
        CHECK(run_with(entry, arguments, threads, [&](ContractSchedule& s) {
                REQUIRE(s.method == ContractMethod::panels);
                s.row_group = s.stage_a ? group : 1;
                s.blocks.back() = pass;
                s.direct_store = pass == 300;
                s.sums_in = pass == 300 ? -1 : 0;
              }) == bits);
}

TEST_CASE("rows and threads never change a bit of sums by pairs of columns", "[native][contract]") {
  Function entry = contract_entry(kPairs, Fused::epilogue);
  std::vector<Tensor> arguments = rough_arguments(entry);
  std::vector<double> bits = run_with(entry, arguments, 1, [](ContractSchedule& s) { s.rows = 1; });
  for (int threads : {1, 2})
    for (int64_t rows : {2, 3, 4})
      CHECK(run_with(entry, arguments, threads, [&](ContractSchedule& s) { s.rows = rows; }) ==
            bits);
  Function prologue = contract_entry(kPairs, Fused::both);
  std::vector<Tensor> scaled = rough_arguments(prologue);
  std::vector<double> together = run_with(prologue, scaled, 1, [](ContractSchedule&) {});
  CHECK(run_with(prologue, scaled, 2, [](ContractSchedule& s) { s.rows = 1; }) == together);
}

TEST_CASE("padding that is skipped adds what padding in memory adds", "[native][contract]") {
  for (const char* example : {kConvLast, kStridedDataGradientLast, kWeightGradientLast}) {
    CAPTURE(example);
    Function entry = contract_entry(example, Fused::epilogue);
    std::vector<Tensor> arguments = rough_arguments(entry);
    auto in_memory = [](ContractSchedule& s) {
      REQUIRE(s.skip_padding);
      s.skip_padding = false;
      s.stage_a = true;
      s.staged_rows = 0;
    };
    CHECK(run_with(entry, arguments, 1, in_memory) ==
          run_with(entry, arguments, 1, [](ContractSchedule&) {}));
  }
}

TEST_CASE("taps at the edges of an image are left out, in tasks too", "[native][contract]") {
  for (const char* example : {kFewPlanes, kFewImages}) {
    CAPTURE(example);
    Function entry = contract_entry(example, Fused::epilogue);
    std::vector<Tensor> arguments = rough_arguments(entry);
    std::vector<double> bits = run_with(entry, arguments, 1, [](ContractSchedule& s) {
      s.stage_a_once = false;
      s.stage_a = true;
      s.staged_from = static_cast<int64_t>(s.blocks.size());  // row by row
    });
    // Tasks that have all of a loop, so that its edges are known; or a part, whose edges are
    // perhaps the image's; or one position, whose taps are counted.
    for (int threads : {1, 2})
      for (bool once : {false, true})
        for (size_t loop : {1, 2})
          for (int64_t block : {0, 3, 1})
            CHECK(run_with(entry, arguments, threads, [&](ContractSchedule& s) {
                    s.stage_a_once = once;
                    s.stage_a = !once;
                    s.staged_from = 0;
                    bool is_part = block > 0 && static_cast<int64_t>(loop) != s.row_loop;
                    if (is_part)
                      s.blocks[loop] = block;
                  }) == bits);
  }
}

TEST_CASE("rows that are copied together have the bits of those alone", "[native][contract]") {
  Function entry = contract_entry(kFewPlanes, Fused::epilogue);
  std::vector<Tensor> arguments = rough_arguments(entry);
  auto together = [&](int64_t rows) {
    return run_with(entry, arguments, 1, [&](ContractSchedule& s) {
      s.stage_a_once = false;
      s.stage_a = true;
      s.staged_from = 3;  // images, planes and rows
      s.staged_together = rows;
    });
  };
  for (int64_t rows : {2, 3, 6})
    CHECK(together(rows) == together(1));
}

TEST_CASE("what limits scratch never changes a bit", "[native][contract]") {
  for (const char* example :
       {kProduct, kManyColumns, kConv, kDataGradient, kWeightGradient, kConvLast,
        kStridedDataGradientLast, kWeightGradientLast, kFewImages}) {
    CAPTURE(example);
    Function entry = contract_entry(example, Fused::epilogue);
    std::vector<Tensor> arguments = rough_arguments(entry);
    auto unchanged = [](ContractSchedule&) {};
    std::vector<double> bits = run_with(entry, arguments, 1, unchanged);
    for (const ContractLimits& limits : {ContractLimits{.pass_elements = 32},
                                         {.rows = 16},
                                         {.stage_once = false},
                                         {.result_rows = true},
                                         {.pass_elements = 64, .rows = 32, .result_rows = true}}) {
      CHECK(run_with(entry, arguments, 1, unchanged, limits) == bits);
      CHECK(run_with(entry, arguments, 2, unchanged, limits) == bits);
    }
  }
}

TEST_CASE("no measured choice changes a bit", "[native][contract]") {
  for (const char* example : {kProduct, kManyColumns, kFewImages}) {
    CAPTURE(example);
    Function entry = contract_entry(example, Fused::epilogue);
    std::vector<Tensor> arguments = rough_arguments(entry);
    auto unchanged = [](ContractSchedule&) {};
    std::vector<double> bits = run_with(entry, arguments, 1, unchanged);
    for (const ContractChoice& choice : contract_choices()) {
      CAPTURE(choice.name);
      CHECK(run_with(entry, arguments, 1, unchanged, choice.limits) == bits);
    }
  }
}

TEST_CASE("sums wait for the next pass in scratch or in the result", "[native][contract]") {
  for (Fused fused : {Fused::nothing, Fused::both}) {
    Function entry = contract_entry(kProduct, fused);
    std::vector<Tensor> arguments = rough_arguments(entry);
    auto in_passes = [&](int64_t sums_in, int64_t elements, bool stage_b, int threads) {
      return run_with(entry, arguments, threads, [&](ContractSchedule& s) {
        REQUIRE(s.direct_store);
        s.direct_store = false;
        s.sums_in = sums_in;
        s.blocks.back() = elements;
        s.stage_b |= stage_b;
      });
    };
    std::vector<double> bits = run_with(entry, arguments, 1, [](ContractSchedule&) {});
    for (bool stage_b : {false, true}) {
      CHECK(in_passes(-1, 100, stage_b, 1) == bits);
      CHECK(in_passes(0, 100, stage_b, 1) == bits);
      CHECK(in_passes(0, 47, stage_b, 2) == bits);
      CHECK(in_passes(0, 300, stage_b, 1) == bits);
    }
  }
}

TEST_CASE("no tile spills in a loop", "[native][contract]") {
  for (const char* cpu : {"x86-64-v4", "x86-64-v3"})
    for (const char* example :
         {kProduct, kPairs, kWideWeights, kManyColumns, kFewColumns, kConv, kDataGradient,
          kWeightGradient, kConvLast, kFewImages, kWeightGradientLast}) {
      CAPTURE(cpu, example);
      CodegenOptions options = test::codegen_options(cpu);
      Module module = test::planned_module(contract_entry(example, Fused::nothing), options);
      std::vector<std::string> loops =
          multiplying_loops(generate_code(module, options, CodeFormat::assembly));
      CHECK(!loops.empty());
      for (const std::string& loop : loops) {
        INFO(loop);
        CHECK(loop.find("rsp") == std::string::npos);
      }
    }
}

namespace {

// The epilogue's residual is a sum over parameters, and what the epilogue gives is summed, so that
// both lie in the arena. `kept`: the residual is a result too, and nothing can be in its place.
Function with_residual_in_arena(const std::string& example, bool kept) {
  Function entry = contract_entry(example, Fused::epilogue);
  Builder b(entry);
  auto residual = std::find_if(
      entry.parameters.begin(), entry.parameters.end(),
      [&](const Parameter& parameter) { return entry[parameter.value].name == "residual"; });
  ValueId old = residual->value;
  Type parts = entry.type(old);
  parts.dims.insert(parts.dims.begin(), 2);
  entry.parameters.erase(residual);
  ValueId sum = b.reduce_sum(b.parameter(parts, "parts"), {0});
  std::rotate(entry.ops.begin(), entry.ops.end() - 1, entry.ops.end());
  for (Op& op : entry.ops)
    std::replace(op.operands.begin(), op.operands.end(), old, sum);
  ValueId y = entry.results[0].value;
  entry.results.clear();
  b.result(b.reduce_sum(y, {0}), "y");
  if (kept)
    b.result(sum, "kept");
  return entry;
}

}  // namespace

TEST_CASE("a contraction may overwrite what its epilogue reads", "[native][contract]") {
  std::vector<std::string> cases = {kProduct,      kManyRows,       kManyColumns, kConv,
                                    kDataGradient, kWeightGradient, kConvLast,    kWideWeights};
  cases.push_back(test::winograd_cases().front());
  cases.push_back("dot(bf16[40,64], bf16[64,48]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}");
  for (const std::string& example : cases)
    for (int threads : {1, 3}) {
      CAPTURE(example, threads);
      Function apart = with_residual_in_arena(example, true);
      Function entry = with_residual_in_arena(example, false);
      std::vector<Tensor> arguments = rough_arguments(entry);
      CHECK(test::run_native(entry, arguments, "native", threads)[0].data ==
            test::run_native(apart, arguments, "native", threads)[0].data);
      Module planned = test::planned_module(entry, test::codegen_options("native", threads));
      const Function& in_place = *planned.find_function("k");
      std::vector<int64_t> offsets;
      for (const Op& op : in_place.ops)
        for (ValueId result : op.results)
          if (in_place.type(result) == entry.type(entry.ops[0].result()))
            offsets.push_back(in_place[result].offset.value());
      REQUIRE(offsets.size() == 2);
      CHECK(offsets[0] == offsets[1]);
    }
}

TEST_CASE("products of a packed weight have the bits of those of a plain one",
          "[native][contract]") {
  for (int64_t sum_w : {0, 1})
    for (int64_t rows : {32, 45, 64}) {
      CAPTURE(sum_w, rows);
      Module module;
      Function& entry = module.functions.emplace_back();
      Builder b(entry);
      ValueId h = b.parameter({DType::f32, {rows, 192}}, "h");
      ValueId w = b.parameter({DType::f32, {192, 192}}, "w");
      for (int i = 0; i < 8; ++i) {
        ValueId z = b.op(Opcode::dot, {h, w},
                         {{"batch_a", std::vector<int64_t>{}},
                          {"batch_b", std::vector<int64_t>{}},
                          {"sum_a", std::vector<int64_t>{1}},
                          {"sum_b", std::vector<int64_t>{sum_w}}});
        h = b.op(Opcode::tanh, {z});
      }
      b.result(h, "y");
      Function packed = pack(module, {}).functions[0];
      REQUIRE(packed.ops[0].code == Opcode::reshape);
      std::vector<Tensor> arguments = rough_arguments(entry);
      for (const char* cpu : {"native", "x86-64-v3"})
        CHECK(test::run_native(packed, arguments, cpu, 2)[0].data ==
              test::run_native(entry, arguments, cpu, 1)[0].data);
    }
}
