#include <catch2/catch.hpp>

#include "ir/parse.h"
#include "ir/print.h"
#include "tools/report/value_tracker.h"

using namespace gradc;

namespace {

// Follows @f of a module through its stages; the ids by printed name.
class Follower {
 public:
  std::map<std::string, int> next(const std::string& text) {
    Module module = parse_module("module @m\n" + text, "t.ir");
    Function& function = *module.find_function("f");
    // In the compiler names are hints that values share.
    for (Value& value : function.values)
      value.name = value.name.substr(0, value.name.find('.'));
    tracked = tracker_.follow(module, function);
    std::vector<std::string> names = unique_names(function);
    std::map<std::string, int> ids;
    for (size_t i = 0; i < names.size(); ++i)
      ids[names[i]] = tracked.ids[i];
    return ids;
  }
  TrackedFunction tracked;

 private:
  int next_id_ = 0;
  ValueTracker tracker_{next_id_};
};

}  // namespace

TEST_CASE("a value is the same whatever number its name has", "[report]") {
  Follower follower;
  auto before = follower.next(R"(entry @f(%x: f32[4]) {
  %v: f32[4] = exp(%x)
  %v.1: f32[4] = tanh(%x)
  %v.2: f32[4] = neg(%v.1)
  return %v.2
}
)");
  // %v is gone: what was %v.1 is called %v now.
  auto after = follower.next(R"(entry @f(%x: f32[4]) {
  %v: f32[4] = tanh(%x)
  %v.1: f32[4] = neg(%v)
  return %v.1
}
)");
  CHECK(after["x"] == before["x"]);
  CHECK(after["v"] == before["v.1"]);
  CHECK(after["v.1"] == before["v.2"]);
  CHECK(before["v"] != before["v.1"]);
}

TEST_CASE("a value that is computed in another way stays the same one", "[report]") {
  Follower follower;
  auto before = follower.next(R"(entry @f(%x: f32[4], %z: f32[4]) {
  %half: f32[4] = constant() {dtype=f32, shape=[4], value=2.0}
  %y: f32[4] = div(%x, %half) loc "m:1:1"
  %w: f32[4] = div(%z, %half) loc "m:1:1"
  %e: f32[4] = exp(%y)
  return %e, %w
}
)");
  auto after = follower.next(R"(entry @f(%x: f32[4], %z: f32[4]) {
  %c: f32[4] = constant() {dtype=f32, shape=[4], value=0.5}
  %w: f32[4] = mul(%z, %c) loc "m:1:1"
  %y: f32[4] = mul(%x, %c) loc "m:1:1"
  %e: f32[4] = exp(%y)
  return %e, %w
}
)");
  CHECK(after["y"] == before["y"]);
  CHECK(after["w"] == before["w"]);
  CHECK(after["e"] == before["e"]);
  CHECK(after["c"] != before["half"]);
}

TEST_CASE("names alone do not make values the same", "[report]") {
  Follower follower;
  auto before = follower.next(R"(entry @f(%x: f32[4], %z: f32[4]) {
  %y: f32[4] = exp(%x) loc "m:1:1"
  return %y
}
)");
  auto after = follower.next(R"(entry @f(%x: f32[4], %z: f32[4]) {
  %y: f32[4] = exp(%z) loc "m:1:1"
  return %y
}
)");
  CHECK(after["y"] != before["y"]);
}

TEST_CASE("of several values of one name and place, the inputs decide", "[report]") {
  Follower follower;
  auto before = follower.next(R"(entry @f(%a: f32[4], %b: f32[4]) {
  %y: f32[4] = softmax(%a) {axis=0} loc "m:1:1"
  %y.1: f32[4] = softmax(%b) {axis=0} loc "m:1:1"
  return %y, %y.1
}
)");
  auto after = follower.next(R"(entry @f(%a: f32[4], %b: f32[4]) {
  %e: f32[4] = exp(%b) loc "m:1:1"
  %y: f32[4] = mul(%e, %e) loc "m:1:1"
  %e.1: f32[4] = exp(%a) loc "m:1:1"
  %y.1: f32[4] = mul(%e.1, %e.1) loc "m:1:1"
  return %y.1, %y
}
)");
  CHECK(after["y"] == before["y.1"]);
  CHECK(after["y.1"] == before["y"]);
}

TEST_CASE("what a kernel computes is followed into it", "[report]") {
  Follower follower;
  auto before = follower.next(R"(entry @f(%x: f32[4]) {
  %e: f32[4] = exp(%x)
  %n: f32[4] = neg(%e)
  %e2: f32[4] = exp(%n)
  %n2: f32[4] = neg(%e2)
  return %n2
}
)");
  auto after = follower.next(R"(kernel @k(%x: f32[4]) with {class="map"} {
  %e: f32[4] = exp(%x)
  %y: f32[4] = neg(%e)
  return %y
}
entry @f(%x: f32[4]) {
  %n: f32[4] = call @k(%x)
  %n2: f32[4] = call @k(%n)
  return %n2
}
)");
  CHECK(after["n"] == before["n"]);
  CHECK(after["n2"] == before["n2"]);
  using Ids = std::vector<int>;
  CHECK(follower.tracked.inside[0] == Ids{before["x"], before["e"], before["n"]});
  CHECK(follower.tracked.inside[1] == Ids{before["n"], before["e2"], before["n2"]});
}

TEST_CASE("a recomputed value is the value", "[report]") {
  Follower follower;
  auto ids = follower.next(R"(kernel @k(%x: f32[4]) with {class="map"} {
  %e: f32[4] = exp(%x)
  return %e
}
entry @f(%x: f32[4]) {
  %a: f32[4] = call @k(%x)
  %b: f32[4] = call @k(%a)
  %again: f32[4] = call @k(%x)
  %c: f32[4] = call @k(%b)
  return %c, %again
}
)");
  CHECK(ids["again"] == ids["a"]);
  CHECK(ids["b"] != ids["a"]);
}

TEST_CASE("parameters are the same by name and state", "[report]") {
  Follower follower;
  auto before = follower.next(R"(param @w: f32[4]
entry @f(%x: f32[4], %w: f32[4] = @w) {
  return %x
}
)");
  auto after = follower.next(R"(param @w: f32[4]
entry @f(%w: f32[4] = @w, %y: f32[4], %x: f32[4]) {
  return %x
}
)");
  CHECK(after["w"] == before["w"]);
  CHECK(after["x"] == before["x"]);
  CHECK(after["y"] != before["x"]);
  CHECK(after["y"] != before["w"]);
}
