// Resize and Upsample: one `resize` for each axis whose elements change.
#include <algorithm>
#include <cmath>

#include "compiler/import/onnx/inputs.h"
#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// What happens to one axis. A scale need not be a ratio of sizes.
struct AxisPlan {
  int64_t axis = 0, from_size = 0, size = 0;
  double scale = 1;
  double roi_start = 0, roi_end = 1;
};

struct Interpolation {
  std::string filter, coordinates;
  double cubic = -0.75, extrapolation = 0;
  bool antialias = false, excludes_outside = false;
};

// --- Which axes, and to which sizes.

double positive_scale(double scale) {
  if (!(scale > 0 && scale <= 1e9))
    fail("scale {} must lie in (0, 1e9]", scale);
  return scale;
}

void set_scales(NodeContext& c, std::vector<AxisPlan>& plans, const std::vector<double>& scales) {
  if (scales.size() != plans.size())
    fail("there are {} scales for {} axes of {}", scales.size(), plans.size(),
         to_string(c.type(0)));
  for (size_t i = 0; i < plans.size(); ++i) {
    plans[i].scale = positive_scale(scales[i]);
    plans[i].size = static_cast<int64_t>(static_cast<double>(plans[i].from_size) * scales[i]);
  }
}

// With a policy all axes take one scale, that of the axis that shrinks most or grows most.
void set_sizes(NodeContext& c, std::vector<AxisPlan>& plans, const std::vector<int64_t>& sizes) {
  if (sizes.size() != plans.size())
    fail("there are {} sizes for {} axes of {}", sizes.size(), plans.size(), to_string(c.type(0)));
  std::vector<double> scales;
  for (size_t i = 0; i < plans.size(); ++i) {
    plans[i].size = sizes[i];
    scales.push_back(static_cast<double>(sizes[i]) / static_cast<double>(plans[i].from_size));
    plans[i].scale = positive_scale(scales[i]);
  }
  std::string policy =
      c.opset >= 18 ? c.text("keep_aspect_ratio_policy", "stretch") : std::string("stretch");
  if (policy == "stretch" || scales.empty())
    return;
  if (policy != "not_larger" && policy != "not_smaller")
    fail(
        "attribute `keep_aspect_ratio_policy` is `{}`; it must be stretch, not_larger or "
        "not_smaller",
        policy);
  double scale = policy == "not_larger" ? *std::ranges::min_element(scales)
                                        : *std::ranges::max_element(scales);
  for (AxisPlan& plan : plans) {
    plan.scale = scale;
    plan.size = static_cast<int64_t>(scale * static_cast<double>(plan.from_size) + 0.5);
  }
}

std::vector<AxisPlan> all_axes(NodeContext& c, const std::optional<std::vector<int64_t>>& named) {
  std::vector<AxisPlan> plans;
  Dims dims = c.dims(0);
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < c.rank(0); ++i)
    axes.push_back(i);
  if (named) {
    normalized_axes(*named, c.rank(0));
    axes = *named;
  }
  for (int64_t axis : axes) {
    axis = normalized_axis(axis, c.rank(0), "axes");
    plans.push_back({axis, dims[static_cast<size_t>(axis)], dims[static_cast<size_t>(axis)]});
  }
  return plans;
}

bool is_given(NodeContext& c, size_t i) {
  return c.has(i) && c.type(i).elements() > 0;
}

// Until opset 13 sizes that are not given may be an empty tensor, as scales may always be.
std::vector<AxisPlan> plans_of(NodeContext& c) {
  std::optional<std::vector<int64_t>> axes;
  if (c.opset >= 18)
    axes = c.find_integers("axes");
  std::vector<AxisPlan> plans = all_axes(c, axes);
  if (is_given(c, 2) == is_given(c, 3))
    fail("either `scales` or `sizes` must be given");
  if (is_given(c, 2)) {
    c.ignore({"keep_aspect_ratio_policy"});
    set_scales(c, plans, c.numbers(2));
  } else {
    set_sizes(c, plans, c.integers(3));
  }
  return plans;
}

void read_roi(NodeContext& c, std::vector<AxisPlan>& plans) {
  std::vector<double> roi = c.numbers(1);
  if (roi.size() != 2 * plans.size())
    fail("`roi` must have two numbers for each of {} axes, it is {}", plans.size(),
         to_string(c.type(1)));
  for (size_t i = 0; i < plans.size(); ++i) {
    plans[i].roi_start = roi[i];
    plans[i].roi_end = roi[i + plans.size()];
  }
}

