// Trains LeNet inside of this process: no Python, no framework, no compiler. The model was compiled
// before by
//   gradc compile examples/lenet.model --train -o lenet
// The data are made up here, so that the program needs no files: an image of class k has a bright
// square whose place depends on k, in noise.
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "lenet.hpp"

namespace {

constexpr int kBatch = 128, kSide = 28, kClasses = 10, kSteps = 30;

struct Batch {
  std::vector<float> image = std::vector<float>(kBatch * kSide * kSide);
  std::vector<int32_t> label = std::vector<int32_t>(kBatch);
};

void draw(Batch& batch, std::mt19937& random) {
  std::uniform_real_distribution<float> noise(0.0f, 0.3f);
  for (int i = 0; i < kBatch; ++i) {
    int label = static_cast<int>(random() % kClasses);
    int top = label / 5 * 13 + 2, left = label % 5 * 5 + 1;
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x) {
        bool bright = y >= top && y < top + 8 && x >= left && x < left + 4;
        batch.image[static_cast<size_t>((i * kSide + y) * kSide + x)] =
            noise(random) + (bright ? 0.5f : 0.0f);
      }
    batch.label[static_cast<size_t>(i)] = label;
  }
}

}  // namespace

int main() {
  try {
    lenet::Model model;
    std::mt19937 random(1);
    Batch batch;
    std::vector<float> logits(kBatch * kClasses);
    int64_t seed = 1, step = 0, total_steps = kSteps;
    float rate = 1e-3f, loss = 0, first = 0;
    lenet::Init init;
    init.seed = &seed;
    model.run(init);
    for (; step < total_steps; ++step) {
      draw(batch, random);
      lenet::TrainStep train;
      train.image = batch.image.data();
      train.label = batch.label.data();
      train.lr = &rate;
      train.step = &step;
      train.total_steps = &total_steps;
      train.seed = &seed;
      train.loss = &loss;
      train.logits = logits.data();
      model.run(train);
      if (step == 0)
        first = loss;
      if (step % 10 == 0)
        std::printf("step %2d  loss %.4f\n", static_cast<int>(step), static_cast<double>(loss));
    }
    std::printf("step %2d  loss %.4f\n", static_cast<int>(step), static_cast<double>(loss));
    return loss < first / 4 ? 0 : 1;  // it learns
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
