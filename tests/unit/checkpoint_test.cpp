#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "runtime/gradc_runtime.h"
#include "runtime/safetensors.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/toy_module.h"

using gradc_test::read_text;
using gradc_test::TemporaryDirectory;
using gradc_test::write_text;

namespace {

// An instance of the toy module with chosen state.
struct Toy {
  gradc_instance* instance = nullptr;

  explicit Toy(float fill) {
    REQUIRE(gradc_create(&toy::module, nullptr, nullptr, &instance) == GRADC_OK);
    for (int i = 0; i < 4; ++i) {
      w()[i] = fill + static_cast<float>(i);
      velocity()[i] = -fill;
    }
    steps() = static_cast<int64_t>(fill);
  }
  ~Toy() { gradc_destroy(instance); }

  void* data(const char* name) {
    return gradc_state_data(instance, gradc_find_state(&toy::module, name));
  }
  float* w() { return static_cast<float*>(data("w")); }
  float* velocity() { return static_cast<float*>(data("velocity")); }
  int64_t& steps() { return *static_cast<int64_t*>(data("steps")); }
  bool holds(float fill, float moments) {
    return w()[0] == fill && w()[3] == fill + 3 && velocity()[2] == -moments &&
           steps() == static_cast<int64_t>(fill);
  }
};

std::string error() {
  return gradc_last_error();
}

}  // namespace

TEST_CASE("a checkpoint brings the whole state back, weights all but the optimizer's",
          "[checkpoint]") {
  TemporaryDirectory directory;
  std::string checkpoint = directory.file("checkpoint"), weights = directory.file("weights");
  Toy saved(10);
  const char* const metadata[] = {"epoch", "3", "format", "other", nullptr};
  REQUIRE(gradc_save(saved.instance, checkpoint.c_str(), 1, metadata) == GRADC_OK);
  REQUIRE(gradc_save(saved.instance, weights.c_str(), 0, nullptr) == GRADC_OK);

  Toy full(20), partial(20), from_checkpoint(20);
  REQUIRE(gradc_load(full.instance, checkpoint.c_str(), 1) == GRADC_OK);
  CHECK(full.holds(10, 10));
  REQUIRE(gradc_load(partial.instance, weights.c_str(), 0) == GRADC_OK);
  CHECK(partial.holds(10, 20));
  REQUIRE(gradc_load(from_checkpoint.instance, checkpoint.c_str(), 0) == GRADC_OK);
  CHECK(from_checkpoint.holds(10, 20));

  CHECK(gradc_load(full.instance, weights.c_str(), 1) == GRADC_BAD_FILE);
  CHECK(error() == weights + ": lacks tensor `velocity`, which model `toy` has");

  gradc::SafetensorsFile file = gradc::read_safetensors(checkpoint);
  CHECK(file.metadata ==
        std::map<std::string, std::string>{
            {"epoch", "3"}, {"format", "gradc"}, {"hash", "0123abcd"}, {"model", "toy"}});
  CHECK(file.tensors.size() == 3);
}

TEST_CASE("a file that does not fit changes nothing", "[checkpoint]") {
  TemporaryDirectory directory;
  std::string path = directory.file("w");
  Toy saved(10), loaded(20);
  REQUIRE(gradc_save(saved.instance, path.c_str(), 1, nullptr) == GRADC_OK);
  std::string whole = read_text(path);
  for (size_t length = 0; length < whole.size(); ++length) {
    write_text(path, std::string_view(whole).substr(0, length));
    REQUIRE(gradc_load(loaded.instance, path.c_str(), 1) == GRADC_BAD_FILE);
    REQUIRE(loaded.holds(20, 20));
  }

  // The last tensor that is looked for is wrong: those before it stay as they were, too.
  std::vector<float> four(4), eight(8);
  std::vector<int32_t> steps(1);
  auto bytes = [](const auto& values) { return std::as_bytes(std::span(values)); };
  std::vector<gradc::TensorView> tensors = {{"w", GRADC_F32, {4}, bytes(four)},
                                            {"velocity", GRADC_F32, {4}, bytes(four)},
                                            {"steps", GRADC_I32, {}, bytes(steps)}};
  REQUIRE(gradc::write_safetensors(path, tensors, {}).ok());
  CHECK(gradc_load(loaded.instance, path.c_str(), 1) == GRADC_BAD_FILE);
  CHECK(error() == path + ": tensor `steps` is I32[], model `toy` has I64[]");
  tensors = {{"w", GRADC_F32, {4, 1}, bytes(four)}};
  REQUIRE(gradc::write_safetensors(path, tensors, {}).ok());
  CHECK(gradc_load(loaded.instance, path.c_str(), 0) == GRADC_BAD_FILE);
  CHECK(error() == path + ": tensor `w` is F32[4,1], model `toy` has F32[4]");
  CHECK(loaded.holds(20, 20));
}

TEST_CASE("files that cannot be reached are errors with their names", "[checkpoint]") {
  TemporaryDirectory directory;
  Toy toy(1);
  std::string missing = directory.file("none/w");
  CHECK(gradc_save(toy.instance, missing.c_str(), 1, nullptr) == GRADC_IO_ERROR);
  CHECK(error() == missing + ": cannot create: No such file or directory");
  CHECK(gradc_load(toy.instance, missing.c_str(), 1) == GRADC_IO_ERROR);
  CHECK(error() == missing + ": cannot open: No such file or directory");
  CHECK(gradc_save(toy.instance, nullptr, 1, nullptr) == GRADC_BAD_ARGUMENT);
  CHECK(gradc_load(nullptr, missing.c_str(), 1) == GRADC_BAD_ARGUMENT);
}