// --- Where the elements of the result are: (o + shift) * from / to + offset.

struct Places {
  double from = 1, to = 1, shift = 0, offset = 0;
  double of(int64_t o) const { return (static_cast<double>(o) + shift) * from / to + offset; }
};

Places places_of(const AxisPlan& plan, const std::string& coordinates) {
  auto last = static_cast<double>(plan.from_size - 1);
  double width = plan.scale * static_cast<double>(plan.from_size);  // of the result, not rounded
  bool is_one = std::abs(width - 1) < 1e-9;
  if (coordinates == "half_pixel" || (coordinates == "pytorch_half_pixel" && plan.size > 1))
    return {1, plan.scale, 0.5, -0.5};
  if (coordinates == "pytorch_half_pixel")
    return {0, 1, 0, 0};
  if (coordinates == "half_pixel_symmetric") {
    double adjustment = static_cast<double>(plan.size) / width;
    double offset = static_cast<double>(plan.from_size) / 2 * (1 - adjustment);
    return {1, plan.scale, 0.5, offset - 0.5};
  }
  if (coordinates == "asymmetric")
    return {1, plan.scale, 0, 0};
  if (coordinates == "align_corners")
    return is_one ? Places{0, 1, 0, 0} : Places{last, width - 1, 0, 0};
  if (coordinates == "tf_half_pixel_for_nn")
    return {1, plan.scale, 0.5, 0};
  if (coordinates != "tf_crop_and_resize")
    fail(
        "attribute `coordinate_transformation_mode` is `{}`; it must be half_pixel, "
        "half_pixel_symmetric, pytorch_half_pixel, align_corners, asymmetric, "
        "tf_half_pixel_for_nn or tf_crop_and_resize",
        coordinates);
  if (is_one)
    return {0, 1, 0, (plan.roi_start + plan.roi_end) * last / 2};
  return {(plan.roi_end - plan.roi_start) * last, width - 1, 0, plan.roi_start * last};
}

// --- The ops.

// Elements [begin, end) of the result lie in x; the others are the extrapolation's.
struct Inside {
  int64_t begin = 0, end = 0;
};

Inside inside_of(const AxisPlan& plan, const Places& places, const Interpolation& how) {
  Inside inside{0, plan.size};
  if (how.coordinates != "tf_crop_and_resize")
    return inside;
  auto is_inside = [&](int64_t o) {
    return places.of(o) >= 0 && places.of(o) <= static_cast<double>(plan.from_size - 1);
  };
  while (inside.begin < inside.end && !is_inside(inside.begin))
    ++inside.begin;
  while (inside.end > inside.begin && !is_inside(inside.end - 1))
    --inside.end;
  return inside;
}

// A region that runs backwards is one that runs forwards, reversed.
ValueId resized(NodeContext& c, ValueId x, const AxisPlan& plan, Places places,
                const Inside& inside, const Interpolation& how) {
  bool backwards = places.from < 0;
  int64_t first = backwards ? inside.end - 1 : inside.begin;
  if (first != 0)
    places.offset = places.of(first) - places.shift * places.from / places.to;
  Attrs attrs{
      {"axis", plan.axis},       {"filter", how.filter},  {"from", std::abs(places.from)},
      {"offset", places.offset}, {"shift", places.shift}, {"size", inside.end - inside.begin},
      {"to", places.to}};
  if (how.filter == "cubic")
    attrs.set("cubic", how.cubic);
  if (how.excludes_outside && (how.filter == "cubic" || how.filter == "linear"))
    attrs.set("skip_outside", true);
  if (how.antialias && plan.scale < 1)
    attrs.set("width", std::min(1 / plan.scale, static_cast<double>(plan.from_size)));
  ValueId y = c.b.op(Opcode::resize, {x}, attrs);
  return backwards ? c.b.op(Opcode::reverse, {y}, {{"axes", std::vector{plan.axis}}}) : y;
}

bool is_unchanged(const AxisPlan& plan, const Interpolation& how) {
  bool whole = how.coordinates != "tf_crop_and_resize" ||
               (std::abs(plan.roi_start) < 1e-9 && std::abs(plan.roi_end - 1) < 1e-9);
  return whole && plan.size == plan.from_size && std::abs(plan.scale - 1) <= 1e-9;
}

