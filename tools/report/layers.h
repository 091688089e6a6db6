#pragma once
// Which layer of the model each kernel works for. Layers are named by the parameters that they
// own: `block_1.dense_2` has `block_1.dense_2.w`.
#include <string>
#include <string_view>
#include <vector>

#include "ir/module.h"

namespace gradc {

// `block_1.dense_2` of `block_1.dense_2.w`.
std::string layer_of_state(std::string_view state);

// What the paths have in common: `a.b` of `a.b.c` and `a.b.d`; "" for nothing.
std::string common_layer(std::string_view a, std::string_view b);

// By op of a planned entry, the path of a layer, or "" for what belongs to none:
//   - a kernel that reads or makes a layer's parameters, or makes their gradients, is of that
//     layer; of several layers, of the one whose weights its product multiplies with, or of what
//     their paths have in common, or of the first;
//   - a forward kernel after all layers is of the result that it leads to, e.g. `loss`;
//   - another one is of what the nearest layers before and after it have in common, or of the one
//     before it.
std::vector<std::string> layers_of(const Module& module, const Function& entry);

}  // namespace gradc
