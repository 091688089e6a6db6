// Kernels of many ops and sizes: native code against the evaluator, and against itself with other
// threads.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/native.h"
#include "tests/support/native_check.h"

using namespace gradc;
using namespace gradc::test;

namespace {

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
    const Type one_row{DType::f32, {1, columns}};
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
        of_row.push_back({one_row, part(argument)});
      std::vector<Tensor> alone = run_native(kernel(1, columns), of_row);
      for (size_t i = 0; i < alone.size(); ++i)
        CHECK(alone[i].data == part(together[i]));
    }
  }
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
