#include "tests/support/run_loops.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

using loop::Code;
using loop::Instr;

// `value`, a whole number, as `dtype` holds it: the low bits.
double wrapped(DType dtype, int64_t value) {
  switch (dtype) {
    case DType::i8:
      return static_cast<int8_t>(value);
    case DType::u8:
      return static_cast<uint8_t>(value);
    case DType::i16:
      return static_cast<int16_t>(value);
    case DType::i32:
      return static_cast<int32_t>(value);
    default:
      return static_cast<double>(value);
  }
}

double apply_integer(Code code, DType dtype, int64_t x, int64_t y) {
  int64_t bits = 8 * byte_size(dtype);
  uint64_t pattern = static_cast<uint64_t>(x) & (~uint64_t{0} >> (64 - bits));
  switch (code) {
    case Code::add:
      return wrapped(dtype, x + y);
    case Code::sub:
      return wrapped(dtype, x - y);
    case Code::mul:
      return wrapped(dtype,
                     static_cast<int64_t>(static_cast<uint64_t>(x) * static_cast<uint64_t>(y)));
    case Code::div:
      return wrapped(dtype, y == 0 ? x : x / y);
    case Code::rem:
      return wrapped(dtype, y == 0 ? 0 : x % y);
    case Code::neg:
      return wrapped(dtype, -x);
    case Code::abs:
      return wrapped(dtype, std::abs(x));
    case Code::min:
      return wrapped(dtype, std::min(x, y));
    case Code::max:
      return wrapped(dtype, std::max(x, y));
    case Code::bit_and:
      return wrapped(dtype, x & y);
    case Code::bit_or:
      return wrapped(dtype, x | y);
    case Code::bit_xor:
      return wrapped(dtype, x ^ y);
    case Code::bit_not:
      return dtype == DType::boolean ? 1 - static_cast<double>(x) : wrapped(dtype, ~x);
    case Code::shift_left:
      return wrapped(dtype, x << y);
    case Code::shift_right:
      return wrapped(dtype, static_cast<int64_t>(pattern >> y));
    case Code::mul_high:
      return wrapped(dtype, static_cast<int64_t>(pattern * static_cast<uint32_t>(y) >> 32));
    default:
      fail("`{}` of integers is not known to run_loops", name_of(code));
  }
}

// The factor of x in gelu, and its derivative.
double gelu_gate(Code code, double x) {
  if (code == Code::gelu || code == Code::gelu_slope)
    return std::erfc(-x / std::numbers::sqrt2) / 2;
  return (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x))) / 2;
}
double gelu_gate_slope(Code code, double x) {
  if (code == Code::gelu_slope)
    return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
  double t = 2 * gelu_gate(code, x) - 1;
  return (1 - t * t) * std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * x * x) / 2;
}

double apply_float(Code code, const std::vector<double>& x) {
  switch (code) {
    case Code::add:
      return x[0] + x[1];
    case Code::sub:
      return x[0] - x[1];
    case Code::mul:
      return x[0] * x[1];
    case Code::div:
      return x[0] / x[1];
    case Code::rem:
      return std::fmod(x[0], x[1]);
    case Code::fma:
      return x[0] * x[1] + x[2];
    case Code::neg:
      return -x[0];
    case Code::abs:
      return std::abs(x[0]);
    case Code::min:
      return std::isnan(x[0]) || x[0] < x[1] ? x[0] : x[1];
    case Code::max:
      return std::isnan(x[0]) || x[0] > x[1] ? x[0] : x[1];
    case Code::max_number:
      return x[1] > x[0] ? x[1] : x[0];
    case Code::sqrt:
      return std::sqrt(x[0]);
    case Code::exp:
      return std::exp(x[0]);
    case Code::exp_normal:
      return x[0] < -87.33654 ? 0 : std::exp(x[0]);
    case Code::log:
      return std::log(x[0]);
    case Code::sin:
      return std::sin(x[0]);
    case Code::cos:
      return std::cos(x[0]);
    case Code::atan:
      return std::atan(x[0]);
    case Code::tanh:
      return std::tanh(x[0]);
    case Code::sigmoid:
      return 1 / (1 + std::exp(-x[0]));
    case Code::erf:
      return std::erf(x[0]);
    case Code::expm1:
      return std::expm1(x[0]);
    case Code::log1p:
      return std::log1p(x[0]);
    case Code::pow:
      return std::pow(x[0], x[1]);
    case Code::gelu:
    case Code::gelu_tanh:
      return x[0] * gelu_gate(code, x[0]);
    case Code::gelu_slope:
    case Code::gelu_tanh_slope:
      return gelu_gate(code, x[0]) + x[0] * gelu_gate_slope(code, x[0]);
    case Code::floor:
      return std::floor(x[0]);
    case Code::ceil:
      return std::ceil(x[0]);
    case Code::round_even:
      return std::nearbyint(x[0]);
    default:
      fail("`{}` of floats is not known to run_loops", name_of(code));
  }
}

