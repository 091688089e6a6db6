// The convolutions as contractions.
#include "ir/ops/convolution.h"

namespace gradc::ops {
namespace {

// The loops of a contraction, as roles; a role's first loop, of one per spatial axis where plural.
class Loops {
 public:
  int add(int64_t size) {
    sizes_.push_back(size);
    return static_cast<int>(sizes_.size()) - 1;
  }
  int add(const Dims& sizes) {
    sizes_.insert(sizes_.end(), sizes.begin(), sizes.end());
    return static_cast<int>(sizes_.size() - sizes.size());
  }
  // One group needs no loop.
  int add_groups(int64_t groups) { return groups == 1 ? -1 : add(groups); }
  void end_of_result() { result_loops_ = static_cast<ptrdiff_t>(sizes_.size()); }
  Dims result_dims() const { return Dims(sizes_.begin(), sizes_.begin() + result_loops_); }
  Dims summed_dims() const { return Dims(sizes_.begin() + result_loops_, sizes_.end()); }

 private:
  Dims sizes_;
  ptrdiff_t result_loops_ = 0;
};

AffineIndex index_of(int loop) {
  return {{{loop, 1}}};
}

AffineIndex channel_index(int group_loop, int64_t group_size, int channel_loop) {
  if (group_loop < 0)
    return index_of(channel_loop);
  return {{{group_loop, group_size}, {channel_loop, 1}}};
}

// i = p * stride + k * dilation - low
void append_image_indices(std::vector<AffineIndex>& indices, const Convolution& c, int positions,
                          int taps) {
  for (size_t i = 0; i < c.spatial_axes(); ++i)
    indices.push_back({{{positions + static_cast<int>(i), c.stride[i]},
                        {taps + static_cast<int>(i), c.dilation[i]}},
                       -c.low[i]});
}

// p = (i - k * dilation + low) / stride
void append_result_indices(std::vector<AffineIndex>& indices, const Convolution& c, int pixels,
                           int taps) {
  for (size_t i = 0; i < c.spatial_axes(); ++i)
    indices.push_back(
        {{{pixels + static_cast<int>(i), 1}, {taps + static_cast<int>(i), -c.dilation[i]}},
         c.low[i],
         c.stride[i]});
}

void append_plain_indices(std::vector<AffineIndex>& indices, const Convolution& c, int first) {
  for (size_t i = 0; i < c.spatial_axes(); ++i)
    indices.push_back(index_of(first + static_cast<int>(i)));
}

// The summed loops of channels and taps.
std::pair<int, int> add_summed(Loops& loops, bool channels_last, int64_t channels,
                               const Dims& taps) {
  if (!channels_last) {
    int channel = loops.add(channels);
    return {channel, loops.add(taps)};
  }
  int k = loops.add(taps);
  return {loops.add(channels), k};
}

// The indices of an image or a result from those of its axes, which `append` adds.
template <typename Append>
std::vector<AffineIndex> image_indices(const Convolution& c, int batch, AffineIndex channel,
                                       Append append) {
  std::vector<AffineIndex> indices = {index_of(batch)};
  if (!c.channels_last)
    indices.push_back(channel);
  append(indices);
  if (c.channels_last)
    indices.push_back(std::move(channel));
  return indices;
}

std::vector<AffineIndex> weight_indices(const Convolution& c, int group, int output, int channel,
                                        int taps) {
  std::vector<AffineIndex> indices = {channel_index(group, c.group_outputs(), output),
                                      index_of(channel)};
  append_plain_indices(indices, c, taps);
  return indices;
}

}  // namespace

// Channels that are last in the result are last among its loops; channels that are summed follow
// the taps then, so that what a tap adds is a run of neighbours.
Contraction contraction_of_conv(std::span<const Type> operands, const Type&, const Attrs& attrs) {
  Convolution c = of_conv(operands, attrs);
  Loops loops;
  int n = loops.add(c.batch());
  int first_p = c.channels_last ? loops.add(spatial(c.y)) : -1;
  int g = loops.add_groups(c.groups), o = loops.add(c.group_outputs());
  int p = c.channels_last ? first_p : loops.add(spatial(c.y));
  loops.end_of_result();
  auto [channel, k] = add_summed(loops, c.channels_last, c.group_inputs(), spatial(c.w));
  auto image = [&](auto& indices) { append_image_indices(indices, c, p, k); };
  return {loops.result_dims(),
          loops.summed_dims(),
          {image_indices(c, n, channel_index(g, c.group_inputs(), channel), image),
           weight_indices(c, g, o, channel, k)}};
}

Contraction contraction_of_data_gradient(std::span<const Type> operands, const Type&,
                                         const Attrs& attrs) {
  Convolution c = of_data_gradient(operands, attrs);
  Loops loops;
  int n = loops.add(c.batch());
  int first_i = c.channels_last ? loops.add(spatial(c.x)) : -1;
  int g = loops.add_groups(c.groups), channel = loops.add(c.group_inputs());
  int i = c.channels_last ? first_i : loops.add(spatial(c.x));
  loops.end_of_result();
  auto [o, k] = add_summed(loops, c.channels_last, c.group_outputs(), spatial(c.w));
  auto result = [&](auto& indices) { append_result_indices(indices, c, i, k); };
  return {loops.result_dims(),
          loops.summed_dims(),
          {image_indices(c, n, channel_index(g, c.group_outputs(), o), result),
           weight_indices(c, g, o, channel, k)}};
}

Contraction contraction_of_weight_gradient(std::span<const Type> operands, const Type&,
                                           const Attrs& attrs) {
  Convolution c = of_weight_gradient(operands, attrs);
  Loops loops;
  int g = loops.add_groups(c.groups), o = loops.add(c.group_outputs());
  int channel = loops.add(c.group_inputs()), k = loops.add(spatial(c.w));
  loops.end_of_result();
  int n = loops.add(c.batch()), p = loops.add(spatial(c.y));
  auto image = [&](auto& indices) { append_image_indices(indices, c, p, k); };
  auto result = [&](auto& indices) { append_plain_indices(indices, c, p); };
  return {loops.result_dims(),
          loops.summed_dims(),
          {image_indices(c, n, channel_index(g, c.group_inputs(), channel), image),
           image_indices(c, n, channel_index(g, c.group_outputs(), o), result)}};
}

}  // namespace gradc::ops
