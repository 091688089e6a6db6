#include "compiler/codegen/debug_lines.h"

#include <llvm/BinaryFormat/Dwarf.h>
#include <llvm/BinaryFormat/ELF.h>
#include <llvm/Support/LEB128.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <vector>

namespace gradc::codegen {
namespace {

namespace dwarf = llvm::dwarf;
namespace elf = llvm::ELF;

struct Line {
  std::string file;
  uint64_t line = 0, column = 0;
};

std::optional<uint64_t> number_after(const std::string& text, size_t colon, size_t end) {
  uint64_t number = 0;
  const char* last = text.data() + end;
  auto [stop, status] = std::from_chars(text.data() + colon + 1, last, number);
  return status == std::errc() && stop == last ? std::optional(number) : std::nullopt;
}

// lenet.model:4:7
std::optional<Line> line_of(const std::string& place) {
  size_t second = place.rfind(':');
  size_t first = second == 0 || second == place.npos ? place.npos : place.rfind(':', second - 1);
  if (first == place.npos)
    return std::nullopt;
  std::optional<uint64_t> line = number_after(place, first, second);
  std::optional<uint64_t> column = number_after(place, second, place.size());
  if (!line || !column)
    return std::nullopt;
  return Line{place.substr(0, first), *line, *column};
}

// A section's bytes as they are written, little-endian.
class Bytes {
 public:
  explicit Bytes(ElfSection& section) : section_(section) {}

  template <typename T>
  void fixed(T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    section_.bytes.append(bytes, sizeof value);
  }
  void byte(unsigned value) { fixed(static_cast<uint8_t>(value)); }
  void unsigned_leb(uint64_t value) {
    leb([&](auto& to) { llvm::encodeULEB128(value, to); });
  }
  void signed_leb(int64_t value) {
    leb([&](auto& to) { llvm::encodeSLEB128(value, to); });
  }
  void string(const std::string& text) { section_.bytes.append(text.c_str(), text.size() + 1); }
  template <typename T>
  void address(uint32_t type, bool of_section, size_t target) {
    section_.relocations.push_back({section_.bytes.size(), type, of_section, target, 0});
    fixed(T{0});
  }
  // A length of what follows, filled in by `end`.
  size_t begin() {
    fixed(uint32_t{0});
    return section_.bytes.size();
  }
  void end(size_t begin) {
    auto length = static_cast<uint32_t>(section_.bytes.size() - begin);
    std::memcpy(section_.bytes.data() + begin - sizeof length, &length, sizeof length);
  }

 private:
  template <typename Encode>
  void leb(Encode encode) {
    llvm::raw_string_ostream stream(section_.bytes);
    encode(stream);
  }
  ElfSection& section_;
};

struct Function {
  size_t symbol = 0;
  std::string name;
  uint64_t bytes = 0;
  std::optional<Line> line;
  uint64_t file = 0;  // from 1 on; 0 without a line
};

class Emitter {
 public:
  Emitter(ElfFile& file, const std::string& model, std::span<const CodePlace> places)
      : file_(file), model_(model), is_arm_(file.machine == elf::EM_AARCH64) {
    for (const CodePlace& place : places)
      if (const ElfSymbol* symbol = file.find(place.symbol); symbol && symbol->bytes > 0)
        add(*symbol, line_of(place.place));
  }

  void emit() {
    if (functions_.empty())
      return;
    text_ = file_.symbols[functions_[0].symbol].section;
    abbreviations_ = file_.sections.size();
    for (const char* name : {".debug_abbrev", ".debug_info", ".debug_line"})
      file_.sections.push_back({name, elf::SHT_PROGBITS});
    abbreviate();
    describe();
    trace();
  }

 private:
  void add(const ElfSymbol& symbol, std::optional<Line> line) {
    uint64_t number = 0;
    if (line) {
      auto known = std::find(files_.begin(), files_.end(), line->file);
      number = static_cast<uint64_t>(known - files_.begin()) + 1;
      if (known == files_.end())
        files_.push_back(line->file);
    }
    functions_.push_back({static_cast<size_t>(&symbol - file_.symbols.data()), symbol.name,
                          symbol.bytes, std::move(line), number});
  }

  uint32_t absolute_64() const {
    return is_arm_ ? uint32_t{elf::R_AARCH64_ABS64} : uint32_t{elf::R_X86_64_64};
  }
  uint32_t absolute_32() const {
    return is_arm_ ? uint32_t{elf::R_AARCH64_ABS32} : uint32_t{elf::R_X86_64_32};
  }

  enum Abbreviation : unsigned { kUnit = 1, kPlaced, kNamed };

