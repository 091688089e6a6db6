#pragma once
// Attention of many shapes: whole and broken strips and blocks, causal or not, other lengths and
// widths, shared keys, masks of all forms, scales of any sign.
#include <optional>
#include <string>
#include <vector>

#include "ir/eval_types.h"
#include "ir/module.h"

namespace gradc::test {

struct AttentionCase {
  Type q, k, v;
  std::optional<Type> mask;
  bool causal = false;
  double scale = 0.3;
};
std::string to_string(const AttentionCase& c);

std::vector<AttentionCase> attention_cases();

// attention_forward as an entry, and attention_backward of what it gives.
Function attention_forward(const AttentionCase& c);
Function attention_backward(const AttentionCase& c);
// Operands for both; a mask hides about a third of the scores, and all of one query's.
std::vector<Tensor> forward_operands(const AttentionCase& c, uint64_t seed);
std::vector<Tensor> backward_operands(const AttentionCase& c, uint64_t seed);

}  // namespace gradc::test
