#include "compiler/check.h"

#include <cmath>

#include "compiler/entries.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

// splitmix64 (Steele et al. 2014): any seed, one multiply chain a number.
class Random {
 public:
  Random(const std::string& name, uint64_t seed) : state_(seed) {
    for (char c : name)
      state_ = state_ * 1099511628211u + static_cast<unsigned char>(c);
  }

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  double between(double low, double high) {
    return low + (high - low) * static_cast<double>(next() >> 11) * 0x1p-53;
  }

 private:
  uint64_t state_;
};

Tensor random_tensor(const Type& type, const std::string& name, double low, uint64_t seed) {
  Random random(name, seed);
  Tensor tensor{type, std::vector<double>(static_cast<size_t>(type.elements()))};
  for (double& value : tensor.data)
    value = is_float(type.dtype) ? random.between(low, 1) : static_cast<double>(random.next() & 1);
  return tensor;
}

std::string shown(const Result& result) {
  return result.name.empty() ? "@" + result.state : "`" + result.name + "`";
}

bool is_same_result(const Result& a, const Result& b) {
  return a.name.empty() ? !a.state.empty() && a.state == b.state : a.name == b.name;
}

std::optional<std::string> difference(const Tensor& a, const Tensor& b, double tolerance) {
  if (a.type != b.type)
    return fmt::format("{} became {}", to_string(a.type), to_string(b.type));
  double scale = 1e-30;
  for (double value : a.data)
    if (std::isfinite(value))
      scale = std::max(scale, std::abs(value));
  for (size_t i = 0; i < a.data.size(); ++i) {
    bool same = a.data[i] == b.data[i] || (std::isnan(a.data[i]) && std::isnan(b.data[i])) ||
                std::abs(a.data[i] - b.data[i]) <= tolerance * scale;
    if (!same)
      return fmt::format("element {} was {:.17g}, became {:.17g}", i, a.data[i], b.data[i]);
  }
  return std::nullopt;
}

// Whether both take inputs of the same types: accumulation makes them longer.
bool same_inputs(const Function& a, const Function& b) {
  for (const Parameter& parameter : a.parameters)
    if (const Parameter* other = b.find_parameter(a[parameter.value].name))
      if (parameter.state.empty() && a.type(parameter.value) != b.type(other->value))
        return false;
  return true;
}

std::optional<std::string> difference(const Module& before, const Function& old,
                                      const Module& after, const Function& changed,
                                      double tolerance, uint64_t seed) {
  State old_state = random_state(before, seed), new_state = random_state(after, seed);
  std::vector<Tensor> a = eval(before, old, random_arguments(old, seed), old_state);
  std::vector<Tensor> b = eval(after, changed, random_arguments(changed, seed), new_state);
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < b.size(); ++j)
      if (is_same_result(old.results[i], changed.results[j]))
        if (auto what = difference(a[i], b[j], tolerance))
          return fmt::format("result {} of @{}: {}", shown(old.results[i]), old.name, *what);
  return std::nullopt;
}

}  // namespace

State random_state(const Module& module, uint64_t seed) {
  State state;
  for (const StateTensor& tensor : module.states)
    state[tensor.name] =
        random_tensor(tensor.type, tensor.name, tensor.role == Role::parameter ? -1.0 : 0.2, seed);
  if (const Function* prepare = module.find_function(kPrepare))
    eval(module, *prepare, {}, state);
  return state;
}

std::vector<Tensor> random_arguments(const Function& entry, uint64_t seed) {
  std::vector<Tensor> arguments;
  for (const Parameter& parameter : entry.parameters)
    if (parameter.state.empty())
      arguments.push_back(
          random_tensor(entry.type(parameter.value), entry[parameter.value].name, -1.0, seed));
  return arguments;
}

std::optional<std::string> first_difference(const Module& before, const Module& after,
                                            double tolerance, uint64_t seed) {
  for (const Function& function : before.functions)
    if (const Function* changed = after.find_function(function.name))
      if (function.kind == FunctionKind::entry && same_inputs(function, *changed))
        if (auto what = difference(before, function, after, *changed, tolerance, seed))
          return what;
  return std::nullopt;
}

}  // namespace gradc
