#pragma once
// A model that is compiled and loaded in this process, with its memory: what train, run, grad and
// bench work on.
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/codegen/codegen.h"
#include "compiler/index_ranges.h"
#include "compiler/pipeline.h"
#include "ir/module.h"
#include "runtime/gradc_runtime.h"
#include "tools/commands/flags.h"
#include "tools/io/array.h"

namespace gradc {

class Session {
 public:
  // Imports flags.model, compiles and loads it, and gives its state the content of --weights, or
  // else of the model file, or of the initialisers with --seed.
  explicit Session(const ModelFlags& flags);
  // The same for a module that is imported already.
  Session(Module imported, const ModelFlags& flags, const PipelineObserver& observer = {});

  const Module& imported() const { return imported_; }
  const Module& planned() const { return planned_; }
  const gradc_module& abi() const { return *abi_; }
  gradc_instance* instance() const { return instance_.get(); }
  gradc_pool* pool() const { return pool_.get(); }
  const gradc_entry& entry(
      std::string_view name) const;  // fails when the model has none of this name
  double compile_milliseconds() const { return compile_milliseconds_; }
  int threads() const { return gradc_pool_threads(pool_.get()); }

  std::span<std::byte> state_bytes() const;
  void load(const std::string& path, bool with_optimizer);
  void save(const std::string& path, bool with_optimizer,
            const std::vector<std::pair<std::string, std::string>>& metadata) const;

 private:
  struct Destroy {
    void operator()(gradc_pool* pool) const { gradc_pool_destroy(pool); }
    void operator()(gradc_instance* instance) const { gradc_destroy(instance); }
  };

  void load_contents();

  Module imported_, planned_;
  double compile_milliseconds_ = 0;
  std::unique_ptr<JitModule> jit_;
  const gradc_module* abi_ = nullptr;
  std::unique_ptr<gradc_pool, Destroy> pool_;
  std::unique_ptr<gradc_instance, Destroy> instance_;
};

// An entry with buffers for its inputs and outputs.
class EntryCall {
 public:
  EntryCall(const Session& session, std::string_view entry);

  const gradc_entry& entry() const { return *entry_; }
  bool has_input(std::string_view name) const;
  bool has_output(std::string_view name) const;
  std::span<std::byte> input(std::string_view name);
  std::span<const std::byte> output(std::string_view name) const;
  Type input_type(std::string_view name) const;
  Type output_type(std::string_view name) const;
  // Gives a scalar input a value; does nothing when the entry has no such input.
  void set_scalar(std::string_view name, double value);
  float scalar_output(std::string_view name) const;
  // The scalar outputs of type f64 whose names begin so, without that beginning, in their order.
  std::vector<std::pair<std::string, double>> scalar_outputs(std::string_view prefix) const;
  std::vector<NamedArray> output_arrays() const;
  // Copies arrays to the inputs of their names; `control` inputs (lr, step, ...) keep their values.
  // Fails when an input has no array, or one of another number of elements; `file` is for messages.
  void feed(std::span<const NamedArray> arrays, const std::string& file);
  // Fails when an input holds an index or a class that is out of range; `data` is for messages.
  // `feed` asks this; who fills the inputs otherwise asks it before the run.
  void check_indices(const std::string& data) const;
  void run() const;

 private:
  gradc_instance* instance_;
  const gradc_entry* entry_;
  std::vector<std::vector<std::byte>> inputs_, outputs_;
  std::vector<const void*> input_pointers_;
  std::vector<void*> output_pointers_;
  std::map<std::string, IndexRange> index_ranges_;
};

Type type_of(const gradc_tensor& tensor);

// The arrays of --feed, before the model is imported: the array `target` says which axis of the
// output holds the classes for --loss, unless --shape does.
std::vector<NamedArray> read_feed(ModelFlags& flags, const std::string& path);

// How code is to be generated for a planned module, by the flags; the prefix is the module's name.
CodegenOptions codegen_options(const ModelFlags& flags, const Module& planned);

}  // namespace gradc
