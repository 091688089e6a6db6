#include "tools/commands/step_timer.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

#include "tools/profile.h"

namespace gradc {

void fill_inputs(EntryCall& call) {
  std::mt19937 random(1);
  for (uint32_t i = 0; i < call.entry().input_count; ++i) {
    const gradc_tensor& tensor = call.entry().inputs[i];
    std::span<std::byte> bytes = call.input(tensor.name);
    int64_t size = byte_size(type_of(tensor).dtype);
    for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(size)) {
      if (tensor.dtype == GRADC_F32) {
        float value = std::uniform_real_distribution<float>(-1, 1)(random);
        std::memcpy(&bytes[at], &value, sizeof value);
      } else if (is_integer(type_of(tensor).dtype)) {
        bytes[at] = static_cast<std::byte>(random() & 1);  // little-endian
      }
    }
  }
}

StepTimes time_steps(EntryCall& call, double seconds, KernelClock* clock) {
  using Clock = std::chrono::steady_clock;
  auto since = [](Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  for (int i = 0; i < 2; ++i)
    call.run();
  std::vector<double> times;
  for (auto begin = Clock::now();
       times.size() < 5 || (since(begin) < seconds && times.size() < 100000);) {
    auto start = Clock::now();
    call.run();
    times.push_back(1e3 * since(start));
    if (clock)
      clock->finish_run();
  }
  std::sort(times.begin(), times.end());
  return {times.front(), times[times.size() / 2], times.size()};
}

}  // namespace gradc
