#include "tools/io/event_file.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "ir/diagnostic.h"
#include "tests/support/temporary_directory.h"

using namespace gradc;
using namespace gradc_test;

namespace {

std::string hex(const std::string& bytes) {
  std::string text;
  for (char byte : bytes)
    text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

}  // namespace

TEST_CASE("crc32c of the check string", "[events]") {
  CHECK(crc32c("123456789") == 0xe3069283);  // RFC 3720's polynomial
  CHECK(crc32c("") == 0);
}

// Recorded from tensorboard 2.21: its record writer, fed with these messages.
TEST_CASE("events have the bytes that TensorBoard writes", "[events]") {
  Histogram histogram{
      .min = -1, .max = 2, .sum = 1.5, .sum_squares = 5.25, .limits = {0.5, 2}, .counts = {2, 1}};
  std::string records =
      event_record(version_message(1.5)) +
      event_record(event_message(2.25, 300, {{"loss", 0.5}}, {{"weights/w", histogram}}));
  CHECK(hex(records) ==
        "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c7b000000"
        "000000001bf7cfce09000000000000024010ac022a6d0a0b0a046c6f7373150000003f0a5e0a097765696768"
        "74732f772a5109000000000000f0bf11000000000000004019000000000000084021000000000000f83f2900"
        "000000000015403210000000000000e03f00000000000000403a100000000000000040000000000000f03fe4"
        "570b1e");
}

TEST_CASE("a histogram counts every finite value once", "[events]") {
  std::vector<float> values = {0, 1, 2, 3, 4, 4, std::numeric_limits<float>::infinity()};
  Histogram histogram = histogram_of(values, 4);
  CHECK(histogram.min == 0);
  CHECK(histogram.max == 4);
  CHECK(histogram.sum == 14);
  CHECK(histogram.sum_squares == 46);
  CHECK(histogram.limits == std::vector<double>{1, 2, 3, 4});
  CHECK(histogram.counts == std::vector<double>{1, 1, 1, 3});
  std::vector<float> equal = {2, 2};
  CHECK(histogram_of(equal, 4).counts == std::vector<double>{2});
  CHECK(histogram_of({}, 4).count() == 0);
}

TEST_CASE("a file is made in a new directory and grows by records", "[events]") {
  TemporaryDirectory directory;
  std::string inside = directory.file("new/runs");
  {
    EventFile file(inside);
    CHECK(file);
    file.write(1, {{"loss", 2.5}});
  }
  std::vector<std::filesystem::path> files(std::filesystem::directory_iterator(inside), {});
  REQUIRE(files.size() == 1);
  CHECK_THAT(files[0].filename(), Catch::StartsWith("events.out.tfevents."));
  std::stringstream text;
  text << std::ifstream(files[0], std::ios::binary).rdbuf();
  CHECK_THAT(text.str(), Catch::Contains("brain.Event:2") && Catch::Contains("loss"));
  EventFile none("");
  CHECK_FALSE(none);
  none.write(1, {});
  CHECK_THROWS_AS(EventFile("/proc/none"), UserError);
}
