// Whole models against another implementation: loss, results, gradients of parameters and inputs,
// and running statistics, as recorded by tests/data/references/make_references.py.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "compiler/entries.h"
#include "compiler/import/model_text.h"
#include "compiler/pipeline.h"
#include "ir/eval.h"
#include "tools/io/elements.h"
#include "tools/io/npz.h"

using namespace gradc;

namespace {

using Arrays = std::map<std::string, Tensor>;

std::string path_of(const std::string& file) {
  return GRADC_SOURCE_DIR "/tests/data/references/" + file;
}

Arrays read_arrays(const std::string& path) {
  Arrays arrays;
  for (const NamedArray& array : read_npz(path)) {
    Tensor tensor{array.type, std::vector<double>(static_cast<size_t>(array.type.elements()))};
    convert_elements(array.type.dtype, array.data, DType::f64,
                     std::as_writable_bytes(std::span(tensor.data)));
    arrays[array.name] = std::move(tensor);
  }
  return arrays;
}

Tensor typed(const Tensor& tensor, const Type& type) {
  REQUIRE(tensor.type.dims == type.dims);
  return {type, tensor.data};
}

std::vector<Tensor> arguments_for(const Function& function, const Arrays& reference) {
  std::vector<Tensor> arguments;
  for (const Parameter& parameter : function.parameters) {
    const Value& value = function[parameter.value];
    if (!parameter.state.empty())
      continue;
    if (is_control_input(value.name))
      arguments.push_back({value.type, {0}});
    else
      arguments.push_back(typed(reference.at(value.name), value.type));
  }
  return arguments;
}

void check_close(const std::string& name, const Tensor& actual, const Tensor& expected) {
  INFO(name);
  REQUIRE(actual.type.dims == expected.type.dims);
  for (size_t i = 0; i < actual.data.size(); ++i) {
    double magnitude = std::max(1.0, std::abs(expected.data[i]));
    CHECK(std::abs(actual.data[i] - expected.data[i]) < 1e-10 * magnitude);
  }
}

// Evaluates train_step and holds everything that the reference knows to it. Returns how many
// tensors that were.
size_t compare(const Module& module, const Arrays& reference) {
  State state;
  for (const StateTensor& tensor : module.states)
    state[tensor.name] = typed(reference.at("state/" + tensor.name), tensor.type);
  const Function& function = module.function(kTrainStep);
  std::vector<Tensor> results = eval(module, function, arguments_for(function, reference), state);
  size_t compared = 0;
  for (size_t i = 0; i < results.size(); ++i)
    if (auto expected = reference.find(function.results[i].name); expected != reference.end()) {
      check_close(expected->first, results[i], expected->second);
      ++compared;
    }
  for (const auto& [name, tensor] : state)
    if (auto expected = reference.find("new/" + name); expected != reference.end()) {
      check_close(expected->first, tensor, expected->second);
      ++compared;
    }
  return compared;
}

// What the reference holds that a training step computes.
size_t results_in(const Arrays& reference, const Module& module) {
  const Function& function = module.function(kTrainStep);
  size_t given = 0;
  for (const auto& [name, tensor] : reference)
    given += name.starts_with("state/") || function.find_parameter(name) != nullptr;
  return reference.size() - given;
}

void check_model(const std::string& name) {
  INFO(name);
  Arrays reference = read_arrays(path_of(name + ".npz"));
  std::ifstream file(path_of(name + ".model"));
  std::stringstream text;
  text << file.rdbuf();
  Options options;
  options.train = true;
  options.update = false;
  options.input_gradients = true;
  Module imported = import_model_text(text.str(), name + ".model", options);
  size_t results = results_in(reference, imported);
  REQUIRE(results > 10);
  for (bool expand_all : {false, true}) {
    options.expand_all = expand_all;
    PipelineObserver observer;
    for (const char* stage : {"autodiff", "fuse"}) {
      INFO("after " << stage << (expand_all ? ", all composites expanded first" : ""));
      observer.stop_after = stage;
      CHECK(compare(run_pipeline(imported, options, observer), reference) == results);
    }
  }
}

}  // namespace

TEST_CASE("a convolutional network has its reference's gradients", "[references]") {
  check_model("convnet");
}

TEST_CASE("a transformer has its reference's gradients", "[references]") {
  check_model("transformer");
}

TEST_CASE("recurrent layers have their reference's gradients", "[references]") {
  check_model("recurrent");
}
