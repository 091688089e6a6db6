// Attention of ONNX. Numbers are those of its reference evaluator.
#include <catch2/catch.hpp>
#include <cmath>

#include "compiler/entries.h"
#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

Tensor mixed(const Dims& dims, int factor) {
  Tensor x{{DType::f32, dims}, {}};
  for (int i = 0; i < element_count(dims); ++i)
    x.data.push_back((i * factor % 7 - 3) * 0.25);
  return x;
}

// Positions [begin, end) of the first `heads` heads of [1, heads, positions, 2].
Tensor part(const Tensor& x, int64_t heads, int64_t begin, int64_t end) {
  Tensor y{{DType::f32, {1, heads, end - begin, 2}}, {}};
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t i = begin * 2; i < end * 2; ++i)
      y.data.push_back(x.data[static_cast<size_t>(head * x.type.dims[2] * 2 + i)]);
  return y;
}

// [1, 2, positions, 2] as [1, positions, 4]
Tensor joined(const Tensor& x) {
  int64_t positions = x.type.dims[2];
  Tensor y{{DType::f32, {1, positions, 4}}, {}};
  for (int64_t i = 0; i < positions * 4; ++i)
    y.data.push_back(x.data[static_cast<size_t>(i / 2 % 2 * positions * 2 + i / 4 * 2 + i % 2)]);
  return y;
}

const Tensor kAbsent{{DType::f32, {0}}, {}};
const Tensor kQ = mixed({1, 2, 3, 2}, 5), kK = mixed({1, 2, 4, 2}, 3), kV = mixed({1, 2, 4, 2}, 2);
const double kNone = -HUGE_VAL;
const Tensor kBias{{DType::f32, {1, 4}}, {0, 0.5, kNone, 1}};
const onnx::Attribute kCausal = attribute("is_causal", int64_t{1});

const Values kPlain = {-0.277372, -0.121338,  -0.0918974, -0.0889928, -0.0570082, 0.0350013,
                       -0.118412, -0.0111898, -0.0394141, 0.00554217, -0.0505061, 0.00276439};
const Values kCausalWindow = {-0.75, -0.25, -0.227917, 0.272083,  -0.226347, 0.273653,
                              -0.25, 0.25,  0.227917,  -0.108438, 0.162795,  0.0798415};

std::vector<Tensor> run(const Attributes& attributes, const std::vector<Tensor>& inputs,
                        const std::vector<std::string>& results = {"y"}, int64_t opset = 25) {
  return run_node(node("Attention", {}, results, attributes), opset, inputs);
}

void check(const Tensor& actual, const Dims& dims, const Values& expected) {
  CHECK(actual.type.dims == dims);
  CHECK_THAT(actual.data, Catch::Matchers::Approx(expected).epsilon(2e-5).margin(1e-6));
}

}  // namespace

TEST_CASE("Attention", "[onnx]") {
  Dims dims{1, 2, 3, 2};
  check(run({}, {kQ, kK, kV})[0], dims, kPlain);
  check(run({attribute("scale", 0.3), attribute("softcap", 0.5)}, {kQ, kK, kV})[0], dims,
        {-0.181766, -0.0853826, -0.111192, -0.0730409, -0.0947299, -0.0232319, -0.0847437,
         -0.00446182, -0.0525511, 0.00229326, -0.0576141, 0.00108057});
  check(run({kCausal}, {kQ, kK, kV})[0], dims, kCausalWindow);
  check(run({attribute("left_window_size", int64_t{1}), attribute("right_window_size", int64_t{0})},
            {kQ, kK, kV})[0],
        dims,
        {-0.75, -0.25, -0.227917, 0.272083, -0.0919404, 0.40806, -0.25, 0.25, 0.227917, -0.108438,
         0.383285, -0.0110468});
}

TEST_CASE("Attention with its heads side by side", "[onnx]") {
  Attributes heads{attribute("q_num_heads", int64_t{2}), attribute("kv_num_heads", int64_t{2})};
  check(run(heads, {joined(kQ), joined(kK), joined(kV)})[0], {1, 3, 4},
        {-0.277372, -0.121338, -0.118412, -0.0111898, -0.0918974, -0.0889928, -0.0394141,
         0.00554217, -0.0570082, 0.0350013, -0.0505061, 0.00276439});
}

TEST_CASE("Attention of fewer keys' heads than queries'", "[onnx]") {
  check(run({}, {kQ, part(kK, 1, 0, 4), part(kV, 1, 0, 4)})[0], {1, 2, 3, 2},
        {-0.277372, -0.121338, -0.0918974, -0.0889928, -0.0570082, 0.0350013, -0.103157, -0.126812,
         -0.0688337, -0.00765394, -0.254749, -0.0876163});
  check(run({kCausal}, {kQ, part(kK, 1, 0, 3), part(kV, 1, 0, 3)})[0], {1, 2, 3, 2},
        {-0.75, -0.25, -0.227917, 0.272083, -0.226347, 0.273653, -0.75, -0.25, -0.12044, 0.37956,
         -0.43203, 0.0679695});
}

