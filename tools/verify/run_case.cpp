#include "tools/verify/run_case.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>

#include "compiler/entries.h"
#include "compiler/import/onnx/constant.h"
#include "compiler/import/onnx/coverage.h"
#include "compiler/import/onnx/onnx_file.h"
#include "compiler/import/onnx/onnx_import.h"
#include "ir/diagnostic.h"
#include "ir/eval.h"
#include "tools/session.h"

namespace gradc {
namespace {

// Values that may say a shape are short; what is longer is data.
constexpr int64_t kMostKnown = 1024;

std::vector<onnx::Tensor> read_tensors(const std::vector<std::string>& files) {
  std::vector<onnx::Tensor> tensors;
  for (const std::string& file : files)
    tensors.push_back(onnx::read_onnx_tensor(file));
  return tensors;
}

// Thrown for data of a type that is not ours, which may differ from the model's: bits of 16-bit
// floats are stored as whole numbers in places.
struct ForeignData {
  std::string file;
  onnx::ElementType type = 0;
};

Type type_of(const onnx::Tensor& tensor, const std::string& file) {
  if (!tensor.dtype)
    throw ForeignData{file, tensor.element_type};
  return {*tensor.dtype, tensor.dims};
}

// Inputs that are no initializers, in order: what the files are for.
std::vector<std::string> input_names(const onnx::Model& model) {
  std::set<std::string> initializers;
  for (const onnx::Tensor& tensor : model.graph.initializers)
    initializers.insert(tensor.name);
  std::vector<std::string> names;
  for (const onnx::ValueInfo& input : model.graph.inputs)
    if (!initializers.contains(input.name))
      names.push_back(input.name);
  return names;
}

// Imported for inputs of these shapes.
Module import_for(const onnx::Model& model, const std::vector<std::string>& names,
                  const std::vector<onnx::Tensor>& inputs, Options options, bool& knows_inputs) {
  for (size_t i = 0; i < names.size(); ++i)
    options.shapes[names[i]] = inputs[i].dims;
  try {
    return onnx::import_model(model, options);
  } catch (const UserError& error) {
    if (error.message().find(onnx::kMustBeKnown) == std::string::npos)
      throw;
  }
  knows_inputs = true;
  onnx::KnownInputs known;
  for (size_t i = 0; i < names.size(); ++i)
    if (inputs[i].dtype && element_count(inputs[i].dims) <= kMostKnown)
      known[names[i]] = {{*inputs[i].dtype, inputs[i].dims}, inputs[i].data};
  return onnx::import_model(model, options, known);
}

std::vector<NamedArray> run_natively(Module module, const std::vector<onnx::Tensor>& inputs,
                                     const VerifySettings& settings, const std::string& path) {
  ModelFlags flags = settings.model;
  flags.model = path;
  Session session(std::move(module), flags);
  EntryCall call(session, kInfer);
  size_t next = 0;
  for (uint32_t i = 0; i < call.entry().input_count; ++i) {
    std::string_view name = call.entry().inputs[i].name;
    if (is_control_input(name))
      continue;
    std::span<std::byte> to = call.input(name);
    std::span<const std::byte> from = inputs[next++].data.bytes;
    GRADC_CHECK(from.size() == to.size(), "input `{}` has {} bytes, the file {}", name, to.size(),
                from.size());
    std::copy(from.begin(), from.end(), to.begin());
  }
  call.check_indices(path);
  call.set_scalar(kSeed, static_cast<double>(flags.seed));
  call.run();
  return call.output_arrays();
}

std::vector<NamedArray> evaluate(const Module& module, const std::vector<onnx::Tensor>& inputs,
                                 const VerifySettings& settings) {
  State state;
  for (const StateTensor& each : module.states)
    state[each.name] = onnx::to_tensor({each.type, each.content});
  const Function& function = module.function(kInfer);
  std::vector<Tensor> arguments;
  size_t next = 0;
  for (const Parameter& parameter : function.parameters) {
    if (!parameter.state.empty())
      continue;
    bool is_seed = function[parameter.value].name == kSeed;
    Type type = function.type(parameter.value);
    if (is_control_input(function[parameter.value].name)) {
      arguments.push_back({type, {is_seed ? static_cast<double>(settings.model.seed) : 0}});
      continue;
    }
    arguments.push_back(onnx::to_tensor({type, inputs[next++].data}));
  }
  std::vector<Tensor> results = eval(module, function, arguments, state);
  std::vector<NamedArray> outputs;
  for (size_t i = 0; i < results.size(); ++i) {
    onnx::ConstantPtr stored = onnx::from_tensor(results[i]);
    std::span<const std::byte> bytes = stored->content.bytes;
    outputs.push_back({function.results[i].name, results[i].type, {bytes.begin(), bytes.end()}});
  }
  return outputs;
}

void compare_output(const NamedArray& got, const onnx::Tensor& wanted, const std::string& file,
                    const VerifySettings& settings, CaseResult& result) {
  Type type = type_of(wanted, file);
  if (got.type != type)
    throw UserError(file, fmt::format("output `{}` is {}, wanted is {}", got.name,
                                      to_string(got.type), to_string(type)));
  Difference found = difference(type, got.data, wanted.data.bytes, settings.tolerance);
  result.outputs.push_back({got.name, type, found});
  if (found.wrong == 0 || result.outcome == Outcome::failed)
    return;
  result.outcome = Outcome::failed;
  result.reason = fmt::format(
      "output `{}`: {} of {} elements are wrong, the first at {}: got {}, wanted {}", got.name,
      found.wrong, type.elements(), found.first_wrong, found.got, found.wanted);
}

void run_data_set(const onnx::Model& model, const DataSet& data, const VerifySettings& settings,
                  CaseResult& result) {
  std::vector<std::string> names = input_names(model);
  std::vector<onnx::Tensor> inputs = read_tensors(data.inputs);
  if (inputs.size() != names.size())
    throw UserError(data.folder,
                    fmt::format("has {} inputs, the model takes {}", inputs.size(), names.size()));
  for (size_t i = 0; i < inputs.size(); ++i)
    type_of(inputs[i], data.inputs[i]);
  std::vector<onnx::Tensor> wanted = read_tensors(data.outputs);
  for (size_t i = 0; i < wanted.size(); ++i)
    type_of(wanted[i], data.outputs[i]);
  if (wanted.size() != model.graph.outputs.size())
    throw UserError(data.folder, fmt::format("has {} outputs, the model gives {}", wanted.size(),
                                             model.graph.outputs.size()));
  Module module = import_for(model, names, inputs, settings.model.options, result.knows_inputs);
  std::vector<NamedArray> outputs =
      settings.evaluator ? evaluate(module, inputs, settings)
                         : run_natively(std::move(module), inputs, settings, model.path);
  for (size_t i = 0; i < wanted.size(); ++i)
    compare_output(outputs[i], wanted[i], data.outputs[i], settings, result);
}

std::string first_line(std::string text) {
  text.resize(std::min(text.find('\n'), text.size()));
  return text;
}

Outcome outcome_of(onnx::Gap::Kind kind) {
  switch (kind) {
    case onnx::Gap::Kind::op:
      return Outcome::unsupported_op;
    case onnx::Gap::Kind::type:
      return Outcome::unsupported_type;
    case onnx::Gap::Kind::strings:
      return Outcome::strings;
    case onnx::Gap::Kind::sequence:
      return Outcome::sequences;
  }
  GRADC_CHECK(false, "unknown gap");
}

// Why a case could not run: what the model has that cannot be taken, types before ops, as an op
// that only has such types is none of ours.
void explain(const UserError& error, const onnx::Model* model, CaseResult& result) {
  result.outcome = Outcome::failed;
  std::string place = error.place().empty() ? "" : error.place() + ": ";
  result.reason = first_line(place + error.message());
  if (!model)
    return;
  std::vector<onnx::Gap> gaps = onnx::find_gaps(*model);
  auto found = std::find_if(gaps.begin(), gaps.end(),
                            [](const onnx::Gap& gap) { return gap.kind != onnx::Gap::Kind::op; });
  if (found == gaps.end())
    found = gaps.begin();
  if (found != gaps.end()) {
    result.outcome = outcome_of(found->kind);
    result.reason = first_line(found->place + ": " + found->message);
  } else if (error.message().find(onnx::kMustBeKnown) != std::string::npos) {
    result.outcome = Outcome::data_dependent;
  } else if (error.message().find(onnx::kAtLeastOne) != std::string::npos) {
    result.outcome = Outcome::no_elements;
  }
}

// Places are in the case; its folder is said already.
std::string without_folder(std::string reason, const TestCase& test) {
  std::string folder = test.model.substr(0, test.model.size() - std::strlen("model.onnx"));
  if (reason.starts_with(folder))
    reason.erase(0, folder.size());
  return reason;
}

}  // namespace

std::string_view name_of(Outcome outcome) {
  constexpr std::string_view kNames[kOutcomeCount] = {
      "passed",  "failed",    "unsupported op",       "unsupported type",
      "strings", "sequences", "data-dependent shape", "no elements"};
  return kNames[static_cast<size_t>(outcome)];
}

CaseResult run_case(const TestCase& test, const VerifySettings& settings) {
  auto begin = std::chrono::steady_clock::now();
  CaseResult result;
  std::optional<onnx::Model> model;
  try {
    model = onnx::read_onnx(test.model);
    if (test.data_sets.empty())
      throw UserError(test.model, "has no test_data_set_0 beside it");
    for (const DataSet& data : test.data_sets)
      run_data_set(*model, data, settings, result);
  } catch (const ForeignData& data) {
    bool is_string = onnx::name_of(data.type) == "STRING";
    result.outcome = is_string ? Outcome::strings : Outcome::unsupported_type;
    result.reason = fmt::format("{}: holds {}", data.file, onnx::name_of(data.type));
  } catch (const UserError& error) {
    explain(error, model ? &*model : nullptr, result);
  } catch (const std::exception& error) {  // the other cases go on
    result.outcome = Outcome::failed;
    result.reason = first_line(fmt::format("a bug of gradc: {}", error.what()));
  }
  result.reason = without_folder(result.reason, test);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace gradc
