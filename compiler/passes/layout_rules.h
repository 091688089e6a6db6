#pragma once
// How ops work on images whose axes have another order.
#include <optional>
#include <vector>

#include "ir/module.h"

namespace gradc {

// The order of axes that takes an image from channels first to channels last, and back: axis i of
// the one is axis order[i] of the other.
std::vector<int64_t> channels_last_order(int64_t rank);
std::vector<int64_t> channels_first_order(int64_t rank);

// The attributes with which `op`, of one result, gives the same on operands in channels-last order,
// its own result in that order too, or, of a fold that keeps no image, as it was. Nothing where it
// cannot.
std::optional<Attrs> channels_last_attrs(const Function& function, const Op& op);

// How many operands of such an op, from the first on, are images: of `gather` the others are
// numbers along one axis.
size_t images_of(const Op& op);

// Whether the result of such an op is in channels-last order too.
bool gives_image(const Op& op);

// An op with an attribute `channels_last`: how many of its operands, from the first on, are images.
struct ImageOp {
  size_t images = 0;
  bool result_is_image = false;
};
std::optional<ImageOp> image_op(const Op& op);

// Whether an op with that attribute is better off with it.
bool wants_channels_last(const Function& function, const Op& op);

}  // namespace gradc
