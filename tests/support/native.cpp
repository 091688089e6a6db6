#include "tests/support/native.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <memory>

#include "compiler/codegen/target.h"
#include "compiler/passes/expand.h"
#include "compiler/passes/fuse.h"
#include "compiler/passes/schedule.h"
#include "compiler/plan/plan.h"
#include "ir/half.h"
#include "ir/verify.h"
#include "runtime/cpu.h"
#include "runtime/float_environment.h"
#include "runtime/gradc_runtime.h"
#include "runtime/guarded.h"

namespace gradc::test {
namespace {

// Calls f(T{}) with the C++ type that holds an element, for types that have one.
template <typename F>
void with_type(DType dtype, F f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::i8:
      return f(int8_t{});
    case DType::u8:
    case DType::boolean:
      return f(uint8_t{});
    case DType::i16:
      return f(int16_t{});
    case DType::i32:
      return f(int32_t{});
    case DType::i64:
      return f(int64_t{});
    case DType::f16:
    case DType::bf16:
      return f(uint16_t{});
  }
}

template <typename T>
T encoded(DType dtype, double value) {
  if (dtype == DType::f16)
    return static_cast<T>(f32_to_f16(static_cast<float>(value)));
  if (dtype == DType::bf16)
    return static_cast<T>(f32_to_bf16(static_cast<float>(value)));
  return static_cast<T>(value);
}

template <typename T>
double decoded(DType dtype, T value) {
  if (dtype == DType::f16)
    return f16_to_f32(static_cast<uint16_t>(value));
  if (dtype == DType::bf16)
    return bf16_to_f32(static_cast<uint16_t>(value));
  return static_cast<double>(value);
}

void write(const Tensor& tensor, void* bytes) {
  with_type(tensor.type.dtype, [&](auto zero) {
    for (size_t i = 0; i < tensor.data.size(); ++i)
      static_cast<decltype(zero)*>(bytes)[i] =
          encoded<decltype(zero)>(tensor.type.dtype, tensor.data[i]);
  });
}

Tensor read(const Type& type, const void* bytes) {
  Tensor tensor{type, std::vector<double>(static_cast<size_t>(type.elements()))};
  with_type(type.dtype, [&](auto zero) {
    for (size_t i = 0; i < tensor.data.size(); ++i)
      tensor.data[i] = decoded(type.dtype, static_cast<const decltype(zero)*>(bytes)[i]);
  });
  return tensor;
}

Type type_of(const gradc_tensor& tensor) {
  return {static_cast<DType>(tensor.dtype), Dims(tensor.dims, tensor.dims + tensor.rank)};
}

using Regions = std::vector<std::unique_ptr<GuardedRegion>>;

std::vector<void*> addresses(const Regions& regions) {
  std::vector<void*> result;
  for (const auto& region : regions)
    result.push_back(region->data());
  return result;
}

}  // namespace

Tensor as_stored(const Tensor& tensor) {
  std::vector<char> bytes(static_cast<size_t>(tensor.type.bytes()));
  write(tensor, bytes.data());
  return read(tensor.type, bytes.data());
}

CodegenOptions codegen_options(const std::string& cpu, int threads) {
  return {target_for(cpu), threads, "test", "none"};
}

Module planned_module(const Function& function, const CodegenOptions& codegen) {
  Options options;
  options.threads = codegen.threads;
  Module module;
  module.name = "test";
  module.functions = {function};
  module.functions[0].kind = FunctionKind::entry;
  options.target = codegen.target;
  for (auto pass : {expand, fuse, schedule, plan})
    module = pass(module, options);
  verify(module);
  return module;
}

std::vector<Tensor> run_entry(const gradc_module& module, std::span<const Tensor> arguments,
                              int threads) {
  REQUIRE(missing_cpu_feature(module.cpu_features).empty());  // asks for matrix units, too
  const gradc_entry& entry = module.entries[0];
  REQUIRE(entry.input_count == arguments.size());
  Regions inputs, outputs;
  for (const Tensor& argument : arguments) {
    inputs.push_back(std::make_unique<GuardedRegion>(static_cast<size_t>(argument.type.bytes())));
    write(argument, inputs.back()->data());
  }
  for (uint32_t i = 0; i < entry.output_count; ++i)
    outputs.push_back(std::make_unique<GuardedRegion>(entry.outputs[i].bytes));
  GuardedRegion arena(entry.arena_bytes);
  std::unique_ptr<gradc_pool, decltype(&gradc_pool_destroy)> pool(gradc_pool_create(threads),
                                                                  gradc_pool_destroy);
  gradc_context context = {.arena = arena.data(),
                           .parallel_for = gradc_pool_parallel_for,
                           .pool = pool.get(),
                           .threads = threads};
  {
    StrictFloats strict;
    entry.function(&context, addresses(inputs).data(), addresses(outputs).data());
  }
  std::vector<Tensor> results;
  for (uint32_t i = 0; i < entry.output_count; ++i)
    results.push_back(read(type_of(entry.outputs[i]), outputs[i]->data()));
  bool intact = arena.intact();
  for (const Regions* regions : {&inputs, &outputs})
    for (const auto& region : *regions)
      intact = intact && region->intact();
  CHECK(intact);
  return results;
}

std::vector<Tensor> run_native(const Function& function, std::span<const Tensor> arguments,
                               const std::string& cpu, int threads) {
  CodegenOptions options = codegen_options(cpu, threads);
  JitModule code(planned_module(function, options), options);
  return run_entry(*code.get(), arguments, threads);
}

}  // namespace gradc::test
