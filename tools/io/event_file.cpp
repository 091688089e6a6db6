#include "tools/io/event_file.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numeric>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

// A little-endian number of any size.
template <typename T>
void put(std::string& to, T value) {
  std::array<char, sizeof value> bytes;
  std::memcpy(bytes.data(), &value, sizeof value);
  to.append(bytes.data(), bytes.size());
}

constexpr std::array<uint32_t, 256> make_crc_table() {
  constexpr uint32_t kReversedPolynomial = 0x82f63b78;
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit)
      crc = crc >> 1 ^ (crc & 1 ? kReversedPolynomial : 0);
    table[i] = crc;
  }
  return table;
}

uint32_t masked_crc(std::string_view bytes) {
  constexpr uint32_t kMask = 0xa282ead8;
  return std::rotr(crc32c(bytes), 15) + kMask;
}

// A protobuf message, field by field.
class Message {
 public:
  void real(int field, double value) {
    key(field, kFixed64);
    put(text_, value);
  }
  void single(int field, float value) {
    key(field, kFixed32);
    put(text_, value);
  }
  void integer(int field, int64_t value) {
    key(field, kVarint);
    varint(static_cast<uint64_t>(value));
  }
  void bytes(int field, std::string_view value) {
    key(field, kLengthDelimited);
    varint(value.size());
    text_ += value;
  }
  void reals(int field, const std::vector<double>& values) {
    std::string packed;
    for (double value : values)
      put(packed, value);
    bytes(field, packed);
  }
  const std::string& text() const { return text_; }

 private:
  enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

  void key(int field, WireType type) { varint(static_cast<uint64_t>(field) << 3 | type); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7)
      text_ += static_cast<char>(value | 0x80);
    text_ += static_cast<char>(value);
  }

  std::string text_;
};

// Numbers of the fields.
enum Event { kWallTime = 1, kStepField = 2, kFileVersion = 3, kSummary = 5 };
enum Summary { kValue = 1 };
enum Value { kTag = 1, kSimpleValue = 2, kHistogram = 5 };
enum HistogramField { kMin = 1, kMax, kCount, kSum, kSumSquares, kLimits, kBuckets };

std::string message_of(const Histogram& histogram) {
  Message message;
  message.real(kMin, histogram.min);
  message.real(kMax, histogram.max);
  message.real(kCount, histogram.count());
  message.real(kSum, histogram.sum);
  message.real(kSumSquares, histogram.sum_squares);
  message.reals(kLimits, histogram.limits);
  message.reals(kBuckets, histogram.counts);
  return message.text();
}

double seconds_since_epoch() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = make_crc_table();
  uint32_t crc = ~uint32_t{0};
  for (char byte : bytes)
    crc = crc >> 8 ^ kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xff];
  return ~crc;
}

std::string event_record(std::string_view data) {
  std::string length, record;
  put(length, uint64_t{data.size()});
  record = length;
  put(record, masked_crc(length));
  record += data;
  put(record, masked_crc(data));
  return record;
}

double Histogram::count() const {
  return std::accumulate(counts.begin(), counts.end(), 0.0);
}

Histogram histogram_of(std::span<const float> values, size_t buckets) {
  Histogram histogram;
  bool any = false;
  for (float value : values) {
    if (!std::isfinite(value))
      continue;
    double x = value;
    histogram.min = any ? std::min(histogram.min, x) : x;
    histogram.max = any ? std::max(histogram.max, x) : x;
    histogram.sum += x;
    histogram.sum_squares += x * x;
    any = true;
  }
  double width = (histogram.max - histogram.min) / static_cast<double>(buckets);
  if (!any || width <= 0)
    buckets = 1;
  histogram.counts.assign(buckets, 0);
  for (size_t i = 1; i < buckets; ++i)
    histogram.limits.push_back(histogram.min + static_cast<double>(i) * width);
  histogram.limits.push_back(histogram.max);
  for (float value : values)
    if (std::isfinite(value)) {
      double place = buckets > 1 ? (value - histogram.min) / width : 0;
      ++histogram.counts[std::min(static_cast<size_t>(place), buckets - 1)];
    }
  return histogram;
}

std::string event_message(double wall_time, int64_t step, const Scalars& scalars,
                          const Histograms& histograms) {
  Message summary;
  for (const auto& [tag, number] : scalars) {
    Message value;
    value.bytes(kTag, tag);
    value.single(kSimpleValue, static_cast<float>(number));
    summary.bytes(kValue, value.text());
  }
  for (const auto& [tag, histogram] : histograms) {
    Message value;
    value.bytes(kTag, tag);
    value.bytes(kHistogram, message_of(histogram));
    summary.bytes(kValue, value.text());
  }
  Message event;
  event.real(kWallTime, wall_time);
  event.integer(kStepField, step);
  event.bytes(kSummary, summary.text());
  return event.text();
}

std::string version_message(double wall_time) {
  Message event;
  event.real(kWallTime, wall_time);
  event.bytes(kFileVersion, "brain.Event:2");
  return event.text();
}

EventFile::EventFile(const std::string& directory) {
  if (directory.empty())
    return;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    throw UserError(directory, fmt::format("cannot be made: {}", error.message()));
  double now = seconds_since_epoch();
  path_ = fmt::format("{}/events.out.tfevents.{:010.0f}.gradc.{}", directory, std::floor(now),
                      getpid());
  file_.reset(std::fopen(path_.c_str(), "ae"));
  if (!file_)
    throw UserError(path_, fmt::format("cannot be written: {}", std::strerror(errno)));
  append(version_message(now));
}

void EventFile::write(int64_t step, const Scalars& scalars, const Histograms& histograms) {
  if (file_)
    append(event_message(seconds_since_epoch(), step, scalars, histograms));
}

void EventFile::append(std::string_view message) {
  std::string record = event_record(message);
  if (std::fwrite(record.data(), 1, record.size(), file_.get()) != record.size() ||
      std::fflush(file_.get()) != 0)
    throw UserError(path_, fmt::format("cannot be written: {}", std::strerror(errno)));
}

}  // namespace gradc
