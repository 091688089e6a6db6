// The shipped examples import, and no damaged one does harm.
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <random>
#include <sstream>

#include "compiler/import/model_text.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"

using namespace gradc;

namespace {

const std::vector<std::string> kExamples = {"deep_mlp", "gpt",      "lenet",  "lstm", "mlp",
                                            "resnet18", "resnet20", "revnet", "unet", "vanishing"};

std::string text_of(const std::string& example) {
  std::ifstream file(std::string(GRADC_SOURCE_DIR) + "/examples/" + example + ".model");
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Module imported(const std::string& example) {
  Options options;
  options.train = true;
  return import_model_text(text_of(example), example + ".model", options);
}

int64_t parameter_count(const Module& module) {
  int64_t count = 0;
  for (const StateTensor& state : module.states)
    count += state.role == Role::parameter ? state.type.elements() : 0;
  return count;
}

}  // namespace

TEST_CASE("every example imports, verifies and round-trips as text", "[model][examples]") {
  for (const std::string& example : kExamples) {
    CAPTURE(example);
    Module module = imported(example);
    CHECK(module.name == example);
    verify(module);
    std::string text = print(module);
    CHECK(print(parse_module(text, example + ".ir")) == text);
    const Function& train = module.function("train_step");
    REQUIRE(train.find_result("loss"));
    CHECK(train.type(train.find_result("loss")->value) == scalar_type(DType::f32));
    CHECK(module.function("infer").find_result("loss") == nullptr);
  }
}

TEST_CASE("the examples have the sizes of their models elsewhere", "[model][examples]") {
  // mlp, lenet, resnet20, resnet18 and deep_mlp: what PyTorch counts for the same layers.
  CHECK(parameter_count(imported("mlp")) == 669'706);
  CHECK(parameter_count(imported("lenet")) == 857'738);
  CHECK(parameter_count(imported("resnet20")) == 272'186);
  CHECK(parameter_count(imported("resnet18")) == 11'173'962);
  CHECK(parameter_count(imported("deep_mlp")) == 64 * (512 * 512 + 512) + 5'130);
}

// Bytes replaced, lines doubled or dropped: either it still is a model, or the error has a place.
TEST_CASE("damaged examples give errors, not crashes", "[model][examples]") {
  constexpr int kMost = 3000;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  std::mt19937 random(1);
  std::vector<std::string> texts;
  for (const std::string& example : kExamples)
    texts.push_back(text_of(example));
  const std::string alphabet = "abx019 .,:=+-*/%()[]{}<>|\"#\n\t_\x01\xff";
  int runs = 0, errors = 0;
  for (; runs < kMost && std::chrono::steady_clock::now() < deadline; ++runs) {
    std::string text = texts[static_cast<size_t>(runs) % texts.size()];
    auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
    for (size_t edits = 1 + below(4); edits > 0; --edits) {
      size_t place = below(text.size());
      switch (below(4)) {
        case 0:
          text[place] = alphabet[below(alphabet.size())];
          break;
        case 1:
          text.erase(place, 1 + below(12));
          break;
        case 2:
          text.insert(place, 1, alphabet[below(alphabet.size())]);
          break;
        default:
          text.insert(place, text.substr(below(text.size()), 1 + below(30)));
      }
    }
    Options options;
    options.train = runs % 2 == 0;
    try {
      verify(import_model_text(text, "damaged.model", options));
    } catch (const UserError& error) {
      ++errors;
      CHECK(error.place().find("damaged.model") == 0);
    }
  }
  CAPTURE(runs, errors);
  CHECK(errors > runs / 4);
  CHECK(runs >= static_cast<int>(kExamples.size()));
}
