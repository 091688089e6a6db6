#include "ir/loop_builder.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "ir/diagnostic.h"

namespace gradc::loop {
namespace {

// The number nearest to `value` that an integer type can hold, as folds of integers start at
// infinities, NaN 0; of bool whether `value` is not 0.
int64_t nearest_integer(DType dtype, double value) {
  if (std::isnan(value) || dtype == DType::boolean)
    return dtype == DType::boolean && value != 0;
  int64_t highest = dtype == DType::u8 ? UINT8_MAX : INT64_MAX >> (64 - 8 * byte_size(dtype));
  int64_t lowest = dtype == DType::u8 ? 0 : -highest - 1;
  if (value >= static_cast<double>(highest))
    return highest;
  return value <= static_cast<double>(lowest) ? lowest : static_cast<int64_t>(value);
}

}  // namespace

Builder::Builder(Kernel& kernel) : kernel_(kernel) {
  GRADC_CHECK(kernel.body.empty() && kernel.regs.empty());
  open_body();
}

void Builder::open_body() {
  blocks_.emplace_back().number = bodies_opened_++;
}

bool Builder::is_open(uint64_t body) const {
  return std::any_of(blocks_.begin(), blocks_.end(),
                     [&](const Block& block) { return block.number == body; });
}

std::vector<Instr>& Builder::body(size_t depth) {
  return depth == 0 ? kernel_.body : blocks_[depth].body;
}

Scalar Builder::new_register(DType dtype, std::string hint) {
  kernel_.regs.push_back(dtype);
  kernel_.hints.push_back(std::move(hint));
  Scalar result{static_cast<uint32_t>(kernel_.regs.size() - 1), dtype};
  Definition definition{.depth = depth()};
  if (dtype == DType::i64)
    definition.linear.terms = {{result.reg, 1}};
  definitions_.push_back(std::move(definition));
  return result;
}

Scalar Builder::new_index(int64_t limit, std::string hint) {
  Scalar result = new_register(DType::i64, std::move(hint));
  definitions_[result.reg].limit = limit;
  return result;
}

void Builder::append(Instr instr) {
  body(depth()).push_back(std::move(instr));
}

// Reuses the register of an equal instruction, or appends it to the outermost block it can stand
// in. A load of anything but an operand stays where it is.
Scalar Builder::place(Instr instr, DType dtype, std::string hint) {
  instr.dtype = dtype;
  size_t at = 0;
  for (uint32_t operand : instr.operands)
    at = std::max(at, definitions_[operand].depth);
  bool is_load = instr.code == Code::load || instr.code == Code::load_if;
  bool fixed = is_load && kernel_.buffers[instr.buffer].space != Space::operand;
  if (fixed)
    at = depth();
  Key key = {static_cast<int64_t>(instr.code), static_cast<int64_t>(dtype), instr.integer,
             std::bit_cast<int64_t>(instr.real), instr.buffer};
  key.insert(key.end(), instr.operands.begin(), instr.operands.end());
  if (!fixed)
    if (auto known = blocks_[at].known.find(key); known != blocks_[at].known.end())
      return known->second;
  Scalar result = new_register(dtype, std::move(hint));
  definitions_[result.reg].depth = at;
  definitions_[result.reg].code = instr.code;
  definitions_[result.reg].operands = instr.operands;
  instr.results = {result.reg};
  body(at).push_back(std::move(instr));
  if (!fixed)
    blocks_[at].known.emplace(std::move(key), result);
  return result;
}

Scalar Builder::constant(DType dtype, double value) {
  if (dtype == DType::i64)
    return index(nearest_integer(dtype, value));
  Instr instr{.code = Code::constant};
  if (is_float(dtype))
    instr.real = value;
  else
    instr.integer = nearest_integer(dtype, value);
  return place(std::move(instr), dtype, "c");
}

Scalar Builder::emit(Code code, std::span<const Scalar> operands, DType dtype) {
  Instr instr{.code = code};
  for (Scalar operand : operands)
    instr.operands.push_back(operand.reg);
  return place(std::move(instr), dtype, std::string(name_of(code)));
}

Scalar Builder::binary(Code code, Scalar x, Scalar y) {
  GRADC_CHECK(x.dtype == y.dtype, "{} of {} and {}", name_of(code), gradc::name_of(x.dtype),
              gradc::name_of(y.dtype));
  return x.dtype == DType::i64 ? index_arithmetic(code, x, y)
                               : emit(code, std::array{x, y}, x.dtype);
}

Scalar Builder::fma(Scalar x, Scalar y, Scalar z) {
  return emit(Code::fma, std::array{x, y, z}, x.dtype);
}

Scalar Builder::compare(Code code, Scalar x, Scalar y) {
  GRADC_CHECK(x.dtype == y.dtype, "{} of {} and {}", name_of(code), gradc::name_of(x.dtype),
              gradc::name_of(y.dtype));
  return emit(code, std::array{x, y}, DType::boolean);
}

Scalar Builder::select(Scalar condition, Scalar if_true, Scalar if_false) {
  GRADC_CHECK(condition.dtype == DType::boolean && if_true.dtype == if_false.dtype);
  return emit(Code::select, std::array{condition, if_true, if_false}, if_true.dtype);
}

Scalar Builder::convert(Scalar x, DType dtype) {
  return x.dtype == dtype ? x : emit(Code::convert, std::span(&x, 1), dtype);
}

Scalar Builder::load(uint32_t buffer, Scalar at) {
  const Buffer& from = kernel_.buffers[buffer];
  return place({.code = Code::load, .operands = {at.reg}, .buffer = buffer}, from.dtype, from.name);
}

Scalar Builder::load_if(Scalar condition, uint32_t buffer, Scalar at, Scalar otherwise) {
  const Buffer& from = kernel_.buffers[buffer];
  GRADC_CHECK(condition.dtype == DType::boolean && otherwise.dtype == from.dtype);
  return place(
      {.code = Code::load_if, .operands = {condition.reg, at.reg, otherwise.reg}, .buffer = buffer},
      from.dtype, from.name);
}

void Builder::store(uint32_t buffer, Scalar at, Scalar value) {
  const Buffer& to = kernel_.buffers[buffer];
  GRADC_CHECK(value.dtype == to.dtype, "%{} is of {}, the value of {}", to.name,
              gradc::name_of(to.dtype), gradc::name_of(value.dtype));
  append({.code = Code::store,
          .dtype = value.dtype,
          .operands = {at.reg, value.reg},
          .buffer = buffer});
}

void Builder::fetch(uint32_t buffer, Scalar at) {
  append({.code = Code::fetch, .operands = {at.reg}, .buffer = buffer});
}

void Builder::store_streamed(uint32_t buffer, Scalar at, Scalar value) {
  store(buffer, at, value);
  blocks_.back().body.back().streamed = begins_at_line(kernel_.buffers[buffer], at);
}

// Whether `index` is the vector loop's number plus multiples of a line.
bool Builder::begins_at_line(const Buffer& buffer, Scalar index) const {
  const Instr& loop = blocks_.back().owner;
  if (blocks_.size() < 2 || loop.code != Code::loop || loop.kind != LoopKind::vector)
    return false;
  auto is_whole = [&](int64_t elements) { return elements * byte_size(buffer.dtype) % 64 == 0; };
  const Linear& sum = linear(index);
  bool steps_by_one = false;
  for (auto [term, coefficient] : sum.terms) {
    if (term == loop.params[0])
      steps_by_one = coefficient == 1;
    else if (!is_whole(coefficient))
      return false;
  }
  return steps_by_one && is_whole(sum.constant);
}

std::vector<Scalar> Builder::begin_for(LoopKind kind, int64_t extent,
                                       std::span<const Scalar> carries, std::vector<Code> folds,
                                       std::string hint, int64_t in_flight) {
  GRADC_CHECK(extent > 0);
  GRADC_CHECK(kind == LoopKind::vector ? folds.size() == carries.size() : folds.empty());
  Instr instr{.code = Code::loop,
              .kind = kind,
              .extent = extent,
              .folds = std::move(folds),
              .in_flight = in_flight};
  open_body();
  std::vector<Scalar> params = {new_index(extent, std::move(hint))};
  for (Scalar carry : carries) {
    instr.operands.push_back(carry.reg);
    params.push_back(new_register(carry.dtype, kernel_.hints[carry.reg]));
  }
  for (Scalar param : params)
    instr.params.push_back(param.reg);
  blocks_.back().owner = std::move(instr);
  return params;
}

std::vector<Scalar> Builder::end_for(std::span<const Scalar> next) {
  GRADC_CHECK(blocks_.size() > 1);
  Instr instr = std::move(blocks_.back().owner);
  size_t carried = instr.code == Code::loop ? instr.operands.size() : 0;
  GRADC_CHECK(next.size() == carried, "a loop carries {} values, {} are yielded", carried,
              next.size());
  if (!next.empty()) {
    Instr yield{.code = Code::yield};
    for (Scalar value : next)
      yield.operands.push_back(value.reg);
    append(std::move(yield));
  }
  instr.body = std::move(blocks_.back().body);
  blocks_.pop_back();
  std::vector<Scalar> results;
  for (size_t i = 0; i < next.size(); ++i) {
    results.push_back(new_register(next[i].dtype, kernel_.hints[instr.params[i + 1]]));
    instr.results.push_back(results.back().reg);
  }
  append(std::move(instr));
  return results;
}

std::vector<Scalar> Builder::begin_counted(Scalar count, int64_t limit,
                                           std::span<const Scalar> carries, std::string hint) {
  GRADC_CHECK(count.dtype == DType::i64 && !constant_of(count));
  std::vector<Scalar> params = begin_for(LoopKind::serial, limit, carries, {}, std::move(hint));
  blocks_.back().owner.count = count.reg;
  return params;
}

std::array<Scalar, 4> Builder::begin_tile(Tile tile, std::span<const Scalar> operands) {
  auto counted = std::count_if(tile.loops.begin(), tile.loops.end(),
                               [](const TileLoop& loop) { return loop.counted; });
  GRADC_CHECK(operands.size() ==
              (tile.accumulate ? 3U : 2U) + static_cast<size_t>(counted) + tile.ahead.size());
  GRADC_CHECK(tile.depth == 1 || (tile.groups == 1 && !tile.accumulate && tile.padded));
  GRADC_CHECK(tile.rows > 0 && tile.groups > 0 && tile.columns > 0);
  DType dtype = kernel_.buffers[tile.b_buffer].dtype;
  GRADC_CHECK(kernel_.buffers[tile.a_buffer].dtype == dtype);
  Instr instr{.code = Code::tile, .dtype = dtype};
  for (Scalar operand : operands)
    instr.operands.push_back(operand.reg);
  open_body();
  std::array params = {new_index(tile.rows, "row"), new_index(tile.groups, "group"),
                       new_index(tile.columns, "column"), new_register(dtype, "sum")};
  for (Scalar param : params)
    instr.params.push_back(param.reg);
  instr.tile = std::move(tile);
  blocks_.back().owner = std::move(instr);
  return params;
}

void Builder::transpose(const Transpose& transpose, Scalar from_start, Scalar to_start) {
  DType dtype = kernel_.buffers[transpose.from_buffer].dtype;
  GRADC_CHECK(kernel_.buffers[transpose.to_buffer].dtype == dtype);
  append({.code = Code::transpose,
          .dtype = dtype,
          .operands = {from_start.reg, to_start.reg},
          .transpose = transpose});
}

void Builder::pair_rows(const PairRows& pairs, Scalar from_start, Scalar to_start) {
  DType dtype = kernel_.buffers[pairs.from_buffer].dtype;
  GRADC_CHECK(kernel_.buffers[pairs.to_buffer].dtype == dtype && byte_size(dtype) == 2);
  append({.code = Code::pair_rows,
          .dtype = dtype,
          .operands = {from_start.reg, to_start.reg},
          .pair_rows = pairs});
}

void Builder::matrix(const Matrix& matrix, Scalar a_start, Scalar b_start, Scalar c_start) {
  GRADC_CHECK(kernel_.buffers[matrix.a_buffer].dtype == DType::bf16);
  GRADC_CHECK(kernel_.buffers[matrix.b_buffer].dtype == DType::bf16);
  GRADC_CHECK(kernel_.buffers[matrix.c_buffer].dtype == DType::f32);
  GRADC_CHECK(matrix.columns % kMatrixColumns == 0 && matrix.depth % kMatrixDepth == 0);
  append({.code = Code::matrix,
          .dtype = DType::f32,
          .operands = {a_start.reg, b_start.reg, c_start.reg},
          .matrix = matrix});
}

uint32_t Builder::add_buffer(Buffer buffer) {
  kernel_.buffers.push_back(std::move(buffer));
  return static_cast<uint32_t>(kernel_.buffers.size() - 1);
}

uint32_t Builder::scratch(const std::string& name, DType dtype, int64_t elements) {
  for (uint32_t i = 0; i < kernel_.buffers.size(); ++i) {
    Buffer& buffer = kernel_.buffers[i];
    if (buffer.space != Space::scratch || buffer.name != name || buffer.dtype != dtype)
      continue;
    buffer.elements = std::max(buffer.elements, elements);
    return i;
  }
  return add_buffer({name, Space::scratch, dtype, elements});
}

}  // namespace gradc::loop
