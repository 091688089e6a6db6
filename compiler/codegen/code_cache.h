#pragma once
// Machine code kept on disk, by content: an entry's key is a hash of all that its bytes depend on,
// so an entry is never out of date. Any number of processes may use one folder at once. What goes
// wrong with it is no error: code is then made anew.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gradc {

inline constexpr int64_t kCacheLimit = int64_t{512} << 20;

class CodeCache {
 public:
  // `folder` is made with the first entry; "": no cache. It is kept within `limit` bytes, what was
  // used last stays.
  explicit CodeCache(std::string folder, int64_t limit = kCacheLimit);

  std::optional<std::string> find(const std::string& key) const;
  // Some insertions call keep_limit().
  void insert(const std::string& key, std::string_view code) const;
  void keep_limit() const;

  struct Size {
    int64_t entries = 0, bytes = 0;
  };
  Size size() const;
  void clear() const;

 private:
  std::string path_of(const std::string& key) const;

  std::string folder_;
  int64_t limit_;
};

// A name for what the text says, and for this build of the compiler: that of a file. "" if the
// build has no name, and then nothing is to be cached.
std::string cache_key(std::string_view text);

// A folder of this user for gradc's files, below what the variable names or else below the home
// folder; "" where neither is set.
std::string user_folder(const char* xdg_variable, const std::string& below_home);

// $XDG_CACHE_HOME/gradc or ~/.cache/gradc; "" where neither variable is set.
std::string default_cache_folder();

}  // namespace gradc
