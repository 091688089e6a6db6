#include "compiler/lower/lower_contract.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <regex>

#include "compiler/lower/lower.h"
#include "compiler/lower/segments.h"
#include "ir/loop_text.h"
#include "tests/support/contract_cases.h"
#include "tests/support/run_loops.h"

using namespace gradc;

namespace {

const Target kWide{.vector_bytes = 64, .vector_registers = 32};
const Target kNarrow{.vector_bytes = 32, .vector_registers = 16};

// The loops compute what the evaluator does. Arguments are small multiples of 1/8, so that sums are
// exact in any order.
void check_loops(const Function& kernel, const Target& target, int threads,
                 const std::vector<Tensor>& arguments, const std::vector<Tensor>& expected,
                 const ContractLimits& limits) {
  Function ready = test::scheduled(kernel, target, threads, limits);
  loop::Kernel loops = lower(ready, target, threads);
  std::string text = print(loops);
  CHECK(print(parse_loops(text, "kernel.loops")) == text);
  std::vector<std::vector<double>> operands;
  for (const Tensor& argument : arguments)
    operands.push_back(argument.data);
  std::vector<int64_t> in_place;
  if (ready.attrs.has("inplace"))
    in_place = ready.attrs.integers("inplace");
  std::vector<std::vector<double>> results = run_loops(loops, operands, in_place);
  REQUIRE(results.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    CHECK(results[i] == expected[i].data);
}

// The residual's bytes become those of the result.
void set_in_place(Function& kernel) {
  for (size_t i = 0; i < kernel.parameters.size(); ++i)
    if (kernel[kernel.parameters[i].value].name == "residual")
      kernel.attrs.set("inplace", std::vector<int64_t>{static_cast<int64_t>(i), 0});
}

void check_all(const std::vector<std::string>& cases, test::Fused fused,
               const ContractLimits& limits = {}, bool in_place = false) {
  for (const std::string& example : cases) {
    CAPTURE(example);
    Function kernel = test::contract_kernel(example, fused);
    if (in_place)
      set_in_place(kernel);
    std::vector<Tensor> arguments = test::random_arguments(kernel, 1);
    std::vector<Tensor> expected = eval_closed({}, kernel, arguments);
    check_loops(kernel, kWide, 1, arguments, expected, limits);
    check_loops(kernel, kNarrow, 2, arguments, expected, limits);
  }
}

}  // namespace

TEST_CASE("loops of every contract op's examples compute what eval does", "[contract]") {
  check_all(test::op_examples(), test::Fused::nothing);
  check_all(test::op_examples(), test::Fused::both);
}

TEST_CASE("loops of products of odd sizes compute what eval does", "[contract]") {
  check_all(test::dot_cases(), test::Fused::nothing);
  check_all(test::dot_cases(), test::Fused::both);
}

TEST_CASE("loops of convolutions and their gradients compute what eval does", "[contract]") {
  check_all(test::convolution_cases(), test::Fused::nothing);
  check_all(test::convolution_cases(), test::Fused::both);
}

TEST_CASE("loops that sum some channels after the others compute what eval does", "[contract]") {
  auto conv = [](const char* operands, const char* attrs) {
    return fmt::format("conv({}) {{channels_last=true, {}}}", operands, attrs);
  };
  auto data_gradient = [](std::string_view operands, std::string_view rest) {
    return fmt::format(
        "conv_data_gradient({}) {{channels_last=true, dilation=[1,1], groups=1, high=[1,1], "
        "low=[1,1], {}}}",
        operands, rest);
  };
  std::vector<std::string> cases = {
      conv("f32[1,5,6,64], f32[70,64,3,3]",
           "dilation=[1,1], groups=1, high=[1,1], low=[1,1], stride=[1,1]"),
      conv("f32[2,7,7,96], f32[130,48,3,3]",
           "dilation=[1,1], groups=2, high=[1,1], low=[1,1], stride=[2,2]"),
      conv("f32[3,9,9,24], f32[33,24,5,5]",
           "dilation=[1,2], groups=1, high=[2,0], low=[1,3], stride=[1,1]"),
      conv("f32[3,20,128], f32[70,128,3]", "dilation=[1], groups=1, high=[0], low=[0], stride=[1]"),
      conv("f32[1,20,24], f32[36,12,50]",
           "dilation=[1], groups=2, high=[24], low=[25], stride=[1]"),
      conv("f32[4,6,7,32], f32[70,32,3,3]",
           "dilation=[1,1], groups=1, high=[1,1], low=[1,1], stride=[1,1]"),
      conv("bf16[1,5,6,64], bf16[70,64,3,3]",
           "dilation=[1,1], groups=1, high=[1,1], low=[1,1], stride=[1,1]"),
      data_gradient("f32[1,5,6,64], f32[64,70,3,3]", "size=[5,6], stride=[1,1]"),
      data_gradient("f32[2,5,6,128], f32[128,35,3,3]", "size=[10,11], stride=[2,2]"),
      data_gradient("f32[4,4,4,128], f32[128,70,3,3]", "size=[8,7], stride=[2,2]")};
  for (const std::string& example : cases) {
    CAPTURE(example);
    Function kernel = test::contract_kernel(example);
    ContractionNest nest = with_channel_parts(with_joined_loops(contraction_nest(kernel)));
    CHECK(nest.has_channel_parts);
    CHECK(nest.loops.back().extent * nest.loops[nest.result_loops].extent ==
          contraction_nest(kernel).loops.back().extent);
  }
  // Four images share the taps that a stride leaves of a pixel.
  CHECK(choose_contract_schedule(test::contract_kernel(cases.back()), kWide, 1).skip_padding);
  for (test::Fused fused : {test::Fused::nothing, test::Fused::both}) {
    check_all(cases, fused);
    check_all(cases, fused, {.pass_elements = 40, .stage_once = false});
  }
}

TEST_CASE("what several panels of columns read is copied with its padding once", "[contract]") {
  auto schedule = [](int outputs, const ContractLimits& limits) {
    return choose_contract_schedule(test::contract_kernel(fmt::format(
                                        "conv(f32[1,5,6,64], f32[{},64,3,3]) {{channels_last=true, "
                                        "dilation=[1,1], groups=1, high=[1,1], low=[1,1], "
                                        "stride=[1,1]}}",
                                        outputs)),
                                    kWide, 1, limits);
  };
  CHECK(schedule(256, {}).stage_a_once);
  CHECK(!schedule(256, {}).stage_a);
  CHECK(!schedule(256, {.stage_once = false}).stage_a_once);
  CHECK(schedule(256, {.stage_once = false}).stage_a);
  CHECK(!schedule(32, {}).stage_a_once);
}

TEST_CASE("an epilogue may overwrite what it reads", "[contract]") {
  check_all(test::dot_cases(), test::Fused::both, {}, true);
  check_all(test::convolution_cases(), test::Fused::epilogue, {}, true);
  check_all({"dot(f32[126,900], f32[900,256]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}"},
            test::Fused::epilogue, {.pass_elements = 128}, true);
}

TEST_CASE("loops over panels of rows compute what eval does", "[contract]") {
  std::vector<std::string> cases = {
      "dot(f32[600,41], f32[600,143]) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}",
      "dot(f32[300,41], f32[144,300]) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[1]}",
      "dot(f32[2,70,29], f32[2,70,260]) {batch_a=[0], batch_b=[0], sum_a=[1], sum_b=[1]}",
      "dot(f32[20,15,41], f32[20,15,128]) {batch_a=[], batch_b=[], sum_a=[0,1], sum_b=[0,1]}",
      "dot(f64[90,40], f64[90,128]) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}",
      "dot(f32[41,600], f32[600,143]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
      "dot(f32[2,29,70], f32[2,260,70]) {batch_a=[0], batch_b=[0], sum_a=[2], sum_b=[2]}",
      "dot(bf16[90,40], bf16[90,144]) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}",
      "conv(f32[3,10,13,41], f32[143,41,1,1]) {channels_last=true, dilation=[1,1], groups=1, "
      "high=[0,0], low=[0,0], stride=[2,2]}"};
  for (const std::string& example : cases)
    for (test::Fused fused : {test::Fused::nothing, test::Fused::both}) {
      CAPTURE(example);
      Function kernel = test::contract_kernel(example, fused);
      std::vector<Tensor> arguments = test::random_arguments(kernel, 1);
      std::vector<Tensor> expected = eval_closed({}, kernel, arguments);
      set_in_place(kernel);
      for (auto [target, threads] : {std::pair(kWide, 1), std::pair(kNarrow, 3)}) {
        target.l2_bytes = 4 << 10;
        // A computed operand is staged in any case, so rows that are contiguous stay with tiles.
        if (fused == test::Fused::nothing)
          CHECK(choose_contract_schedule(kernel, target, threads).method == ContractMethod::panels);
        check_loops(kernel, target, threads, arguments, expected, {});
      }
    }
}

TEST_CASE("tiles fetch what large products want next", "[contract]") {
  auto loops_of = [](const char* example, test::Fused fused = test::Fused::nothing) {
    Function kernel = test::contract_kernel(example, fused);
    return print(lower(test::scheduled(kernel, kWide, 1, {}), kWide, 1));
  };
  auto mentions = [](const std::string& text, const char* what) {
    return text.find(what) != std::string::npos;
  };
  std::string columns =
      loops_of("dot(f32[126,300], f32[300,256]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}");
  CHECK(mentions(columns, " ahead %b["));
  CHECK(mentions(columns, "rows 15 step 256 columns 64"));
  std::string rows =
      loops_of("dot(f32[126,300], f32[256,300]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}");
  CHECK(mentions(rows, "rows 1 step 0 columns 928"));
  // The next pass over few rows, and the first one of the next task.
  std::string passes =
      loops_of("dot(f32[49,600], f32[256,600]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}");
  CHECK(mentions(passes, "rows 8 step 600 columns 200"));
  std::string taps = loops_of(
      "conv(f32[1,7,7,64], f32[128,64,3,3]) {channels_last=true, dilation=[1,1], groups=1, "
      "high=[1,1], low=[1,1], stride=[1,1]}");
  CHECK(mentions(taps, "rows 7 step 576 columns 144"));
  std::string in_order =
      loops_of("dot(f32[32,256], f32[16,256,64]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}");
  CHECK(mentions(in_order, "rows 1 step 0 columns 2736"));
  CHECK(!mentions(
      loops_of("dot(f32[126,100], f32[100,256]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}"),
      " ahead "));
  std::string panels =
      loops_of("dot(f32[1024,600], f32[600,128]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}");
  CHECK(mentions(panels, " ahead written %"));
  // Every other pixel of the next panel of rows.
  std::string apart = loops_of(
      "conv(f32[2,40,40,300], f32[128,300,1,1]) {channels_last=true, dilation=[1,1], groups=1, "
      "high=[0,0], low=[0,0], stride=[2,2]}");
  CHECK(mentions(apart, "step 600 columns 160"));
  // Both operands of the next pass.
  std::string next_pass =
      loops_of("dot(f32[1200,256], f32[1200,512]) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}");
  CHECK(mentions(next_pass, " ahead %b["));
  CHECK(mentions(next_pass, " ahead %a["));
  // What is read and stored where the sums are, of a large result.
  for (const char* example :
       {"dot(f32[1024,600], f32[600,128]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
        "conv(f32[8,14,14,64], f32[64,64,3,3]) {channels_last=true, dilation=[1,1], groups=1, "
        "high=[1,1], low=[1,1], stride=[1,1]}"}) {
    std::string behind = loops_of(example, test::Fused::epilogue);
    CHECK(mentions(behind, " ahead %residual["));
    CHECK(mentions(behind, " ahead written %"));
  }
  CHECK(!mentions(loops_of("dot(f32[126,100], f32[100,256]) {batch_a=[], batch_b=[], sum_a=[1], "
                           "sum_b=[0]}",
                           test::Fused::epilogue),
                  " ahead "));
}

TEST_CASE("threads share panels and rows evenly, and no sums", "[contract]") {
  std::vector<Segment> panels = vector_panels(512, 16, 3);
  REQUIRE(panels.size() == 2);
  CHECK((panels[0].size == 48 && panels[0].count == 10 && panels[1].count == 1));
  panels = vector_panels(512, 16, 3, 2);
  REQUIRE(panels.size() == 2);
  CHECK((panels[0].size == 48 && panels[0].count == 8));
  CHECK((panels[1].size == 32 && panels[1].count == 4));
  CHECK(vector_panels(48, 16, 3, 2).size() == 1);

  auto schedule_of = [](const char* example, int threads) {
    Function kernel = test::contract_kernel(example, test::Fused::nothing);
    return choose_contract_schedule(kernel, kWide, threads);
  };
  const char* few_rows =
      "conv(f32[1,7,7,64], f32[512,64,3,3]) {channels_last=true, dilation=[1,1], groups=1, "
      "high=[1,1], low=[1,1], stride=[1,1]}";
  CHECK(schedule_of(few_rows, 1).sums_in == 0);
  CHECK(schedule_of(few_rows, 2).sums_in == -1);
  const char* many_rows =
      "dot(f32[3136,64], f32[256,64]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}";
  CHECK(schedule_of(many_rows, 1).row_parts == 1);
  CHECK(schedule_of(many_rows, 2).row_parts == 2);
  const char* in_order =
      "dot(f32[32,256], f32[4,256,64]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}";
  CHECK(schedule_of(in_order, 1).row_parts == 1);
  CHECK(schedule_of(in_order, 2).row_parts == 2);
}

TEST_CASE("sums over many pixels wait in rows of a weight's gradient", "[contract]") {
  auto schedule_of = [](int size, int inputs, int outputs) {
    std::string example = fmt::format(
        "conv_weight_gradient(f32[4,{0},{0},{1}], f32[4,{0},{0},{2}]) {{channels_last=true, "
        "dilation=[1,1], groups=1, high=[0,0], low=[0,0], size=[1,1], stride=[1,1]}}",
        size, inputs, outputs);
    return choose_contract_schedule(test::contract_kernel(example, test::Fused::nothing), kWide, 1);
  };
  for (const ContractSchedule& s : {schedule_of(28, 512, 256), schedule_of(14, 1024, 256)}) {
    CHECK(s.method == ContractMethod::panels);
    CHECK(s.vector_operand == 0);
  }
  CHECK(schedule_of(14, 64, 64).method == ContractMethod::tile);
  // Pixels of 256 channels would be copied as rows: they are the columns.
  CHECK(schedule_of(56, 64, 256).vector_operand == 1);
  CHECK(schedule_of(56, 256, 64).vector_operand == 0);
}

TEST_CASE("rows at the edges of few images multiply no padding above or below", "[contract]") {
  auto tiles_over = [](const std::string& text, int taps) {
    std::regex tile(fmt::format("over {} a_step [0-9]+ b_step [0-9]+ over 3 ", taps));
    return std::distance(std::sregex_iterator(text.begin(), text.end(), tile), {});
  };
  for (auto [stride, edges] : {std::pair(1, 2), std::pair(2, 1)}) {
    std::string example = fmt::format(
        "conv(f32[1,10,10,64], f32[130,64,3,3]) {{channels_last=true, dilation=[1,1], groups=1, "
        "high=[1,1], low=[1,1], stride=[{0},{0}]}}",
        stride);
    CAPTURE(example);
    Function kernel = test::contract_kernel(example, test::Fused::nothing);
    REQUIRE(choose_contract_schedule(kernel, kWide, 1).stage_a_once);
    std::string text = print(lower(test::scheduled(kernel, kWide, 1, {}), kWide, 1));
    CHECK(tiles_over(text, 3) > 0);
    CHECK(tiles_over(text, 2) == edges * tiles_over(text, 3));
    check_all({example}, test::Fused::both);
  }
}

TEST_CASE("planes at the edges of a clip multiply no padding before or behind", "[contract]") {
  const char* example =
      "conv(f32[1,2,5,6,32], f32[20,32,3,3,3]) {channels_last=true, dilation=[1,1,1], groups=1, "
      "high=[1,1,1], low=[1,1,1], stride=[1,1,1]}";
  check_all({example}, test::Fused::both);
  // Where tasks are planes, the taps between planes are counted when a task runs.
  Function kernel = test::contract_kernel(example, test::Fused::nothing);
  ContractSchedule schedule = choose_contract_schedule(kernel, kWide, 1);
  REQUIRE(schedule.blocks[1] == 2);
  schedule.blocks[1] = 1;
  set_attributes(kernel, schedule);
  std::string text = print(lower(kernel, kWide, 1));
  CHECK(text.find(" of 3 a_step") != std::string::npos);
}

TEST_CASE("loops over vectors of two columns compute what eval does", "[contract]") {
  std::vector<std::string> cases = {
      "dot(f32[37,136], f32[136,10]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
      "dot(f32[37,136], f32[10,136]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}",
      "dot(f32[3,60,128], f32[3,128,9]) {batch_a=[0], batch_b=[0], sum_a=[2], sum_b=[1]}",
      "dot(bf16[40,136], bf16[136,5]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}"};
  for (const std::string& example : cases)
    for (int threads : {1, 3}) {
      CAPTURE(example, threads);
      Function kernel = test::contract_kernel(example, test::Fused::nothing);
      CHECK(choose_contract_schedule(kernel, kWide, threads).method == ContractMethod::pairs);
      std::vector<Tensor> arguments = test::random_arguments(kernel, 1);
      check_loops(kernel, kWide, threads, arguments, eval_closed({}, kernel, arguments), {});
    }
  check_all(cases, test::Fused::both);
}

namespace {

// With a matrix unit these are lowered by `method`, and without by another one.
void check_on_matrix_unit(const std::vector<std::string>& cases, ContractMethod method) {
  Target target = kWide;
  target.matrix_bf16 = true;
  for (const std::string& example : cases)
    for (test::Fused fused : {test::Fused::nothing, test::Fused::both}) {
      CAPTURE(example);
      Function kernel = test::contract_kernel(example, fused);
      std::vector<Tensor> arguments = test::random_arguments(kernel, 1);
      std::vector<Tensor> expected = eval_closed({}, kernel, arguments);
      set_in_place(kernel);
      CHECK(choose_contract_schedule(kernel, target, 1).method == method);
      CHECK(choose_contract_schedule(kernel, kWide, 1).method != method);
      for (int threads : {1, 3})
        check_loops(kernel, target, threads, arguments, expected, {});
      check_loops(kernel, target, 1, arguments, expected, {.pass_elements = 8, .rows = 16});
    }
}

}  // namespace

TEST_CASE("loops over blocks of a matrix unit compute what eval does", "[contract]") {
  check_on_matrix_unit(test::matrix_cases(), ContractMethod::matrix);
}

TEST_CASE("loops of convolutions on a matrix unit compute what eval does", "[contract]") {
  check_on_matrix_unit(test::window_cases(), ContractMethod::windows);
  check_on_matrix_unit(test::pixel_cases(), ContractMethod::pixels);
}

TEST_CASE("a matrix unit takes bf16 matrices that are worth it", "[contract]") {
  Target target = kWide;
  target.matrix_bf16 = true;
  for (const char* example :
       {"dot(f32[40,64], f32[64,48]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
        "dot(f16[40,64], f16[64,48]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
        "dot(bf16[4,64], bf16[64,48]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
        "dot(bf16[16,16], bf16[16,16]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
        "dot(bf16[2,40,64], bf16[2,64,48]) {batch_a=[0], batch_b=[0], sum_a=[2], sum_b=[1]}",
        "dot(bf16[40,64], bf16[6,64,8]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}"}) {
    CAPTURE(example);
    Function kernel = test::contract_kernel(example, test::Fused::nothing);
    CHECK(choose_contract_schedule(kernel, target, 1).method != ContractMethod::matrix);
  }
}

TEST_CASE("loops over neighbouring axes become one", "[contract]") {
  auto extents_of = [](const std::string& example) {
    return with_joined_loops(contraction_nest(test::contract_kernel(example))).extents();
  };
  std::string attrs = "channels_last=true, dilation=[1,1], groups=1, high=[0,0], low=[0,0], ";
  CHECK(extents_of("conv(f32[2,5,6,8], f32[9,8,1,1]) {" + attrs + "stride=[1,1]}") ==
        Dims{60, 9, 1, 8});
  CHECK(extents_of("conv_weight_gradient(f32[2,5,6,8], f32[2,5,6,9]) {" + attrs +
                   "size=[1,1], stride=[1,1]}") == Dims{9, 8, 1, 60});
  CHECK(extents_of("conv(f32[2,5,6,8], f32[9,8,3,3]) {" + attrs + "stride=[1,1]}") ==
        Dims{2, 3, 4, 9, 3, 3, 8});
  CHECK(extents_of("dot(f32[5,7,40], f32[40,18,3]) {batch_a=[], batch_b=[], sum_a=[2], "
                   "sum_b=[0]}") == Dims{35, 54, 40});
  CHECK(extents_of("dot(f32[40,64], f32[6,64,8]) {batch_a=[], batch_b=[], sum_a=[1], "
                   "sum_b=[1]}") == Dims{40, 6, 8, 64});
}

TEST_CASE("loops with little scratch compute what eval does", "[contract]") {
  ContractLimits limits{.pass_elements = 7, .rows = 16, .result_rows = true, .panels = false};
  check_all(test::dot_cases(), test::Fused::both, limits);
  check_all(test::convolution_cases(), test::Fused::epilogue, limits);
}

// 729 rows are no two tasks of one shape: 365 rows and then 364 would leave one thread idle.
TEST_CASE("threads share rows whose number they do not divide", "[contract]") {
  for (int rows : {728, 729}) {
    Function kernel = test::contract_kernel(fmt::format(
        "dot(f32[{},64], f32[64,64]) {{batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}}", rows));
    set_attributes(kernel, choose_contract_schedule(kernel, kWide, 2));
    std::string loops = print(lower(kernel, kWide, 2));
    CAPTURE(loops);
    CHECK(loops.find("parallel %task in 0..2 {") != std::string::npos);
  }
}
