#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

#include "compiler/compile.h"
#include "compiler/kernel.h"
#include "compiler/plan/report.h"
#include "ir/op_def.h"
#include "ir/parse.h"
#include "tools/report/data.h"
#include "tools/report/stages.h"

using namespace gradc;
using Json = nlohmann::ordered_json;

namespace {

struct Compiled {
  Module imported, planned;
  Json data;

  Compiled(const std::string& name, int64_t batch, std::optional<int64_t> memory) {
    std::string path = std::string(GRADC_SOURCE_DIR) + "/examples/" + name + ".model";
    ReportRequest request{path, read_text_file(path), "1.2.3", {{"batch", "4"}}, {}};
    request.options.binds["batch"] = batch;
    request.options.memory = memory;
    request.options.train = true;
    request.options.cpu = "x86-64-v3";
    request.options.threads = 2;
    imported = load_model(path, request.options);
    planned = compile(imported, request.options);
    data = report_data(imported, request);
  }
  std::string text(const Json& index) const { return data["strings"][index.get<int>()]; }
  const Json& entry(const std::string& name) const {
    for (const Json& entry : data["entries"])
      if (entry["name"] == name)
        return entry;
    throw std::runtime_error("no entry " + name);
  }
};

// What the plan says of a value of the arena, worked out from the text of the plan alone.
struct Place {
  int64_t offset = 0, bytes = 0;
  int first = 0, last = 0;
  bool operator==(const Place&) const = default;
};
std::map<uint32_t, Place> places_of(const Function& entry) {
  std::map<uint32_t, Place> places;
  std::map<uint32_t, uint32_t> viewed;
  auto root = [&](ValueId value) {
    uint32_t index = value.index;
    while (viewed.contains(index))
      index = viewed[index];
    return index;
  };
  int time = 0;
  for (const Op& op : entry.ops) {
    if (op.code != Opcode::call) {
      viewed[op.result().index] = op.operand(0).index;
      continue;
    }
    for (ValueId operand : op.operands)
      if (auto place = places.find(root(operand)); place != places.end())
        place->second.last = time;
    for (ValueId result : op.results)
      if (entry[result].offset)
        places[result.index] = {*entry[result].offset, aligned(entry.type(result).bytes()), time,
                                time};
    ++time;
  }
  return places;
}

}  // namespace

TEST_CASE("the memory map is the plan's", "[report]") {
  std::optional<int64_t> budget = GENERATE(std::optional<int64_t>{}, std::optional(1700000));
  Compiled example("resnet20", 2, budget);
  const Function& planned = example.planned.function("train_step");
  const Json& entry = example.entry("train_step");
  std::map<uint32_t, Place> places = places_of(planned);
  std::map<uint32_t, Place> shown;
  int64_t arena = entry["arena_bytes"];
  CHECK(arena == planned.arena_bytes);
  if (budget) {
    CHECK(arena <= *budget);
    CHECK(entry["budget_bytes"] == *budget);
  }
  const Json& lifetimes = entry["lifetimes"];
  for (const Json& life : lifetimes) {
    Place place{life["offset"], life["bytes"], life["first"], life["last"]};
    CHECK(place.offset + place.bytes <= arena);
    if (life["value"] != -1)
      shown[life["value"].get<uint32_t>()] = place;
  }
  CHECK(shown == places);
  // Two lifetimes that meet in time have no byte in common, but for what is made in place.
  for (size_t i = 0; i < lifetimes.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      const Json &a = lifetimes[i], &b = lifetimes[j];
      bool meet = a["first"] <= b["last"] && b["first"] <= a["last"];
      bool overlap =
          a["offset"].get<int64_t>() < b["offset"].get<int64_t>() + b["bytes"].get<int64_t>() &&
          b["offset"].get<int64_t>() < a["offset"].get<int64_t>() + a["bytes"].get<int64_t>();
      if (meet && overlap) {
        CAPTURE(a.dump(), b.dump());
        CHECK(a["in_place_of"] == j);
        CHECK(a["first"] == b["last"]);
      }
    }
}

