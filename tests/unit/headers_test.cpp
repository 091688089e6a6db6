// The headers for compiled models are C11 and C++17 whatever the model's names are.
#include "tools/headers.h"

#include <catch2/catch.hpp>
#include <cstdlib>

#include "compiler/compile.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "tests/support/temporary_directory.h"
#include "tools/identifiers.h"

using namespace gradc;
using Catch::Matchers::Contains;
using gradc_test::TemporaryDirectory;

namespace {

// Names that C or C++ keeps for itself, that differ in no letter or digit, or only in capitals.
const char kOddNames[] = R"(module @m
param @w: f32[3]
entry @init(%seed: i64[]) {
  %one: f32[3] = constant() {dtype=f32, shape=[3], value=1.0}
  return one=%one -> @w
}
entry @train_step(%class: f32[3], %x.1: f32[3], %x_1: f32[3], %X_1: f32[3], %count: f32[3], %lr: f32[], %step: i64[], %total_steps: i64[], %seed: i64[], %w: f32[3] = @w) {
  %a: f32[3] = add(%class, %x.1)
  %b: f32[3] = add(%x_1, %X_1)
  %c: f32[3] = add(%a, %b)
  %d: f32[3] = add(%c, %count)
  %e: f32[3] = mul(%d, %w)
  %loss: f32[] = reduce_sum(%e) {axes=[0]}
  return loss=%loss, x_1_size=%d, x.1=%e
}
entry @empty() {
  return
}
entry @model(%step: i32[2], %a: f64[], %b: bool[2], %h: f16[2]) {
  return step=%step, a=%a, b=%b, h=%h
}
)";

HeaderOptions options_of(const std::string& prefix) {
  return {.prefix = prefix, .learning_rate = 0.05};
}

// Writes a file and has it compiled.
void compiles(const TemporaryDirectory& directory, const std::string& name, const std::string& text,
              const std::string& compiler) {
  gradc_test::write_text(directory.file(name), text);
  std::string command = fmt::format(
      "{} -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -fsyntax-only -I{}/runtime {}",
      compiler, GRADC_SOURCE_DIR, directory.file(name));
  INFO(text);
  CHECK(std::system(command.c_str()) == 0);
}

}  // namespace

TEST_CASE("headers compile whatever the names", "[headers]") {
  Module module = parse_module(kOddNames, "m.ir");
  for (const char* name : {"plain", "class", "gradc", "std", "main", "1st-model"}) {
    TemporaryDirectory directory;
    std::string prefix = c_identifier(name);
    gradc_test::write_text(directory.file(prefix + ".h"), c_header(module, options_of(prefix)));
    gradc_test::write_text(directory.file(prefix + ".hpp"), cpp_header(module, options_of(prefix)));
    compiles(directory, "c.c",
             fmt::format("#include \"{0}.h\"\nconst void* inputs[{1}_TRAIN_STEP_INPUT_COUNT];\n"
                         "int main(void) {{ return {0}_module.entries[{1}_ENTRY_MODEL].input_count "
                         "== {1}_MODEL_INPUT_COUNT && {1}_TRAIN_STEP_INPUT_X_1_2 == 2; }}\n",
                         prefix, upper(prefix)),
             "cc -std=c11");
    compiles(directory, "cpp.cpp",
             fmt::format(
                 "#include \"{0}.hpp\"\nint main() {{\n  {0}::Model model(2);\n  model.init(1);\n"
                 "  {0}::TrainStep step;\n  static_assert(step.x_1_size_2 == 3);\n"
                 "  step.class_ = step.x_1 = step.x_1_2 = step.X_1_3 = nullptr;\n"
                 "  step.lr += 0.1f;\n  model.run(step);\n"
                 "  {0}::Model_2 other;\n  other.a = 1.5;\n  model.run(other);\n"
                 "  return step.loss < 1;\n}}\n",
                 prefix),
             "c++ -std=c++17");
  }
}

TEST_CASE("the header says how a training step begins", "[headers]") {
  Module module = parse_module(kOddNames, "m.ir");
  HeaderOptions options = options_of("m");
  std::string text = cpp_header(module, options);
  CHECK_THAT(text, Contains("float lr = 0.05f;  // in"));
  CHECK_THAT(text, Contains("++a.step;"));
  CHECK_THAT(text, Contains("by init(), load() or load_weights()."));
  CHECK_THAT(text, !Contains("m.safetensors") && !Contains("if (a.total_steps"));
  options.schedule_ends = options.has_weights_file = true;
  text = cpp_header(module, options);
  CHECK_THAT(text, Contains("m.safetensors") && Contains("if (a.total_steps <= 0)"));
}

TEST_CASE("weights that come from elsewhere are not made", "[headers]") {
  std::string state = "module @m\nparam @w: f32[3]\noptimizer @v: f32[3]\n";
  std::string init = R"(entry @init() {
  %zero: f32[3] = constant() {dtype=f32, shape=[3], value=0.0}
  return v=%zero -> @v
}
)";
  std::string text = cpp_header(parse_module(state + init, "m.ir"), options_of("m"));
  CHECK_THAT(text, Contains("void reset_optimizer()") && !Contains("void init("));
  CHECK_THAT(text, Contains("Its weights come by load_weights()."));
}

TEST_CASE("what the runtime calls by itself is no method", "[headers]") {
  Module module = parse_module(
      "module @m\nparam @w: f32[3]\nderived @d: f32[3]\nentry @infer(%d: f32[3] = @d) {\n"
      "  %y: f32[3] = neg(%d)\n  return y=%y\n}\nentry @prepare(%w: f32[3] = @w) {\n"
      "  %d: f32[3] = neg(%w)\n  return %d -> @d\n}\n",
      "m.ir");
  std::string text = cpp_header(module, options_of("m"));
  CHECK_THAT(text, Contains("void run(Infer& a)") && !Contains("Prepare"));
  // A C program without the runtime library calls it.
  CHECK_THAT(c_header(module, options_of("m")), Contains("M_ENTRY_PREPARE = 1"));
}

TEST_CASE("identifiers differ", "[headers]") {
  Identifiers names({"count"});
  CHECK(names.unique("x.1") == "x_1");
  CHECK(names.unique("x_1") == "x_1_2");
  CHECK(names.unique("X/1") == "X_1_3");
  CHECK(names.unique("Count") == "Count_2");
  CHECK(names.unique("for") == "for_");
  CHECK(names.unique("3") == "_3");
  CHECK(names.unique("") == "_");
  CHECK(names.unique("\xc3\xa4") == "__");
  CHECK(camel("train_step") == "TrainStep");
  CHECK(camel("_1_a") == "_1A");
}
