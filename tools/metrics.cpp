#include "tools/metrics.h"

#include <cerrno>
#include <cmath>
#include <cstring>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

// JSON has no NaN and no infinity.
std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.9g}", value) : "null";
}

}  // namespace

MetricsFile::MetricsFile(const std::string& path, bool append) : path_(path) {
  if (path.empty())
    return;
  file_.reset(std::fopen(path.c_str(), append ? "ae" : "we"));
  if (!file_)
    throw UserError(path, fmt::format("cannot be written: {}", std::strerror(errno)));
}

void MetricsFile::step(int64_t step, float loss) {
  line(fmt::format("{{\"step\": {}, \"loss\": {}}}\n", step, number(loss)));
}

void MetricsFile::health(int64_t step, const std::string& layers) {
  line(fmt::format("{{\"step\": {}, \"health\": {}}}\n", step, layers));
}

void MetricsFile::epoch(int64_t epoch, double test_accuracy) {
  line(fmt::format("{{\"epoch\": {}, \"test_accuracy\": {}}}\n", epoch, number(test_accuracy)));
}

void MetricsFile::line(const std::string& text) {
  if (file_ && (std::fputs(text.c_str(), file_.get()) < 0 || std::fflush(file_.get()) != 0))
    throw UserError(path_, fmt::format("cannot be written: {}", std::strerror(errno)));
}

}  // namespace gradc
