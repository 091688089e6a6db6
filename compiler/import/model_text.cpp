#include "compiler/import/model_text.h"

#include <algorithm>
#include <set>

#include "compiler/import/model_init.h"
#include "compiler/import/model_interpreter.h"
#include "compiler/import/model_parser.h"

namespace gradc {

std::string_view kLayerLibrary();  // the text of nn.model, made by cmake/embed.cmake

namespace model_text {
namespace {

// Evaluates dims, input types and binds, which need no function under construction.
class Header {
 public:
  Header(const Program& program, const Options& options)
      : program_(program),
        options_(options),
        trace_("header", false, bodies_),
        interpreter_(program, globals_, trace_) {
    bind_shapes();
    for (const DimDecl& dim : program.file.dims)
      globals_[dim.name.text] = {dim_value(dim)};
    for (const Input& input : program.file.model->inputs)
      input_types_.push_back(input_type(input));
    check_options();
  }

  Variables globals(bool training) const {
    Variables all = globals_;
    all["training"] = {training};
    return all;
  }
  const std::vector<Type>& input_types() const { return input_types_; }

  // The value that --bind gives to an integer input, if it does.
  std::optional<int64_t> bound_input(const Input& input) const {
    auto bind = options_.binds.find(input.name.text);
    return bind == options_.binds.end() ? std::nullopt : std::optional(bind->second);
  }

 private:
  // --shape binds the dims that an input's sizes name.
  void bind_shapes() {
    for (const Input& input : program_.file.model->inputs) {
      auto given = options_.shapes.find(input.name.text);
      if (given == options_.shapes.end())
        continue;
      if (given->second.size() != input.sizes.size())
        throw UserError("",
                        fmt::format("--shape {}={}: the input has {} axes", input.name.text,
                                    to_string(given->second), input.sizes.size()),
                        Fault::command_line);
      for (size_t i = 0; i < input.sizes.size(); ++i)
        if (input.sizes[i]->kind == ExprKind::name)
          from_shapes_[input.sizes[i]->text] = given->second[i];
    }
  }

  int64_t dim_value(const DimDecl& dim) {
    const std::string& name = dim.name.text;
    if (globals_.contains(name))
      fail_at(dim.name.position, "dim `{}` is declared twice", name);
    if (auto bind = options_.binds.find(name); bind != options_.binds.end())
      return bind->second;
    if (auto bind = from_shapes_.find(name); bind != from_shapes_.end())
      return bind->second;
    if (!dim.value)
      fail_at(dim.name.position, "dim `{}` has no value; bind it with --bind {}=VALUE", name, name);
    Value value = interpreter_.evaluate(*dim.value);
    if (!value.get<int64_t>())
      fail_at(dim.value->position, "a dim must be a whole number, `{}` is {}", name,
              describe(value));
    return *value.get<int64_t>();
  }

  Type input_type(const Input& input) {
    Type type{input.dtype, {}};
    try {
      for (const ExprPtr& size : input.sizes)
        type.dims.push_back(whole_number(interpreter_.evaluate(*size), "a size"));
      check_size(type.dims);
    } catch (const UserError& error) {
      if (!error.place().empty())
        throw;
      throw located(error, input.name.position);
    }
    auto given = options_.shapes.find(input.name.text);
    if (given != options_.shapes.end() && given->second != type.dims)
      throw UserError("",
                      fmt::format("--shape {}={}: the model says {}, and only dims can differ",
                                  input.name.text, to_string(given->second), to_string(type)),
                      Fault::command_line);
    return type;
  }

  // Every --bind and --shape must mean something.
  void check_options() const {
    std::vector<std::string> dims, inputs;
    for (const DimDecl& dim : program_.file.dims)
      dims.push_back(dim.name.text);
    for (const Input& input : program_.file.model->inputs)
      inputs.push_back(input.name.text);
    for (const auto& [name, value] : options_.binds) {
      auto input = std::find(inputs.begin(), inputs.end(), name);
      if (input == inputs.end())
        check_known("--bind", "dim", name, dims);
      else if (const Type& type = input_types_[static_cast<size_t>(input - inputs.begin())];
               type.rank() != 0 || !is_integer(type.dtype))
        throw UserError("",
                        fmt::format("--bind {}={}: the input is {}, only whole numbers can be "
                                    "bound",
                                    name, value, to_string(type)),
                        Fault::command_line);
    }
    for (const auto& [name, value] : options_.shapes)
      check_known("--shape", "input", name, inputs);
  }

  static void check_known(std::string_view flag, std::string_view kind, const std::string& name,
                          const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), name) != known.end())
      return;
    std::string near = nearest_name(name, known);
    throw UserError("",
                    fmt::format("{} {}: the model has no such {}{}", flag, name, kind,
                                near.empty() ? "" : fmt::format("; did you mean `{}`?", near)),
                    Fault::command_line);
  }

  const Program& program_;
  const Options& options_;
  Variables globals_;
  std::map<std::string, int64_t> from_shapes_;
  std::vector<Type> input_types_;
  std::vector<Function> bodies_;
  Trace trace_;
  Interpreter interpreter_;
};