TEST_CASE("the holders of the peak sum to the peak", "[report]") {
  for (std::string name : {"mlp", "resnet20", "gpt"}) {
    CAPTURE(name);
    Compiled example(name, 2, std::nullopt);
    for (const Json& entry : example.data["entries"]) {
      CAPTURE(entry["name"].dump());
      int64_t held = 0;
      for (const Json& holder : entry["peak"]["holders"])
        held += holder["bytes"].get<int64_t>();
      CHECK(held == entry["peak"]["bytes"]);
      CHECK(held == entry["peak_bytes"]);
      std::vector<int64_t> live = entry["live"];
      REQUIRE(live.size() == entry["calls"].size());
      if (!live.empty()) {
        CHECK(held == *std::max_element(live.begin(), live.end()));
        CHECK(held == live[entry["peak"]["time"].get<size_t>()]);
      }
    }
  }
}

TEST_CASE("operations by kernel, layer and line have one sum", "[report]") {
  Compiled example("resnet20", 2, 1700000);
  Options options;
  options.cpu = "x86-64-v3";
  options.threads = 2;
  const Json& entry = example.entry("train_step");
  MemoryReport report =
      memory_report(example.planned, example.planned.function("train_step"), options);
  std::map<std::string, int64_t> expected = {{"forward", report.forward.flops},
                                             {"backward", report.backward.flops},
                                             {"recomputed", report.recomputed.flops},
                                             {"update", report.update.flops}};
  for (const auto& [kind, flops] : expected) {
    CAPTURE(kind);
    CHECK(flops > 0);
    CHECK(entry[kind]["flops"] == flops);
    for (const char* table : {"by_layer", "by_line"}) {
      int64_t sum = 0;
      for (const Json& row : entry[table])
        sum += row[kind].get<int64_t>();
      CHECK(sum == flops);
    }
  }
  int64_t by_calls = 0;
  for (const Json& call : entry["calls"])
    if (call["recomputed"] == true)
      by_calls += call["flops"].get<int64_t>();
  CHECK(by_calls == report.recomputed.flops);
  CHECK(entry["overhead"].get<double>() == Approx(report.overhead()));
  CHECK(entry["bound"].get<double>() <= report.overhead());
  CHECK(entry["bound"].get<double>() >= 0);
  CHECK(example.entry("infer")["bound"].is_null());
  // Both gradients of a layer's product: twice its forward work.
  for (const Json& row : entry["by_layer"])
    if (example.text(row["name"]) == "stage_2.basic_block_2.conv_norm_1.conv_1")
      CHECK(row["backward"].get<double>() / row["forward"].get<double>() ==
            Approx(2).epsilon(0.02));
}

TEST_CASE("stages show what changed and link values", "[report]") {
  Compiled example("mlp", 4, std::nullopt);
  const Json& entry = example.entry("train_step");
  std::vector<std::string> passes;
  std::map<std::string, int> id_of_x;  // by pass: %x, the second layer's activation
  for (const Json& stage : entry["stages"]) {
    passes.push_back(stage["pass"]);
    const Json& function = stage["functions"][0];
    CHECK(function["name"] == "train_step");
    for (size_t i = 0; i < function["names"].size(); i += 2)
      if (example.text(function["names"][i]) == "x")
        id_of_x[passes.back()] = function["names"][i + 1];
  }
  CHECK(passes == std::vector<std::string>{"import", "simplify", "raise", "sink", "unroll",
                                           "autodiff", "optimizer", "expand", "layout", "far_taps",
                                           "subpixel", "simplify", "bands", "pack", "fuse",
                                           "schedule", "plan"});
  CHECK(id_of_x.size() == 16);  // simplify comes twice
  for (const auto& [pass, id] : id_of_x) {
    CAPTURE(pass);
    CHECK(id == id_of_x["import"]);
  }
  auto count = [&](size_t stage, int mask, int mark) {
    int lines = 0;
    const Json& function = entry["stages"][stage]["functions"][0];
    for (size_t i = 2; i < function["lines"].size(); i += 4)
      lines += (function["lines"][i].get<int>() & mask) == mark;
    return lines;
  };
  CHECK(count(4, 3, kSame) * 4 ==
        static_cast<int>(entry["stages"][4]["functions"][0]["lines"].size()));
  CHECK(count(5, 3, kNew) > 20);  // the backward pass
  CHECK(count(5, 3, kChanged) == 0);
  CHECK(count(10, kGoneNext, kGoneNext) > 20);  // constants that simplify makes one of
  CHECK(count(14, 3, kChanged) > 10);  // calls in the place of ops
  // The sum before the first relu has no line of its own any more: one kernel computes it.
  const Json& names = entry["stages"][0]["functions"][0]["names"];
  for (size_t i = 0; i < names.size(); i += 2)
    if (example.text(names[i]) == "add") {
      std::vector<std::string> inside;
      for (const Json& call : entry["calls"])
        if (std::count(call["inside"].begin(), call["inside"].end(), names[i + 1]))
          inside.push_back(example.data["kernels"][call["kernel"].get<int>()]["name"]);
      CHECK(inside == std::vector<std::string>{"dot_add_relu_1"});
    }
}

