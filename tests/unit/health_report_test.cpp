#include <catch2/catch.hpp>
#include <limits>

#include "tools/health.h"

using namespace gradc;

namespace {

// Of one layer with gradient norm `gradient`.
std::vector<LayerHealth> layers_with(std::initializer_list<double> gradients) {
  std::vector<LayerHealth> layers;
  for (double gradient : gradients)
    layers.push_back({.name = "dense_" + std::to_string(layers.size() + 1),
                      .place = "m.model:3:4",
                      .activation = 0.5,
                      .gradient = gradient,
                      .weight = 1,
                      .update = 0.01});
  return layers;
}

const std::vector<std::pair<std::string, double>> kNumbers = {
    {"output/a/conv_1/flat", 0.25},        {"output/a/conv_1/mean", 0.5},
    {"output/a/conv_1/square", 4},         {"gradient/a/conv_1/square", 9},
    {"parameter/head/gradient", 1},        {"parameter/head/update", 1},
    {"parameter/head/weight", 0},          {"parameter/a/conv_1.w/gradient", 9},
    {"parameter/a/conv_1.b/gradient", 16}, {"parameter/a/conv_1.w/update", 0.04},
    {"parameter/a/conv_1.w/weight", 4}};

}  // namespace

TEST_CASE("numbers of a step are gathered by layer", "[health]") {
  std::vector<StateTensor> states = {{.name = "a/conv_1.w", .loc = "m.model:7:3"}};
  std::vector<LayerHealth> layers = layers_of_health(kNumbers, states);
  REQUIRE(layers.size() == 2);
  CHECK(layers[0].name == "a/conv_1");
  CHECK(layers[0].place == "m.model:7:3");
  CHECK(layers[0].activation == 2.0);
  CHECK(layers[0].mean == 0.5);
  CHECK(layers[0].flat == 0.25);
  CHECK_FALSE(layers[0].dead);
  CHECK(layers[0].gradient == 3.0);
  CHECK(layers[0].weight_gradient == 5);
  CHECK(*layers[0].update_ratio() == Approx(0.1));
  CHECK(layers[1].name == "head");
  CHECK_FALSE(layers[1].activation);
  CHECK_FALSE(layers[1].update_ratio());

  CHECK(health_table(layers) ==
        "  layer           rms       mean  flat %  dead %   gradient   d weight     update\n"
        "  a/conv_1          2        0.5    25.0       -          3          5        0.1\n"
        "  head              -          -       -       -          -          1          -\n");
  CHECK(health_json(layers) ==
        R"({"a/conv_1": {"activation": 2, "mean": 0.5, "flat": 0.25, "gradient": 3, )"
        R"("weight_gradient": 5, "weight": 2, "update_ratio": 0.1}, )"
        R"("head": {"weight_gradient": 1, "weight": 0}})");
  CHECK(health_scalars(layers)[0] == std::pair<std::string, double>("activation/a/conv_1", 2));
}

TEST_CASE("vanishing and exploding gradients are warned of once a layer", "[health]") {
  HealthWarnings warnings;
  CHECK(warnings.check(layers_with({0.1, 0.2, 1})).empty());
  std::vector<std::string> said = warnings.check(layers_with({1e-6, 1e-5, 1}));
  REQUIRE(said.size() == 1);
  CHECK_THAT(said[0],
             Catch::StartsWith("vanishing gradients: of layers `dense_1` (m.model:3:4), "
                               "`dense_2` (m.model:3:4) the gradient's norm is 1e-06, less "
                               "than 1/1000 of the 1 of `dense_3`"));
  CHECK(warnings.check(layers_with({1e-6, 1e-5, 1})).empty());
  said = warnings.check(layers_with({1e4, 1, 1}));
  REQUIRE(said.size() == 1);
  CHECK_THAT(said[0], Catch::StartsWith("exploding gradients: of layers `dense_1`"));
  said = HealthWarnings().check(layers_with({0, 0, 0, 0, 0, 1}));
  CHECK_THAT(said[0], Catch::Contains("`dense_3` (m.model:3:4) and 2 more"));
}

TEST_CASE("dead units and large updates are warned of", "[health]") {
  std::vector<LayerHealth> layers = layers_with({1, 1});
  layers[1].dead = 0.75;
  layers[0].update = 0.5;
  std::vector<std::string> said = HealthWarnings().check(layers);
  REQUIRE(said.size() == 2);
  CHECK_THAT(said[0], Catch::StartsWith("dead units: in layers `dense_2` (m.model:3:4), 75 %"));
  CHECK_THAT(said[1], Catch::StartsWith("large updates: of layers `dense_1` (m.model:3:4) a step "
                                        "changes the weights by 50 %"));
}

TEST_CASE("the first layer that is not finite is named in the order of the step", "[health]") {
  double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<LayerHealth> layers = layers_with({1, 1, 1});
  CHECK(not_finite(layers).empty());
  layers[2].update = nan;
  CHECK_THAT(not_finite(layers), Catch::StartsWith("the update of layer `dense_3`"));
  layers[0].gradient = layers[1].gradient = nan;
  CHECK_THAT(not_finite(layers),
             Catch::StartsWith("layer `dense_2` (m.model:3:4) is the first in the backward pass"));
  layers[1].activation = layers[2].activation = nan;
  CHECK(not_finite(layers) ==
        "layer `dense_2` (m.model:3:4) is the first whose output is not finite");
  CHECK(HealthWarnings().check(layers)[0] == not_finite(layers));
}
