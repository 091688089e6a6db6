#include <catch2/catch.hpp>
#include <map>
#include <regex>

#include "tests/support/contrast.h"
#include "tools/plan/curve.h"

using namespace gradc;

TEST_CASE("a curve has its axes, units, bound and what has no plan", "[curve]") {
  constexpr int64_t kMiB = 1 << 20;
  std::string svg =
      curve_svg("step of <m>",
                {{100 * kMiB, 0.0, 0, 0.0}, {50 * kMiB, 0.125, 0.1, 0.15}, {25 * kMiB, {}, 0, {}}});
  auto says = [&](const char* text) { return svg.find(text) != std::string::npos; };
  CHECK(says("step of &lt;m>"));
  CHECK(says(">arena that is allowed, MiB<"));
  CHECK(says("more time than without a budget, %"));
  CHECK(says("52428800 bytes: 12.50 %, at least 10.00 %"));
  CHECK(says(">no plan<"));
  CHECK(says(">measured<"));
  CHECK(says("prefers-color-scheme:dark"));
  // The right end is 103 MiB at x = 700, the left one 0 at 70.
  CHECK(says("cx=\"681.7\""));
}

TEST_CASE("without measured steps there are no marks for them", "[curve]") {
  std::string svg = curve_svg("small", {{4096, 0.0, 0, {}}, {2048, 0.5, 0.25, {}}});
  CHECK(svg.find("allowed, KiB") != std::string::npos);
  CHECK(svg.find("circle class=\"measured\"") == std::string::npos);
  CHECK(svg.find(">no plan<") == std::string::npos);
}

TEST_CASE("a curve can be read in both themes", "[curve]") {
  std::string svg = curve_svg("small", {{4096, 0.0, 0, 0.1}, {2048, 0.5, 0.25, 0.6}});
  CHECK(svg.find("<rect class=\"page\" width=\"730\" height=\"400\"/>") != std::string::npos);
  size_t dark = svg.find("@media(prefers-color-scheme:dark)"), end = svg.find("</style>");
  REQUIRE(dark < end);
  const std::regex rule(R"(\.?([a-z-]+)\{[^}]*?(#[0-9a-f]+))");
  std::map<std::string, std::string> colors;
  auto check = [&](const std::string& rules) {
    for (std::sregex_iterator at(rules.begin(), rules.end(), rule), none; at != none; ++at)
      colors[(*at)[1]] = (*at)[2];
    for (const char* name : {"text", "axis", "plan", "plan-dot", "bound", "measured"}) {
      CAPTURE(name, colors[name], colors["page"]);
      CHECK(gradc_test::contrast(colors[name], colors["page"]) >
            (name == std::string("text") ? 4.5 : 3.0));
    }
  };
  check(svg.substr(0, dark));
  CHECK(colors["page"] == "#fff");
  check(svg.substr(dark + 34, end - dark - 34));
  CHECK(colors["page"] == "#1b1f24");
}
