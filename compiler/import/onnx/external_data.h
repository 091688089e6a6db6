#pragma once
// Tensors' bytes in files beside the model. A model from anywhere must not make us read other files
// than its own: a location is a relative path below the model's folder, without `..`, through no
// link, to a regular file that has this one name only. This is the one place that opens such files.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compiler/import/onnx/file_bytes.h"

namespace gradc::onnx {

// How a location is followed: by openat2(2), which refuses links itself, or folder by folder where
// the kernel has no such call. `best` tries the first.
enum class PathWalk { best, by_folder };

// An open regular file at `location` below the folder; fails with what is wrong with it.
struct ExternalFile {
  Descriptor descriptor;
  uint64_t size = 0;
  std::pair<uint64_t, uint64_t> identity;  // device and inode
};
ExternalFile open_below(const Descriptor& folder, const std::string& location,
                        PathWalk walk = PathWalk::best);

class ExternalData {
 public:
  explicit ExternalData(const std::string& model_path);

  // `length` bytes from `offset` on of the file at `location`; without a length, `wanted` bytes.
  // Fails with what is wrong; the caller adds the tensor.
  SharedBytes read(const std::string& location, uint64_t offset, std::optional<uint64_t> length,
                   uint64_t wanted);
  // The files that were read so far, as paths from where the model's path is from.
  std::vector<std::string> paths() const;

 private:
  const SharedBytes& file(const std::string& location);

  std::string folder_path_;
  Descriptor folder_;  // opened when the first location is followed
  std::map<std::string, SharedBytes> by_location_;
  std::map<std::pair<uint64_t, uint64_t>, SharedBytes> by_identity_;
};

}  // namespace gradc::onnx