  void abbreviate() {
    Bytes to(file_.sections[abbreviations_]);
    auto entry = [&](unsigned number, dwarf::Tag tag, bool children,
                     std::initializer_list<std::pair<dwarf::Attribute, dwarf::Form>> attributes) {
      to.unsigned_leb(number);
      to.unsigned_leb(tag);
      to.byte(children ? dwarf::DW_CHILDREN_yes : dwarf::DW_CHILDREN_no);
      for (auto [attribute, form] : attributes) {
        to.unsigned_leb(attribute);
        to.unsigned_leb(form);
      }
      to.byte(0);
      to.byte(0);
    };
    entry(kUnit, dwarf::DW_TAG_compile_unit, true,
          {{dwarf::DW_AT_producer, dwarf::DW_FORM_string},
           {dwarf::DW_AT_name, dwarf::DW_FORM_string},
           {dwarf::DW_AT_stmt_list, dwarf::DW_FORM_sec_offset},
           {dwarf::DW_AT_low_pc, dwarf::DW_FORM_addr},
           {dwarf::DW_AT_high_pc, dwarf::DW_FORM_data8}});
    entry(kPlaced, dwarf::DW_TAG_subprogram, false,
          {{dwarf::DW_AT_name, dwarf::DW_FORM_string},
           {dwarf::DW_AT_decl_file, dwarf::DW_FORM_udata},
           {dwarf::DW_AT_decl_line, dwarf::DW_FORM_udata},
           {dwarf::DW_AT_low_pc, dwarf::DW_FORM_addr},
           {dwarf::DW_AT_high_pc, dwarf::DW_FORM_data8}});
    entry(kNamed, dwarf::DW_TAG_subprogram, false,
          {{dwarf::DW_AT_name, dwarf::DW_FORM_string},
           {dwarf::DW_AT_low_pc, dwarf::DW_FORM_addr},
           {dwarf::DW_AT_high_pc, dwarf::DW_FORM_data8}});
    to.byte(0);
  }

  void describe() {
    Bytes to(file_.sections[abbreviations_ + 1]);
    size_t begin = to.begin();
    to.fixed(uint16_t{4});
    to.address<uint32_t>(absolute_32(), true, abbreviations_);
    to.byte(8);  // bytes of an address
    to.unsigned_leb(kUnit);
    to.string("gradc");
    to.string(files_.empty() ? model_ : files_.front());
    to.address<uint32_t>(absolute_32(), true, abbreviations_ + 2);
    to.address<uint64_t>(absolute_64(), true, text_);
    to.fixed(static_cast<uint64_t>(file_.sections[text_].bytes.size()));
    for (const Function& function : functions_) {
      to.unsigned_leb(function.line ? kPlaced : kNamed);
      to.string(function.name);
      if (function.line) {
        to.unsigned_leb(function.file);
        to.unsigned_leb(function.line->line);
      }
      to.address<uint64_t>(absolute_64(), false, function.symbol);
      to.fixed(function.bytes);
    }
    to.byte(0);
    to.end(begin);
  }

  // The line table: a row at the beginning of each function.
  void trace() {
    Bytes to(file_.sections[abbreviations_ + 2]);
    size_t begin = to.begin();
    to.fixed(uint16_t{4});
    size_t header = to.begin();
    to.byte(1);  // bytes of the shortest instruction
    to.byte(1);  // operations of an instruction
    to.byte(1);  // rows are statements
    to.byte(static_cast<unsigned>(-5));  // special opcodes, of which none is used
    to.byte(14);
    to.byte(13);
    for (unsigned operands : {0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1})
      to.byte(operands);
    to.byte(0);  // no folders
    for (const std::string& file : files_) {
      to.string(file);
      for (int i = 0; i < 3; ++i)
        to.unsigned_leb(0);  // folder, time, size
    }
    to.byte(0);
    to.end(header);
    for (const Function& function : functions_)
      if (function.line)
        trace(to, function);
    to.end(begin);
  }

  void trace(Bytes& to, const Function& function) {
    to.byte(0);
    to.unsigned_leb(9);
    to.byte(dwarf::DW_LNE_set_address);
    to.address<uint64_t>(absolute_64(), false, function.symbol);
    to.byte(dwarf::DW_LNS_set_file);
    to.unsigned_leb(function.file);
    to.byte(dwarf::DW_LNS_set_column);
    to.unsigned_leb(function.line->column);
    to.byte(dwarf::DW_LNS_advance_line);
    to.signed_leb(static_cast<int64_t>(function.line->line) - 1);
    to.byte(dwarf::DW_LNS_copy);
    to.byte(dwarf::DW_LNS_advance_pc);
    to.unsigned_leb(function.bytes);
    to.byte(0);
    to.unsigned_leb(1);
    to.byte(dwarf::DW_LNE_end_sequence);
  }

  ElfFile& file_;
  std::string model_;
  bool is_arm_;
  std::vector<std::string> files_;
  std::vector<Function> functions_;
  size_t text_ = 0, abbreviations_ = 0;  // sections
};

}  // namespace

void add_debug_lines(ElfFile& file, const std::string& model, std::span<const CodePlace> places) {
  Emitter(file, model, places).emit();
}

}  // namespace gradc::codegen
