// Kernels of many ops and sizes: native code against the evaluator, and against itself with other
// threads.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/parse.h"
#include "tests/support/native.h"

using namespace gradc;
using namespace gradc::test;

namespace {

Function parse_function(const std::string& text) {
  return parse_module("module @m\n" + text, "kernel.ir").functions.at(0);
}

// Multiples of 1/1024 in [-2, 2); indices of gathers are in range.
std::vector<Tensor> arguments_for(const Function& function) {
  uint64_t state = 11;
  std::vector<Tensor> arguments;
  for (const Parameter& parameter : function.parameters) {
    const Type& type = function.type(parameter.value);
    Tensor tensor{type, std::vector<double>(static_cast<size_t>(type.elements()))};
    for (double& x : tensor.data) {
      state = state * 6364136223846793005 + 1442695040888963407;
      auto number = static_cast<int64_t>(state >> 52);
      x = is_float(type.dtype) ? static_cast<double>(number - 2048) / 1024
                               : static_cast<double>(number % 5);
    }
    arguments.push_back(std::move(tensor));
  }
  return arguments;
}

void check_close(const std::vector<Tensor>& results, const std::vector<Tensor>& expected) {
  REQUIRE(results.size() == expected.size());
  for (size_t i = 0; i < results.size(); ++i) {
    double largest = 1, worst = 0;
    for (double value : expected[i].data)
      largest = std::max(largest, std::abs(value));
    for (size_t k = 0; k < expected[i].data.size(); ++k)
      worst = std::max(worst, std::abs(results[i].data[k] - expected[i].data[k]));
    INFO("result " << i << ": off by " << worst << " of " << largest);
    CHECK(worst <= 4e-6 * largest);
  }
}

// Native code gives what eval gives, and the same bits with one and two threads.
void check_native(const std::string& text) {
  INFO(text);
  Function function = parse_function(text);
  std::vector<Tensor> arguments = arguments_for(function);
  std::vector<Tensor> results = run_native(function, arguments);
  check_close(results, eval_closed(Module{}, function, arguments));
  check_close(run_native(function, arguments, "x86-64-v3"), results);
  std::vector<Tensor> threaded = run_native(function, arguments, "native", 2);
  for (size_t i = 0; i < results.size(); ++i)
    CHECK(threaded[i].data == results[i].data);
}

const int64_t kSizes[] = {1, 7, 15, 16, 17, 100};

}  // namespace

TEST_CASE("a chain with broadcasts along either axis", "[native]") {
  for (int64_t rows : kSizes)
    for (int64_t columns : kSizes)
      check_native(fmt::format(R"(entry @f(%x: f32[{0},{1}], %b: f32[{1}], %s: f32[{0}]) {{
  %b2: f32[{0},{1}] = broadcast(%b) {{axes=[1], shape=[{0},{1}]}}
  %s2: f32[{0},{1}] = broadcast(%s) {{axes=[0], shape=[{0},{1}]}}
  %a: f32[{0},{1}] = add(%x, %b2)
  %m: f32[{0},{1}] = mul(%a, %s2)
  %y: f32[{0},{1}] = tanh(%m)
  return %y
}})",
                               rows, columns));
}

TEST_CASE("softmax over rows of any length", "[native]") {
  auto check = [](int64_t rows, int64_t columns) {
    check_native(fmt::format(R"(entry @f(%x: f32[{0},{1}]) {{
  %m: f32[{0}] = reduce_max(%x) {{axes=[1]}}
  %m2: f32[{0},{1}] = broadcast(%m) {{axes=[0], shape=[{0},{1}]}}
  %d: f32[{0},{1}] = sub(%x, %m2)
  %e: f32[{0},{1}] = exp(%d)
  %s: f32[{0}] = reduce_sum(%e) {{axes=[1]}}
  %s2: f32[{0},{1}] = broadcast(%s) {{axes=[0], shape=[{0},{1}]}}
  %y: f32[{0},{1}] = div(%e, %s2)
  return %y
}})",
                             rows, columns));
  };
  for (int64_t columns : {1, 7, 15, 16, 17, 100, 1000})
    check(9, columns);
  // With two threads each has rows in a pipeline, and some are left.
  for (auto [rows, columns] : {std::pair<int64_t, int64_t>{4300, 20}, {1100, 100}, {600, 300}})
    check(rows, columns);
}

