#include "tools/report/text.h"

#include <sstream>

#include "ir/print.h"

namespace gradc {
namespace {

// A list longer than this gets a line for each item.
constexpr size_t kLongLine = 100;

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

// Where the next item of a list begins. Types and attributes have no `, %` in them.
size_t next_item(const std::string& line, size_t from) {
  size_t comma = line.find(", %", from);
  return comma == std::string::npos ? comma : comma + 2;
}

// `entry @f(%a: f32[2], %b: f32[] = @w) arena 64 {`
void add_header(std::vector<TextLine>& lines, const std::string& header, size_t parameters) {
  if (header.size() <= kLongLine || parameters == 0) {
    lines.push_back({header});
    return;
  }
  size_t begin = header.find('(') + 1;
  lines.push_back({header.substr(0, begin)});
  for (size_t i = 0; i + 1 < parameters; ++i) {
    size_t end = next_item(header, begin);
    lines.push_back({"    " + header.substr(begin, end - 1 - begin)});
    lines.back().parameter = static_cast<int>(i);
    begin = end;
  }
  size_t close = header.find(')', begin);
  lines.push_back({"    " + header.substr(begin, close - begin)});
  lines.back().parameter = static_cast<int>(parameters) - 1;
  lines.push_back({"  " + header.substr(close)});
}

// `  return loss=%loss, %w.new -> @w`
void add_return(std::vector<TextLine>& lines, const std::string& line, size_t results) {
  constexpr std::string_view kReturn = "  return ";
  if (line.size() <= kLongLine) {
    lines.push_back({line});
    return;
  }
  lines.push_back({"  return"});
  size_t begin = kReturn.size();
  for (size_t i = 0; i < results; ++i) {
    size_t end = std::min(line.find(", ", begin), line.size());
    lines.push_back({"    " + line.substr(begin, end + (end < line.size()) - begin)});
    lines.back().result = static_cast<int>(i);
    begin = end + 2;
  }
}

}  // namespace

int StringTable::add(std::string_view text) {
  auto [found, fresh] = numbers_.try_emplace(std::string(text), static_cast<int>(texts_.size()));
  if (fresh)
    texts_.emplace_back(text);
  return found->second;
}

std::vector<TextLine> lines_of(const Function& function) {
  Function bare = function;
  for (Op& op : bare.ops)
    op.loc.clear();
  std::vector<std::string> printed = split_lines(print(bare));
  std::vector<TextLine> lines;
  add_header(lines, printed[0], function.parameters.size());
  size_t at = 1;
  for (size_t i = 0; i < function.ops.size(); ++i) {
    if (i == 0 || function.ops[i].phase != function.ops[i - 1].phase)
      lines.push_back({printed[at++]});
    lines.push_back({printed[at++]});
    lines.back().op = static_cast<int>(i);
  }
  add_return(lines, printed[at++], function.results.size());
  lines.push_back({printed[at]});
  return lines;
}

}  // namespace gradc
