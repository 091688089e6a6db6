#include "ir/loop_text.h"

#include <catch2/catch.hpp>
#include <string>

#include "ir/diagnostic.h"
#include "ir/loop_builder.h"

using namespace gradc;
using loop::Code;
using loop::LoopKind;
using loop::Scalar;

namespace {

const std::string kRowSum = R"(loops @row_sum(operand %x: f32[24], result %y: f32[4]) {
  parallel %i in 0..4 {
    %t: i64 = mul(%i, 6)
    %sum.1: f32 = vector %j in 0..6 in_flight 1 (%sum: f32 = 0.0:f32 fold add) {
      %t.1: i64 = add(%t, %j)
      %x.1: f32 = load %x[%t.1]
      %inside: bool = less(%j, 5)
      %x.2: f32 = load where %inside %x[%t.1] else -inf:f32
      %add: f32 = add(%sum, %x.1)
      %add.1: f32 = add(%add, %x.2)
      yield(%add.1)
    }
    store %y[%i] = %sum.1
  }
}
)";

const std::string kTile =
    R"(loops @dot(operand %a: f32[64], operand %b: f32[64], result %y: f32[64], scratch %s: f32[64]) {
  serial %i in 0..2 {
    transpose %s[%i] step 8 = %b[0] step 4 rows 8 columns 4
    tile %a[%i] * %s[0] row_step 8 group_step 4 over 2 a_step 4 b_step 1 over 4 a_step 1 b_step 2 padded (%row in 0..2, %group in 0..1, %column in 0..4, %sum: f32) {
      %t: i64 = add(%row, %column)
      store %y[%t] = %sum
    }
    tile %a[%i] * %s[0] + %y[7] row_step 8 group_step 4 acc_steps 8 1 over 8 a_step 1 b_step 8 ahead %b[%i] rows 2 step 8 columns 4 ahead written %y[7] rows 1 step 0 columns 16 (%row.1 in 0..2, %group.1 in 0..1, %column.1 in 0..4, %sum.1: f32) {
      store %y[%row.1] = %sum.1
    }
    tile %a[%i] * %s[0] row_step 8 group_step 0 over 4 a_step 2 b_step 8 depth 2 padded (%row.2 in 0..2, %group.2 in 0..1, %column.2 in 0..4, %sum.2: f32) {
      store %y[%column.2] = %sum.2
    }
  }
}
)";

const std::string kMatrix =
    R"(loops @dot(operand %a: bf16[512], operand %b: bf16[512], result %y: f32[256], scratch %p: bf16[512], scratch %q: bf16[512]) {
  serial %i in 0..2 {
    pair_rows %p[%i] step 32 = %b[0] step 16 rows 32 columns 16
    transpose %q[0] step 16 = %a[%i] step 16 rows 16 columns 16 pairs
    matrix %y[%i] step 16 = %a[0] step 32 * %p[%i] rows 16 columns 16 depth 32
    matrix %y[0] step 16 += %a[%i] step 32 * %p[0] rows 16 columns 16 depth 32
  }
}
)";

// The text of a kernel with a loop of 12 iterations that stores f(builder, iteration).
template <typename F>
std::string text_of(F f) {
  loop::Kernel kernel{.name = "k", .buffers = {{"y", loop::Space::result, DType::i64, 144}}};
  loop::Builder b(kernel);
  Scalar i = b.begin_for(LoopKind::serial, 12)[0];
  Scalar j = b.begin_for(LoopKind::serial, 12, {}, {}, "j")[0];
  b.store(0, b.index(0), f(b, i, j));
  b.end_for();
  b.end_for();
  loop::remove_unused(kernel);
  return print(kernel);
}

std::string error_of(const std::string& body) {
  try {
    parse_loops("loops @k(operand %x: f32[4], result %y: f32[4]) {\n" + body + "\n}\n", "k.loops");
  } catch (const UserError& error) {
    return error.message();
  }
  return "";
}

}  // namespace

TEST_CASE("the loops of a kernel print as they were written", "[loop]") {
  CHECK(print(parse_loops(kRowSum, "k.loops")) == kRowSum);
  CHECK(print(parse_loops(kTile, "k.loops")) == kTile);
  CHECK(print(parse_loops(kMatrix, "k.loops")) == kMatrix);
  for (auto [from, to] : {std::pair("depth 32", "depth 40"),
                          {"columns 16 depth", "columns 8 depth"},
                          {"%y: f32", "%y: bf16"}}) {
    std::string text = kMatrix;
    text.replace(text.find(from), std::string_view(from).size(), to);
    CHECK_THROWS_AS(parse_loops(text, "k.loops"), UserError);
  }
  const std::string past =
      "loops @k(result %y: f32[64]) {\n  vector %j in 0..64 {\n    store streamed %y[%j] = "
      "1.0:f32\n  }\n}\n";
  CHECK(print(parse_loops(past, "k.loops")) == past);
  const std::string ahead =
      "loops @k(operand %x: f32[64], result %y: f32[64]) {\n  vector %j in 0..64 {\n"
      "    fetch %x[%j]\n    store %y[%j] = 1.0:f32\n  }\n}\n";
  CHECK(print(parse_loops(ahead, "k.loops")) == ahead);
}