TEST_CASE("a NaN spoils its row of a softmax and no other", "[native]") {
  constexpr int64_t kRows = 20;
  for (int64_t columns : {5, 100, 300}) {
    Function function = parse_function(fmt::format(R"(entry @f(%x: f32[{0},{1}]) {{
  %m: f32[{0}] = reduce_max_number(%x) {{axes=[1]}}
  %m2: f32[{0},{1}] = broadcast(%m) {{axes=[0], shape=[{0},{1}]}}
  %d: f32[{0},{1}] = sub(%x, %m2)
  %e: f32[{0},{1}] = exp_normal(%d)
  %s: f32[{0}] = reduce_sum(%e) {{axes=[1]}}
  return %m, %s
}})",
                                                   kRows, columns));
    for (int64_t place = 0; place < columns; place += 33) {
      std::vector<Tensor> arguments = arguments_for(function);
      int64_t row = place % kRows;
      arguments[0].data[static_cast<size_t>(row * columns + place)] = std::nan("");
      std::vector<Tensor> results = run_native(function, arguments);
      for (int64_t i = 0; i < kRows; ++i) {
        CHECK(std::isfinite(results[0].data[static_cast<size_t>(i)]));
        CHECK(std::isnan(results[1].data[static_cast<size_t>(i)]) == (i == row));
      }
    }
  }
}

TEST_CASE("a sum of nothing but -0 is 0, as if it began with 0", "[native]") {
  for (int64_t columns : {1, 7, 16, 40, 64, 300}) {
    Function function = parse_function(fmt::format(R"(entry @f(%x: f32[5,{0}]) {{
  %y: f32[5] = reduce_sum(%x) {{axes=[1]}}
  return %y
}}
)",
                                                   columns));
    std::vector<Tensor> arguments = arguments_for(function);
    std::ranges::fill(arguments[0].data, -0.0);
    for (const char* cpu : {"native", "x86-64-v3"}) {
      std::vector<Tensor> results = run_native(function, arguments, cpu);
      for (double y : results[0].data) {
        CAPTURE(columns, cpu);
        CHECK(y == 0);
        CHECK_FALSE(std::signbit(y));
      }
    }
  }
}

// The rows, lanes and chunks of a reduction come from its shape: kept axes first, last, or around.
TEST_CASE("sums and maxima over any axes", "[native]") {
  struct Case {
    std::string dims, kept, axes;
  };
  const Case cases[] = {
      {"100,17", "100", "[1]"},       {"17,100", "100", "[0]"},    {"3,5,7", "5", "[0,2]"},
      {"8,6,49", "6", "[0,2]"},       {"4,3,5,2", "3,2", "[0,2]"}, {"1,100,1", "1", "[1,2]"},
      {"50000,1", "1", "[0]"},        {"100000", "", "[0]"},       {"30000,10", "10", "[0]"},
      {"3,40000", "3", "[1]"},        {"128,2,700", "2", "[0,2]"}, {"1000,300", "300", "[0]"},
      {"2000,100", "2000", "[1]"},    {"5,1,3", "5,1,3", "[]"},    {"1,1", "1", "[1]"},
      {"64,3,28,28", "3", "[0,2,3]"}, {"9001,33", "33", "[0]"},
  };
  for (const Case& c : cases)
    check_native(fmt::format(R"(entry @f(%x: f32[{0}], %w: f32[{0}]) {{
  %p: f32[{0}] = mul(%x, %w)
  %s: f32[{1}] = reduce_sum(%p) {{axes={2}}}
  %m: f32[{1}] = reduce_max(%x) {{axes={2}}}
  %d: f32[{1}] = sub(%s, %m)
  return %s, %d
}})",
                             c.dims, c.kept, c.axes));
}

