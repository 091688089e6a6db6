#include <catch2/catch.hpp>

#include "compiler/plan/scratch_limits.h"
#include "ir/parse.h"
#include "ir/verify.h"

using namespace gradc;

namespace {

// Kernels of 256 bytes a value; @first also reads as many of a parameter.
const std::string kKernels = R"(module @m
param @w: f32[64]
kernel @first(%x: f32[64], %w: f32[64]) with {class="map"} {
  %y: f32[64] = add(%x, %w)
  return %y
}
kernel @next(%x: f32[64]) with {class="map", scratch=640} {
  %y: f32[64] = tanh(%x)
  return %y
}
kernel @join(%x: f32[64], %y: f32[64]) with {class="map"} {
  %z: f32[64] = add(%x, %y)
  return %z
}
)";

ScratchRoom room_of(const std::string& entries, std::optional<int64_t> memory) {
  Module module = parse_module(kKernels + entries, "t.ir");
  verify(module);
  Options options;
  options.memory = memory;
  return scratch_room(module, options);
}

ScratchLimits limits(const std::string& entries, std::optional<int64_t> memory = std::nullopt) {
  ScratchRoom room = room_of(entries, memory);
  return room.fits ? room.beside_live : room.beside_own;
}

}  // namespace

TEST_CASE("scratch may fill an arena up to what it is measured by", "[scratch]") {
  // In the arena: h, then h and g, then g. Each call but the state reads and writes 512 bytes.
  auto chain = limits(R"(entry @infer(%x: f32[64], %w: f32[64] = @w) {
    %h: f32[64] = call @first(%x, %w)
    %g: f32[64] = call @next(%h)
    %y: f32[64] = call @join(%g, %g)
    return %y
  })");
  CHECK(chain.size() == 3);
  CHECK(chain.at("first") == 512 + 32 - 256);
  CHECK(chain.at("next") == 32);
  CHECK(chain.at("join") == 512 + 32 - 256);
  // The last call reads the caller's x and writes the caller's y: 768 bytes with h.
  CHECK(limits(R"(entry @infer(%x: f32[64]) {
    %h: f32[64] = call @next(%x)
    %y: f32[64] = call @join(%x, %h)
    return %y
  })")
            .at("join") == 768 + 48 - 256);
}

TEST_CASE("bytes that are written over measure an arena once", "[scratch]") {
  // All that is live: h and g, then f over g, 512 bytes, not the 768 of what @join reads and
  // writes.
  auto found = limits(R"(kernel @over(%x: f32[64], %y: f32[64]) with {class="map", inplace=[1,0]} {
    %z: f32[64] = add(%x, %y)
    return %z
  }
  entry @infer(%x: f32[64]) {
    %h: f32[64] = call @next(%x)
    %g: f32[64] = call @next(%h)
    %f: f32[64] = call @over(%h, %g)
    %e: f32[64] = call @next(%f)
    %y: f32[64] = call @next(%e)
    return %y
  })");
  CHECK(found.at("over") == 32);
}

TEST_CASE("the call with the least room limits a kernel", "[scratch]") {
  auto found = limits(R"(entry @infer(%x: f32[64]) {
    %h: f32[64] = call @next(%x)
    %v: f32[8,8] = reshape(%h) {shape=[8,8]}
    %u: f32[64] = reshape(%v) {shape=[64]}
    %g: f32[64] = call @next(%u)
    %f: f32[64] = call @next(%g)
    %y: f32[64] = call @join(%h, %f)
    return %y
  }
  entry @f(%x: f32[64]) {
    %y: f32[64] = call @next(%x)
    return %y
  })");
  // h is alive from its making to the end: 768 bytes where f is made.
  CHECK(found.at("next") == 48);
  CHECK(found.at("join") == 768 + 48 - 512);
}

TEST_CASE("below what is live, a budget leaves a call's own bytes to fill up", "[scratch]") {
  // Four values are live while f is made. No call touches more than three.
  const std::string entry = R"(entry @infer(%x: f32[64]) {
    %h: f32[64] = call @first(%x, %x)
    %k: f32[64] = call @first(%h, %h)
    %g: f32[64] = call @next(%k)
    %f: f32[64] = call @join(%g, %k)
    %y: f32[64] = call @join(%h, %f)
    return %y
  })";
  CHECK(limits(entry).at("first") == 1024 + 64 - 512);
  CHECK(limits(entry, 1024 + 64).at("first") == 1024 + 64 - 512);
  CHECK(limits(entry, 1024 + 63).at("first") == 768 + 48 - 512);
}

TEST_CASE("two budgets that some entry is above leave kernels the same scratch", "[scratch]") {
  // @infer needs 512 bytes, the step 768, and a sixteenth more.
  const std::string entries = R"(entry @infer(%x: f32[64]) {
    %h: f32[64] = call @next(%x)
    %g: f32[64] = call @next(%h)
    %y: f32[64] = call @next(%g)
    return %y
  }
  entry @train_step(%x: f32[64]) {
    %h: f32[64] = call @next(%x)
    %k: f32[64] = call @next(%h)
    %g: f32[64] = call @next(%k)
    %f: f32[64] = call @next(%g)
    %y: f32[64] = call @join(%h, %f)
    return %y
  })";
  CHECK(room_of(entries, 816).fits);
  CHECK_FALSE(room_of(entries, 815).fits);
  CHECK(limits(entries, 815) == limits(entries, 1));
  CHECK(limits(entries, 815).at("next") == 32);
}

TEST_CASE("scratch counts where nothing is to be computed again", "[scratch]") {
  Module module = parse_module(kKernels + R"(entry @infer(%x: f32[64]) {
    %h: f32[64] = call @next(%x)
    %y: f32[64] = call @next(%h)
    return %y
  })",
                               "t.ir");
  CHECK(fits_as_it_is(module, {.memory = 256 + 640}));
  CHECK_FALSE(fits_as_it_is(module, {.memory = 256 + 639}));
}
