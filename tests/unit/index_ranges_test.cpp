// Which numbers inputs may hold, found where ops take them as indices.
#include "compiler/index_ranges.h"

#include <catch2/catch.hpp>

#include "ir/parse.h"

using namespace gradc;

namespace {

std::map<std::string, IndexRange> ranges(const std::string& lines) {
  Module module = parse_module(
      "module @m\n"
      "entry @infer(%i: i64[4], %x: f32[4,5], %t: f32[7,3]) {\n" +
          lines + "  return y=%y\n}\n",
      "test.ir");
  return index_ranges(module.function("infer"));
}

}  // namespace

TEST_CASE("an index is below the size that it chooses from", "[index_ranges]") {
  auto found = ranges("  %y: f32[4,3] = gather(%t, %i) {axis=0} loc \"a:1\"\n");
  REQUIRE(found.size() == 1);
  CHECK(found.at("i").least == 0);
  CHECK(found.at("i").end == 7);
  CHECK(found.at("i").loc == "a:1");
}

TEST_CASE("classes are indices, and the smallest size counts", "[index_ranges]") {
  auto found = ranges(
      "  %z: f32[4,3] = gather(%t, %i) {axis=0}\n"
      "  %y: f32[] = cross_entropy(%x, %i) {axis=1}\n");
  CHECK(found.at("i").end == 5);
}

TEST_CASE("indices are followed through what only arranges them", "[index_ranges]") {
  auto found = ranges(
      "  %r: i64[2,2] = reshape(%i) {shape=[2,2]}\n"
      "  %c: i32[2,2] = cast(%r) {dtype=i32}\n"
      "  %y: f32[2,2,3] = gather(%t, %c) {axis=0}\n");
  CHECK(found.at("i").end == 7);
}

TEST_CASE("negative indices may count from the end", "[index_ranges]") {
  auto found = ranges(
      "  %n: i64[4] = constant() {dtype=i64, shape=[4], value=7.0}\n"
      "  %a: i64[4] = add(%i, %n)\n"
      "  %o: i64[4] = constant() {dtype=i64, shape=[4], value=0.0}\n"
      "  %l: bool[4] = less(%i, %o)\n"
      "  %s: i64[4] = select(%l, %a, %i)\n"
      "  %y: f32[4,3] = gather(%t, %s) {axis=0}\n");
  CHECK(found.at("i").least == -7);
  CHECK(found.at("i").end == 7);
}

TEST_CASE("one number may say that there is no class", "[index_ranges]") {
  auto found = ranges("  %y: f32[] = cross_entropy(%x, %i) {axis=1, ignore_index=-1}\n");
  CHECK(found.at("i").takes(-1));
  CHECK(found.at("i").takes(4));
  CHECK(!found.at("i").takes(-2));
  CHECK(!found.at("i").takes(5));
  const std::string replaced =
      "  %n: i64[4] = constant() {dtype=i64, shape=[4], value=9.0}\n"
      "  %o: i64[4] = constant() {dtype=i64, shape=[4], value=0.0}\n"
      "  %e: bool[4] = equal(%i, %n)\n"
      "  %s: i64[4] = select(%e, %o, %i)\n"
      "  %y: f32[4,3] = gather(%t, %s) {axis=0}\n";
  CHECK(ranges(replaced).at("i").takes(9));
  CHECK(!ranges(replaced).at("i").takes(8));
  const std::string arranged = replaced +
                               "  %r: i64[2,2] = reshape(%s) {shape=[2,2]}\n"
                               "  %z: f32[2,2,3] = gather(%t, %r) {axis=0}\n";
  CHECK(ranges(arranged).at("i").takes(9));
  // Not where another op takes it for an index.
  CHECK(!ranges(replaced + "  %z: f32[4,3] = gather(%t, %i) {axis=0}\n").at("i").takes(9));
}

TEST_CASE("what is computed from an input says nothing of it", "[index_ranges]") {
  CHECK(ranges("  %d: i64[4] = mul(%i, %i)\n"
               "  %y: f32[4,3] = gather(%t, %d) {axis=0}\n")
            .empty());
}