// The results that inference gives. A label is an input that the loss needs and that no other
// result needs, those aside that need all that the loss does (an accuracy). What depends on a label
// is left out, and so is the loss, unless nothing else is there.
NamedTensors inference_results(const Trace& trace, const NamedTensors& results) {
  std::vector<std::vector<bool>> needs = trace.input_dependence(results);
  auto loss = std::find_if(results.begin(), results.end(),
                           [](const auto& result) { return result.first == "loss"; });
  if (loss == results.end() || results.size() == 1)
    return results;
  const std::vector<bool>& of_loss = needs[static_cast<size_t>(loss - results.begin())];
  std::vector<bool> of_others(of_loss.size());
  bool any_other = false;
  for (const std::vector<bool>& need : needs) {
    bool as_the_loss = true;
    for (size_t i = 0; i < need.size(); ++i)
      as_the_loss &= need[i] || !of_loss[i];
    if (as_the_loss)
      continue;
    any_other = true;
    for (size_t i = 0; i < need.size(); ++i)
      of_others[i] = of_others[i] || need[i];
  }
  NamedTensors kept;
  for (size_t r = 0; r < results.size(); ++r) {
    bool by_label = false;
    for (size_t i = 0; i < of_loss.size(); ++i)
      by_label |= any_other && needs[r][i] && of_loss[i] && !of_others[i];
    if (!by_label && results[r].first != "loss")
      kept.push_back(results[r]);
  }
  return kept;
}

void check_loss(const ModelDecl& model, const Trace& trace, const NamedTensors& results) {
  for (const auto& [name, tensor] : results)
    if (name == "loss") {
      const Type& type = trace.type(tensor);
      if (type.rank() != 0 || !is_float(type.dtype))
        fail_at(model.name.position,
                "the loss must be a scalar such as f32[], it is {}; "
                "take its mean",
                to_string(type));
      return;
    }
  fail_at(model.name.position, "model `{}` cannot be trained: no result is named `loss`",
          model.name.text);
}

// Adds the states that are not there yet; the others must be the same ones.
void add_states(const std::vector<StateDecl>& from, const ModelDecl& model,
                std::vector<StateDecl>& states) {
  std::map<std::string, Type> known;
  for (const StateDecl& state : states)
    known[state.tensor.name] = state.tensor.type;
  for (const StateDecl& state : from) {
    auto [same, is_new] = known.emplace(state.tensor.name, state.tensor.type);
    if (is_new)
      states.push_back(state);
    else if (same->second != state.tensor.type)
      fail_at(model.name.position, "`{}` is {} in training and {} in inference", state.tensor.name,
              to_string(same->second), to_string(state.tensor.type));
  }
}

// Builds one entry and what it scans over into `module`; adds its states to `states`.
void build_entry(const Program& program, const Header& header, bool training, Module& module,
                 std::vector<StateDecl>& states) {
  const ModelDecl& model = *program.file.model;
  Trace trace(training ? "train_step" : "infer", training, module.functions);
  Variables inputs;
  for (size_t i = 0; i < model.inputs.size(); ++i) {
    const Input& input = model.inputs[i];
    trace.set_loc(place(input.name.position));
    if (std::optional<int64_t> bound = header.bound_input(input))
      inputs[input.name.text] = {trace.constant(header.input_types()[i], double(*bound))};
    else
      inputs[input.name.text] = {trace.input(header.input_types()[i], input.name.text)};
  }
  trace.inputs_done();
  Variables globals = header.globals(training);
  NamedTensors results = Interpreter(program, globals, trace).run_model(inputs);
  if (training)
    check_loss(model, trace, results);
  module.functions.push_back(trace.finish(training ? results : inference_results(trace, results)));
  add_states(trace.states(), model, states);
}

// Drops states that no entry reads or writes.
void drop_unused(const Module& module, std::vector<StateDecl>& states) {
  std::set<std::string> used;
  for (const Function& function : module.functions) {
    for (const gradc::Parameter& parameter : function.parameters)
      used.insert(parameter.state);
    for (const Result& result : function.results)
      used.insert(result.state);
  }
  std::erase_if(states, [&](const StateDecl& s) { return !used.contains(s.tensor.name); });
}

}  // namespace
}  // namespace model_text

Module import_model_text(std::string_view text, const std::string& file, const Options& options) {
  using namespace model_text;
  Program program{{file, text, false}, {"nn.model", kLayerLibrary(), true}, {}, {}};
  program.layers = parse_file(program.library);
  program.file = parse_file(program.user);
  if (!program.file.model)
    throw UserError(file, "the file describes no model; write `model NAME(inputs) { ... }`");
  Header header(program, options);
  Module module;
  module.name = program.file.model->name.text;
  std::vector<StateDecl> states;
  if (options.train)
    build_entry(program, header, true, module, states);
  build_entry(program, header, false, module, states);
  drop_unused(module, states);
  for (const StateDecl& state : states)
    module.states.push_back(state.tensor);
  module.functions.insert(module.functions.begin(), init_entry(states));
  return module;
}

}  // namespace gradc
