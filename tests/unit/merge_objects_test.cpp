// Objects of several kernels as one file, as linkers and debuggers read it.
#include "compiler/codegen/merge_objects.h"

#include <catch2/catch.hpp>
#include <cstdlib>

#include "ir/diagnostic.h"
#include "tests/support/temporary_directory.h"

using namespace gradc;
using gradc_test::read_text;

namespace {

void run(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(command.c_str()) == 0);
}

}  // namespace

// Two parts have a function, constants and a local function of the same names; the third calls both
// functions by their new names and has a table of pointers.
TEST_CASE("merged objects link and run", "[object]") {
  gradc_test::TemporaryDirectory directory;
  auto compiled = [&](const std::string& name, const std::string& source) {
    std::string stem = directory.file(name);
    gradc_test::write_text(stem + ".c", source);
    run(fmt::format("cc -std=c11 -O1 -fPIC -fno-asynchronous-unwind-tables -c {0}.c -o {0}.o",
                    stem));
    return read_text(stem + ".o");
  };
  auto kernel = [](int factor) {
    return fmt::format(R"(
      #include <string.h>
      __attribute__((noinline)) static double part(double x) {{ return x * {0}.5; }}
      static const int numbers[] = {{{0}, 2, 3}};
      int kernel(double x, char* text) {{
        strcpy(text, "text {0}");
        return (int)part(x) + numbers[strlen(text) - 6];
      }})",
                       factor);
  };
  std::string first = compiled("first", kernel(10)), second = compiled("second", kernel(20));
  std::string whole = compiled("whole", R"(
    __attribute__((visibility("hidden"))) int first(double, char*);
    __attribute__((visibility("hidden"))) int second(double, char*);
    struct table { int (*a)(double, char*); int (*b)(double, char*); };
    const struct table the_table = {first, second};)");
  codegen::ObjectPart parts[] = {
      {first, "kernel", "first"}, {second, "kernel", "second"}, {whole, "", ""}};
  std::string object = codegen::write_elf(codegen::merge_objects(parts, "the_table"));
  CHECK(object == codegen::write_elf(codegen::merge_objects(parts, "the_table")));
  std::string stem = directory.file("merged");
  gradc_test::write_text(stem + ".o", object);
  gradc_test::write_text(stem + ".c", R"(
    #include <string.h>
    extern const struct { int (*a)(double, char*); int (*b)(double, char*); } the_table;
    int kernel(void) { return 1; }
    int main(void) {
      char a[20], b[20];
      if (the_table.a(2, a) != 21 + 2 || the_table.b(2, b) != 41 + 2) return 1;
      return kernel() != 1 || strcmp(a, "text 10") != 0 || strcmp(b, "text 20") != 0;
    })");
  run(fmt::format("cc -std=c11 {0}.c {0}.o -o {0} && {0}", stem));
  run(fmt::format("nm {0}.o > {0}.txt", stem));
  std::string symbols = read_text(stem + ".txt");
  CHECK(symbols.find(" t first\n") != std::string::npos);
  CHECK(symbols.find(" t second\n") != std::string::npos);
  CHECK(symbols.find(" the_table\n") != std::string::npos);
  CHECK(symbols.find("U strlen\n") != std::string::npos);
  CHECK(symbols.find("U first\n") == std::string::npos);
}
