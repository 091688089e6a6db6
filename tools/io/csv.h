#pragma once
// Tables of numbers as text: one row a line, cells between commas, semicolons or tabs, whichever
// the first line has most of; cells may be quoted (RFC 4180). The first row is a header if one of
// its cells is no number.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gradc {

struct CsvTable {
  std::string path;
  std::vector<std::string> names;  // of the columns; empty without a header
  int64_t columns = 0, rows = 0;
  std::vector<double> cells;  // [rows, columns]
  std::vector<int64_t> lines;  // by row: the line that it begins in

  double at(int64_t row, int64_t column) const {
    return cells[static_cast<size_t>(row * columns + column)];
  }
  // "`age`" or "3", for messages.
  std::string column_name(int64_t column) const;
};

// A cell that holds no finite number, and a row of another length, are errors at path:line:column.
CsvTable parse_csv(std::string_view text, const std::string& path);
CsvTable read_csv(const std::string& path);

}  // namespace gradc