double convert(DType to, double x) {
  if (to == DType::boolean)
    return x != 0;
  return is_float(to) ? x : wrapped(to, static_cast<int64_t>(x));
}

// `dtype` is the result's.
double apply(Code code, DType dtype, const std::vector<double>& x) {
  switch (code) {
    case Code::equal:
      return x[0] == x[1];
    case Code::less:
      return x[0] < x[1];
    case Code::less_equal:
      return x[0] <= x[1];
    case Code::select:
      return x[0] != 0 ? x[1] : x[2];
    case Code::convert:
      return convert(dtype, x[0]);
    default:
      break;
  }
  if (is_float(dtype))
    return apply_float(code, x);
  return apply_integer(code, dtype, static_cast<int64_t>(x[0]),
                       x.size() > 1 ? static_cast<int64_t>(x[1]) : 0);
}

class Machine {
 public:
  Machine(const loop::Kernel& kernel, const std::vector<std::vector<double>>& operands,
          std::span<const int64_t> in_place)
      : kernel_(kernel), regs_(kernel.regs.size()) {
    for (const loop::Buffer& buffer : kernel.buffers) {
      place_of_.push_back(buffers_.size());
      buffers_.emplace_back(static_cast<size_t>(buffer.elements),
                            std::numeric_limits<double>::quiet_NaN());
    }
    for (size_t i = 0; i < in_place.size(); i += 2)
      place_of_[operands.size() + static_cast<size_t>(in_place[i + 1])] =
          static_cast<size_t>(in_place[i]);
    for (size_t i = 0; i < operands.size(); ++i) {
      if (operands[i].size() != buffers_[i].size())
        fail("operand {} has {} elements, not {}", i, buffers_[i].size(), operands[i].size());
      buffers_[i] = operands[i];
    }
  }

  void run(const std::vector<Instr>& body) {
    for (const Instr& instr : body)
      run(instr);
  }

  std::vector<std::vector<double>> results() const {
    std::vector<std::vector<double>> found;
    for (size_t i = 0; i < buffers_.size(); ++i)
      if (kernel_.buffers[i].space == loop::Space::result)
        found.push_back(buffers_[place_of_[i]]);
    return found;
  }

 private:
  double& element(uint32_t buffer, double index) {
    if (!(index >= 0 && index < static_cast<double>(buffers_[buffer].size())))
      fail("index {} of %{}, which has {} elements", index, kernel_.buffers[buffer].name,
           buffers_[buffer].size());
    return buffers_[place_of_[buffer]][static_cast<size_t>(index)];
  }

  std::vector<double> values(const std::vector<uint32_t>& registers) const {
    std::vector<double> found;
    for (uint32_t reg : registers)
      found.push_back(regs_[reg]);
    return found;
  }

  void run(const Instr& instr) {
    std::vector<double> x = values(instr.operands);
    switch (instr.code) {
      case Code::constant:
        regs_[instr.results[0]] =
            is_float(instr.dtype) ? instr.real : static_cast<double>(instr.integer);
        break;
      case Code::load:
        regs_[instr.results[0]] = element(instr.buffer, x[0]);
        break;
      case Code::load_if:
        regs_[instr.results[0]] = x[0] != 0 ? element(instr.buffer, x[1]) : x[2];
        break;
      case Code::store:
        element(instr.buffer, x[0]) = x[1];
        break;
      case Code::fetch:
        break;
      case Code::loop:
        run_loop(instr, std::move(x));
        break;
      case Code::tile:
        run_tile(instr, x);
        break;
      case Code::transpose:
        run_transpose(*instr.transpose, x[0], x[1]);
        break;
      case Code::pair_rows:
        run_pair_rows(*instr.pair_rows, x[0], x[1]);
        break;
      case Code::matrix:
        run_matrix(*instr.matrix, x[0], x[1], x[2]);
        break;
      case Code::yield:
        yielded_ = std::move(x);
        break;
      default:
        regs_[instr.results[0]] = apply(instr.code, instr.dtype, x);
    }
  }

  void run_pair_rows(const loop::PairRows& pairs, double from, double to) {
    for (int64_t r = 0; r < (pairs.rows + 1) / 2 * 2; ++r)
      for (int64_t c = 0; c < pairs.columns; ++c) {
        double x = r < pairs.rows ? element(pairs.from_buffer,
                                            from + static_cast<double>(r * pairs.from_step + c))
                                  : 0;
        element(pairs.to_buffer, to + static_cast<double>(r / 2 * pairs.to_step + 2 * c + r % 2)) =
            x;
      }
  }

