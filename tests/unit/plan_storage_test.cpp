#include <catch2/catch.hpp>

#include "compiler/plan/storage.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "ir/verify.h"

using namespace gradc;

namespace {

const std::string kHeader = R"(module @m
param @b: f32[3]
param @w: f32[4,5]
buffer @mean: f32[4,5]
kernel @copy(%x: f32[4,5]) with {class="map", inplace=[0,0]} {
  %zero: f32[4,5] = constant() {dtype=f32, shape=[4,5], value=0.0}
  %y: f32[4,5] = add(%x, %zero)
  return %y
}
)";

Module entry(const std::string& text) {
  Module module = parse_module(kHeader + "entry @f(" + text + "}\n", "t.ir");
  verify(module);
  return module;
}

std::string error_of(const std::string& text) {
  Module module = entry(text);
  try {
    storage_of(module, module.function("f"));
  } catch (const UserError& error) {
    return error.message();
  }
  return "";
}

}  // namespace

TEST_CASE("every value of an entry has one place", "[storage]") {
  Module module = entry(R"(%x: f32[20], %w: f32[4,5] = @w, %z: f32[4,5]) arena 256 {
    %v: f32[4,5] = reshape(%x) {shape=[4,5]}
    %h: f32[4,5] @128 = call @copy(%v)
    %flat: f32[20] = reshape(%h) {shape=[20]}
    %y: f32[4,5] = call @copy(%h)
    %w.flat: f32[20] = reshape(%w) {shape=[20]}
    %unplaced: f32[4,5] = call @copy(%z)
    %mean: f32[4,5] = call @copy(%w)
    %logits: f32[4,5] = call @copy(%mean)
    return %y, %mean -> @mean, %logits
  )");
  const Function& f = module.function("f");
  std::vector<Storage> at = storage_of(module, f);
  auto of = [&](std::string_view name) {
    for (size_t i = 0; i < f.values.size(); ++i)
      if (f.values[i].name == name)
        return at[i];
    FAIL("no value " << name);
    return Storage{};
  };
  CHECK(of("x") == Storage{Region::input, 0, 0});
  CHECK(of("z") == Storage{Region::input, 1, 0});
  CHECK(of("v") == of("x"));
  CHECK(of("w") == Storage{Region::state, 1, 64});
  CHECK(of("w.flat") == of("w"));
  CHECK(of("h") == Storage{Region::arena, 0, 128});
  CHECK(of("flat") == of("h"));
  CHECK(of("unplaced") == Storage{Region::arena, 0, Storage::kUnplaced});
  CHECK(of("y") == Storage{Region::output, 0, 0});
  CHECK(of("mean") == Storage{Region::state, 2, 192});
  CHECK(of("logits") == Storage{Region::output, 1, 0});
}

TEST_CASE("state tensors are aligned, in the module's order", "[storage]") {
  Module module = entry("%x: f32[4,5]) {\n return ");
  CHECK(state_offsets(module) == std::vector<int64_t>{0, 64, 192, 320});
  CHECK(state_bytes(module) == 320);
}

TEST_CASE("an entry in another form is refused", "[storage]") {
  CHECK(error_of("%x: f32[4,5]) {\n %y = add(%x, %x)\n return %y ") ==
        "@f: `add` stands outside of a kernel; run `fuse` first");
  CHECK(error_of("%x: f32[4,5]) {\n return %x ") ==
        "@f: %x is returned, but no kernel computes it");
  CHECK(error_of("%x: f32[4,5]) {\n %h: f32[4,5] = call @copy(%x)\n"
                 " %y = reshape(%h) {shape=[20]}\n return %y ") ==
        "@f: %y is returned, but no kernel computes it");
  CHECK(error_of("%x: f32[4,5]) {\n %h: f32[4,5] = call @copy(%x)\n return %h, %h -> @w ") ==
        "@f: %h is returned twice; each result needs a kernel of its own");
}