TEST_CASE("a file of several kernels reads back", "[loop]") {
  std::vector<loop::Kernel> kernels = parse_loop_file(kRowSum + kTile, "k.loops");
  REQUIRE(kernels.size() == 2);
  CHECK(kernels[1].name == "dot");
  CHECK(print(kernels) == kRowSum + "\n" + kTile);
  CHECK(print(parse_loop_file(print(kernels), "k.loops")) == print(kernels));
  CHECK(parse_loop_file(" // nothing\n", "k.loops").empty());
  CHECK_THROWS_AS(parse_loops(kRowSum + kTile, "k.loops"), UserError);
}

TEST_CASE("errors in the text of loops say what was seen", "[loop]") {
  CHECK(error_of("%a: f32 = load %z[0]") == "this is no buffer of the kernel");
  CHECK(error_of("%a: f32 = ad(%x, %x)") == "unknown instruction `ad`");
  CHECK(error_of("store %y[%k] = 1.0:f32") == "%k is not defined above");
  CHECK(error_of("store %y[0] = 1:f32") == "1 is no number of type f32");
  CHECK(error_of("neg(1.0:f32)") == "this gives 1 values, 0 are named");
  CHECK(error_of("%s: f32 = vector %i in 0..4 (%t: f32 = 0.0:f32) {}") ==
        "a vector loop says how a carry is folded: `fold add`");
}

TEST_CASE("a loop that runs as often as a register says", "[loop]") {
  const std::string text = R"(loops @k(operand %x: f32[4], result %y: f32[4]) {
  serial %i in 0..4 {
    %sum.1: f32 = serial %j in 0..%i of 4 (%sum: f32 = 0.0:f32) {
      %x.1: f32 = load %x[%j]
      %add: f32 = add(%sum, %x.1)
      yield(%add)
    }
    store %y[%i] = %sum.1
  }
}
)";
  loop::Kernel kernel = parse_loops(text, "k.loops");
  CHECK(print(kernel) == text);
  loop::remove_unused(kernel);
  CHECK(print(kernel) == text);
  const std::string error = "only a serial loop runs as often as a register says, an i64";
  CHECK(error_of("serial %i in 0..4 {\n vector %j in 0..%i of 4 {}\n}") == error);
  CHECK(error_of("%x.1: f32 = load %x[0]\nserial %i in 0..%x.1 of 4 {}") == error);
}

TEST_CASE("the builder splits quotients by what divides", "[loop]") {
  // (12 i + j) / 12 = i, (12 i + j) % 12 = j
  auto both = [](loop::Builder& b, Scalar i, Scalar j) {
    Scalar linear = b.add(b.mul(i, b.index(12)), j);
    return b.add(b.mul(b.index(100), b.div(linear, b.index(12))), b.rem(linear, b.index(12)));
  };
  std::string text = text_of(both);
  CHECK(text.find("div") == std::string::npos);
  CHECK(text.find("rem") == std::string::npos);
  CHECK(text.find("mul(%i, 100)") != std::string::npos);
  // (12 i + j) / 24 = i / 2
  std::string half = text_of([](loop::Builder& b, Scalar i, Scalar j) {
    return b.div(b.add(b.mul(i, b.index(12)), j), b.index(24));
  });
  CHECK(half.find("div(%i, 2)") != std::string::npos);
}

TEST_CASE("the builder joins a quotient and its remainder", "[loop]") {
  std::string text = text_of([](loop::Builder& b, Scalar i, Scalar j) {
    Scalar x = b.add(i, b.mul(j, b.index(5)));
    Scalar q = b.div(x, b.index(7));
    Scalar row = b.mul(b.div(q, b.index(2)), b.index(14));
    return b.sub(b.add(b.add(row, b.mul(b.rem(q, b.index(2)), b.index(7))), b.rem(x, b.index(7))),
                 x);
  });
  CHECK(text.find("store %y[0] = 0\n") != std::string::npos);
}

TEST_CASE("the builder computes an expression once, outside of loops it does not need", "[loop]") {
  std::string text = text_of([](loop::Builder& b, Scalar i, Scalar j) {
    Scalar square = b.binary(Code::mul, i, i);
    return b.add(b.add(square, j), b.binary(Code::mul, i, i));
  });
  size_t first = text.find("mul(%i, %i)");
  REQUIRE(first != std::string::npos);
  CHECK(text.find("mul(%i, %i)", first + 1) == std::string::npos);
  CHECK(first < text.find("serial %j"));
}
