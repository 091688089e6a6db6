#include "compiler/codegen/merge_objects.h"

#include <llvm/BinaryFormat/ELF.h>
#include <llvm/Object/ELF.h>

#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "compiler/codegen/checked.h"
#include "ir/diagnostic.h"

namespace gradc::codegen {
namespace {

namespace elf = llvm::ELF;
using File = llvm::object::ELFFile<llvm::object::ELF64LE>;

class Merger {
 public:
  explicit Merger(std::string_view exported) : exported_(exported) {}

  void add(const ObjectPart& part) {
    File file = checked(File::create({part.bytes.data(), part.bytes.size()}));
    elf_.machine = file.getHeader().e_machine;
    elf_.flags = file.getHeader().e_flags;
    auto headers = checked(file.sections());
    places_.assign(headers.size(), {});
    for (size_t i = 0; i < headers.size(); ++i)
      if (is_content(headers[i]))
        places_[i] = add_content(file, headers[i]);
    for (const File::Elf_Shdr& header : headers)
      if (header.sh_type == elf::SHT_SYMTAB)
        add_symbols(file, header, part);
    for (const File::Elf_Shdr& header : headers)
      if (header.sh_type == elf::SHT_RELA)
        add_relocations(file, header);
  }

  ElfFile take() { return std::move(elf_); }

 private:
  struct Place {
    size_t section = ElfSymbol::kUndefined;
    uint64_t base = 0;
  };
  // What a symbol of the part at hand stands for.
  struct Meaning {
    bool is_section = false;
    size_t index = 0;
    int64_t addend = 0;
  };

  static bool is_content(const File::Elf_Shdr& header) {
    switch (header.sh_type) {
      case elf::SHT_NULL:
      case elf::SHT_SYMTAB:
      case elf::SHT_STRTAB:
      case elf::SHT_RELA:
      case elf::SHT_LLVM_ADDRSIG:
        return false;
      default:
        return true;
    }
  }

  Place add_content(const File& file, const File::Elf_Shdr& header) {
    std::string name = checked(file.getSectionName(header)).str();
    GRADC_CHECK(header.sh_type != elf::SHT_NOBITS || header.sh_size == 0,
                "a kernel with variables");
    llvm::ArrayRef<uint8_t> bytes = checked(file.getSectionContents(header));
    // Not to be merged any more: a linker that merges constants cannot know which of them a section
    // and an offset, counted from the end of an instruction, stand for.
    uint64_t flags = header.sh_flags & ~uint64_t{elf::SHF_MERGE | elf::SHF_STRINGS};
    auto key = std::tuple(name, uint32_t{header.sh_type}, flags);
    auto [known, is_new] = by_kind_.try_emplace(key, elf_.sections.size());
    if (is_new)
      elf_.sections.push_back({name, header.sh_type, flags});
    ElfSection& section = elf_.sections[known->second];
    uint64_t alignment = std::max<uint64_t>(header.sh_addralign, 1);
    section.alignment = std::max(section.alignment, alignment);
    section.bytes.resize((section.bytes.size() + alignment - 1) / alignment * alignment);
    Place place = {known->second, section.bytes.size()};
    section.bytes.append(bytes.begin(), bytes.end());
    return place;
  }

  void add_symbols(const File& file, const File::Elf_Shdr& header, const ObjectPart& part) {
    auto strings = checked(file.getStringTableForSymtab(header));
    meanings_.clear();
    for (const File::Elf_Sym& symbol : checked(file.symbols(&header))) {
      if (meanings_.empty()) {  // the first is none
        meanings_.emplace_back();
        continue;
      }
      std::string name = checked(symbol.getName(strings)).str();
      bool renamed = !part.from.empty() && name.starts_with(part.from);
      if (renamed)
        name = part.to + name.substr(part.from.size());
      bool own = !renamed && symbol.getBinding() == elf::STB_LOCAL;
      meanings_.push_back(meaning(symbol, name, own));
    }
  }

  // `own`: other parts may have a symbol of this name too.
  Meaning meaning(const File::Elf_Sym& symbol, const std::string& name, bool own) {
    if (symbol.st_shndx == elf::SHN_UNDEF)
      return {false, named(name), 0};
    if (symbol.st_shndx >= places_.size() ||
        places_[symbol.st_shndx].section == ElfSymbol::kUndefined)
      return {};  // the file's name, and what belongs to a section that is left out
    const Place& place = places_[symbol.st_shndx];
    uint64_t value = place.base + symbol.st_value;
    bool is_function = symbol.getType() == elf::STT_FUNC;
    if (!is_function && name != exported_)
      return {true, place.section, static_cast<int64_t>(value)};
    size_t index = own ? elf_.symbols.size() : named(name);
    if (own)
      elf_.symbols.emplace_back();
    GRADC_CHECK(elf_.symbols[index].section == ElfSymbol::kUndefined, "two symbols `{}`", name);
    elf_.symbols[index] = {name,  symbol.getType(), name == exported_, place.section,
                           value, symbol.st_size};
    return {false, index, 0};
  }

  size_t named(const std::string& name) {
    auto [known, is_new] = by_name_.try_emplace(name, elf_.symbols.size());
    if (is_new)
      elf_.symbols.push_back({.name = name});
    return known->second;
  }

  void add_relocations(const File& file, const File::Elf_Shdr& header) {
    const Place& place = places_[header.sh_info];
    if (place.section == ElfSymbol::kUndefined)
      return;
    ElfSection& section = elf_.sections[place.section];
    for (const File::Elf_Rela& entry : checked(file.relas(header))) {
      const Meaning& target = meanings_[entry.getSymbol(false)];
      section.relocations.push_back({place.base + entry.r_offset, entry.getType(false),
                                     target.is_section, target.index,
                                     entry.r_addend + target.addend});
    }
  }

  std::string exported_;
  ElfFile elf_;
  std::map<std::tuple<std::string, uint32_t, uint64_t>, size_t> by_kind_;
  std::unordered_map<std::string, size_t> by_name_;
  // Of the part at hand, by its indices.
  std::vector<Place> places_;
  std::vector<Meaning> meanings_;
};

}  // namespace

ElfFile merge_objects(std::span<const ObjectPart> parts, std::string_view exported) {
  Merger merger(exported);
  for (const ObjectPart& part : parts)
    merger.add(part);
  return merger.take();
}

}  // namespace gradc::codegen
