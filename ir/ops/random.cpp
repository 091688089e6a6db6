// Random numbers that are a function of a key and a position: they cost no state, can be computed
// in any order, and come out equal when they are computed again.
#include "ir/ops/rules.h"
#include "ir/philox.h"

namespace gradc::ops {

using loop::Code;
using loop::Scalar;

namespace {

constexpr int kDroppedBits = 8;  // of 32: the 24 others are exact in f32
constexpr double kScale = 0x1p-24;

Types infer_random_uniform(std::span<const Type> x, const Attrs& a) {
  for (const Type& type : x)
    if (type != scalar_type(DType::i64))
      fail("seed and step must be i64[], got {}", to_string(type));
  return one({DType::f32, a.integers("shape")});
}

std::vector<Tensor> eval_random_uniform(std::span<const Tensor> x, const Op& op,
                                        std::span<const Type> types) {
  auto low = [](int64_t word) { return static_cast<uint32_t>(word); };
  auto seed = static_cast<int64_t>(x[0].data[0]), step = static_cast<int64_t>(x[1].data[0]);
  int64_t stream = op.attrs.integer("stream");
  Tensor y{types[0], {}};
  for (int64_t i = 0; i < types[0].elements(); ++i) {
    auto word =
        philox({low(i), low(i >> 32), low(step), low(stream)}, {low(seed), low(seed >> 32)})[0];
    y.data.push_back((word >> kDroppedBits) * kScale);
  }
  return {y};
}

Scalar word_constant(loop::Builder& b, uint32_t word) {
  return b.constant(DType::i32, static_cast<int32_t>(word));
}

Scalar element_random_uniform(loop::ElementContext& c) {
  loop::Builder& b = c.b;
  auto low = [&](Scalar word) { return b.convert(word, DType::i32); };
  auto high = [&](Scalar word) { return low(b.binary(Code::shift_right, word, b.index(32))); };
  auto exclusive_or = [&](Scalar x, Scalar y) { return b.binary(Code::bit_xor, x, y); };
  Scalar seed = c.at(0, {}), step = c.at(1, {});
  Scalar key[2] = {low(seed), high(seed)};
  bool is_short = c.result_type().elements() >> 32 == 0;
  Scalar counter[4] = {low(c.linear()), is_short ? word_constant(b, 0) : high(c.linear()),
                       low(step),
                       word_constant(b, static_cast<uint32_t>(c.attrs().integer("stream")))};
  for (int round = 0; round < kPhiloxRounds; ++round) {
    Scalar multiplier_0 = word_constant(b, kPhiloxMultipliers[0]);
    Scalar multiplier_2 = word_constant(b, kPhiloxMultipliers[1]);
    Scalar high_0 = b.binary(Code::mul_high, counter[0], multiplier_0);
    Scalar high_2 = b.binary(Code::mul_high, counter[2], multiplier_2);
    Scalar low_0 = b.mul(counter[0], multiplier_0), low_2 = b.mul(counter[2], multiplier_2);
    counter[0] = exclusive_or(exclusive_or(high_2, counter[1]), key[0]);
    counter[2] = exclusive_or(exclusive_or(high_0, counter[3]), key[1]);
    counter[1] = low_2;
    counter[3] = low_0;
    for (size_t i = 0; i < 2; ++i)
      key[i] = b.add(key[i], word_constant(b, kPhiloxKeySteps[i]));
  }
  Scalar bits = b.binary(Code::shift_right, counter[0], b.constant(DType::i32, kDroppedBits));
  return b.mul(b.convert(bits, DType::f32), b.constant(DType::f32, kScale));
}

}  // namespace

extern constexpr OpDef random_uniform = {
    .name = "random_uniform",
    .doc =
        "Random numbers in [0, 1), multiples of 2^-24, from seed and step (i64): element i is the "
        "first word of Philox4x32-10 with key `seed` and counter (i, step, stream). Ops of one "
        "function need different streams.",
    .examples =
        "random_uniform(i64[], i64[]) {shape=[2,3], stream=1}\n"
        "random_uniform(i64[], i64[]) {shape=[], stream=2}",
    .operands = 2,
    .attrs = {{"shape", AttrKind::integers}, {"stream", AttrKind::integer}},
    .domains = {Domain::seed},
    .infer = infer_random_uniform,
    .eval = eval_random_uniform,
    .vjp = zero_gradient,
    .element = element_random_uniform,
};

}  // namespace gradc::ops
