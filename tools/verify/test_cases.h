#pragma once
// ONNX's test folders: a case is a folder with model.onnx and, in test_data_set_N, the inputs
// input_0.pb, input_1.pb, ... and the outputs output_0.pb, ... that are wanted for them.
#include <string>
#include <vector>

namespace gradc {

struct DataSet {
  std::string folder;
  std::vector<std::string> inputs, outputs;  // files, by number
};

struct TestCase {
  std::string name;  // of the folder
  std::string model;
  std::vector<DataSet> data_sets;
};

// The cases in these folders, which are cases or hold some at any depth, sorted by name within
// each. Fails when a folder is not there or holds no case.
std::vector<TestCase> find_test_cases(const std::vector<std::string>& folders);

}  // namespace gradc
