#include "compiler/codegen/code_cache.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/Support/BLAKE3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

namespace gradc {
namespace {

namespace fs = std::filesystem;

// An entry's file: this, the hash of the code, the code. A file that was cut off or damaged is seen
// by its hash.
constexpr std::string_view kMagic = "gradc code 1\n";

constexpr std::string_view kNew = "new.";  // begins the names of files that are being written

std::string hash_of(std::string_view text) {
  llvm::BLAKE3 hasher;
  hasher.update(llvm::StringRef(text.data(), text.size()));
  return llvm::toHex(hasher.final(), true);
}

std::string entry_header(std::string_view code) {
  return std::string(kMagic) + hash_of(code) + "\n";
}

// The linker's name for the program or library that this function is in (NT_GNU_BUILD_ID).
std::string build_id() {
  struct Search {
    uintptr_t address;
    std::string id;
  } search = {reinterpret_cast<uintptr_t>(&build_id), {}};
  auto visit = [](dl_phdr_info* info, size_t, void* data) {
    auto& [address, id] = *static_cast<Search*>(data);
    std::string found;
    bool is_here = false;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const ElfW(Phdr)& part = info->dlpi_phdr[i];
      uintptr_t begin = info->dlpi_addr + part.p_vaddr;
      is_here |= part.p_type == PT_LOAD && address >= begin && address < begin + part.p_memsz;
      if (part.p_type != PT_NOTE)
        continue;
      const char* at = reinterpret_cast<const char*>(begin);
      const char* end = at + part.p_memsz;
      while (at + sizeof(ElfW(Nhdr)) <= end) {
        ElfW(Nhdr) note;
        std::memcpy(&note, at, sizeof note);
        const char* name = at + sizeof note;
        const char* content = name + (note.n_namesz + 3) / 4 * 4;
        at = content + (note.n_descsz + 3) / 4 * 4;
        if (at <= end && note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            std::memcmp(name, "GNU", 4) == 0)
          found.assign(content, note.n_descsz);
      }
    }
    if (is_here)
      id = found;
    return is_here ? 1 : 0;
  };
  dl_iterate_phdr(visit, &search);
  return search.id;
}

struct File {
  fs::path path;
  int64_t bytes = 0;
  timespec used{};
};

// Whether a file of this name is an entry, or on the way to be one. Others are left alone: a user
// may name any folder.
bool is_ours(std::string_view name) {
  constexpr std::string_view kHexadecimal = "0123456789abcdef";
  size_t length = 2 * llvm::BLAKE3Result<>().size();
  if (name.size() < length)
    return false;
  std::string_view before = name.substr(0, name.size() - length);
  return name.find_first_not_of(kHexadecimal, before.size()) == name.npos &&
         (before.empty() || before.starts_with(kNew));
}

// What is in the folder; others may be removing files at the same time.
std::vector<File> files_in(const std::string& folder) {
  std::vector<File> files;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    struct stat about;
    if (is_ours(at->path().filename().string()) && stat(at->path().c_str(), &about) == 0 &&
        S_ISREG(about.st_mode))
      files.push_back({at->path(), about.st_size, about.st_mtim});
  }
  return files;
}

}  // namespace

CodeCache::CodeCache(std::string folder, int64_t limit)
    : folder_(std::move(folder)), limit_(limit) {}

std::string CodeCache::path_of(const std::string& key) const {
  return folder_ + "/" + key;
}

std::optional<std::string> CodeCache::find(const std::string& key) const {
  if (folder_.empty() || key.empty())
    return std::nullopt;
  std::string path = path_of(key);
  std::ifstream file(path, std::ios::binary);
  std::string content(std::istreambuf_iterator<char>(file), {});
  size_t header = kMagic.size() + 2 * llvm::BLAKE3Result<>().size() + 1;
  if (content.size() < header || std::string_view(content).substr(0, header) !=
                                     entry_header(std::string_view(content).substr(header)))
    return std::nullopt;
  utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // it was used now, where that can be noted
  return content.substr(header);
}

// Under another name first: whoever looks sees a whole entry or none.
void CodeCache::insert(const std::string& key, std::string_view code) const {
  if (folder_.empty() || key.empty())
    return;
  static std::atomic<uint64_t> number{0};
  std::error_code ignored;
  fs::create_directories(folder_, ignored);
  std::string temporary = path_of(std::string(kNew) + std::to_string(getpid()) + "." +
                                  std::to_string(number++) + "." + key);
  std::ofstream file(temporary, std::ios::binary);
  file << entry_header(code) << code;
  file.close();
  if (!file || std::rename(temporary.c_str(), path_of(key).c_str()) != 0)
    std::remove(temporary.c_str());
  else if (key.front() == '0')  // one of 16: looking at thousands of files takes milliseconds
    keep_limit();
}

void CodeCache::keep_limit() const {
  if (folder_.empty())
    return;
  std::vector<File> files = files_in(folder_);
  int64_t bytes = 0;
  for (const File& file : files)
    bytes += file.bytes;
  if (bytes <= limit_)
    return;
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  // Some more than needed, so that not every compilation has to do this.
  for (const File& file : files) {
    if (bytes <= limit_ / 10 * 9)
      return;
    std::error_code ignored;
    fs::remove(file.path, ignored);
    bytes -= file.bytes;
  }
}

CodeCache::Size CodeCache::size() const {
  Size size;
  for (const File& file : files_in(folder_)) {
    ++size.entries;
    size.bytes += file.bytes;
  }
  return size;
}

void CodeCache::clear() const {
  for (const File& file : files_in(folder_)) {
    std::error_code ignored;
    fs::remove(file.path, ignored);
  }
}

std::string cache_key(std::string_view text) {
  static const std::string build = build_id();
  if (build.empty())
    return "";
  return hash_of(build + LLVM_VERSION_STRING + '\n' + std::string(text));
}

std::string user_folder(const char* xdg_variable, const std::string& below_home) {
  auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  if (std::string folder = variable(xdg_variable); !folder.empty())
    return folder + "/gradc";
  std::string home = variable("HOME");
  return home.empty() ? "" : home + "/" + below_home + "/gradc";
}

std::string default_cache_folder() {
  return user_folder("XDG_CACHE_HOME", ".cache");
}

}  // namespace gradc
