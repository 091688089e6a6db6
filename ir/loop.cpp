#include "ir/loop.h"

#include <array>
#include <utility>

#include "ir/diagnostic.h"

namespace gradc::loop {
namespace {

constexpr std::string_view kCodeNames[] = {
#define LOOP_CODE(name) #name,
#include "ir/loop_codes.def"
#undef LOOP_CODE
};

bool is_integer_constant(const Instr* instr, int64_t value) {
  return instr && !is_float(instr->dtype) && instr->integer == value;
}

// The value of an i64 operation on two constants; division by zero cannot occur (sizes are
// positive).
int64_t fold_index(Code code, int64_t x, int64_t y) {
  switch (code) {
    case Code::add:
      return x + y;
    case Code::sub:
      return x - y;
    case Code::mul:
      return x * y;
    case Code::div:
      return x / y;
    case Code::rem:
      return x % y;
    case Code::min:
      return std::min(x, y);
    case Code::max:
      return std::max(x, y);
    default:
      internal_error(__FILE__, __LINE__, "foldable", std::string(name_of(code)));
  }
}

bool folds_index(Code code) {
  return code == Code::add || code == Code::sub || code == Code::mul || code == Code::div ||
         code == Code::rem || code == Code::min || code == Code::max;
}

}  // namespace

std::string_view name_of(Code code) {
  return kCodeNames[static_cast<size_t>(code)];
}

std::string_view name_of(Space space) {
  constexpr std::array<std::string_view, 4> names = {"operand", "result", "workspace", "scratch"};
  return names[static_cast<size_t>(space)];
}

std::string_view name_of(LoopKind kind) {
  constexpr std::array<std::string_view, 4> names = {"serial", "parallel", "vector", "unrolled"};
  return names[static_cast<size_t>(kind)];
}

Scalar Builder::new_reg(DType dtype, std::string hint) {
  kernel_.regs.push_back(dtype);
  kernel_.hints.push_back(std::move(hint));
  constants_.emplace_back().code = Code::yield;
  return {static_cast<uint32_t>(kernel_.regs.size() - 1), dtype};
}

Scalar Builder::append(Instr instr, DType dtype, std::string hint) {
  Scalar result = new_reg(dtype, std::move(hint));
  instr.dtype = instr.code == Code::store ? instr.dtype : dtype;
  instr.results = {result.reg};
  if (instr.code == Code::constant)
    constants_[result.reg] = instr;
  blocks_.back()->push_back(std::move(instr));
  return result;
}

const Instr* Builder::constant_of(Scalar x) const {
  const Instr& instr = constants_[x.reg];
  return instr.code == Code::constant ? &instr : nullptr;
}

Scalar Builder::constant(DType dtype, double value) {
  Instr instr{.code = Code::constant};
  if (is_float(dtype))
    instr.real = value;
  else
    instr.integer = static_cast<int64_t>(value);
  return append(std::move(instr), dtype, "c");
}

Scalar Builder::index(int64_t value) {
  return append({.code = Code::constant, .integer = value}, DType::i64, "c");
}

Scalar Builder::emit(Code code, std::span<const Scalar> operands, DType dtype) {
  Instr instr{.code = code};
  for (Scalar operand : operands)
    instr.operands.push_back(operand.reg);
  return append(std::move(instr), dtype, std::string(name_of(code)));
}

Scalar Builder::binary(Code code, Scalar x, Scalar y) {
  GRADC_CHECK(x.dtype == y.dtype, "{} of {} and {}", name_of(code), gradc::name_of(x.dtype),
              gradc::name_of(y.dtype));
  if (x.dtype == DType::i64 && folds_index(code)) {
    const Instr* a = constant_of(x);
    const Instr* b = constant_of(y);
    if (a && b)
      return index(fold_index(code, a->integer, b->integer));
    if ((code == Code::add || code == Code::sub) && is_integer_constant(b, 0))
      return x;
    if (code == Code::add && is_integer_constant(a, 0))
      return y;
    if ((code == Code::mul || code == Code::div) && is_integer_constant(b, 1))
      return x;
    if (code == Code::mul && is_integer_constant(a, 1))
      return y;
    if ((code == Code::mul && (is_integer_constant(a, 0) || is_integer_constant(b, 0))) ||
        (code == Code::rem && is_integer_constant(b, 1)))
      return index(0);
  }
  return emit(code, std::array{x, y}, x.dtype);
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
  return append({.code = Code::load, .operands = {at.reg}, .buffer = buffer},
                kernel_.buffers[buffer].dtype, kernel_.buffers[buffer].name);
}

Scalar Builder::load_if(Scalar condition, uint32_t buffer, Scalar at, Scalar otherwise) {
  return append(
      {.code = Code::load_if, .operands = {condition.reg, at.reg, otherwise.reg}, .buffer = buffer},
      kernel_.buffers[buffer].dtype, kernel_.buffers[buffer].name);
}

void Builder::store(uint32_t buffer, Scalar at, Scalar value) {
  GRADC_CHECK(value.dtype == kernel_.buffers[buffer].dtype);
  blocks_.back()->push_back({.code = Code::store,
                             .dtype = value.dtype,
                             .operands = {at.reg, value.reg},
                             .buffer = buffer});
}

std::vector<Scalar> Builder::begin_for(LoopKind kind, int64_t extent,
                                       std::span<const Scalar> carries, std::vector<Code> folds,
                                       std::string hint) {
  GRADC_CHECK(kind == LoopKind::vector ? folds.size() == carries.size() : folds.empty());
  Instr instr{.code = Code::loop, .kind = kind, .extent = extent, .folds = std::move(folds)};
  std::vector<Scalar> params = {new_reg(DType::i64, std::move(hint))};
  for (Scalar carry : carries) {
    instr.operands.push_back(carry.reg);
    params.push_back(new_reg(carry.dtype, "carry"));
  }
  for (Scalar param : params)
    instr.params.push_back(param.reg);
  open(std::move(instr));
  return params;
}

void Builder::open(Instr instr) {
  open_.push_back(std::move(instr));
  bodies_.emplace_back();
  blocks_.clear();
  blocks_.push_back(&kernel_.body);
  for (std::vector<Instr>& body : bodies_)
    blocks_.push_back(&body);
}

std::vector<Scalar> Builder::end_for(std::span<const Scalar> next) {
  GRADC_CHECK(!open_.empty());
  Instr instr = std::move(open_.back());
  open_.pop_back();
  size_t carried = instr.code == Code::loop ? instr.operands.size() : 0;
  GRADC_CHECK(next.size() == carried, "a loop carries {} values, {} are yielded", carried,
              next.size());
  if (!next.empty()) {
    Instr yield{.code = Code::yield};
    for (Scalar value : next)
      yield.operands.push_back(value.reg);
    bodies_.back().push_back(std::move(yield));
  }
  instr.body = std::move(bodies_.back());
  bodies_.pop_back();
  blocks_.pop_back();
  std::vector<Scalar> results;
  for (Scalar value : next) {
    results.push_back(new_reg(value.dtype, "final"));
    instr.results.push_back(results.back().reg);
  }
  blocks_.back()->push_back(std::move(instr));
  return results;
}

std::array<Scalar, 4> Builder::begin_tile(Tile tile, std::span<const Scalar> starts) {
  GRADC_CHECK(starts.size() == (tile.accumulate ? 3U : 2U));
  GRADC_CHECK(tile.rows > 0 && tile.groups > 0 && tile.columns > 0);
  DType dtype = kernel_.buffers[tile.b_buffer].dtype;
  GRADC_CHECK(kernel_.buffers[tile.a_buffer].dtype == dtype);
  Instr instr{.code = Code::tile, .dtype = dtype};
  for (Scalar start : starts)
    instr.operands.push_back(start.reg);
  std::array params = {new_reg(DType::i64, "row"), new_reg(DType::i64, "group"),
                       new_reg(DType::i64, "column"), new_reg(dtype, "sum")};
  for (Scalar param : params)
    instr.params.push_back(param.reg);
  instr.tile = std::move(tile);
  open(std::move(instr));
  return params;
}

void Builder::transpose(const Transpose& transpose, Scalar from_start, Scalar to_start) {
  DType dtype = kernel_.buffers[transpose.from_buffer].dtype;
  GRADC_CHECK(kernel_.buffers[transpose.to_buffer].dtype == dtype);
  blocks_.back()->push_back({.code = Code::transpose,
                             .dtype = dtype,
                             .operands = {from_start.reg, to_start.reg},
                             .transpose = transpose});
}

uint32_t Builder::add_buffer(Buffer buffer) {
  kernel_.buffers.push_back(std::move(buffer));
  return static_cast<uint32_t>(kernel_.buffers.size() - 1);
}

}  // namespace gradc::loop
