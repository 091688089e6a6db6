#pragma once
// A relocatable ELF64 file that is being put together.
#include <cstdint>
#include <string>
#include <vector>

namespace gradc::codegen {

struct ElfRelocation {
  uint64_t at = 0;
  uint32_t type = 0;
  bool of_section = false;  // else of a symbol
  size_t target = 0;  // an index into sections or symbols
  int64_t addend = 0;
};

struct ElfSection {
  std::string name;
  uint32_t type = 0;
  uint64_t flags = 0, alignment = 1;
  uint64_t address = 0;  // of code in memory
  std::string bytes;
  std::vector<ElfRelocation> relocations;
};

struct ElfSymbol {
  static constexpr size_t kUndefined = SIZE_MAX;
  std::string name;
  uint8_t type = 0;  // STT_NOTYPE
  bool global = true;
  size_t section = kUndefined;
  uint64_t value = 0, bytes = 0;
};

struct ElfFile {
  uint16_t machine = 0;
  uint32_t flags = 0;
  std::vector<ElfSection> sections;
  std::vector<ElfSymbol> symbols;

  const ElfSymbol* find(const std::string& name) const;  // null when absent
};

// The bytes of the file: header, contents, relocations, symbols, names, section headers.
std::string write_elf(const ElfFile& file);

}  // namespace gradc::codegen
