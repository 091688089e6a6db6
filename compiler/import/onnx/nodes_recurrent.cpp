// LSTM, GRU and RNN: per direction one product for the inputs of all steps, then a scan.
#include <algorithm>

#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "compiler/import/onnx/recurrent_gates.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// One direction of a node.
struct Direction {
  ValueId inputs;  // [steps, batch, gates * hidden], biases added
  ValueId goes_on;  // bool [steps, batch]: whether the sequence goes on; invalid: all do
  ValueId recurrent;  // [gates * hidden, hidden]
  ValueId last;  // GRU: its last gate's part where the reset comes before the product; else invalid
  ValueId bias;  // GRU: [hidden], added to the product of the state; else invalid
  ValueId peephole;  // LSTM: [3 * hidden] of input, output, forget; else invalid
  std::vector<ValueId> states;  // at the beginning, [batch, hidden]
  std::vector<Gate> gates;
  bool reverse = false;
};

// What a step computes in: the body of the scan.
struct Step {
  Builder& b;
  const Direction& direction;
  int64_t hidden;
  double clip;  // 0: none
  bool couples;  // attribute input_forget
  ValueId input, recurrent, last, bias, peephole;
  std::vector<ValueId> states;

  ValueId part(ValueId x, int64_t i) const {  // of axis -1, in pieces of `hidden`
    return slice_along(b, x, b.type(x).rank() - 1, i * hidden, (i + 1) * hidden);
  }
  ValueId activate(size_t i, ValueId x) const {
    if (clip > 0) {
      ValueId low = b.constant_like(x, -clip), high = b.constant_like(x, clip);
      x = b.op(Opcode::minimum, {b.op(Opcode::maximum, {x, low}), high});
    }
    return activate_unclipped(i, x);
  }
  ValueId activate_unclipped(size_t i, ValueId x) const { return direction.gates[i](b, x); }
  // `gate` plus piece i of the peephole times the cell.
  ValueId peep(ValueId gate, int64_t i, ValueId cell) const {
    if (!peephole.valid())
      return gate;
    ValueId weight = b.broadcast_to(part(peephole, i), b.dims(cell));
    return b.add(gate, b.mul(weight, cell));
  }
};

using Cell = std::vector<ValueId> (*)(const Step& s);  // the states after the step

std::vector<ValueId> rnn_step(const Step& s) {
  ValueId product = s.b.matmul(s.states[0], s.recurrent, false, true);
  return {s.activate(0, s.b.add(s.input, product))};
}

// Gates in the order input, output, forget, cell.
std::vector<ValueId> lstm_step(const Step& s) {
  Builder& b = s.b;
  ValueId cell = s.states[1];
  ValueId gates = b.add(s.input, b.matmul(s.states[0], s.recurrent, false, true));
  ValueId i = s.activate(0, s.peep(s.part(gates, 0), 0, cell));
  ValueId f = s.couples ? b.sub(b.constant_like(i, 1), i)
                        : s.activate(0, s.peep(s.part(gates, 2), 2, cell));
  ValueId kept = b.mul(f, cell);
  ValueId next = b.add(kept, b.mul(i, s.activate(1, s.part(gates, 3))));
  ValueId o = s.activate(0, s.peep(s.part(gates, 1), 1, next));
  return {b.mul(o, s.activate_unclipped(2, next)), next};
}

// Gates in the order update, reset, hidden.
std::vector<ValueId> gru_step(const Step& s) {
  Builder& b = s.b;
  ValueId h = s.states[0];
  ValueId products = b.matmul(h, s.recurrent, false, true);
  ValueId z = s.activate(0, b.add(s.part(s.input, 0), s.part(products, 0)));
  ValueId r = s.activate(0, b.add(s.part(s.input, 1), s.part(products, 1)));
  ValueId bias = b.broadcast_to(s.bias, b.dims(h));
  ValueId fresh = s.last.valid() ? b.add(b.matmul(b.mul(r, h), s.last, false, true), bias)
                                 : b.mul(r, b.add(s.part(products, 2), bias));
  ValueId n = s.activate(1, b.add(s.part(s.input, 2), fresh));
  ValueId old = b.mul(z, h);
  return {b.add(b.mul(b.sub(b.constant_like(z, 1), z), n), old)};
}

