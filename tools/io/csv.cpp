#include "tools/io/csv.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "ir/diagnostic.h"
#include "tools/io/mapped_file.h"

namespace gradc {
namespace {

constexpr size_t kMostShown = 40;  // bytes of a cell in a message

struct Cell {
  std::string text;  // without quotes
  int64_t line = 1, column = 1;  // where it begins
};

class Reader {
 public:
  Reader(std::string_view text, std::string path) : text_(text), path_(std::move(path)) {
    if (text_.starts_with("\xef\xbb\xbf"))  // a byte order mark
      text_.remove_prefix(3);
    separator_ = find_separator();
  }

  // The cells of the next row that is not empty; false at the end.
  bool next(std::vector<Cell>& row) {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r'))
      advance();
    row.clear();
    if (at_ == text_.size())
      return false;
    while (true) {
      row.push_back(cell());
      if (at_ == text_.size() || text_[at_] != separator_)
        break;
      advance();
    }
    return true;
  }

  [[noreturn]] void fail_at(const Cell& cell, const std::string& message,
                            const std::string& help = "") const {
    UserError error(fmt::format("{}:{}:{}", path_, cell.line, cell.column), message);
    throw help.empty() ? error : error.with_help(help);
  }

 private:
  char find_separator() const {
    std::array<std::pair<char, int>, 3> counts = {{{',', 0}, {';', 0}, {'\t', 0}}};
    bool quoted = false;
    for (char c : text_) {
      quoted ^= c == '"';
      if (c == '\n' && !quoted)
        break;
      for (auto& [separator, count] : counts)
        count += c == separator && !quoted;
    }
    return std::max_element(counts.begin(), counts.end(),
                            [](auto& a, auto& b) { return a.second < b.second; })
        ->first;
  }

  void advance() {
    if (text_[at_] == '\n') {
      ++line_;
      line_begin_ = at_ + 1;
    }
    ++at_;
  }

  bool at_end_of_cell() const {
    char c = at_ < text_.size() ? text_[at_] : '\n';
    return c == separator_ || c == '\n' || (c == '\r' && text_.substr(at_ + 1, 1) == "\n");
  }

  bool accept(char c) {
    bool found = at_ < text_.size() && text_[at_] == c;
    if (found)
      advance();
    return found;
  }

  Cell cell() {
    while (at_ < text_.size() && text_[at_] == ' ')
      advance();
    Cell cell{"", line_, static_cast<int64_t>(at_ - line_begin_) + 1};
    if (accept('"')) {
      quoted(cell);
    } else {
      size_t begin = at_;
      while (!at_end_of_cell())
        advance();
      cell.text = text_.substr(begin, at_ - begin);
      cell.text.erase(cell.text.find_last_not_of(" \r") + 1);
    }
    accept('\r');
    return cell;
  }

  void quoted(Cell& cell) {
    while (true) {
      if (at_ == text_.size())
        fail_at(cell, "the quote that begins here has no end");
      char c = text_[at_];
      advance();
      if (c == '"' && !accept('"'))  // a doubled quote stands for one
        break;
      cell.text += c;
    }
    while (at_ < text_.size() && text_[at_] == ' ')
      advance();
    if (!at_end_of_cell())
      fail_at(cell, "behind a quoted cell there is neither a separator nor the end of the line");
  }

  std::string_view text_;
  std::string path_;
  char separator_ = ',';
  size_t at_ = 0, line_begin_ = 0;
  int64_t line_ = 1;
};

std::optional<double> number_in(const Cell& cell) {
  std::string_view text = cell.text;
  if (text.starts_with('+'))
    text.remove_prefix(1);
  double value = 0;
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool whole = status == std::errc() && end == text.data() + text.size() && !text.empty();
  return whole && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::string shown(const std::string& text) {
  return text.size() <= kMostShown ? text : text.substr(0, kMostShown) + "...";
}

[[noreturn]] void fail_not_number(const Reader& reader, const CsvTable& table, const Cell& cell,
                                  int64_t column) {
  std::string name = table.column_name(column);
  if (cell.text.empty())
    reader.fail_at(
        cell, fmt::format("the cell of column {} is empty; every cell must hold a number", name));
  reader.fail_at(
      cell,
      fmt::format("`{}` in column {} is no finite number; every cell must hold one",
                  shown(cell.text), name),
      "write categories as numbers: class numbers from 0 on for a label, a column of 0 and 1 for "
      "each category of a feature");
}

void add_row(CsvTable& table, const Reader& reader, const std::vector<Cell>& row) {
  if (static_cast<int64_t>(row.size()) != table.columns)
    reader.fail_at(row.back(), fmt::format("the row ends after {} cells, the first one has {}",
                                           row.size(), table.columns));
  for (size_t i = 0; i < row.size(); ++i) {
    std::optional<double> value = number_in(row[i]);
    if (!value)
      fail_not_number(reader, table, row[i], static_cast<int64_t>(i));
    table.cells.push_back(*value);
  }
  table.lines.push_back(row[0].line);
  ++table.rows;
}

}  // namespace

std::string CsvTable::column_name(int64_t column) const {
  return names.empty() ? std::to_string(column) : "`" + names[static_cast<size_t>(column)] + "`";
}

CsvTable parse_csv(std::string_view text, const std::string& path) {
  Reader reader(text, path);
  CsvTable table{.path = path};
  std::vector<Cell> row;
  if (!reader.next(row))
    throw UserError(path, "is empty");
  table.columns = static_cast<int64_t>(row.size());
  if (std::any_of(row.begin(), row.end(), [](const Cell& cell) { return !number_in(cell); }))
    for (const Cell& cell : row)
      table.names.push_back(cell.text);
  else
    add_row(table, reader, row);
  while (reader.next(row))
    add_row(table, reader, row);
  if (table.rows == 0)
    throw UserError(path, "has a header and no rows");
  return table;
}

CsvTable read_csv(const std::string& path) {
  SharedBytes file = map_file(path);
  return parse_csv({reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()}, path);
}

}  // namespace gradc
