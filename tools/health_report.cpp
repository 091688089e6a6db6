#include "tools/health_report.h"

#include <fmt/format.h>

#include <cstdio>

#include "compiler/entries.h"

namespace gradc {
namespace {

constexpr int64_t kUsualInterval = 100;

}  // namespace

HealthReport::HealthReport(const Session& session, const EntryCall& step, MetricsFile& metrics,
                           const HealthReportOptions& options)
    : session_(session),
      step_(step),
      metrics_(metrics),
      options_(options),
      events_(options.tensorboard) {}

void HealthReport::step(int64_t step, float loss) {
  events_.write(step, {{"loss", loss}});
}

void HealthReport::epoch(int64_t step, double test_accuracy) {
  events_.write(step, {{"test_accuracy", test_accuracy}});
}

bool HealthReport::due(int64_t step, bool is_last) const {
  int64_t interval = options_.every > 0 ? options_.every : kUsualInterval;
  return options_.health && (is_last || step % interval == 0);
}

void HealthReport::report(int64_t step, float loss) {
  std::vector<LayerHealth> layers = measured();
  if (!options_.quiet) {
    fmt::print("step {}: loss {:.4f}\n{}", step, loss, health_table(layers));
    std::fflush(stdout);
  }
  for (const std::string& warning : warnings_.check(layers))
    fmt::print(stderr, "warning: step {}: {}\n", step, warning);
  metrics_.health(step, health_json(layers));
  if (events_)
    events_.write(step, health_scalars(layers), weight_histograms());
}

std::string HealthReport::not_finite() const {
  std::string bad = options_.health ? gradc::not_finite(measured()) : "";
  return bad.empty() ? bad : bad + "\nnote: ";
}

std::vector<LayerHealth> HealthReport::measured() const {
  return layers_of_health(step_.scalar_outputs(kHealthPrefix), session_.imported().states);
}

Histograms HealthReport::weight_histograms() const {
  Histograms histograms;
  for (uint32_t i = 0; i < session_.abi().state_count; ++i) {
    const gradc_tensor& tensor = session_.abi().state[i];
    if (tensor.role != GRADC_PARAMETER || tensor.dtype != GRADC_F32)
      continue;
    const auto* data = static_cast<const float*>(gradc_state_data(session_.instance(), &tensor));
    histograms.emplace_back(fmt::format("weights/{}", tensor.name),
                            histogram_of({data, tensor.bytes / sizeof(float)}));
  }
  return histograms;
}

}  // namespace gradc
