#pragma once
// What `gradc train` does once its flags are understood.
#include <string>

#include "tools/commands/flags.h"
#include "tools/io/dataset.h"

namespace gradc {

struct TrainFlags {
  ModelFlags model;
  std::string data, feed, metrics, save, resume, output, tensorboard;
  DatasetOptions dataset;
  int64_t epochs = 0, steps = 0, health_every = 0;
};

// Whether the trained model is to be a copy of an .onnx file with other weights.
bool writes_onnx(const TrainFlags& flags);

// Compiles the training step, runs it on data, shows how it goes, and saves what it learnt. Ctrl-C
// stops after a step and saves as well. Throws UserError.
void train(TrainFlags& flags);

}  // namespace gradc
