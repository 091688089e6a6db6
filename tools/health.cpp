#include "tools/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compiler/passes/watch.h"

namespace gradc {
namespace {

// A gradient so many times smaller or larger than the last layer's vanishes or explodes. Of ten
// layers of sigmoids, each takes at least a factor of 4; the range over a healthy network of any
// depth is a few tens.
constexpr double kVanishing = 1e-3, kExploding = 1e3;
constexpr double kLargeUpdate = 0.3;  // part of the weights that a step changes
constexpr double kManyDead = 0.5;  // part of the units
constexpr size_t kMostNamed = 3;  // layers in a warning

LayerHealth& layer_named(std::vector<LayerHealth>& layers, const std::string& name) {
  auto found = std::find_if(layers.begin(), layers.end(),
                            [&](const LayerHealth& layer) { return layer.name == name; });
  if (found != layers.end())
    return *found;
  layers.push_back({.name = name});
  return layers.back();
}

// Root of the sum of squares.
double joined(double norm, double more_squared) {
  return std::sqrt(norm * norm + more_squared);
}

std::string cell(std::optional<double> value) {
  return value ? fmt::format("{:.3g}", *value) : "-";
}

std::string percent(std::optional<double> value) {
  return value ? fmt::format("{:.1f}", 100 * *value) : "-";
}

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.9g}", value) : "null";
}

// Name and value of all that a layer has, in one order everywhere.
std::vector<std::pair<std::string_view, double>> numbers_of(const LayerHealth& layer) {
  std::vector<std::pair<std::string_view, double>> numbers;
  auto add = [&](std::string_view name, std::optional<double> value) {
    if (value)
      numbers.emplace_back(name, *value);
  };
  add("activation", layer.activation);
  add("mean", layer.mean);
  add("flat", layer.flat);
  add("dead", layer.dead);
  add("gradient", layer.gradient);
  add("weight_gradient", layer.weight_gradient);
  add("weight", layer.weight);
  add("update_ratio", layer.update_ratio());
  return numbers;
}

std::string described(const LayerHealth& layer) {
  return layer.place.empty() ? fmt::format("`{}`", layer.name)
                             : fmt::format("`{}` ({})", layer.name, layer.place);
}

std::string described(const std::vector<const LayerHealth*>& layers) {
  std::string text;
  for (size_t i = 0; i < std::min(layers.size(), kMostNamed); ++i)
    text += (i > 0 ? ", " : "") + described(*layers[i]);
  if (layers.size() > kMostNamed)
    text += fmt::format(" and {} more", layers.size() - kMostNamed);
  return text;
}

bool is_bad(std::optional<double> value) {
  return value && !std::isfinite(*value);
}

}  // namespace

std::optional<double> LayerHealth::update_ratio() const {
  return weight > 0 ? std::optional(update / weight) : std::nullopt;
}

std::vector<LayerHealth> layers_of_health(std::span<const std::pair<std::string, double>> numbers,
                                          std::span<const StateTensor> states) {
  std::vector<LayerHealth> layers;
  for (const auto& [path, value] : numbers) {
    size_t begin = path.find('/') + 1, end = path.rfind('/');
    std::string kind = path.substr(0, begin), what = path.substr(end + 1);
    std::string name = path.substr(begin, end - begin);
    if (kind == "parameter/")
      name = layer_of_parameter(name);
    LayerHealth& layer = layer_named(layers, name);
    if (kind == "output/" && what == "mean")
      layer.mean = value;
    else if (kind == "output/" && what == "square")
      layer.activation = std::sqrt(value);
    else if (kind == "output/" && what == "flat")
      layer.flat = value;
    else if (kind == "output/" && what == "dead")
      layer.dead = value;
    else if (kind == "gradient/")
      layer.gradient = std::sqrt(value);
    else if (what == "gradient")
      layer.weight_gradient = joined(layer.weight_gradient, value);
    else if (what == "weight")
      layer.weight = joined(layer.weight, value);
    else if (what == "update")
      layer.update = joined(layer.update, value);
  }
  for (LayerHealth& layer : layers)
    for (const StateTensor& state : states)
      if (layer.place.empty() && layer_of_parameter(state.name) == layer.name)
        layer.place = state.loc;
  return layers;
}

