// Scans: their statement, of the interpreter.
#include "compiler/import/model_interpreter.h"

namespace gradc::model_text {

// The body runs once, symbolically, in a scope that starts as a copy of this one. After it only the
// carried and the collected variables are set.
void Interpreter::scan(const Statement& statement) {
  Trace::ScanShape shape = scan_shape(statement);
  Variables& variables = frames_.back().variables;
  Variables outside = variables;
  for (const Name& name : statement.collects)
    variables.erase(name.text);
  set_all(statement.carries, statement.names, trace_.open_scan(shape));
  if (execute(statement.body) == Flow::returned)
    fail("a scan cannot be left by `return`");
  std::vector<TensorRef> results = body_results(statement, shape);
  variables = std::move(outside);
  trace_.set_loc(place(user_position(statement.position)));
  set_all(statement.carries, statement.collects, trace_.close_scan(shape, results));
}

// What the scan carries and goes over.
Trace::ScanShape Interpreter::scan_shape(const Statement& statement) {
  Trace::ScanShape shape;
  shape.reverse = statement.reverse;
  const Variables& variables = frames_.back().variables;
  for (const Name& name : statement.carries) {
    auto found = variables.find(name.text);
    if (found == variables.end())
      fail("`{}` is carried, but has no value before the scan", name.text);
    shape.carries.push_back(tensor(found->second, fmt::format("the carried `{}`", name.text)));
  }
  for (const ExprPtr& expr : statement.values) {
    shape.sequences.push_back(tensor(eval(*expr), "what a scan goes over"));
    Type type = trace_.type(shape.sequences.back()), first = trace_.type(shape.sequences[0]);
    if (type.dims.empty())
      fail("a scan goes over the first axis of a tensor, and a scalar has none");
    if (type.dims[0] != first.dims[0])
      fail("the scan's sequences differ in length: {} and {}", to_string(first), to_string(type));
  }
  return shape;
}

// What the body carries on, then what it gives to be collected.
std::vector<TensorRef> Interpreter::body_results(const Statement& statement,
                                                 const Trace::ScanShape& shape) const {
  const Variables& variables = frames_.back().variables;
  std::vector<TensorRef> results;
  for (const Name& name : statement.carries) {
    Type before = trace_.type(shape.carries[results.size()]);
    results.push_back(tensor(variables.at(name.text), fmt::format("the carried `{}`", name.text)));
    Type after = trace_.type(results.back());
    if (after != before)
      fail("`{}` enters the scan as {} and leaves its body as {}", name.text, to_string(before),
           to_string(after));
  }
  for (const Name& name : statement.collects) {
    if (!variables.contains(name.text))
      fail("`{}` is collected, but the body does not set it", name.text);
    results.push_back(
        tensor(variables.at(name.text), fmt::format("the collected `{}`", name.text)));
  }
  return results;
}

void Interpreter::set_all(const std::vector<Name>& first, const std::vector<Name>& second,
                          const std::vector<TensorRef>& tensors) {
  for (size_t i = 0; i < tensors.size(); ++i)
    set(i < first.size() ? first[i] : second[i - first.size()], {tensors[i]}, 0);
}

}  // namespace gradc::model_text
