#include "compiler/passes/expand.h"

#include <catch2/catch.hpp>

#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

TEST_CASE("expand leaves primitives alone", "[expand]") {
  Module module = parsed(kMlp);
  CHECK(print(expand(module, Options{})) == print(module));
}