std::string health_table(std::span<const LayerHealth> layers) {
  size_t width = 5;
  for (const LayerHealth& layer : layers)
    width = std::max(width, layer.name.size());
  std::string table =
      fmt::format("  {:{}} {:>10} {:>10} {:>7} {:>7} {:>10} {:>10} {:>10}\n", "layer", width, "rms",
                  "mean", "flat %", "dead %", "gradient", "d weight", "update");
  for (const LayerHealth& layer : layers)
    table += fmt::format("  {:{}} {:>10} {:>10} {:>7} {:>7} {:>10} {:>10} {:>10}\n", layer.name,
                         width, cell(layer.activation), cell(layer.mean), percent(layer.flat),
                         percent(layer.dead), cell(layer.gradient), cell(layer.weight_gradient),
                         cell(layer.update_ratio()));
  return table;
}

std::string health_json(std::span<const LayerHealth> layers) {
  std::string text;
  for (const LayerHealth& layer : layers) {
    std::string members;
    for (const auto& [name, value] : numbers_of(layer))
      members += fmt::format("{}\"{}\": {}", members.empty() ? "" : ", ", name, number(value));
    text += fmt::format("{}\"{}\": {{{}}}", text.empty() ? "" : ", ", layer.name, members);
  }
  return "{" + text + "}";
}

std::vector<std::pair<std::string, double>> health_scalars(std::span<const LayerHealth> layers) {
  std::vector<std::pair<std::string, double>> scalars;
  for (const LayerHealth& layer : layers)
    for (const auto& [name, value] : numbers_of(layer))
      scalars.emplace_back(fmt::format("{}/{}", name, layer.name), value);
  return scalars;
}

std::string not_finite(std::span<const LayerHealth> layers) {
  for (const LayerHealth& layer : layers)
    if (is_bad(layer.activation) || is_bad(layer.mean))
      return fmt::format("layer {} is the first whose output is not finite", described(layer));
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer)
    if (is_bad(layer->gradient) || is_bad(layer->weight_gradient))
      return fmt::format("layer {} is the first in the backward pass whose gradient is not finite",
                         described(*layer));
  for (const LayerHealth& layer : layers)
    if (is_bad(layer.update) || is_bad(layer.weight))
      return fmt::format("the update of layer {} is not finite", described(layer));
  return "";
}

HealthWarnings::Layers HealthWarnings::unseen(std::string_view kind, const Layers& layers) {
  Layers fresh;
  for (const LayerHealth* layer : layers)
    if (seen_.emplace(kind, layer->name).second)
      fresh.push_back(layer);
  return fresh;
}

std::vector<std::string> HealthWarnings::check(std::span<const LayerHealth> layers) {
  std::vector<std::string> warnings;
  if (std::string bad = not_finite(layers); !bad.empty())
    warnings.push_back(bad);
  const LayerHealth* last = nullptr;
  for (const LayerHealth& layer : layers)
    if (layer.gradient)
      last = &layer;
  Layers small, large, dead, moved;
  for (const LayerHealth& layer : layers) {
    if (last && *last->gradient > 0 && layer.gradient) {
      if (*layer.gradient < kVanishing * *last->gradient)
        small.push_back(&layer);
      if (*layer.gradient > kExploding * *last->gradient)
        large.push_back(&layer);
    }
    if (layer.dead.value_or(0) > kManyDead)
      dead.push_back(&layer);
    if (layer.update_ratio().value_or(0) > kLargeUpdate)
      moved.push_back(&layer);
  }
  if (small = unseen("vanishing", small); !small.empty())
    warnings.push_back(fmt::format(
        "vanishing gradients: of layers {} the gradient's norm is {:.2g}, less than 1/{:.0f} of "
        "the "
        "{:.2g} of `{}`\nhelp: an initialisation that fits the activation, relu instead of "
        "sigmoid, "
        "normalisation or residual connections keep it",
        described(small), *small[0]->gradient, 1 / kVanishing, *last->gradient, last->name));
  if (large = unseen("exploding", large); !large.empty())
    warnings.push_back(fmt::format(
        "exploding gradients: of layers {} the gradient's norm is {:.2g}, more than {:.0f} times "
        "the "
        "{:.2g} of `{}`\nhelp: try smaller initial weights, --clip-norm 1 or a smaller --lr",
        described(large), *large[0]->gradient, kExploding, *last->gradient, last->name));
  if (dead = unseen("dead", dead); !dead.empty())
    warnings.push_back(fmt::format(
        "dead units: in layers {}, {:.0f} % of the units pass no gradient for any sample of the "
        "batch\nhelp: try a smaller --lr, or an activation that is nowhere flat such as leaky_relu",
        described(dead), 100 * *dead[0]->dead));
  if (moved = unseen("update", moved); !moved.empty())
    warnings.push_back(
        fmt::format("large updates: of layers {} a step changes the weights by {:.0f} %\n"
                    "help: try a smaller --lr or --warmup",
                    described(moved), 100 * *moved[0]->update_ratio()));
  return warnings;
}

}  // namespace gradc
