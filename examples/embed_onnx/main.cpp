// Trains an LSTM that PyTorch exported, on made-up sequences: in class k, feature k is the largest.
#include <cstdio>
#include <random>
#include <vector>

#include "lstm.hpp"

int main() {
  lstm::Model model;
  model.load_weights(WEIGHTS);
  lstm::TrainStep step;
  std::vector<float> input(step.input_size);
  std::vector<std::int64_t> target(step.target_size);
  step.input = input.data();
  step.target = target.data();
  std::mt19937 random(1);
  float first = 0;
  while (step.step < 200) {
    for (float& x : input)
      x = static_cast<float>(random() % 1000) / 1000;
    for (std::size_t i = 0; i < target.size(); ++i) {
      target[i] = static_cast<std::int64_t>(random() % 5);
      for (std::size_t time = 0; time < 12; ++time)
        input[(i * 12 + time) * 16 + static_cast<std::size_t>(target[i])] += 1;
    }
    model.run(step);
    first = step.step == 1 ? step.loss : first;
  }
  std::printf("loss %.4f, then %.4f\n", static_cast<double>(first), static_cast<double>(step.loss));
  model.save_weights("trained.safetensors");
  return step.loss < first / 4 ? 0 : 1;
}
