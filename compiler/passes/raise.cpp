#include "compiler/passes/raise.h"

#include "compiler/passes/simplify_rules.h"

namespace gradc {

std::vector<SimplifyRule> all_raise_rules() {
  std::vector<SimplifyRule> rules;
  for (std::span<const SimplifyRule> topic : {raise_activation_rules(), raise_norm_rules(),
                                              raise_softmax_rules(), raise_attention_rules()})
    rules.insert(rules.end(), topic.begin(), topic.end());
  return rules;
}

Module raise(const Module& module, const Options&) {
  return rewritten(module, all_raise_rules());
}

}  // namespace gradc
