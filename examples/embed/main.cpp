// Trains LeNet inside of this process: no Python, no framework, no compiler. The model was compiled
// before, by gradc_add_model in CMakeLists.txt or by `gradc compile lenet.model --train -o lenet`.
// The data are made up here, so that the program needs no files: an image of class k has a bright
// square whose place depends on k, in noise.
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "lenet.hpp"

namespace {

constexpr int kBatch = lenet::TrainStep::image_shape[0], kSide = lenet::TrainStep::image_shape[2];
constexpr int kClasses = 10, kSteps = 30;

struct Batch {
  std::vector<float> image = std::vector<float>(lenet::TrainStep::image_size);
  std::vector<int32_t> label = std::vector<int32_t>(lenet::TrainStep::label_size);
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
    model.init(1);
    std::mt19937 random(1);
    Batch batch;
    lenet::TrainStep step;
    step.image = batch.image.data();
    step.label = batch.label.data();
    float first = 0;
    for (int i = 0; i < kSteps; ++i) {
      draw(batch, random);
      model.run(step);
      if (i == 0)
        first = step.loss;
      if (i % 10 == 0)
        std::printf("step %2d  loss %.4f\n", i, static_cast<double>(step.loss));
    }
    std::printf("step %2d  loss %.4f\n", kSteps, static_cast<double>(step.loss));
    return step.loss < first / 4 ? 0 : 1;  // it learns
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
