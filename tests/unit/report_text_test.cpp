#include <catch2/catch.hpp>
#include <regex>

#include "ir/parse.h"
#include "ir/print.h"
#include "tools/report/text.h"

using namespace gradc;

namespace {

// Without spaces and line ends, which a list broken into lines has others of.
std::string squeezed(const std::string& text) {
  return std::regex_replace(text, std::regex("\\s+"), "");
}

const std::string kFunction = R"(module @m
param @layers.first.weight: f32[16,16]
param @layers.second.weight: f32[16,16]
entry @f(%x: f32[16,16], %first: f32[16,16] = @layers.first.weight, %second: f32[16,16] = @layers.second.weight) {
forward:
  %y: f32[16,16] = add(%x, %first) loc "m.model:3:4"
  %z: f32[16,16] = mul(%y, %second)
update:
  %first.next: f32[16,16] = sub(%first, %y)
  return output_of_the_first_half_of_it=%y, output_of_the_second_half_of_it=%z, %first.next -> @layers.first.weight
}
)";

}  // namespace

TEST_CASE("the lines of a function are its text, long lists broken", "[report]") {
  Module module = parse_module(kFunction, "t.ir");
  const Function& function = module.function("f");
  std::vector<TextLine> lines = lines_of(function);
  std::string together;
  int ops = 0, parameters = 0, results = 0;
  for (const TextLine& line : lines) {
    together += line.text + "\n";
    if (line.op != TextLine::kNone) {
      const std::string& name = function[function.ops[line.op].result()].name;
      CHECK(line.text.starts_with("  %" + name + ": "));
      ++ops;
    }
    if (line.parameter != TextLine::kNone) {
      CHECK(line.text.starts_with("    %" +
                                  function[function.parameters[line.parameter].value].name + ": "));
      ++parameters;
    }
    if (line.result != TextLine::kNone)
      ++results;
  }
  CHECK(ops == 3);
  CHECK(parameters == 3);
  CHECK(results == 3);
  Function bare = function;
  for (Op& op : bare.ops)
    op.loc.clear();
  CHECK(squeezed(together) == squeezed(print(bare)));
}

TEST_CASE("short lists stay on their line", "[report]") {
  Module module = parse_module("module @m\nentry @f(%x: f32[2]) {\n  return %x\n}\n", "t.ir");
  std::vector<TextLine> lines = lines_of(module.function("f"));
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].text == "entry @f(%x: f32[2]) {");
  CHECK(lines[1].text == "  return %x");
}

TEST_CASE("a text is kept once", "[report]") {
  StringTable strings;
  CHECK(strings.add("a") == 0);
  CHECK(strings.add("b") == 1);
  CHECK(strings.add("a") == 0);
  CHECK(strings.texts() == std::vector<std::string>{"a", "b"});
}