TEST_CASE("Attention with masks", "[onnx]") {
  // A query that may see nothing gives 0.
  Tensor allowed{{DType::boolean, {3, 4}}, {1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0}};
  check(run({}, {kQ, kK, kV, allowed})[0], {1, 2, 3, 2},
        {-0.393077, -0.312509, 0, 0, -0.0919404, 0.40806, -0.369729, 0.130271, 0, 0, 0.383285,
         -0.0110468});
  check(run({}, {kQ, kK, kV, {{DType::f32, {1, 2}}, {0, 0.5}}}, {"y"}, 24)[0], {1, 2, 3, 2},
        {-0.344809, 0.155191, -0.107005, 0.392995, 0.027525, 0.527525, 0.413019, -0.247264,
         0.351474, -0.201106, 0.362019, -0.209014});
  Tensor lengths{{DType::i64, {1}}, {3}};
  check(run({kCausal}, {kQ, kK, kV, kAbsent, kAbsent, kAbsent, lengths})[0], {1, 2, 3, 2},
        kCausalWindow);
}

TEST_CASE("Attention shows its scores", "[onnx]") {
  auto mode = [](int64_t number) { return attribute("qk_matmul_output_mode", number); };
  std::vector<std::string> all{"y", "k", "v", "scores"};
  std::vector<Tensor> biased = run({mode(2)}, {kQ, kK, kV, kBias}, all);
  check(biased[0], {1, 2, 3, 2},
        {0.0116093, -0.226703, 0.23202, -0.245391, 0.251349, -0.0776718, -0.295119, -0.24893,
         -0.148424, -0.223296, -0.171934, -0.228694});
  CHECK(biased[1].data == kK.data);
  CHECK(biased[2].data == kV.data);
  CHECK(biased[3].data[2] == kNone);
  CHECK(biased[3].data[3] == Approx(0.602252));
  std::vector<Tensor> weights = run({mode(3), kCausal}, {kQ, kK, kV, kBias}, all);
  CHECK(weights[3].type.dims == Dims{1, 2, 3, 4});
  CHECK(weights[3].data[0] == 1);
  double plain = run({mode(0), attribute("softcap", 0.5)}, {kQ, kK, kV}, all)[3].data[0];
  CHECK(plain == Approx(0.397748));
  CHECK(run({mode(1), attribute("softcap", 0.5)}, {kQ, kK, kV}, all)[3].data[0] ==
        Approx(0.5 * std::tanh(plain / 0.5)));
}

TEST_CASE("Attention goes on behind a past", "[onnx]") {
  std::vector<Tensor> results = run({kCausal},
                                    {part(kQ, 2, 2, 3), part(kK, 2, 3, 4), part(kV, 2, 3, 4),
                                     kAbsent, part(kK, 2, 0, 3), part(kV, 2, 0, 3)},
                                    {"y", "k", "v"});
  check(results[0], {1, 2, 1, 2}, {kPlain[4], kPlain[5], kPlain[10], kPlain[11]});
  CHECK(results[1].data == kK.data);
  CHECK(results[2].data == kV.data);
}

TEST_CASE("plain Attention is one op", "[onnx]") {
  ModelParts parts{
      {value_info("q", DType::f32, {1, 2, 3, 2}), value_info("k", DType::f32, {1, 2, 3, 2}),
       value_info("v", DType::f32, {1, 2, 3, 2})},
      {},
      {node("Attention", {"q", "k", "v"}, {"y"}, {kCausal})},
      {"y"},
      23};
  Module module = onnx::import_model(model(parts), {});
  REQUIRE(module.function(kInfer).ops.size() == 1);
  CHECK(module.function(kInfer).ops[0].code == Opcode::attention);
}

TEST_CASE("masked Attention of shared keys is one op", "[onnx]") {
  auto imported = [](DType mask, const Attributes& attributes) {
    ModelParts parts{
        {value_info("q", DType::f32, {1, 4, 3, 2}), value_info("k", DType::f32, {1, 2, 5, 2}),
         value_info("v", DType::f32, {1, 2, 5, 2}), value_info("m", mask, {3, 5})},
        {},
        {node("Attention", {"q", "k", "v", "m"}, {"y"}, attributes)},
        {"y"},
        23};
    return onnx::import_model(model(parts), {});
  };
  for (DType mask : {DType::f32, DType::boolean}) {
    Module module = imported(mask, {});
    const Op& op = module.function(kInfer).ops.back();
    CHECK(op.code == Opcode::attention);
    CHECK(op.operands.size() == 4);
  }
  // ONNX counts positions from the first key: not those that are causal here.
  Module causal = imported(DType::boolean, {kCausal});
  CHECK_FALSE(causal.function(kInfer).ops.back().attrs.flag("causal"));
}

TEST_CASE("Attention that cannot be", "[onnx]") {
  auto error = [](const std::vector<Size>& k, const Attributes& attributes) {
    return import_error(
        model({{value_info("q", DType::f32, {1, 3, 4}), value_info("k", DType::f32, k),
                value_info("v", DType::f32, {1, 4, 4})},
               {},
               {node("Attention", {"q", "k", "v"}, {"y"}, attributes)},
               {"y"},
               23}));
  };
  std::string place = "t.onnx: node \"n0\" (#0, Attention): error: ";
  Attributes heads{attribute("q_num_heads", int64_t{2}), attribute("kv_num_heads", int64_t{2})};
  CHECK(error({1, 4, 4}, {}) ==
        place + "attributes `q_num_heads` and `kv_num_heads` must be given for inputs of 3 axes");
  CHECK(error({1, 4, 3}, heads) == place + "input 1 is f32[1,4,3], its last axis is not 2 heads");
  CHECK(error({1, 5, 4}, heads) ==
        place + "queries [1,2,3,2], keys [1,2,5,2] and values [1,2,4,2] do not fit");
  heads.push_back(attribute("qk_matmul_output_mode", int64_t{4}));
  CHECK(error({1, 4, 4}, heads) ==
        place + "attribute `qk_matmul_output_mode` is 4, it must lie in [0, 3]");
}
