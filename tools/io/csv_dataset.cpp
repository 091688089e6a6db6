#include "tools/io/csv_dataset.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>

#include "ir/diagnostic.h"
#include "tools/io/csv.h"
#include "tools/io/elements.h"

namespace gradc {
namespace {

std::optional<int64_t> find_column(const CsvTable& table, const std::string& name) {
  auto found = std::find(table.names.begin(), table.names.end(), name);
  return found == table.names.end() ? std::nullopt : std::optional(found - table.names.begin());
}

// What --label means.
int64_t label_column(const CsvTable& table, const std::string& label) {
  if (std::optional<int64_t> named = find_column(table, label))
    return *named;
  int64_t number = 0;
  auto [end, status] = std::from_chars(label.data(), label.data() + label.size(), number);
  bool is_number = status == std::errc() && end == label.data() + label.size();
  if (is_number && number >= -table.columns && number < table.columns)
    return number < 0 ? number + table.columns : number;
  std::string message = is_number
                            ? fmt::format("has {} columns, 0 to {}; there is none of number {}",
                                          table.columns, table.columns - 1, number)
                            : fmt::format("has no column `{}`", label);
  std::string nearest = is_number ? "" : nearest_name(label, table.names);
  if (!nearest.empty())
    message += "; did you mean `" + nearest + "`?";
  UserError error(table.path, message, Fault::command_line);
  throw table.names.empty()
      ? error.with_help("the file has no header: give the column's number")
      : error.with_help(fmt::format("its columns are {}", fmt::join(table.names, ", ")));
}

// Which columns each input takes.
class Columns {
 public:
  Columns(const CsvTable& table, std::span<const SampleInput> inputs, const std::string& label)
      : table_(table), inputs_(inputs), of_input_(inputs.size()), taken_(inputs.size()) {
    free_.assign(static_cast<size_t>(table.columns), true);
    place_label(label);
    for (size_t i = 0; i < inputs.size(); ++i)
      if (std::optional<int64_t> column = find_column(table, inputs[i].name);
          column && !taken_[i] && inputs[i].type.elements() == 1 && is_free(*column))
        take(i, *column);
    int64_t next = 0;
    for (size_t i = 0; i < inputs.size(); ++i)
      if (!taken_[i])
        next = take_in_order(i, next);
    check_all_taken();
  }

  const std::vector<int64_t>& of_input(size_t i) const { return of_input_[i]; }

 private:
  bool is_free(int64_t column) const { return free_[static_cast<size_t>(column)]; }

  void take(size_t input, int64_t column) {
    of_input_[input].push_back(column);
    taken_[input] = true;
    free_[static_cast<size_t>(column)] = false;
  }

  void place_label(const std::string& label) {
    const SampleInput& last = inputs_.back();
    if (!label.empty()) {
      label_ = label_column(table_, label);
      if (inputs_.size() == 1) {
        free_[static_cast<size_t>(*label_)] = false;
        return;
      }
      if (last.type.elements() != 1)
        throw UserError(table_.path,
                        fmt::format("column {} is one number per sample, input `{}` "
                                    "takes {}",
                                    table_.column_name(*label_), last.name, last.type.elements()));
    } else if (inputs_.size() > 1 && last.type.elements() == 1) {
      label_ = find_column(table_, last.name).value_or(table_.columns - 1);
    } else {
      return;
    }
    take(inputs_.size() - 1, *label_);
  }

  int64_t take_in_order(size_t input, int64_t column) {
    int64_t wanted = inputs_[input].type.elements();
    for (int64_t i = 0; i < wanted; ++i) {
      while (column < table_.columns && !is_free(column))
        ++column;
      if (column == table_.columns)
        fail_count();
      take(input, column);
    }
    return column;
  }

  void check_all_taken() const {
    if (std::find(free_.begin(), free_.end(), true) != free_.end())
      fail_count();
  }

  [[noreturn]] void fail_count() const {
    std::vector<std::string> wanted;
    for (const SampleInput& input : inputs_)
      wanted.push_back(fmt::format("`{}` takes {}", input.name, input.type.elements()));
    std::string label =
        label_ ? fmt::format(", the label being column {}", table_.column_name(*label_)) : "";
    throw UserError(table_.path, fmt::format("has {} columns{}; of the model's inputs {}",
                                             table_.columns, label, fmt::join(wanted, ", ")))
        .with_help("choose the label with --label NAME, and the model's sizes with --bind");
  }

  const CsvTable& table_;
  std::span<const SampleInput> inputs_;
  std::vector<std::vector<int64_t>> of_input_;
  std::vector<bool> taken_, free_;  // by input, by column
  std::optional<int64_t> label_;
};

// The columns of an input as an array of its element type.
SharedBytes content_of(const CsvTable& table, const std::vector<int64_t>& columns, DType dtype) {
  auto size = static_cast<size_t>(byte_size(dtype));
  std::vector<std::byte> content(static_cast<size_t>(table.rows) * columns.size() * size);
  std::vector<double> row(columns.size());
  for (int64_t i = 0; i < table.rows; ++i) {
    for (size_t j = 0; j < columns.size(); ++j) {
      row[j] = table.at(i, columns[j]);
      if (!is_float(dtype) && row[j] != std::trunc(row[j]))
        throw UserError(fmt::format("{}:{}", table.path, table.lines[static_cast<size_t>(i)]),
                        fmt::format("column {} holds {}, the model takes whole numbers of {} there",
                                    table.column_name(columns[j]), row[j], name_of(dtype)));
    }
    try {
      store_elements(row, dtype,
                     std::span(content).subspan(static_cast<size_t>(i) * row.size() * size,
                                                row.size() * size));
    } catch (const UserError& error) {
      throw error.at(fmt::format("{}:{}", table.path, table.lines[static_cast<size_t>(i)]));
    }
  }
  return SharedBytes(std::move(content));
}

}  // namespace

Dataset open_csv(const std::string& path, std::span<const SampleInput> inputs,
                 const std::string& label) {
  CsvTable table = read_csv(path);
  if (inputs.empty())
    throw UserError(path, "has columns for a model that takes no data");
  Columns columns(table, inputs, label);
  Dataset dataset;
  dataset.train.count = table.rows;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Type type = inputs[i].type;
    type.dims.insert(type.dims.begin(), table.rows);
    dataset.train.fields.push_back(
        field_of(inputs[i].name, type, content_of(table, columns.of_input(i), type.dtype)));
  }
  return dataset;
}

}  // namespace gradc
