#include "ir/diagnostic.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace gradc;

TEST_CASE("an error shows place, message, source line, caret, notes and help", "[diagnostic]") {
  UserError error = UserError("", "inner sizes of `matmul` differ: 128 and 100")
                        .at("mlp.ir:5:9")
                        .with_source("  %y = matmul(%x, %w)", 8)
                        .with_note("%w is f32[100,10]")
                        .with_help("transpose %w");
  CHECK(std::string(error.what()) ==
        "mlp.ir:5:9: error: inner sizes of `matmul` differ: 128 and 100\n"
        "    %y = matmul(%x, %w)\n"
        "         ^\n"
        "note: %w is f32[100,10]\n"
        "help: transpose %w");
  CHECK(error.fault() == Fault::model_or_data);
}

TEST_CASE("the nearest name is suggested only when it is near", "[diagnostic]") {
  std::vector<std::string> names = {"atan", "relu", "tanh", "matmul"};
  CHECK(nearest_name("tahn", names) == "tanh");
  CHECK(nearest_name("convolution", names).empty());
}