// Numbers that are not floats are interpolated as floats, and rounded.
ValueId interpolated(NodeContext& c, const std::vector<AxisPlan>& plans, const Interpolation& how) {
  DType dtype = c.dtype(0);
  bool exact = is_float(dtype) || (how.filter != "linear" && how.filter != "cubic");
  ValueId x = c.tensor(0);
  if (!exact)
    x = cast(c, x, dtype == DType::i32 || dtype == DType::i64 ? DType::f64 : DType::f32);
  Dims sizes = c.dims(0), low(sizes.size(), 0), high = low;
  for (const AxisPlan& plan : plans)
    sizes[static_cast<size_t>(plan.axis)] = plan.size;
  check_sizes(sizes);
  bool is_padded = false;
  for (const AxisPlan& plan : plans) {
    if (plan.size < 1)
      fail("axis {} of the result would have {} elements", plan.axis, plan.size);
    if (is_unchanged(plan, how))
      continue;
    Places places = places_of(plan, how.coordinates);
    Inside inside = inside_of(plan, places, how);
    if (inside.begin == inside.end)
      return c.b.constant({dtype, sizes}, how.extrapolation);
    x = resized(c, x, plan, places, inside, how);
    low[static_cast<size_t>(plan.axis)] = inside.begin;
    high[static_cast<size_t>(plan.axis)] = plan.size - inside.end;
    is_padded |= inside.begin > 0 || inside.end < plan.size;
  }
  if (is_padded)
    x = c.b.op(Opcode::pad, {x}, {{"high", high}, {"low", low}, {"value", how.extrapolation}});
  return exact ? x : cast(c, c.b.op(Opcode::round, {x}), dtype);
}

void resize_by(NodeContext& c, const std::vector<AxisPlan>& plans, const Interpolation& how) {
  if (std::ranges::all_of(plans, [&](const AxisPlan& plan) { return is_unchanged(plan, how); }))
    return c.result(0, c.value(0));
  c.result(interpolated(c, plans, how));
}

// `linear` and `cubic` as they are; which element is the nearest is a matter of its own.
std::string filter_of(const std::string& mode, const std::string& nearest) {
  if (mode == "linear" || mode == "cubic")
    return mode;
  if (mode != "nearest")
    fail("attribute `mode` is `{}`; it must be nearest, linear or cubic", mode);
  if (nearest == "round_prefer_floor")
    return "nearest";
  if (nearest == "round_prefer_ceil")
    return "nearest_up";
  if (nearest != "floor" && nearest != "ceil")
    fail(
        "attribute `nearest_mode` is `{}`; it must be round_prefer_floor, round_prefer_ceil, "
        "floor or ceil",
        nearest);
  return nearest;
}

void resize_node(NodeContext& c) {
  Interpolation how;
  std::string mode = c.text("mode", "nearest");
  how.filter = filter_of(mode, c.text("nearest_mode", "round_prefer_floor"));
  how.coordinates = c.text("coordinate_transformation_mode", "half_pixel");
  how.cubic = c.real("cubic_coeff_a", -0.75);
  how.extrapolation = c.real("extrapolation_value", 0);
  how.excludes_outside = c.flag("exclude_outside");
  how.antialias = c.opset >= 18 && c.flag("antialias");
  if (how.antialias && mode == "nearest")
    fail("attribute `antialias` is 1, which needs `mode` linear or cubic");
  std::vector<AxisPlan> plans = plans_of(c);
  if (how.coordinates == "tf_crop_and_resize")
    read_roi(c, plans);
  resize_by(c, plans, how);
}

// Upsample, and Resize of opset 10: by scales only, the corner of an element is its place.
void upsample(NodeContext& c, const std::vector<double>& scales) {
  Interpolation how;
  std::string mode = c.text("mode", "nearest");
  how.filter = filter_of(mode == "bilinear" ? "linear" : mode, "floor");
  how.coordinates = "asymmetric";
  std::vector<AxisPlan> plans = all_axes(c, std::nullopt);
  set_scales(c, plans, scales);
  resize_by(c, plans, how);
}

void upsample_7(NodeContext& c) {
  if (!c.has_attribute("scales"))
    fail("attribute `scales` is missing");
  upsample(c, c.reals("scales", {}));
}

void upsample_9(NodeContext& c) {
  upsample(c, c.numbers(1));
}

constexpr NodeRule kRules[] = {
    {.op = "Resize", .since = 10, .build = upsample_9},
    {.op = "Resize", .since = 11, .build = resize_node},
    {.op = "Upsample", .since = 7, .build = upsample_7},
    {.op = "Upsample", .since = 9, .build = upsample_9, .until = 10, .instead = "Resize"},
};

}  // namespace

std::span<const NodeRule> resize_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
