#pragma once
// Event files as TensorBoard reads them: records of TensorFlow's framing, each a protobuf message
// Event (tensorboard/compat/proto: event.proto, summary.proto, histogram.proto).
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gradc {

// CRC-32C (Castagnoli, RFC 3720).
uint32_t crc32c(std::string_view bytes);

// length (u64), masked CRC of the length (u32), data, masked CRC of the data (u32), little-endian.
std::string event_record(std::string_view data);

struct Histogram {
  double min = 0, max = 0, sum = 0, sum_squares = 0;
  std::vector<double> limits;  // upper ends of the buckets, rising
  std::vector<double> counts;  // by bucket

  double count() const;
};

// `buckets` of equal width from the least to the largest of the values that are finite.
Histogram histogram_of(std::span<const float> values, size_t buckets = 30);

using Scalars = std::vector<std::pair<std::string, double>>;
using Histograms = std::vector<std::pair<std::string, Histogram>>;

// The message of one step; the first of a file says its version instead.
std::string event_message(double wall_time, int64_t step, const Scalars& scalars,
                          const Histograms& histograms = {});
std::string version_message(double wall_time);

class EventFile {
 public:
  // A new file in the directory, which is made if there is none. "" writes nowhere.
  explicit EventFile(const std::string& directory);
  explicit operator bool() const { return file_ != nullptr; }
  // Writes it out at once.
  void write(int64_t step, const Scalars& scalars, const Histograms& histograms = {});

 private:
  void append(std::string_view message);
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace gradc
