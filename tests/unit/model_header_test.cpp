// runtime/gradc_model.hpp, as the class that gradc compile writes for a model uses it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "runtime/gradc_model.hpp"
#include "tests/support/temporary_directory.h"
#include "tests/support/toy_module.h"

using Catch::Matchers::Contains;
using gradc_test::TemporaryDirectory;

namespace {

class Toy : public gradc::Model {
 public:
  explicit Toy(gradc::Pool pool = nullptr, const gradc_memory* memory = nullptr)
      : gradc::Model(toy::module, std::move(pool), memory) {}
  void init() { call_init(toy::module.entries[0], 1); }
  void step(const float* x, float* y) {
    const void* inputs[] = {x};
    void* outputs[] = {y};
    call(toy::module.entries[1], inputs, outputs);
  }
};

struct Buffers {
  std::vector<float> x = std::vector<float>(toy::kElements, 1.0f);
  std::vector<float> y = std::vector<float>(toy::kElements);
};

gradc_status status_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const gradc::Error& error) {
    return error.status();
  }
  return GRADC_OK;
}

}  // namespace

TEST_CASE("a model runs once it has weights, from whichever source", "[model]") {
  Buffers b;
  TemporaryDirectory directory;
  std::string checkpoint = directory.file("checkpoint"), weights = directory.file("weights");
  Toy first;
  CHECK_THROWS_WITH(first.step(b.x.data(), b.y.data()), Contains("`toy` has no weights yet"));
  first.init();
  first.step(b.x.data(), b.y.data());
  CHECK(b.y[1] == 2 * 2);
  first.data<float>("velocity")[0] = 5;
  first.save(checkpoint, {{"step", "1"}, {"note", ""}});
  first.save_weights(weights);
  CHECK(gradc::metadata(checkpoint, "step") == "1");
  CHECK(gradc::metadata(checkpoint, "note").empty());
  CHECK(status_of([&] { gradc::metadata(checkpoint, "epoch"); }) == GRADC_BAD_FILE);
  CHECK(status_of([&] { gradc::metadata(directory.file("none"), "epoch"); }) == GRADC_IO_ERROR);

  for (int source = 0; source < 4; ++source) {
    Toy model;
    if (source == 0)
      model.load(checkpoint);
    else if (source == 1)
      model.load_weights(weights);
    else if (source == 2)
      model.copy_weights(first);
    else
      std::copy_n(first.data<const float>("w"), 4, model.data<float>("w"));
    model.step(b.x.data(), b.y.data());
    CHECK(b.y[1] == 2 * 3);  // the step before added one
    CHECK(*model.data<const int64_t>("steps") == (source == 3 ? 1 : 2));
    CHECK(model.data<const float>("velocity")[0] == (source == 0 ? 5 : 0));
  }
  Toy looked_at;
  CHECK(looked_at.data<const float>("w")[0] == 0);
  CHECK(status_of([&] { looked_at.step(b.x.data(), b.y.data()); }) == GRADC_BAD_ARGUMENT);
  CHECK(status_of([&] { looked_at.load(weights); }) == GRADC_BAD_FILE);  // no moments in it
}

TEST_CASE("outputs may be left out, inputs not", "[model]") {
  Buffers b;
  Toy model;
  model.init();
  model.step(b.x.data(), nullptr);
  model.step(b.x.data(), nullptr);
  model.step(b.x.data(), b.y.data());
  CHECK(b.y[0] == 2 * 3);
  CHECK_THROWS_WITH(model.step(nullptr, b.y.data()), Contains("input `x` of entry `step`"));
}

TEST_CASE("models share threads and take memory of the caller's", "[model]") {
  Buffers b;
  gradc::Pool pool = gradc::make_pool(3);
  alignas(64) static char state[192], arena[toy::kElements * 4];
  gradc_memory memory = {state, arena};
  Toy one(pool), two(pool), placed(pool, &memory);
  one.init();
  two.copy_weights(one);
  for (int i = 0; i < 10; ++i) {
    one.step(b.x.data(), nullptr);
    two.step(b.x.data(), b.y.data());
    CHECK(b.y[3] == 2 * static_cast<float>(4 + i));
  }
  placed.step(b.x.data(), b.y.data());  // a state that is given counts as weights
  CHECK(b.y[0] == 0);
  CHECK(static_cast<void*>(placed.data<float>("w")) == state + 64);
  gradc_memory askew = {state + 1, nullptr};
  CHECK(status_of([&] { Toy(nullptr, &askew); }) == GRADC_BAD_ARGUMENT);
}

TEST_CASE("tensors are found by name and type", "[model]") {
  Toy model;
  CHECK(model.tensor("w").rank == 1);
  CHECK_THROWS_WITH(model.tensor("v"), Contains("model `toy` has no tensor `v`"));
  CHECK_THROWS_WITH(model.data<double>("w"), Contains("tensor `w` holds elements of another type"));
  CHECK_THROWS_WITH(model.data<int32_t>("steps"), Contains("another type"));
}
