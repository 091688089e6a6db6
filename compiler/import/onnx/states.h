#pragma once
// Tensors of the file that outlive a call: parameters, running statistics, tables. They are
// declared when an entry first reads them; both entries share them.
#include <map>
#include <string>
#include <vector>

#include "compiler/import/onnx/constant.h"
#include "ir/module.h"

namespace gradc::onnx {

class States {
 public:
  // `first` is the place in the file of initializers, by name; they come first among their peers.
  explicit States(std::map<std::string, size_t> first) : first_(std::move(first)) {}

  // The state tensor for the file's value `name`, declared if it is new. One that is a buffer
  // anywhere is a buffer.
  std::string declare(const std::string& name, const Constant& content, Role role,
                      const std::string& loc);
  // The file's name of a state.
  const std::string& source(const std::string& state) const;
  StateTensor& tensor(const std::string& state);
  // Parameters first, then buffers, each in the order of the file.
  std::vector<StateTensor> ordered() const;

 private:
  struct Entry {
    StateTensor tensor;
    std::string source;
    size_t order = 0;
  };
  std::map<std::string, size_t> first_;
  std::vector<Entry> entries_;
  std::map<std::string, size_t> by_source_, by_name_;
};

}  // namespace gradc::onnx
