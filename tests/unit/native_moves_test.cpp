// Kernels that move elements: slices, concatenations, transposes, gathers, and work around them.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/support/native_check.h"

using namespace gradc::test;

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

TEST_CASE("concatenations along outer axes, read at the point and elsewhere", "[native]") {
  // Along the first axis and along one in the middle, of one row and of many.
  for (int64_t rows : {1, 3, 40})
    check_native(
        fmt::format(R"(entry @f(%a: f32[{0},33], %b: f32[1,33], %c: f32[64,33], %s: f32[33]) {{
  %x: f32[{1},33] = concat(%a, %b, %c) {{axis=0}}
  %t: f32[{1},33] = broadcast(%s) {{axes=[1], shape=[{1},33]}}
  %y: f32[{1},33] = mul(%x, %t)
  %e: f32[{1},33] = exp(%x)
  return %y, %e
}})",
                    rows, rows + 65));
  check_native(R"(entry @f(%a: f32[3,20,5,7], %b: f32[3,1,5,7], %d: f32[3,42,5,7]) {
  %c: f32[3,42,5,7] = concat(%a, %b, %b, %a) {axis=1}
  %y: f32[3,42,5,7] = add(%c, %d)
  return %y
})");
  check_native(R"(entry @f(%a: f32[30,17], %b: f32[1,17]) {
  %c: f32[31,17] = concat(%a, %b) {axis=0}
  %l: f32[1,17] = slice(%c) {begin=[30,0], end=[31,17], step=[1,1]}
  %r: f32[17] = reshape(%l) {shape=[17]}
  %s: f32[31,17] = broadcast(%r) {axes=[1], shape=[31,17]}
  %y: f32[31,17] = mul(%c, %s)
  return %y
})");
  check_native(R"(entry @f(%a: f32[30,17], %b: f32[34,17]) {
  %c: f32[64,17] = concat(%a, %b) {axis=0}
  %r: f32[64,17] = reverse(%c) {axes=[0]}
  %y: f32[64,17] = mul(%r, %c)
  return %y
})");
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
