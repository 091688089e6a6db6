// gradc_model.hpp: a compiled model in C++17, over gradc_runtime.h. `gradc compile` writes a header
// for each model with a class that derives from gradc::Model and a struct for each entry's
// arguments; docs/embedding.md shows how they are used.
#ifndef GRADC_MODEL_HPP
#define GRADC_MODEL_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradc_runtime.h"

namespace gradc {

// What the runtime refuses, in its words.
class Error : public std::runtime_error {
 public:
  Error(gradc_status status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  gradc_status status() const noexcept { return status_; }

 private:
  gradc_status status_;
};

inline void check(gradc_status status) {
  if (status != GRADC_OK)
    throw Error(status, gradc_last_error());
}

// Worker threads. Models may share a pool: while it works for one, another that runs at the same
// time computes on its calling thread alone.
using Pool = std::shared_ptr<gradc_pool>;

// `threads` includes the thread that calls; 0 means one per core.
inline Pool make_pool(int threads = 0) {
  gradc_pool* pool = gradc_pool_create(threads);
  if (!pool)
    throw Error(GRADC_OUT_OF_MEMORY, "no memory for a pool of threads");
  return Pool(pool, gradc_pool_destroy);
}

// The element type of gradc_runtime.h for T. f16 and bf16 are held as uint16_t, bool as uint8_t.
template <typename T>
bool holds(std::uint8_t dtype) {
  switch (dtype) {
    case GRADC_F32:
      return std::is_same_v<T, float>;
    case GRADC_F64:
      return std::is_same_v<T, double>;
    case GRADC_F16:
    case GRADC_BF16:
      return std::is_same_v<T, std::uint16_t>;
    case GRADC_I8:
      return std::is_same_v<T, std::int8_t>;
    case GRADC_U8:
    case GRADC_BOOL:
      return std::is_same_v<T, std::uint8_t>;
    case GRADC_I16:
      return std::is_same_v<T, std::int16_t>;
    case GRADC_I32:
      return std::is_same_v<T, std::int32_t>;
    case GRADC_I64:
      return std::is_same_v<T, std::int64_t>;
    default:
      return false;
  }
}

// A model with its memory: parameters, optimizer state and arena are allocated here, or are the
// caller's, and nothing is allocated while it runs. One thread at a time may use a model; different
// models are independent of each other.
class Model {
 public:
  using Metadata = std::map<std::string, std::string>;

  const gradc_module& module() const noexcept { return *module_; }
  gradc_instance* instance() const noexcept { return instance_.get(); }

  // Checkpoints: parameters, buffers and optimizer state in a safetensors file, which appears
  // complete or not at all. What else is to be kept, such as the step, goes into `metadata`.
  void save(const std::string& path, const Metadata& metadata = {}) const {
    save(path, true, metadata);
  }
  void load(const std::string& path) { load(path, true); }

  // Parameters and buffers alone: what inference needs, and what another model of the same network
  // takes.
  void save_weights(const std::string& path, const Metadata& metadata = {}) const {
    save(path, false, metadata);
  }
  void load_weights(const std::string& path) { load(path, false); }

  // The same from another model, by name: from one that is compiled for training to one for
  // inference at another batch size.
  void copy_weights(const Model& from) {
    for (std::uint32_t i = 0; i < module_->state_count; ++i) {
      const gradc_tensor& to = module_->state[i];
      if (is_weight(to) && !same_tensor(to, from))
        throw Error(GRADC_BAD_ARGUMENT,
                    std::string("model `") + from.module_->name + "` has no tensor `" + to.name +
                        "` of the shape and type that model `" + module_->name + "` has");
    }
    for (std::uint32_t i = 0; i < module_->state_count; ++i) {
      const gradc_tensor& to = module_->state[i];
      if (is_weight(to))
        std::memcpy(gradc_state_data(instance(), &to),
                    gradc_state_data(from.instance(), gradc_find_state(from.module_, to.name)),
                    static_cast<std::size_t>(to.bytes));
    }
    has_weights_ = true;
  }