TEST_CASE("statistics of channels and what is made of them", "[native]") {
  for (std::string dims : {"6,5,4,4", "40,3,28,28", "2,64,7,7"}) {
    std::string channels = dims.substr(dims.find(',') + 1);
    channels = channels.substr(0, channels.find(','));
    check_native(fmt::format(R"(entry @f(%x: f32[{0}], %g: f32[{1}]) {{
  %s: f32[{1}] = reduce_sum(%x) {{axes=[0,2,3]}}
  %n: f32[{1}] = constant() {{dtype=f32, shape=[{1}], value=0.001}}
  %mean: f32[{1}] = mul(%s, %n)
  %mean2: f32[{0}] = broadcast(%mean) {{axes=[1], shape=[{0}]}}
  %d: f32[{0}] = sub(%x, %mean2)
  %q: f32[{0}] = mul(%d, %d)
  %v: f32[{1}] = reduce_sum(%q) {{axes=[0,2,3]}}
  %r: f32[{1}] = rsqrt(%v)
  %k: f32[{1}] = mul(%r, %g)
  %k2: f32[{0}] = broadcast(%k) {{axes=[1], shape=[{0}]}}
  %y: f32[{0}] = mul(%d, %k2)
  return %y, %mean, %v
}})",
                             dims, channels));
  }
}

// Batch norm with channels last: bands of columns, several rows at a time, chunks of rows.
TEST_CASE("statistics of many columns and what is made of them", "[native]") {
  for (auto [rows, columns] :
       {std::pair{300, 65}, {257, 130}, {16, 1100}, {33, 1024}, {4099, 80}, {2051, 2100}})
    check_native(fmt::format(R"(entry @f(%x: f32[{0},{1}], %s: f32[{1}]) {{
  %sum: f32[{1}] = reduce_sum(%x) {{axes=[0]}}
  %c: f32[{1}] = constant() {{dtype=f32, shape=[{1}], value={2}}}
  %m: f32[{1}] = mul(%sum, %c)
  %m2: f32[{0},{1}] = broadcast(%m) {{axes=[1], shape=[{0},{1}]}}
  %d: f32[{0},{1}] = sub(%x, %m2)
  %q: f32[{0},{1}] = mul(%d, %d)
  %var: f32[{1}] = reduce_sum(%q) {{axes=[0]}}
  %v: f32[{1}] = mul(%var, %c)
  %top: f32[{1}] = reduce_max(%d) {{axes=[0]}}
  %e: f32[{1}] = constant() {{dtype=f32, shape=[{1}], value=0.01}}
  %ve: f32[{1}] = add(%v, %e)
  %r: f32[{1}] = rsqrt(%ve)
  %rs: f32[{1}] = mul(%r, %s)
  %r2: f32[{0},{1}] = broadcast(%rs) {{axes=[1], shape=[{0},{1}]}}
  %y: f32[{0},{1}] = mul(%d, %r2)
  return %y, %m, %v, %top
}})",
                             rows, columns, 1.0 / rows));
}

// Instance norm with channels last: an axis of 1 lies beside the one that is summed.
TEST_CASE("statistics of one image and what is made of them", "[native]") {
  struct Case {
    std::string dims, kept, axes, kept_axes;
  };
  const Case cases[] = {
      {"1,64,16", "1,16", "[1]", "[0,2]"},          {"1,3199,65", "1,65", "[1]", "[0,2]"},
      {"300,1,40", "1,40", "[0]", "[1,2]"},         {"1,4099,1", "1,1", "[1]", "[0,2]"},
      {"1,257,1,8,1", "1,1,8", "[1,4]", "[0,2,3]"},
  };
  for (const Case& c : cases)
    check_native(fmt::format(R"(entry @f(%x: f32[{0}]) {{
  %sum: f32[{1}] = reduce_sum(%x) {{axes={2}}}
  %n: f32[{1}] = constant() {{dtype=f32, shape=[{1}], value=0.001}}
  %mean: f32[{1}] = mul(%sum, %n)
  %mean2: f32[{0}] = broadcast(%mean) {{axes={3}, shape=[{0}]}}
  %d: f32[{0}] = sub(%x, %mean2)
  %q: f32[{0}] = mul(%d, %d)
  %v: f32[{1}] = reduce_sum(%q) {{axes={2}}}
  %v2: f32[{0}] = broadcast(%v) {{axes={3}, shape=[{0}]}}
  %y: f32[{0}] = mul(%d, %v2)
  return %y
}})",
                             c.dims, c.kept, c.axes, c.kept_axes));
}

