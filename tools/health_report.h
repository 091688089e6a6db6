#pragma once
// Shows how training goes inside: what a step measured of its layers, at intervals, on the
// terminal, in the file of --metrics and in the event file of --tensorboard, which gets each step's
// loss too.
#include <string>

#include "tools/health.h"
#include "tools/io/event_file.h"
#include "tools/metrics.h"
#include "tools/session.h"

namespace gradc {

struct HealthReportOptions {
  bool health = false;
  int64_t every = 0;  // steps; 0: the usual interval
  std::string tensorboard;  // a directory; "" for none
  bool quiet = false;
};

class HealthReport {
 public:
  // All must outlive this.
  HealthReport(const Session& session, const EntryCall& step, MetricsFile& metrics,
               const HealthReportOptions& options);

  // A step's loss, and the learning rate that it was given.
  void step(int64_t step, float loss);
  void epoch(int64_t step, double test_accuracy);
  // Whether to report behind a step.
  bool due(int64_t step, bool is_last) const;
  void report(int64_t step, float loss);
  // The first layer that is not finite as the beginning of a note, or "".
  std::string not_finite() const;

 private:
  std::vector<LayerHealth> measured() const;
  Histograms weight_histograms() const;

  const Session& session_;
  const EntryCall& step_;
  MetricsFile& metrics_;
  HealthReportOptions options_;
  EventFile events_;
  HealthWarnings warnings_;
};

}  // namespace gradc
