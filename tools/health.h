#pragma once
// What `gradc train --health` makes of the results health/... of a step: a table, warnings, numbers
// for files.
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/module.h"

namespace gradc {

// A layer at one step. What was not measured is absent: a layer without an activation has no flat
// elements, one whose parameters are read in several places no output.
struct LayerHealth {
  std::string name, place;  // `dense_1`, "mlp.model:8:7"
  std::optional<double> activation;  // root of the mean square of the layer's output
  std::optional<double> mean;
  std::optional<double> flat, dead;  // parts of the elements, of the units: passes/health.h
  std::optional<double> gradient;  // L2 norm of the loss's gradient by the activation's input
  double weight_gradient = 0;  // L2 norms over the layer's parameters
  double weight = 0, update = 0;

  std::optional<double> update_ratio() const;  // absent for parameters that are all 0
};

// Numbers by their names without health/: "output/dense_1/mean". Layers come in the order of the
// numbers, which is that of the forward pass.
std::vector<LayerHealth> layers_of_health(std::span<const std::pair<std::string, double>> numbers,
                                          std::span<const StateTensor> states);

std::string health_table(std::span<const LayerHealth> layers);
// {"dense_1": {"activation": 0.51, ...}, ...}
std::string health_json(std::span<const LayerHealth> layers);
// Tags and values for a chart: activation/dense_1, gradient/dense_1, ...
std::vector<std::pair<std::string, double>> health_scalars(std::span<const LayerHealth> layers);

// The first layer with a number that is not finite, in the order in which the step computes them;
// "" if there is none.
std::string not_finite(std::span<const LayerHealth> layers);

// Tells what is wrong with layers, and each thing of each layer once.
class HealthWarnings {
 public:
  std::vector<std::string> check(std::span<const LayerHealth> layers);

 private:
  using Layers = std::vector<const LayerHealth*>;
  Layers unseen(std::string_view kind, const Layers& layers);
  std::set<std::pair<std::string, std::string>> seen_;  // what, layer
};

}  // namespace gradc