// Results too large for the caches go past them where memory allows it.
TEST_CASE("large results are stored past the caches", "[native]") {
  for (auto [rows, columns] : {std::pair{1025, 2064}, {700, 3001}}) {
    const std::string text = fmt::format(R"(entry @f(%x: f32[{0},{1}], %b: f32[{1}]) {{
  %b2: f32[{0},{1}] = broadcast(%b) {{axes=[1], shape=[{0},{1}]}}
  %y: f32[{0},{1}] = mul(%x, %b2)
  %s: f32[{0}] = reduce_sum(%y) {{axes=[1]}}
  %s2: f32[{0},{1}] = broadcast(%s) {{axes=[0], shape=[{0},{1}]}}
  %z: f32[{0},{1}] = add(%y, %s2)
  return %z
}})",
                                         rows, columns);
    check_native(text);
    CodegenOptions options = codegen_options("x86-64-v3");
    std::string code =
        generate_code(planned_module(parse_function(text), options), options, CodeFormat::llvm_ir);
    bool streams = code.find("!nontemporal") != std::string::npos;
    CHECK(streams == (columns % 16 == 0));
    CHECK((code.find("sfence") != std::string::npos) == streams);
  }
}

// Whatever else is in its kernel, a sum has the same bits.
TEST_CASE("fusion does not change the bits of a sum", "[native]") {
  for (std::string dims : {"37,1000", "1000,37", "200000,1", "5,60000"}) {
    std::string rows = dims.substr(0, dims.find(','));
    Function alone = parse_function(fmt::format(R"(entry @f(%x: f32[{0}]) {{
  %s: f32[{1}] = reduce_sum(%x) {{axes=[1]}}
  return %s
}})",
                                                dims, rows));
    Function fused = parse_function(fmt::format(R"(entry @f(%x: f32[{0}]) {{
  %n: f32[{0}] = neg(%x)
  %z: f32[{0}] = neg(%n)
  %m: f32[{1}] = reduce_max(%x) {{axes=[1]}}
  %s: f32[{1}] = reduce_sum(%z) {{axes=[1]}}
  %s2: f32[{0}] = broadcast(%s) {{axes=[0], shape=[{0}]}}
  %y: f32[{0}] = mul(%x, %s2)
  return %s, %m, %y
}})",
                                                dims, rows));
    std::vector<Tensor> arguments = arguments_for(alone);
    CHECK(run_native(alone, arguments)[0].data ==
          run_native(fused, arguments, "native", 2)[0].data);
  }
}

// Short rows are worked through several at once, and those that are left one at a time.
// Gradients of a norm by its scale, its bias and its input, a largest element, and a row's sum.
TEST_CASE("sums across rows have the bits of a kernel of their own", "[native]") {
  auto text = [](int64_t rows, int64_t columns, bool with_rows) {
    std::string along = R"(
  %q: f32[{0}] = reduce_sum(%p) {{axes=[1]}}
  %q.all: f32[{0},{1}] = broadcast(%q) {{axes=[0], shape=[{0},{1}]}}
  %t: f32[{0},{1}] = mul(%n, %q.all)
  %dx: f32[{0},{1}] = sub(%dy, %t))";
    std::string body = R"(entry @f(%dy: f32[{0},{1}], %n: f32[{0},{1}]) {{
  %p: f32[{0},{1}] = mul(%dy, %n)
  %scale: f32[{1}] = reduce_sum(%p) {{axes=[0]}}
  %bias: f32[{1}] = reduce_sum(%dy) {{axes=[0]}}
  %top: f32[{1}] = reduce_max(%dy) {{axes=[0]}})";
    body += (with_rows ? along : "") + "\n  return %scale, %bias, %top" +
            (with_rows ? ", %dx, %q" : "") + "\n}}";
    return fmt::format(fmt::runtime(body), rows, columns);
  };
  // Rows of several lengths at once and one at a time, in one chunk, and in some with a rest.
  for (auto [rows, columns] : {std::pair<int64_t, int64_t>{4099, 16},
                               {1366, 50},
                               {707, 128},
                               {129, 600},
                               {65, 1030},
                               {1025, 1024},
                               {256, 256}}) {
    check_native(text(rows, columns, true));
    Function both = parse_function(text(rows, columns, true));
    std::vector<Tensor> arguments = arguments_for(both);
    for (const char* cpu : {"native", "x86-64-v3"}) {
      Module module = planned_module(both, codegen_options(cpu));
      auto kernels = std::ranges::count(module.functions, FunctionKind::kernel, &Function::kind);
      CHECK(kernels == 1);
      std::vector<Tensor> results = run_native(both, arguments, cpu);
      std::vector<Tensor> alone =
          run_native(parse_function(text(rows, columns, false)), arguments, cpu);
      for (size_t i = 0; i < alone.size(); ++i)
        CHECK(results[i].data == alone[i].data);
    }
  }
}

