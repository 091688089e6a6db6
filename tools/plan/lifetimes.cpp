#include "tools/plan/lifetimes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "ir/diagnostic.h"
#include "tools/io/csv.h"

namespace gradc {
namespace {

constexpr std::array kColumns = {"id", "lower", "upper", "size"};
constexpr double kMost = 0x1p52;  // sums of many stay within 64 bits

class Reader {
 public:
  explicit Reader(const std::string& path) : table_(read_csv(path)) {
    for (size_t i = 0; i < kColumns.size(); ++i) {
      auto at = std::find(table_.names.begin(), table_.names.end(), kColumns[i]);
      if (at == table_.names.end())
        throw UserError(path, fmt::format("there is no column `{}`", kColumns[i]))
            .with_help("the first line is `id,lower,upper,size`");
      columns_[i] = at - table_.names.begin();
    }
  }

  Lifetimes run() {
    std::vector<int64_t> times;
    std::vector<std::pair<int64_t, int64_t>> spans;
    std::set<int64_t> seen;
    Lifetimes lifetimes;
    int64_t total = 0;
    for (int64_t row = 0; row < table_.rows; ++row) {
      int64_t id = cell(row, 0), lower = cell(row, 1), upper = cell(row, 2), size = cell(row, 3);
      if (!seen.insert(id).second)
        fail_at(row, fmt::format("there is another buffer {}", id));
      if (upper <= lower)
        fail_at(row, fmt::format("`upper` is {}, which is not behind `lower`, {}", upper, lower));
      total += size;
      if (static_cast<double>(total) >= kMost)
        fail_at(row, "all buffers together have 2^52 bytes or more");
      lifetimes.ids.push_back(id);
      lifetimes.buffers.push_back({size, 0, 0});
      spans.emplace_back(lower, upper);
      times.insert(times.end(), {lower, upper});
    }
    std::sort(times.begin(), times.end());
    times.erase(std::unique(times.begin(), times.end()), times.end());
    auto rank = [&](int64_t time) {
      return static_cast<int>(std::lower_bound(times.begin(), times.end(), time) - times.begin());
    };
    for (size_t i = 0; i < spans.size(); ++i) {
      lifetimes.buffers[i].first = rank(spans[i].first);
      lifetimes.buffers[i].last = rank(spans[i].second) - 1;
    }
    return lifetimes;
  }

 private:
  [[noreturn]] void fail_at(int64_t row, const std::string& message) const {
    throw UserError(fmt::format("{}:{}", table_.path, table_.lines[static_cast<size_t>(row)]),
                    message);
  }

  int64_t cell(int64_t row, size_t column) const {
    double value = table_.at(row, columns_[column]);
    if (value != std::floor(value) || value < 0 || value >= kMost)
      fail_at(row, fmt::format("`{}` is {}; it is a whole number from 0 to below 2^52",
                               kColumns[column], value));
    return static_cast<int64_t>(value);
  }

  CsvTable table_;
  std::array<int64_t, kColumns.size()> columns_ = {};
};

}  // namespace

Lifetimes read_lifetimes(const std::string& path) {
  return Reader(path).run();
}

std::string offsets_csv(const Lifetimes& lifetimes, const Offsets& offsets) {
  std::string text = "id,offset\n";
  for (size_t i = 0; i < lifetimes.ids.size(); ++i)
    text += fmt::format("{},{}\n", lifetimes.ids[i], offsets.at[i]);
  return text;
}

}  // namespace gradc