struct Kind {
  std::string_view name;
  int64_t gates;
  size_t states;
  std::vector<std::string> activations;
  Cell cell;
};

// [first, last) of axis 0.
ValueId rows(Builder& b, ValueId x, int64_t first, int64_t last) {
  return slice_along(b, x, 0, first, last);
}

// Slice d of axis 0, which vanishes.
ValueId slice_of(Builder& b, ValueId x, int64_t d) {
  Dims dims = b.dims(x), rest(dims.begin() + 1, dims.end());
  return b.reshape(dims[0] == 1 ? x : rows(b, x, d, d + 1), rest);
}

struct Layer {
  const Kind& kind;
  int64_t steps = 0, batch = 0, inputs = 0, hidden = 0, directions = 1;
  bool batch_first = false, reverse = false, couples = false, resets_after = false;
  double clip = 0;
  std::vector<Gate> gates{};  // of all directions
  ValueId goes_on{};  // as Direction's
};

void require_dims(const NodeContext& c, size_t i, std::string_view name, const Dims& dims) {
  if (c.dims(i) != dims)
    fail("{} must be {}, it is {}", name, to_string(dims), to_string(c.type(i)));
}

void read_activations(NodeContext& c, Layer& layer) {
  std::vector<std::string> names = c.texts("activations");
  size_t each = layer.kind.activations.size(), all = each * static_cast<size_t>(layer.directions);
  if (!c.has_attribute("activations"))
    for (int64_t d = 0; d < layer.directions; ++d)
      names.insert(names.end(), layer.kind.activations.begin(), layer.kind.activations.end());
  if (names.size() != all)
    fail("attribute `activations` must have {} names for each of {} directions, it has {}", each,
         layer.directions, names.size());
  layer.gates = read_gates(c, names);
}

// Whether a step is before the end of its sequence; invalid where all sequences have all steps.
ValueId steps_before_end(NodeContext& c, const Layer& layer) {
  if (!c.has(4))
    return {};
  require_dims(c, 4, "sequence_lens", {layer.batch});
  if (!is_integer(c.dtype(4)))
    fail("sequence_lens must hold whole numbers, it is {}", to_string(c.type(4)));
  if (c.find_constant(4) &&
      std::ranges::all_of(c.integers(4), [&](int64_t length) { return length == layer.steps; }))
    return {};
  Dims dims{layer.steps, layer.batch};
  ValueId lengths = c.b.broadcast(cast(c, c.tensor(4), DType::i32), {1}, dims);
  ValueId step =
      c.b.op(Opcode::iota, {}, {{"axis", int64_t{0}}, {"dtype", DType::i32}, {"shape", dims}});
  return c.b.op(Opcode::less, {step, lengths});
}

Layer read_layer(NodeContext& c, const Kind& kind) {
  Layer layer{kind};
  require_float(c, 0);
  if (c.rank(0) != 3 || c.rank(1) != 3 || c.rank(2) != 3)
    fail("X, W and R must have 3 axes, they are {}, {} and {}", to_string(c.type(0)),
         to_string(c.type(1)), to_string(c.type(2)));
  layer.batch_first = c.flag("layout");
  layer.steps = c.dims(0)[layer.batch_first ? 1 : 0];
  layer.batch = c.dims(0)[layer.batch_first ? 0 : 1];
  layer.inputs = c.dims(0)[2];
  layer.hidden = c.attribute("hidden_size", c.dims(2)[2]);
  std::string direction = c.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    fail("attribute `direction` is `{}`; it must be forward, reverse or bidirectional", direction);
  layer.directions = direction == "bidirectional" ? 2 : 1;
  layer.reverse = direction == "reverse";
  layer.clip = c.real("clip", 0);
  layer.couples = kind.name == "LSTM" && c.flag("input_forget");
  layer.resets_after = kind.name == "GRU" && c.flag("linear_before_reset");
  c.ignore({"output_sequence"});
  read_activations(c, layer);
  int64_t gates = kind.gates * layer.hidden;
  require_dims(c, 1, "W", {layer.directions, gates, layer.inputs});
  require_dims(c, 2, "R", {layer.directions, gates, layer.hidden});
  if (c.has(3))
    require_dims(c, 3, "B", {layer.directions, 2 * gates});
  if (kind.name == "LSTM" && c.has(7))
    require_dims(c, 7, "P", {layer.directions, 3 * layer.hidden});
  layer.goes_on = steps_before_end(c, layer);
  return layer;
}

