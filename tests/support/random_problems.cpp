#include "random_problems.h"

#include <algorithm>
#include <random>

namespace gradc_test {

using namespace gradc;

namespace {

class Maker {
 public:
  explicit Maker(uint32_t seed) : random_(seed) { problem.sharing = Problem::Sharing::largest; }

  Problem problem;

  int below(int bound) { return static_cast<int>(random_() % static_cast<uint32_t>(bound)); }
  int64_t bytes() { return 64 * (1 + below(8)); }

  int value(int64_t size) {
    problem.values.push_back({size, {}});
    return problem.value_count() - 1;
  }

  // Its number.
  int kernel(const std::vector<int>& reads, const std::vector<int>& writes, bool forward,
             bool required = true) {
    PlanKernel kernel;
    kernel.forward = forward;
    kernel.required = required;
    kernel.cost = 10 + below(90);
    kernel.workspace = below(5) == 0 ? bytes() : 0;
    kernel.writes = writes;
    for (int read : reads)
      if (std::find(kernel.reads.begin(), kernel.reads.end(), read) == kernel.reads.end()) {
        kernel.reads.push_back(read);
        kernel.after.push_back(problem.values[read].producers[0]);
      }
    for (int written : writes)
      problem.values[written].producers.push_back(problem.kernel_count());
    problem.kernels.push_back(std::move(kernel));
    return problem.kernel_count() - 1;
  }

  int made(const std::vector<int>& reads, int64_t size, bool forward) {
    int result = value(size);
    kernel(reads, {result}, forward);
    return result;
  }

  void in_place(int number, int read, int written) {
    problem.kernels[number].inplace.emplace_back(read, written);
  }

 private:
  std::mt19937 random_;
};

struct Layer {
  int input, output;
  int aside = -1;  // a second result that the gradient reads
  int skip = -1;  // what is added to the result
  std::vector<int> readers;  // of the weights
};

}  // namespace

Problem random_step(uint32_t seed, int layers) {
  Maker make(seed);
  bool inverses = seed % 3 == 0;
  std::vector<Layer> made;
  std::vector<std::pair<int, int>> sums;  // kernels' operands to invert: (result, operand)
  int x = make.made({}, make.bytes(), true);
  for (int i = 0; i < layers; ++i) {
    Layer layer{.input = x, .output = make.value(make.bytes())};
    std::vector<int> results = {layer.output};
    if (make.below(3) == 0) {
      layer.aside = make.value(make.bytes());
      results.push_back(layer.aside);
    }
    layer.readers = {make.kernel({x}, results, true)};
    x = layer.output;
    if (make.below(2) == 0) {  // an activation
      int y = make.value(make.problem.values[x].bytes);
      make.in_place(make.kernel({x}, {y}, true), x, y);
      x = layer.output = y;
    }
    if (i > 1 && make.below(3) == 0) {
      layer.skip = made[make.below(i)].output;
      int y = make.value(make.problem.values[x].bytes);
      make.in_place(make.kernel({x, layer.skip}, {y}, true), x, y);
      sums.emplace_back(y, layer.skip);
      x = layer.output = y;
    }
    made.push_back(layer);
  }
  int gradient = make.made({x}, make.bytes(), true);  // the loss
  std::vector<int> weight_gradients;
  for (int i = layers; i-- > 0;) {
    Layer& layer = made[i];
    std::vector<int> reads = {gradient, layer.input};
    if (layer.aside >= 0)
      reads.push_back(layer.aside);
    int weights = make.value(make.bytes());
    make.kernel(reads, {weights}, false);
    weight_gradients.push_back(weights);
    int before = make.value(make.problem.values[layer.input].bytes);
    int number = make.kernel({gradient, layer.output}, {before}, false);
    if (make.problem.values[before].bytes <= make.problem.values[gradient].bytes)
      make.in_place(number, gradient, before);
    layer.readers.push_back(number);
    gradient = before;
  }
  for (int i = layers; i-- > 0;) {
    int update = make.kernel({weight_gradients[layers - 1 - i]}, {}, false);
    make.problem.kernels[update].once = true;
    for (int reader : made[i].readers)
      make.problem.kernels[reader].overwriters.push_back(update);
  }
  if (inverses)
    for (auto [result, operand] : sums)
      make.kernel({result, x == result ? made[0].input : x}, {operand}, true, false);
  return make.problem;
}

Problem random_graph(uint32_t seed, int kernels) {
  Maker make(seed);
  int required = 0;
  while (make.problem.kernel_count() < kernels) {
    std::vector<int> reads;
    int values = make.problem.value_count();
    for (int i = values > 0 ? 1 + make.below(2) : 0; i > 0; --i)
      reads.push_back(values - 1 - make.below(std::min(values, 4)));
    bool last = make.problem.kernel_count() + 1 == kernels;
    if (required > 2 && last && make.below(3) == 0) {
      int again = make.below(values);
      std::erase(reads, again);
      make.kernel(reads, {again}, false, false);
      continue;
    }
    std::vector<int> writes = {make.value(make.bytes())};
    if (make.below(5) == 0)
      writes.push_back(make.value(make.bytes()));
    int number = make.kernel(reads, writes, make.below(2) == 0);
    ++required;
    const PlanKernel& kernel = make.problem.kernels[number];
    if (!kernel.reads.empty() && make.below(2) == 0)
      make.in_place(number, kernel.reads[0], writes[0]);
    if (number > 2 && make.below(4) == 0) {
      make.problem.kernels[make.below(number)].overwriters.push_back(number);
      make.problem.kernels[number].once = true;
    }
  }
  return make.problem;
}

}  // namespace gradc_test