TEST_CASE("a row has the same bits alone and among others", "[native]") {
  constexpr int64_t kRows = 69;  // in a pipeline of at least eight blocks, and a rest
  auto kernel = [](int64_t rows, int64_t columns) {
    return parse_function(fmt::format(R"(entry @f(%x: f32[{0},{1}], %w: f32[{0},{1}]) {{
  %m: f32[{0}] = reduce_max(%x) {{axes=[1]}}
  %m2: f32[{0},{1}] = broadcast(%m) {{axes=[0], shape=[{0},{1}]}}
  %d: f32[{0},{1}] = sub(%x, %m2)
  %e: f32[{0},{1}] = exp(%d)
  %p: f32[{0},{1}] = mul(%e, %w)
  %s: f32[{0}] = reduce_sum(%e) {{axes=[1]}}
  %t: f32[{0}] = reduce_sum(%p) {{axes=[1]}}
  %s2: f32[{0},{1}] = broadcast(%s) {{axes=[0], shape=[{0},{1}]}}
  %y: f32[{0},{1}] = div(%e, %s2)
  return %y, %s, %t, %m
}})",
                                      rows, columns));
  };
  for (int64_t columns : {1, 5, 16, 17, 40, 64, 100, 128, 300}) {
    CAPTURE(columns);
    Function all = kernel(kRows, columns);
    std::vector<Tensor> arguments = arguments_for(all);
    std::vector<Tensor> together = run_native(all, arguments);
    for (int64_t row : {0, 1, 2, 8, 31, 63, 64, 65, 67, 68}) {
      auto part = [&](const Tensor& tensor) {
        auto size = static_cast<ptrdiff_t>(tensor.data.size()) / kRows;
        return std::vector<double>(tensor.data.begin() + row * size,
                                   tensor.data.begin() + (row + 1) * size);
      };
      std::vector<Tensor> of_row;
      for (const Tensor& argument : arguments)
        of_row.push_back({{DType::f32, {1, columns}}, part(argument)});
      std::vector<Tensor> alone = run_native(kernel(1, columns), of_row);
      for (size_t i = 0; i < alone.size(); ++i)
        CHECK(alone[i].data == part(together[i]));
    }
  }
}

TEST_CASE("slices, transposes and windows inside of chains", "[native]") {
  check_native(R"(entry @f(%x: f32[6,10,8]) {
  %t: f32[10,6,8] = transpose(%x) {permutation=[1,0,2]}
  %r: f32[60,8] = reshape(%t) {shape=[60,8]}
  %s: f32[29,4] = slice(%r) {begin=[1,1], end=[59,8], step=[2,2]}
  %e: f32[29,4] = exp(%s)
  %u: f32[4,29] = transpose(%e) {permutation=[1,0]}
  return %u
})");
  check_native(R"(entry @f(%x: f32[2,3,9,9]) {
  %p: f32[2,3,4,4] = window_max(%x) {high=[0,0], low=[0,0], stride=[2,2], window=[2,2]}
  %y: f32[2,3,4,4] = tanh(%p)
  return %y
})");
}

TEST_CASE("concatenations along rows, in parts of any size", "[native]") {
  for (int64_t rows : {1, 3, 40})
    check_native(fmt::format(R"(entry @f(%a: f32[{0},7], %b: f32[{0},64], %c: f32[{0},1],
      %d: f32[{0},33], %e: f32[105]) {{
  %s: f32[{0},40] = pad(%d) {{high=[0,5], low=[0,2], value=3.0}}
  %x: f32[{0},112] = concat(%a, %b, %c, %s) {{axis=1}}
  %t: f32[{0},105] = slice(%x) {{begin=[0,4], end=[{0},109], step=[1,1]}}
  %f: f32[{0},105] = broadcast(%e) {{axes=[1], shape=[{0},105]}}
  %y: f32[{0},105] = mul(%t, %f)
  return %y
}})",
                             rows));
}

