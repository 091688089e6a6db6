/* Trains a perceptron in C: images of class k are bright in a band that depends on k. */
#include <stdio.h>
#include <stdlib.h>

#include "mlp.h"

enum { kBatch = 32, kPixels = 784, kClasses = 10, kSteps = 60 };

static float image[kBatch * kPixels], logits[kBatch * kClasses];
static int32_t label[kBatch];

static void draw(void) {
  for (int i = 0; i < kBatch; ++i) {
    label[i] = rand() % kClasses;
    for (int p = 0; p < kPixels; ++p)
      image[i * kPixels + p] = (float)(rand() % 256) / 512 + (p / 79 == label[i] ? 0.5f : 0.0f);
  }
}

static void check(gradc_status status) {
  if (status != GRADC_OK) {
    fprintf(stderr, "%s: %s\n", gradc_status_text(status), gradc_last_error());
    exit(1);
  }
}

int main(void) {
  gradc_pool* pool = gradc_pool_create(0);
  gradc_instance* model = NULL;
  check(gradc_create(&mlp_module, pool, NULL, &model));

  int64_t seed = 1, step = 0, total_steps = kSteps;
  float rate = 1e-3f, loss = 0, first = 0;
  const void* init[MLP_INIT_INPUT_COUNT] = {[MLP_INIT_INPUT_SEED] = &seed};
  check(gradc_run(model, &mlp_module.entries[MLP_ENTRY_INIT], init, NULL));

  const void* inputs[MLP_TRAIN_STEP_INPUT_COUNT] = {
      [MLP_TRAIN_STEP_INPUT_IMAGE] = image,
      [MLP_TRAIN_STEP_INPUT_LABEL] = label,
      [MLP_TRAIN_STEP_INPUT_LR] = &rate,
      [MLP_TRAIN_STEP_INPUT_STEP] = &step,
      [MLP_TRAIN_STEP_INPUT_TOTAL_STEPS] = &total_steps,
      [MLP_TRAIN_STEP_INPUT_SEED] = &seed,
  };
  void* outputs[MLP_TRAIN_STEP_OUTPUT_COUNT] = {
      [MLP_TRAIN_STEP_OUTPUT_LOSS] = &loss,
      [MLP_TRAIN_STEP_OUTPUT_LOGITS] = logits,
  };
  for (step = 0; step < total_steps; ++step) {
    draw();
    check(gradc_run(model, &mlp_module.entries[MLP_ENTRY_TRAIN_STEP], inputs, outputs));
    if (step == 0)
      first = loss;
    if (step % 20 == 0)
      printf("step %2d  loss %.4f\n", (int)step, (double)loss);
  }
  printf("step %2d  loss %.4f\n", (int)step, (double)loss);
  check(gradc_save(model, "mlp.safetensors", 1, NULL));
  gradc_destroy(model);
  gradc_pool_destroy(pool);
  return loss < first / 2 ? 0 : 1;
}
