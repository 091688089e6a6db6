#pragma once
// The convolutions of known networks, for contract_bench: each layer, its data gradient and its
// weight gradient as texts of ops.
#include <string>
#include <vector>

namespace gradc::bench {

// Of lenet, resnet (for 28x28 images), resnet18 (32x32, batch 32), resnet50 (224x224, batch 4), or
// depthwise (and grouped ones of MobileNet and ResNeXt); nothing for another name. Channels last,
// as the pass `layout` makes them; channels first if "_first" follows the name. With "_winograd"
// those that Winograd's tiles can do, both ways; with "_bf16" all of them in bf16.
std::vector<std::string> convolution_cases(const std::string& name);

// `conv(f32[...], f32[...]) stride=[2,2]` of the text of a convolution.
std::string short_name(const std::string& text);

}  // namespace gradc::bench