// State i at the beginning, inputs 5 and 6 of the node.
ValueId first_state(NodeContext& c, const Layer& layer, size_t i, int64_t d) {
  Dims dims{layer.batch, layer.hidden};
  if (!c.has(5 + i))
    return c.b.constant({c.dtype(0), dims}, 0);
  ValueId all = c.tensor(5 + i);
  Dims given{layer.directions, layer.batch, layer.hidden};
  if (layer.batch_first) {
    require_dims(c, 5 + i, "the initial state", {layer.batch, layer.directions, layer.hidden});
    all = c.b.transpose(all, {1, 0, 2});
  } else {
    require_dims(c, 5 + i, "the initial state", given);
  }
  return slice_of(c.b, all, d);
}

Direction read_direction(NodeContext& c, const Layer& layer, ValueId x, int64_t d) {
  Builder& b = c.b;
  const Kind& kind = layer.kind;
  int64_t hidden = layer.hidden, gates = kind.gates * hidden;
  Direction direction;
  direction.inputs = b.matmul(x, slice_of(b, c.tensor(1), d), false, true);
  direction.recurrent = slice_of(b, c.tensor(2), d);
  if (kind.name == "GRU" && !layer.resets_after) {
    direction.last = rows(b, direction.recurrent, 2 * hidden, gates);
    direction.recurrent = rows(b, direction.recurrent, 0, 2 * hidden);
  }
  direction.reverse = layer.reverse || d == 1;
  if (c.has(3)) {
    ValueId both = slice_of(b, c.tensor(3), d), bias;
    ValueId of_input = rows(b, both, 0, gates), of_state = rows(b, both, gates, 2 * gates);
    if (kind.name == "GRU") {  // the reset gate may act on the last part
      ValueId sum = b.add(rows(b, of_input, 0, 2 * hidden), rows(b, of_state, 0, 2 * hidden));
      ValueId last = rows(b, of_input, 2 * hidden, gates);
      bias = b.op(Opcode::concat, {sum, last}, {{"axis", int64_t{0}}});
      direction.bias = rows(b, of_state, 2 * hidden, gates);
    } else {
      bias = b.add(of_input, of_state);
    }
    direction.inputs = b.add(direction.inputs, b.broadcast_to(bias, b.dims(direction.inputs)));
  } else if (kind.name == "GRU") {
    direction.bias = b.constant({c.dtype(0), {hidden}}, 0);
  }
  if (kind.name == "LSTM" && c.has(7))
    direction.peephole = slice_of(b, c.tensor(7), d);
  for (size_t i = 0; i < kind.states; ++i)
    direction.states.push_back(first_state(c, layer, i, d));
  direction.goes_on = layer.goes_on;
  auto first = layer.gates.begin() +
               static_cast<ptrdiff_t>(static_cast<size_t>(d) * kind.activations.size());
  direction.gates.assign(first, first + static_cast<ptrdiff_t>(kind.activations.size()));
  return direction;
}