  void run_matrix(const loop::Matrix& m, double a, double b, double c) {
    for (int64_t r = 0; r < m.rows; ++r)
      for (int64_t n = 0; n < m.columns; ++n) {
        double sum =
            m.accumulate ? element(m.c_buffer, c + static_cast<double>(r * m.c_step + n)) : 0;
        for (int64_t k = 0; k < m.depth; ++k) {
          int64_t at = n / 16 * 16 * m.depth + k / 2 * 32 + n % 16 * 2 + k % 2;
          sum += element(m.a_buffer, a + static_cast<double>(r * m.a_step + k)) *
                 element(m.b_buffer, b + static_cast<double>(at));
        }
        element(m.c_buffer, c + static_cast<double>(r * m.c_step + n)) = sum;
      }
  }

  void run_loop(const Instr& instr, std::vector<double> carries) {
    int64_t count = instr.count ? static_cast<int64_t>(regs_[*instr.count]) : instr.extent;
    if (count < 0 || count > instr.extent)
      fail("a loop runs {} times of {}", count, instr.extent);
    for (int64_t i = 0; i < count; ++i) {
      regs_[instr.params[0]] = static_cast<double>(i);
      for (size_t c = 0; c < carries.size(); ++c)
        regs_[instr.params[c + 1]] = carries[c];
      run(instr.body);
      if (!carries.empty())
        carries = yielded_;
    }
    for (size_t c = 0; c < carries.size(); ++c)
      regs_[instr.results[c]] = carries[c];
  }

  // `counts`: how many iterations each loop has.
  double sum(const loop::Tile& tile, const std::vector<int64_t>& counts, size_t depth, double a,
             double b, double start) {
    if (depth == tile.loops.size()) {
      for (int64_t k = 0; k < tile.depth; ++k)
        start += element(tile.a_buffer, a + static_cast<double>(k)) *
                 element(tile.b_buffer, b + static_cast<double>(k));
      return start;
    }
    const loop::TileLoop& loop = tile.loops[depth];
    for (int64_t k = 0; k < counts[depth]; ++k)
      start = sum(tile, counts, depth + 1, a + static_cast<double>(k * loop.a_step),
                  b + static_cast<double>(k * loop.b_step), start);
    return start;
  }

  void run_tile(const Instr& instr, const std::vector<double>& starts) {
    const loop::Tile& tile = *instr.tile;
    size_t operand = tile.accumulate ? 3 : 2;
    std::vector<int64_t> counts;
    for (const loop::TileLoop& loop : tile.loops)
      counts.push_back(loop.counted ? static_cast<int64_t>(starts[operand++]) : loop.extent);
    for (int64_t r = 0; r < tile.rows; ++r)
      for (int64_t g = 0; g < tile.groups; ++g)
        for (int64_t c = 0; c < tile.columns; ++c) {
          double start = 0;
          if (tile.accumulate)
            start = element(tile.acc_buffer,
                            starts[2] + static_cast<double>(r * tile.acc_row_step +
                                                            g * tile.acc_group_step + c));
          regs_[instr.params[0]] = static_cast<double>(r);
          regs_[instr.params[1]] = static_cast<double>(g);
          regs_[instr.params[2]] = static_cast<double>(c);
          regs_[instr.params[3]] =
              sum(tile, counts, 0, starts[0] + static_cast<double>(r * tile.a_row_step),
                  starts[1] + static_cast<double>(g * tile.b_group_step + c * tile.depth), start);
          run(instr.body);
        }
  }

  void run_transpose(const loop::Transpose& t, double from, double to) {
    int64_t width = t.pairs ? 2 : 1;
    for (int64_t r = 0; r < t.rows; ++r)
      for (int64_t c = 0; c < t.columns; ++c)
        for (int64_t i = 0; i < width; ++i)
          element(t.to_buffer, to + static_cast<double>(width * (c * t.to_step + r) + i)) =
              element(t.from_buffer, from + static_cast<double>(width * (r * t.from_step + c) + i));
  }

  const loop::Kernel& kernel_;
  std::vector<double> regs_;
  std::vector<std::vector<double>> buffers_;
  std::vector<size_t> place_of_;  // by buffer: which of `buffers_` has its bytes
  std::vector<double> yielded_;
};

}  // namespace

std::vector<std::vector<double>> run_loops(const loop::Kernel& kernel,
                                           const std::vector<std::vector<double>>& operands,
                                           std::span<const int64_t> in_place) {
  Machine machine(kernel, operands, in_place);
  machine.run(kernel.body);
  return machine.results();
}

}  // namespace gradc