  // A parameter, buffer or moment by its name in the model, and its elements, row-major. To write
  // them, ask again after a run: what is derived from them is then made anew.
  const gradc_tensor& tensor(const std::string& name) const {
    const gradc_tensor* found = gradc_find_state(module_, name.c_str());
    if (!found)
      throw Error(GRADC_BAD_ARGUMENT,
                  std::string("model `") + module_->name + "` has no tensor `" + name + "`");
    return *found;
  }
  template <typename T>
  T* data(const std::string& name) {
    const gradc_tensor& found = tensor(name);
    if (!holds<std::remove_const_t<T>>(found.dtype))
      throw Error(GRADC_BAD_ARGUMENT, "tensor `" + name + "` holds elements of another type");
    has_weights_ = has_weights_ || !std::is_const_v<T>;  // who may write them is trusted to
    return static_cast<T*>(gradc_state_data(instance(), &found));
  }

  // A thread pool of one's own instead, as gradc_set_parallel_for describes it.
  void set_parallel_for(gradc_parallel_for f, void* pool, int threads) {
    gradc_set_parallel_for(instance(), f, pool, threads);
  }

 protected:
  // With `memory`, its members that are not null are used instead of memory of the model's own; a
  // state given so counts as weights.
  Model(const gradc_module& module, Pool pool, const gradc_memory* memory)
      : module_(&module), pool_(std::move(pool)), has_weights_(memory && memory->state) {
    gradc_instance* instance = nullptr;
    check(gradc_create(module_, pool_.get(), memory, &instance));
    instance_.reset(instance);
  }

  // Runs an entry, except that an output which is null is written to memory of the model's own,
  // made when an output is left out for the first time.
  void call(const gradc_entry& entry, const void* const* inputs, void** outputs) {
    if (!has_weights_ && module_->state_count > 0)
      throw Error(GRADC_BAD_ARGUMENT, std::string("model `") + module_->name +
                                          "` has no weights yet: make or load them first");
    for (std::uint32_t i = 0; i < entry.output_count; ++i)
      if (!outputs[i])
        outputs[i] = unread(entry.outputs[i]);
    check(gradc_run(instance(), &entry, inputs, outputs));
  }
  // The entry that makes weights.
  void call_init(const gradc_entry& entry, std::int64_t seed) {
    const void* inputs[] = {&seed};
    has_weights_ = true;
    call(entry, inputs, nullptr);
  }
  // The entry that makes what an optimizer begins with, where weights come from elsewhere.
  void call_reset(const gradc_entry& entry) {
    check(gradc_run(instance(), &entry, nullptr, nullptr));
  }

 private:
  struct Destroy {
    void operator()(gradc_instance* instance) const { gradc_destroy(instance); }
  };

  void save(const std::string& path, bool with_optimizer, const Metadata& metadata) const {
    std::vector<const char*> pairs;
    for (const auto& pair : metadata) {
      pairs.push_back(pair.first.c_str());
      pairs.push_back(pair.second.c_str());
    }
    pairs.push_back(nullptr);
    check(gradc_save(instance(), path.c_str(), with_optimizer, pairs.data()));
  }
  void load(const std::string& path, bool with_optimizer) {
    check(gradc_load(instance(), path.c_str(), with_optimizer));
    has_weights_ = true;
  }
  static bool is_weight(const gradc_tensor& tensor) {
    return tensor.role == GRADC_PARAMETER || tensor.role == GRADC_BUFFER;
  }
  static bool same_tensor(const gradc_tensor& tensor, const Model& other) {
    const gradc_tensor* found = gradc_find_state(other.module_, tensor.name);
    return found && found->dtype == tensor.dtype && found->rank == tensor.rank &&
           std::equal(tensor.dims, tensor.dims + tensor.rank, found->dims);
  }
  void* unread(const gradc_tensor& output) {
    std::vector<char>& bytes = unread_[&output];
    bytes.resize(static_cast<std::size_t>(output.bytes));
    return bytes.data();
  }

  const gradc_module* module_;
  Pool pool_;
  std::unique_ptr<gradc_instance, Destroy> instance_;
  std::map<const gradc_tensor*, std::vector<char>> unread_;
  bool has_weights_;
};

// What a file that was saved holds under a key of its metadata; throws when there is none.
inline std::string metadata(const std::string& path, const std::string& key) {
  std::string value(4096, '\0');
  check(gradc_metadata(path.c_str(), key.c_str(), value.data(), value.size()));
  value.resize(std::strlen(value.c_str()));
  return value;
}

}  // namespace gradc

#endif
