#include "tests/support/toy_module.h"

#include <cstring>

namespace toy {
namespace {

constexpr int64_t kFour[] = {4};
constexpr int64_t kLong[] = {kElements};
constexpr uint64_t kSteps = 0, kW = 64, kVelocity = 128;

constexpr gradc_tensor kState[] = {
    {"w", kFour, 1, GRADC_F32, GRADC_PARAMETER, 0, kW, 16},
    {"velocity", kFour, 1, GRADC_F32, GRADC_OPTIMIZER, 0, kVelocity, 16},
    {"steps", nullptr, 0, GRADC_I64, GRADC_BUFFER, 0, kSteps, 8},
};
constexpr gradc_tensor kInputs[] = {{"x", kLong, 1, GRADC_F32, 0, 0, 0, kElements * 4}};
constexpr gradc_tensor kOutputs[] = {{"y", kLong, 1, GRADC_F32, 0, 0, 0, kElements * 4}};

template <typename T>
T* at(const gradc_context* context, uint64_t offset) {
  return reinterpret_cast<T*>(static_cast<char*>(context->state) + offset);
}

void init(const gradc_context* context, const void* const*, void* const*) {
  for (int i = 0; i < 4; ++i)
    at<float>(context, kW)[i] = static_cast<float>(i + 1);
}

struct Buffers {
  const float* x;
  const float* w;
  float* doubled;  // in the arena
  float* y;
};

void double_x(void* data, int64_t begin, int64_t end, int32_t) {
  auto& buffers = *static_cast<Buffers*>(data);
  for (int64_t i = begin; i < end; ++i)
    buffers.doubled[i] = 2 * buffers.x[i];
}

void times_w(void* data, int64_t begin, int64_t end, int32_t) {
  auto& buffers = *static_cast<Buffers*>(data);
  for (int64_t i = begin; i < end; ++i)
    buffers.y[i] = buffers.doubled[i] * buffers.w[i % 4];
}

void step(const gradc_context* context, const void* const* inputs, void* const* outputs) {
  Buffers buffers = {static_cast<const float*>(inputs[0]), at<float>(context, kW),
                     static_cast<float*>(context->arena), static_cast<float*>(outputs[0])};
  context->parallel_for(context->pool, kElements, double_x, &buffers);
  context->parallel_for(context->pool, kElements, times_w, &buffers);
  for (int i = 0; i < 4; ++i)
    at<float>(context, kW)[i] += 1;
  ++*at<int64_t>(context, kSteps);
}

constexpr gradc_entry kEntries[] = {
    {"init", init, nullptr, nullptr, 0, 0, 0},
    {"step", step, kInputs, kOutputs, 1, 1, kElements * 4},
};

}  // namespace

const gradc_module module = {GRADC_ABI_VERSION, 4, "toy", "0123abcd", "any", "", kState,
                             kEntries,          3, 2,     192};

}  // namespace toy
