#include "compiler/codegen/elf_file.h"

#include <llvm/BinaryFormat/ELF.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace gradc::codegen {
namespace {

namespace elf = llvm::ELF;

class Writer {
 public:
  explicit Writer(const ElfFile& elf) : elf_(elf) {}

  std::string write() const {
    std::vector<size_t> order;  // of symbols: local ones come first
    for (bool global : {false, true})
      for (size_t i = 0; i < elf_.symbols.size(); ++i)
        if (elf_.symbols[i].global == global)
          order.push_back(i);
    std::vector<size_t> number(elf_.symbols.size());
    for (size_t i = 0; i < order.size(); ++i)
      number[order[i]] = 1 + elf_.sections.size() + i;

    std::string file(sizeof(elf::Elf64_Ehdr), '\0'), names(1, '\0'), section_names(1, '\0');
    std::vector<elf::Elf64_Shdr> headers(1);
    auto append = [&](const std::string& name, uint32_t type, std::string_view bytes,
                      uint64_t alignment) -> elf::Elf64_Shdr& {
      file.resize((file.size() + alignment - 1) / alignment * alignment);
      elf::Elf64_Shdr header = {};
      header.sh_name = static_cast<uint32_t>(section_names.size());
      section_names.append(name).push_back('\0');
      header.sh_type = type;
      header.sh_offset = file.size();
      header.sh_size = bytes.size();
      header.sh_addralign = alignment;
      file.append(bytes);
      return headers.emplace_back(header);
    };
    for (const ElfSection& section : elf_.sections) {
      elf::Elf64_Shdr& header =
          append(section.name, section.type, section.bytes, section.alignment);
      header.sh_flags = section.flags;
      header.sh_addr = section.address;
    }
    std::vector<std::pair<size_t, std::string>> tables;  // of relocations, with their section
    for (size_t i = 0; i < elf_.sections.size(); ++i)
      if (!elf_.sections[i].relocations.empty())
        tables.emplace_back(1 + i, relocation_table(elf_.sections[i], number));
    auto symbol_table = static_cast<uint32_t>(1 + elf_.sections.size() + tables.size());
    for (const auto& [section, bytes] : tables) {
      elf::Elf64_Shdr& header =
          append(".rela" + elf_.sections[section - 1].name, elf::SHT_RELA, bytes, 8);
      header.sh_flags = elf::SHF_INFO_LINK;
      header.sh_link = symbol_table;
      header.sh_info = static_cast<uint32_t>(section);
      header.sh_entsize = sizeof(elf::Elf64_Rela);
    }
    std::string symbols = symbol_table_of(order, names);
    elf::Elf64_Shdr& table = append(".symtab", elf::SHT_SYMTAB, symbols, 8);
    table.sh_link = symbol_table + 1;
    table.sh_info = first_global();
    table.sh_entsize = sizeof(elf::Elf64_Sym);
    append(".strtab", elf::SHT_STRTAB, names, 1);
    elf::Elf64_Shdr& last = append(".shstrtab", elf::SHT_STRTAB, {}, 1);
    last.sh_size = section_names.size();
    file.append(section_names);
    finish(file, headers);
    return file;
  }

 private:
  std::string relocation_table(const ElfSection& section, const std::vector<size_t>& number) const {
    std::string bytes;
    for (const ElfRelocation& relocation : section.relocations) {
      elf::Elf64_Rela entry = {};
      entry.r_offset = relocation.at;
      entry.r_addend = relocation.addend;
      size_t symbol = relocation.of_section ? 1 + relocation.target : number[relocation.target];
      entry.setSymbolAndType(static_cast<uint32_t>(symbol), relocation.type);
      bytes.append(reinterpret_cast<const char*>(&entry), sizeof entry);
    }
    return bytes;
  }

  std::string symbol_table_of(const std::vector<size_t>& order, std::string& names) const {
    std::string bytes(sizeof(elf::Elf64_Sym), '\0');
    auto append = [&](const elf::Elf64_Sym& symbol) {
      bytes.append(reinterpret_cast<const char*>(&symbol), sizeof symbol);
    };
    for (size_t i = 0; i < elf_.sections.size(); ++i) {
      elf::Elf64_Sym entry = {};
      entry.setBindingAndType(elf::STB_LOCAL, elf::STT_SECTION);
      entry.st_shndx = static_cast<uint16_t>(1 + i);
      append(entry);
    }
    for (size_t i : order) {
      const ElfSymbol& symbol = elf_.symbols[i];
      elf::Elf64_Sym entry = {};
      entry.st_name = static_cast<uint32_t>(names.size());
      names.append(symbol.name).push_back('\0');
      entry.setBindingAndType(symbol.global ? elf::STB_GLOBAL : elf::STB_LOCAL, symbol.type);
      entry.st_shndx =
          static_cast<uint16_t>(symbol.section == ElfSymbol::kUndefined ? 0 : 1 + symbol.section);
      entry.st_value = symbol.value;
      entry.st_size = symbol.bytes;
      append(entry);
    }
    return bytes;
  }

  uint32_t first_global() const {
    size_t first = 1 + elf_.sections.size();
    for (const ElfSymbol& symbol : elf_.symbols)
      first += !symbol.global;
    return static_cast<uint32_t>(first);
  }

  void finish(std::string& file, const std::vector<elf::Elf64_Shdr>& headers) const {
    file.resize((file.size() + 7) / 8 * 8);
    elf::Elf64_Ehdr header = {};
    std::copy_n(elf::ElfMagic, 4, header.e_ident);
    header.e_ident[elf::EI_CLASS] = elf::ELFCLASS64;
    header.e_ident[elf::EI_DATA] = elf::ELFDATA2LSB;
    header.e_ident[elf::EI_VERSION] = elf::EV_CURRENT;
    header.e_type = elf::ET_REL;
    header.e_machine = elf_.machine;
    header.e_version = elf::EV_CURRENT;
    header.e_flags = elf_.flags;
    header.e_shoff = file.size();
    header.e_ehsize = sizeof header;
    header.e_shentsize = sizeof(elf::Elf64_Shdr);
    header.e_shnum = static_cast<uint16_t>(headers.size());
    header.e_shstrndx = static_cast<uint16_t>(headers.size() - 1);
    file.replace(0, sizeof header, reinterpret_cast<const char*>(&header), sizeof header);
    file.append(reinterpret_cast<const char*>(headers.data()),
                headers.size() * sizeof(elf::Elf64_Shdr));
  }

  const ElfFile& elf_;
};

}  // namespace

const ElfSymbol* ElfFile::find(const std::string& name) const {
  auto found = std::find_if(symbols.begin(), symbols.end(),
                            [&](const ElfSymbol& symbol) { return symbol.name == name; });
  return found == symbols.end() ? nullptr : &*found;
}

std::string write_elf(const ElfFile& file) {
  return Writer(file).write();
}

}  // namespace gradc::codegen
