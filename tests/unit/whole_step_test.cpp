// Whole training steps of the shipped examples as machine code: they stay in their memory, read
// nothing that they have not written, and share nothing with other models or instances.
#include <catch2/catch.hpp>
#include <thread>

#include "compiler/entries.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "tests/support/compiled_model.h"
#include "tests/support/examples.h"

using namespace gradc;
using namespace gradc::test;

namespace {

constexpr int kThreads = 2, kSteps = 3;

Options small_training(const std::string& example) {
  Options options = native_training(kThreads);
  options.binds = small_sizes(example);
  return options;
}

JitModule code_of(const Module& planned, const Options& options) {
  return JitModule(planned, {options.target, options.threads, planned.name, "none"});
}

JitModule compiled(const std::string& example) {
  Options options = small_training(example);
  return code_of(compile(load_example(example, options), options), options);
}

std::string trained_alone(const gradc_module& module, gradc_pool* pool, uint32_t seed = 1,
                          int steps = kSteps) {
  Training training(module, pool, seed);
  for (int i = 0; i < steps; ++i)
    REQUIRE(training.step());
  return training.bytes();
}

// Not CHECK(a == b), which would print both.
void check_same(const std::string& bytes, const std::string& expected) {
  CHECK(bytes.size() == expected.size());
  CHECK((bytes == expected));
}

}  // namespace

TEST_CASE("a step keeps to its memory and reads only what it wrote", "[whole_step]") {
  Pool pool(gradc_pool_create(kThreads));
  for (const std::string& example : example_names()) {
    CAPTURE(example);
    Options options = small_training(example);
    Module planned = compile(load_example(example, options), options);
    JitModule code = code_of(planned, options);
    std::string alone = trained_alone(*code.get(), pool.get());
    check_same(guarded_training(*code.get(), pool.get(), kThreads, kSteps), alone);
    check_same(guarded_training(*code.get(), nullptr, 1, kSteps), alone);
    // A plan that was written as text, and read.
    Module read = compile(parse_module(print(planned), "plan.ir"), options);
    JitModule again = code_of(read, options);
    check_same(guarded_training(*again.get(), pool.get(), kThreads, kSteps), alone);
  }
}

TEST_CASE("so does a step in half of the bytes, for any threads and budget", "[whole_step]") {
  Pool pool(gradc_pool_create(kThreads));
  for (DType dtype : {DType::bf16, DType::f16})
    for (std::string example : {"resnet20", "gpt", "lstm"}) {
      CAPTURE(example, to_string(dtype));
      Options options = small_training(example);
      if (example == "lstm")
        options.binds["hidden"] = 64;  // with less, one product alone takes the whole arena
      Module imported = load_example(example, options);
      std::string in_f32 =
          trained_alone(*code_of(compile(imported, options), options).get(), nullptr);
      options.precision = dtype;
      Module planned = compile(imported, options);
      JitModule code = code_of(planned, options);
      std::string alone = trained_alone(*code.get(), pool.get());
      CHECK(alone.size() == in_f32.size());
      CHECK((alone != in_f32));
      check_same(guarded_training(*code.get(), nullptr, 1, kSteps), alone);
      options.memory = *planned.function("train_step").arena_bytes * 19 / 20;
      JitModule tight = code_of(compile(imported, options), options);
      check_same(guarded_training(*tight.get(), pool.get(), kThreads, kSteps), alone);
    }
}

// The gradient of x w by w is 1e-9 x, which no f16 can hold unless it is made larger on its way.
TEST_CASE("small gradients vanish in f16 without a loss scale", "[whole_step]") {
  const std::string text = R"(module @m
param @w: f32[4,4]

entry @init() {
forward:
  %w: f32[4,4] = constant() {dtype=f32, shape=[4,4], value=0.5}
  return %w -> @w
}

entry @infer(%x: f32[2,4], %w: f32[4,4] = @w) {
forward:
  %p: f32[2,4] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  return p=%p
}

entry @train_step(%x: f32[2,4], %lr: f32[], %step: i64[], %total_steps: i64[], %seed: i64[], %w: f32[4,4] = @w) {
forward:
  %p: f32[2,4] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %small: f32[2,4] = constant() {dtype=f32, shape=[2,4], value=1e-09}
  %q: f32[2,4] = mul(%p, %small)
  %loss: f32[] = reduce_sum(%q) {axes=[0,1]}
  return loss=%loss
}
)";
  auto moves = [&](double scale) {
    Options options = native_training(1);
    options.optimizer.kind = OptimizerKind::adam;
    options.precision = DType::f16;
    options.loss_scale = scale;
    JitModule code = code_of(compile(parse_module(text, "m.ir"), options), options);
    Training training(*code.get(), nullptr);
    gradc_instance* instance = training.instance();
    auto* w =
        static_cast<const float*>(gradc_state_data(instance, gradc_find_state(code.get(), "w")));
    REQUIRE(training.step());
    return w[0] != 0.5f;
  };
  CHECK_FALSE(moves(1));
  CHECK(moves(65536));
}

