#include "compiler/passes/expand.h"

#include <catch2/catch.hpp>

#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

TEST_CASE("expand leaves primitives alone", "[expand]") {
  Module module = parsed(kMlp);
  CHECK(print(expand(module, Options{})) == print(module));
}

TEST_CASE("expand drops stop_gradient", "[expand]") {
  Module module = parsed(
      "module @m\nentry @f(%x: f32[2]) {\nforward:\n  %y = stop_gradient(%x)\n  %z = tanh(%y)\n"
      "  return z=%z, y=%y\n}\n");
  CHECK(print(expand(module, Options{}).functions[0]) ==
        "entry @f(%x: f32[2]) {\nforward:\n  %z: f32[2] = tanh(%x)\n  return z=%z, y=%x\n}\n");
}
