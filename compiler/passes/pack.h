#pragma once
// Brings a weight that many products of few rows read into the order of their tiles once, before
// the first of them: y = dot(x, w) of f32[32,256] and f32[1024,256] becomes
//   p = transpose(reshape(w))  f32[16,256,64]
//   y = reshape(dot(x, p))
// so that it is not done again in each step of an unrolled loop. The sums are those of before, one
// product after the other. What is packed takes memory from its first reader to its last, so within
// a budget nothing is.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module pack(const Module& module, const Options& options);

}  // namespace gradc
