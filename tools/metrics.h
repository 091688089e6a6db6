#pragma once
// The file of --metrics: one JSON object a line, written out as soon as it is known.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

namespace gradc {

class MetricsFile {
 public:
  explicit MetricsFile(const std::string& path, bool append);  // "" writes nowhere
  // {"step": 0, "loss": 2.30258512}
  void step(int64_t step, float loss);
  // {"step": 0, "health": {"dense_1": {"activation": 0.51, ...}, ...}}
  void health(int64_t step, const std::string& layers);
  // {"epoch": 1, "test_accuracy": 0.8812}
  void epoch(int64_t epoch, double test_accuracy);

 private:
  void line(const std::string& text);
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace gradc