TEST_CASE("indices choose rows, and gradients go back to them", "[native]") {
  check_native(R"(entry @f(%x: f32[5,40], %i: i32[33], %u: f32[33,40]) {
  %g: f32[33,40] = gather(%x, %i) {axis=0}
  %y: f32[33,40] = mul(%g, %u)
  %d: f32[5,40] = scatter_add(%i, %u) {axis=0, size=5}
  return %y, %d
})");
}

TEST_CASE("what is read across is transposed in blocks", "[native]") {
  // Sizes of whole vectors and not, more and fewer rows than columns.
  for (auto [rows, columns] : {std::pair{64, 64}, {100, 257}, {3, 1000}, {1000, 3}, {17, 33}})
    for (const char* dtype : {"f32", "i32", "f64", "i64", "f16", "u8"}) {
      check_native(
          fmt::format("entry @f(%x: {2}[{0},{1}]) {{\n  %t: {2}[{1},{0}] = transpose(%x) "
                      "{{permutation=[1,0]}}\n  return %t\n}}",
                      rows, columns, dtype));
      if (dtype == std::string("f16") || dtype == std::string("u8"))
        continue;  // sums are rounded, or wrap around
      // With work around it, an operand that lies as the result does, and one number for each row.
      check_native(
          fmt::format("entry @f(%x: {2}[{0},{1}], %y: {2}[{1},{0}], %b: {2}[{1}]) {{\n"
                      "  %t: {2}[{1},{0}] = transpose(%x) {{permutation=[1,0]}}\n"
                      "  %s: {2}[{1},{0}] = add(%t, %y)\n"
                      "  %c: {2}[{1},{0}] = broadcast(%b) {{axes=[0], shape=[{1},{0}]}}\n"
                      "  %z: {2}[{1},{0}] = mul(%s, %c)\n  return %z, %t\n}}",
                      rows, columns, dtype));
    }
  for (std::vector<size_t> permutation :
       {std::vector<size_t>{0, 2, 3, 1}, {0, 3, 1, 2}, {3, 1, 2, 0}, {2, 0, 3, 1}, {1, 0, 2, 3}}) {
    std::vector<int64_t> dims = {2, 5, 18, 40}, moved;
    for (size_t axis : permutation)
      moved.push_back(dims[axis]);
    check_native(fmt::format(
        "entry @f(%x: f32[4,5,20,40]) {{\n"
        "  %s: f32[2,5,18,40] = slice(%x) {{begin=[1,0,2,0], end=[3,5,20,40], step=[1,1,1,1]}}\n"
        "  %t: f32[{0}] = transpose(%s) {{permutation=[{1}]}}\n"
        "  %r: f32[3600,2] = reshape(%t) {{shape=[3600,2]}}\n"
        "  %u: f32[2,3600] = transpose(%r) {{permutation=[1,0]}}\n  return %t, %u\n}}",
        fmt::join(moved, ","), fmt::join(permutation, ",")));
  }
  // Two operands that lie across, and one that is also read elsewhere than at the point.
  check_native(R"(entry @f(%x: f32[70,90], %y: f32[70,90]) {
  %a: f32[90,70] = transpose(%x) {permutation=[1,0]}
  %b: f32[90,70] = transpose(%y) {permutation=[1,0]}
  %c: f32[90,70] = sub(%a, %b)
  %later: f32[89,70] = slice(%a) {begin=[1,0], end=[90,70], step=[1,1]}
  %shifted: f32[90,70] = pad(%later) {high=[1,0], low=[0,0], value=0.0}
  %d: f32[90,70] = mul(%c, %shifted)
  return %d
})");
}

TEST_CASE("running sums along rows", "[native]") {
  for (auto [rows, columns] : {std::pair{1, 100}, {16, 64}, {35, 200}, {100, 7}, {17, 129}})
    for (const char* dtype : {"f32", "i32", "f64"})
      for (const char* reverse : {"false", "true"})
        check_native(fmt::format(
            "entry @f(%x: {2}[{0},{1}]) {{\n"
            "  %a: {2}[{0},{1}] = cumulative_sum(%x) {{axis=1, exclusive=false, reverse={3}}}\n"
            "  %b: {2}[{0},{1}] = cumulative_sum(%x) {{axis=1, exclusive=true, reverse={3}}}\n"
            "  return %a, %b\n}}",
            rows, columns, dtype, reverse));
}
