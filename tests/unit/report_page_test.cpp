#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <regex>

#include "ir/parse.h"
#include "tests/support/contrast.h"
#include "tools/report/data.h"
#include "tools/report/page.h"

using namespace gradc;

namespace {

size_t count(const std::string& text, const std::string& what) {
  size_t times = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    ++times;
  return times;
}

std::string page_of(const std::string& file, const std::string& place) {
  Module module =
      parse_module("module @m\nentry @infer(%x: f32[4]) {\n  %y: f32[4] = exp(%x) loc \"" + place +
                       "\"\n  return y=%y\n}\n",
                   "t.ir");
  ReportRequest request{file, "", "1.2.3", {{"bind", file}}, {}};
  request.options.cpu = "x86-64-v3";
  return report_page(report_data(module, request));
}

}  // namespace

TEST_CASE("texts of a model are never markup", "[report]") {
  std::string plain = page_of("t.ir", "t.ir:1:1");
  REQUIRE(count(plain, "<script") == 2);
  REQUIRE(count(plain, "</script>") == 2);
  CHECK(count(plain, "{{") == 0);
  std::string hostile = "x</script><script>alert(1)</script><!--{{script}}<img src=q onerror=a>";
  std::string page = page_of(hostile, hostile);
  CHECK(count(page, "<script") == 2);
  CHECK(count(page, "</script>") == 2);
  CHECK(count(page, "<!--") == 0);
  CHECK(count(page, "<img") == 0);
  CHECK(count(page, "x\\u003c/script>\\u003cscript>alert(1)") >= 2);
}

TEST_CASE("the page needs nothing beside itself", "[report]") {
  std::string page = page_of("t.ir", "t.ir:1:1");
  CHECK(count(page, "<link") == 0);
  CHECK(count(page, " src=") == 0);
  CHECK(count(page, "@import") == 0);
  CHECK(count(page, "https:") == 0);
  // The name of a namespace, which is no address that anything is loaded from.
  CHECK(count(page, "http:") == count(page, "http://www.w3.org/2000/svg"));
}

TEST_CASE("bytes that are no UTF-8 do not break the page", "[report]") {
  std::string page = page_of("caf\xe9.ir", "caf\xe9.ir:1:1");
  CHECK(count(page, "caf\xef\xbf\xbd.ir") >= 2);
}

TEST_CASE("texts and shapes stand out in both themes", "[report]") {
  std::string page = page_of("m.ir", "m:1");
  const std::regex pair(R"(--([a-z0-9-]+): light-dark\((#[0-9a-f]+), (#[0-9a-f]+)\))");
  std::map<std::string, std::array<std::string, 2>> colors;
  for (std::sregex_iterator at(page.begin(), page.end(), pair), none; at != none; ++at)
    colors[(*at)[1]] = {(*at)[2], (*at)[3]};
  auto check = [&](const char* name, double least) {
    for (size_t dark : {0, 1})
      for (const char* ground : {"bg", "panel", "panel-2"}) {
        CAPTURE(name, dark, ground);
        CHECK(gradc_test::contrast(colors[name][dark], colors[ground][dark]) >= least);
      }
  };
  for (const char* text : {"text", "soft", "faint", "accent", "new", "changed", "gone", "peak"})
    check(text, 4.5);
  for (const char* shape : {"forward", "backward", "recomputed", "update", "scratch", "hit"})
    check(shape, 3);
}