// The states at the end, then the outputs of all steps, [steps, batch, hidden].
std::vector<ValueId> run(NodeContext& c, const Layer& layer, const Direction& direction) {
  Function body;
  body.name = layer.kind.name == "LSTM" ? "lstm" : layer.kind.name == "GRU" ? "gru" : "rnn";
  Builder inner(body);
  inner.loc = c.b.loc;
  Step step{inner, direction, layer.hidden, layer.clip, layer.couples, {}, {}, {}, {}, {}, {}};
  std::vector<ValueId> operands = direction.states;
  std::vector<Type> types;
  for (ValueId state : direction.states) {
    types.push_back(c.b.type(state));
    step.states.push_back(inner.parameter(types.back(), types.size() == 1 ? "h" : "c"));
  }
  operands.push_back(direction.inputs);
  Type input = c.b.type(direction.inputs);
  input.dims.erase(input.dims.begin());
  step.input = inner.parameter(input, "input");
  ValueId goes_on;
  if (direction.goes_on.valid()) {
    operands.push_back(direction.goes_on);
    goes_on = inner.parameter({DType::boolean, {layer.batch}}, "goes_on");
  }
  auto capture = [&](ValueId outer, const char* name) {
    if (!outer.valid())
      return ValueId{};
    operands.push_back(outer);
    return inner.parameter(c.b.type(outer), name);
  };
  step.recurrent = capture(direction.recurrent, "recurrent");
  step.last = capture(direction.last, "last");
  step.bias = capture(direction.bias, "bias");
  step.peephole = capture(direction.peephole, "peephole");
  std::vector<ValueId> after = layer.kind.cell(step);
  ValueId output = after[0];
  if (goes_on.valid()) {  // behind its end a sequence keeps its states, and gives 0
    goes_on = inner.broadcast(goes_on, {0}, inner.dims(output));
    for (size_t i = 0; i < after.size(); ++i)
      after[i] = inner.select(goes_on, after[i], step.states[i]);
    output = inner.select(goes_on, output, inner.constant_like(output, 0));
  }
  for (ValueId state : after)
    inner.result(state);
  inner.result(output);
  types.push_back({c.dtype(0), {layer.steps, layer.batch, layer.hidden}});
  Attrs attrs{{"carries", static_cast<int64_t>(direction.states.size())},
              {"sequences", int64_t{goes_on.valid() ? 2 : 1}},
              {"trips", layer.steps}};
  if (direction.reverse)
    attrs.set("reverse", true);
  return c.b.call(Opcode::scan, c.add_body(std::move(body)), operands, types, attrs);
}

// Directions side by side on a new axis.
ValueId stacked(Builder& b, const std::vector<ValueId>& parts, int64_t axis) {
  Dims dims = b.dims(parts[0]);
  dims.insert(dims.begin() + axis, 1);
  std::vector<ValueId> all;
  for (ValueId part : parts)
    all.push_back(b.reshape(part, dims));
  return all.size() == 1 ? all[0] : b.op(Opcode::concat, all, {{"axis", axis}});
}

void recurrent_node(NodeContext& c, const Kind& kind) {
  Layer layer = read_layer(c, kind);
  ValueId x = c.tensor(0);
  if (layer.batch_first)
    x = c.b.transpose(x, {1, 0, 2});
  std::vector<std::vector<ValueId>> results(kind.states + 1);
  for (int64_t d = 0; d < layer.directions; ++d) {
    std::vector<ValueId> of_direction = run(c, layer, read_direction(c, layer, x, d));
    for (size_t i = 0; i < results.size(); ++i)
      results[i].push_back(of_direction[i]);
  }
  ValueId y = stacked(c.b, results.back(), 1);  // [steps, directions, batch, hidden]
  c.result(0, layer.batch_first ? c.b.transpose(y, {2, 0, 1, 3}) : y);
  for (size_t i = 0; i < kind.states; ++i)
    c.result(1 + i, stacked(c.b, results[i], layer.batch_first ? 1 : 0));
}

void lstm_node(NodeContext& c) {
  recurrent_node(c, {"LSTM", 4, 2, {"Sigmoid", "Tanh", "Tanh"}, lstm_step});
}
void gru_node(NodeContext& c) {
  recurrent_node(c, {"GRU", 3, 1, {"Sigmoid", "Tanh"}, gru_step});
}
void rnn_node(NodeContext& c) {
  recurrent_node(c, {"RNN", 1, 1, {"Tanh"}, rnn_step});
}

constexpr NodeRule kRules[] = {
    {.op = "GRU", .since = 7, .build = gru_node, .weights = input_set({1, 2, 3}), .folds = false},
    {.op = "LSTM",
     .since = 7,
     .build = lstm_node,
     .weights = input_set({1, 2, 3, 7}),
     .folds = false},
    {.op = "RNN", .since = 7, .build = rnn_node, .weights = input_set({1, 2, 3}), .folds = false},
};

}  // namespace

std::span<const NodeRule> recurrent_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
