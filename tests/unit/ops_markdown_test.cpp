#include "ir/ops_markdown.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "ir/op_def.h"

using namespace gradc;

// With GRADC_RENEW=1 in the environment the file is written instead.
TEST_CASE("docs/ops.md is what the op table says", "[docs]") {
  const char* path = GRADC_SOURCE_DIR "/docs/ops.md";
  if (std::getenv("GRADC_RENEW"))
    std::ofstream(path) << ops_markdown();
  std::ifstream file(path);
  REQUIRE(file.good());
  std::stringstream text;
  text << file.rdbuf();
  INFO("renew it with: GRADC_RENEW=1 build/release/bin/ir_test '[docs]'");
  CHECK(text.str() == ops_markdown());
}

TEST_CASE("the reference has every op with its attributes and result types", "[docs]") {
  std::string text = ops_markdown();
  for (Opcode code : all_opcodes())
    CHECK(text.find(fmt::format("\n## {}\n", def(code).name)) != std::string::npos);
  CHECK(text.find("- attributes: `high` (integers), `interior` (integers, optional), `low` "
                  "(integers), `value` (real)\n") != std::string::npos);
  CHECK(text.find("\nreduce_sum(f32[2,3]) {axes=[0]}: f32[3]\n") != std::string::npos);
  CHECK(text.find("## floor\n\nThe next whole number at or below each element.\n\n"
                  "- class: map; 1 operand\n- attributes: none\n- gradient: zero\n") !=
        std::string::npos);
}