TEST_CASE("the report says what it was made of", "[report]") {
  Compiled example("mlp", 4, std::nullopt);
  CHECK(example.data["gradc"] == "1.2.3");
  CHECK(example.data["model"] == "mlp");
  CHECK(example.data["settings"][0][0] == "batch");
  CHECK(example.data["parameters"] == 784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10);
  CHECK(example.entry("train_step")["budget_bytes"].is_null());
  CHECK(example.text(example.data["source"][0]).starts_with("# "));
  CHECK(has_places_in(example.imported, example.data["file"]));
  CHECK_FALSE(has_places_in(example.imported, "mlp"));
  for (const char* place : {"m.onnx: node \"a\"", "m.onnx:", "m.onnx", "/fc1/Gemm"}) {
    Module module = example.imported;
    for (Function& function : module.functions)
      for (Op& op : function.ops)
        op.loc = place;
    CHECK_FALSE(has_places_in(module, "m.onnx"));
  }
  std::vector<std::string> entries;
  for (const Json& entry : example.data["entries"])
    entries.push_back(entry["name"]);
  CHECK(entries == std::vector<std::string>{"train_step", "infer", "init"});
  for (const Json& kernel : example.data["kernels"]) {
    CAPTURE(kernel["name"].dump());
    CHECK(example.text(kernel["loops"][0]).starts_with("loops @"));
  }
}

TEST_CASE("a budget for all regions leaves the arena what the others do not take", "[report]") {
  Module module = parse_module(R"(module @m
param @w: f32[1024]
entry @infer(%x: f32[1024], %w: f32[1024] = @w) {
  %e: f32[1024] = exp(%x)
  %s: f32[] = reduce_sum(%e) {axes=[0]}
  %b: f32[1024] = broadcast(%s) {axes=[], shape=[1024]}
  %y: f32[1024] = mul(%b, %w)
  return y=%y
}
)",
                               "t.ir");
  ReportRequest request{"t.ir", "", "1.2.3", {}, {}};
  request.options.cpu = "x86-64-v3";
  request.options.memory_total = 100000;
  Json data = report_data(module, request);
  CHECK(data["total_budget_bytes"] == 100000);
  CHECK(data["entries"][0]["budget_bytes"] == 100000 - 3 * 4096);
}

TEST_CASE("a dump goes on from the pass that it was written after", "[report]") {
  Compiled example("mlp", 4, std::nullopt);
  ReportRequest request{"t.ir", "", "1.2.3", {}, {}};
  request.options.train = true;
  request.options.cpu = "x86-64-v3";
  request.options.threads = 2;
  Json data = report_data(example.planned, request);
  CHECK(data["entries"][0]["stages"].size() == 1);
  CHECK(data["entries"][0]["stages"][0]["pass"] == "plan");
  CHECK(data["entries"][0]["arena_bytes"] == example.entry("train_step")["arena_bytes"]);
}

TEST_CASE("a module without entries has no report", "[report]") {
  Module module = parse_module("module @m\n", "t.ir");
  ReportRequest request{"t.ir", "", "1.2.3", {}, {}};
  CHECK_THROWS_WITH(report_data(module, request),
                    Catch::Contains("t.ir: error: it has no entry, so nothing in it runs"));
}

TEST_CASE("an entry that a pass makes begins with that pass", "[report]") {
  Compiled example("mlp", 4, std::nullopt);
  std::erase_if(example.imported.functions,
                [](const Function& function) { return function.name == "init"; });
  ReportRequest request{"t.ir", "", "1.2.3", {}, {}};
  request.options.train = true;
  request.options.cpu = "x86-64-v3";
  Json data = report_data(example.imported, request);
  for (const Json& entry : data["entries"])
    if (entry["name"] == "init")
      for (const Json& stage : entry["stages"]) {
        CAPTURE(stage["pass"].dump());
        bool before = stage["pass"] == "import" || stage["pass"] == "autodiff";
        CHECK((!before || stage["functions"].empty()));
        CHECK((stage["pass"] != "plan" || stage["functions"].size() == 1));
      }
  CHECK(data["entries"].size() == 3);
}