TEST_CASE("so does a step that recomputes, and its bits are the same", "[whole_step]") {
  Pool pool(gradc_pool_create(kThreads));
  for (std::string example : {"resnet20", "gpt", "unet"}) {
    CAPTURE(example);
    Options options = small_training(example);
    Module imported = load_example(example, options);
    Module planned = compile(imported, options);
    options.memory = *planned.function("train_step").arena_bytes * 8 / 10;
    Module tight = compile(imported, options);
    CHECK(tight.function("train_step").ops.size() > planned.function("train_step").ops.size());
    JitModule code = code_of(planned, options), tight_code = code_of(tight, options);
    check_same(guarded_training(*tight_code.get(), pool.get(), kThreads, kSteps),
               trained_alone(*code.get(), pool.get()));
  }
}

TEST_CASE("models and instances that take turns do not disturb each other", "[whole_step]") {
  JitModule lenet = compiled("lenet"), lstm = compiled("lstm");
  Pool pool(gradc_pool_create(kThreads));
  Training a(*lenet.get(), pool.get(), 1), b(*lstm.get(), pool.get(), 1),
      c(*lenet.get(), pool.get(), 2);
  for (int i = 0; i < kSteps; ++i)
    for (Training* training : {&a, &b, &c})
      REQUIRE(training->step());
  check_same(a.bytes(), trained_alone(*lenet.get(), pool.get(), 1));
  check_same(b.bytes(), trained_alone(*lstm.get(), pool.get(), 1));
  check_same(c.bytes(), trained_alone(*lenet.get(), pool.get(), 2));
  CHECK((a.bytes() != c.bytes()));
}

TEST_CASE("models and instances that run at once do not disturb each other", "[whole_step]") {
  constexpr int kManySteps = 30;
  JitModule lenet = compiled("lenet"), lstm = compiled("lstm");
  Pool shared(gradc_pool_create(kThreads)), own(gradc_pool_create(kThreads));
  // Two instances of one model with a pool each, two models on one pool.
  struct Pair {
    const gradc_module* first;
    const gradc_module* second;
    gradc_pool* pool;
  };
  for (const Pair& pair :
       {Pair{lenet.get(), lenet.get(), own.get()}, Pair{lenet.get(), lstm.get(), shared.get()}}) {
    Training a(*pair.first, shared.get(), 1), b(*pair.second, pair.pool, 2);
    auto train = [](Training& training, bool& done) {
      done = true;
      for (int i = 0; i < kManySteps; ++i)
        done = training.step() && done;
    };
    bool a_done = false, b_done = false;
    std::thread first(train, std::ref(a), std::ref(a_done));
    std::thread second(train, std::ref(b), std::ref(b_done));
    first.join();
    second.join();
    CHECK(a_done);
    CHECK(b_done);
    check_same(a.bytes(), trained_alone(*pair.first, nullptr, 1, kManySteps));
    check_same(b.bytes(), trained_alone(*pair.second, nullptr, 2, kManySteps));
  }
}

TEST_CASE("inference has the same bits whether its weights were packed before or not",
          "[whole_step]") {
  Pool pool(gradc_pool_create(kThreads));
  for (std::string example : {"resnet20", "unet"}) {
    CAPTURE(example);
    Options options = small_training(example);
    options.train = false;
    Module imported = load_example(example, options);
    PipelineObserver unpacked;
    unpacked.skip = {"prepack"};
    std::vector<std::string> bytes;
    for (const PipelineObserver& observer : {PipelineObserver{}, unpacked}) {
      Module planned = compile(imported, options, observer);
      CHECK((planned.find_function(kPrepare) != nullptr) == observer.skip.empty());
      JitModule code = code_of(planned, options);
      gradc_instance* instance = nullptr;
      REQUIRE(gradc_create(code.get(), pool.get(), nullptr, &instance) == GRADC_OK);
      for (std::string_view name : {kInit, kInfer}) {
        const gradc_entry& entry = entry_of(*code.get(), name);
        EntryBuffers buffers(entry, 1);
        CHECK(gradc_run(instance, &entry, buffers.inputs(), buffers.outputs()) == GRADC_OK);
        bytes.push_back(buffers.output_bytes());
      }
      gradc_destroy(instance);
    }
    check_same(bytes[1], bytes[3]);
  }
}
