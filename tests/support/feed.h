#pragma once
// Random numbers and tensors for tests: the same on every machine for the same seed.
#include <cstdint>
#include <random>
#include <set>

#include "ir/op_def.h"
#include "ir/parse.h"

namespace gradc::test {

class Feed {
 public:
  explicit Feed(uint64_t seed) : engine_(seed) {}

  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }  // [0, 1)
  int64_t below(int64_t count) {
    return static_cast<int64_t>(uniform() * static_cast<double>(count));
  }
  bool chance(double probability) { return uniform() < probability; }

  // Elements in `domain`, multiples of 1/1024 and so exact in every float type but bf16. Reals
  // differ from all that this feed has given before, as long as there are enough numbers.
  Tensor tensor(const Type& type, Domain domain, int64_t index_limit = 1);

 private:
  double real(double low, double high);
  std::mt19937_64 engine_;
  std::set<int64_t> given_;  // in units of 1/1024
};

// What indices among the operands must stay below (Domain::index); 1 without such an operand.
int64_t index_limit(const Example& example);
// An entry of one op, the example: its operands are the parameters, its results are named `y`.
Function function_of(const Example& example);
// Tensors for the operands of an example.
std::vector<Tensor> operands_for(const Example& example, Feed& feed);

}  // namespace gradc::test
