#pragma once
// Constant bytes with an owner: a vector, or a file that stays mapped as long as anyone reads it. A
// copy shares them.
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace gradc {

struct SharedBytes {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;

  SharedBytes() = default;
  SharedBytes(std::shared_ptr<const void> keeper, std::span<const std::byte> view)
      : owner(std::move(keeper)), bytes(view) {}
  explicit SharedBytes(std::vector<std::byte> content) {
    auto kept = std::make_shared<const std::vector<std::byte>>(std::move(content));
    bytes = *kept;
    owner = std::move(kept);
  }
};

}  // namespace gradc
