#!/bin/bash
# Programs of others, built outside of the tree against the installed package: by CMake with Ninja and with Make, by
# pkg-config and by hand, in C++ and in C. Their models train.
#   package.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
build=$1 source=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
# expect TEXT FILE
expect() {
  grep -qF -- "$1" "$2" || { cat "$2" >&2; fail "no '$1'"; }
}
quietly() {
  "$@" >"$out/log" 2>&1 || { cat "$out/log" >&2; fail "$*"; }
}
configure() { quietly cmake -S "$1" -B "$2" -DCMAKE_PREFIX_PATH="$prefix" "${@:3}"; }

echo "== install, then move away: nothing holds the prefix"
DESTDIR=$out/staging quietly cmake --install "$build" --prefix /opt/gradc
prefix=$out/moved
mv "$out/staging/opt/gradc" "$prefix"
find "$prefix" -type f >"$out/files"
for file in bin/gradc include/gradc/gradc_runtime.h include/gradc/gradc_model.hpp libgradc_runtime.a \
    cmake/gradc/gradcConfig.cmake cmake/gradc/gradcConfigVersion.cmake pkgconfig/gradc-runtime.pc \
    share/man/man1/gradc.1 share/man/man1/gradc-train.1 share/bash-completion/completions/gradc \
    share/zsh/site-functions/_gradc share/fish/vendor_completions.d/gradc.fish share/doc/gradc/LICENSE; do
  grep -q "/$file\$" "$out/files" || fail "$file is not installed"
done
! grep -rlF -e "$build" -e "$source" -e /opt/gradc "$prefix" --include='*.cmake' --include='*.pc' || fail "paths of the build in the package"
gradc=$prefix/bin/gradc

echo "== the examples, as installed"
for example in embed embed_onnx embed_c; do
  configure "$prefix/share/doc/gradc/examples/$example" "$out/$example" -G Ninja -DCMAKE_BUILD_TYPE=Release
  quietly cmake --build "$out/$example"
  (cd "$out/$example" && ./train) || fail "$example does not learn"
done
[ -s "$out/embed_onnx/trained.safetensors" ] || fail "embed_onnx saved nothing"

echo "== by Make, with what triggers a build"
project=$out/project
mkdir "$project"
cp "$source/tests/data/onnx/control.onnx" "$source/tests/data/onnx/control.bin" "$project"
cp "$prefix/share/doc/gradc/examples/embed_onnx/lstm.onnx" "$out/embed_onnx/trained.safetensors" "$project"
cat >"$project/net.model" <<'END'
model net(x: f32[4, 8], label: i32[4]) {
  logits = dense(x, 3)
  loss = cross_entropy(logits, label)
  return loss, logits
}
END
cat >"$project/main.cpp" <<'END'
#include <cstdio>
#include <vector>

#include "control_net.hpp"
#include "one.hpp"
#include "net.hpp"

int main() {
  net::Model model(1);
  model.init(1);
  control_net::Model other(nullptr);
  one::Model trained(nullptr);
  trained.load_weights(WEIGHTS);
  std::vector<float> input(one::Infer::input_size), output(one::Infer::output_size);
  one::Infer infer;
  infer.input = input.data();
  infer.output = output.data();
  trained.run(infer);
  std::printf("%zu %zu\n", net::Model::state_bytes, control_net::Model::arena_bytes);
}
END
cat >"$project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.20)
project(two LANGUAGES CXX)
find_package(gradc 0.1 REQUIRED COMPONENTS runtime compiler)
gradc_add_model(net MODEL net.model TRAIN OPTIMIZER sgd CPU x86-64-v2 THREADS 2 OPTIONS --momentum 0.9)
gradc_add_model(control-net MODEL control.onnx BIND condition=1)
gradc_add_model(lstm NAME one MODEL lstm.onnx WEIGHTS trained.safetensors)
add_executable(two main.cpp)
target_link_libraries(two PRIVATE net control-net lstm)
target_compile_definitions(two PRIVATE WEIGHTS="$<TARGET_PROPERTY:lstm,GRADC_WEIGHTS>")
set_target_properties(two PROPERTIES CXX_STANDARD 17)
END
"$gradc" compile "$project/lstm.onnx" --weights "$project/trained.safetensors" --quiet --name one -o "$out/reference"
mv "$out/reference/one.safetensors" "$out/reference.safetensors"
for generator in "Unix Makefiles" Ninja; do
  tree="$out/two $generator"
  configure "$project" "$tree" -G "$generator"
  quietly cmake --build "$tree"
  "$tree/two"
  cmp "$tree/lstm.gradc/one.safetensors" "$out/reference.safetensors"
  quietly cmake --build "$tree"
  ! grep -q "Compiling model" "$out/log" || fail "$generator: compiled twice"
  sleep 1.1  # Make compares whole seconds
  touch "$project/control.bin"
  quietly cmake --build "$tree"
  expect "Compiling model control.onnx" "$out/log"
  ! grep -q "Compiling model net.model" "$out/log" || fail "$generator: compiled another model"
  sleep 1.1
  touch "$project/net.model"
  quietly cmake --build "$tree"
  expect "Compiling model net.model" "$out/log"
  ! grep -q "Compiling model lstm.onnx" "$out/log" || fail "$generator: compiled another model"
  sleep 1.1
  touch "$project/trained.safetensors"
  quietly cmake --build "$tree"
  expect "Compiling model lstm.onnx" "$out/log"
  sleep 1.1
  touch "$gradc"
  quietly cmake --build "$tree"
  expect "Compiling model net.model" "$out/log"
done

echo "== errors"
cp -r "$project" "$out/broken"
sed -i 's/dense(x, 3)/dens(x, 3)/' "$out/broken/net.model"
configure "$out/broken" "$out/broken/tree" -G Ninja
! cmake --build "$out/broken/tree" >"$out/log" 2>&1 || fail "a broken model builds"
expect "$out/broken/net.model:2:12: error: " "$out/log"
refused() {
  printf 'cmake_minimum_required(VERSION 3.20)\nproject(p LANGUAGES CXX)\n%s\n' "$2" >"$out/broken/CMakeLists.txt"
  ! cmake -S "$out/broken" -B "$out/broken/tree" -DCMAKE_PREFIX_PATH="$prefix" >"$out/log" 2>&1 || fail "accepted: $2"
  tr -s '\n ' ' ' <"$out/log" >"$out/log.line"
  expect "$1" "$out/log.line"
}
refused "needs MODEL" "find_package(gradc REQUIRED)
gradc_add_model(net TRAIN)"
refused "unknown: TRIAN" "find_package(gradc REQUIRED)
gradc_add_model(net MODEL net.model TRIAN)"
refused "there is a target of this name" "find_package(gradc REQUIRED)
add_library(net INTERFACE)
gradc_add_model(net MODEL net.model)"
refused "is not an identifier" "find_package(gradc REQUIRED)
gradc_add_model(net MODEL net.model NAME a-b)"
refused "requested version \"9\"" "find_package(gradc 9 REQUIRED)"

echo "== pkg-config and by hand"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name gradc-runtime.pc)")
export PKG_CONFIG_PATH
read -ra flags <<<"$(pkg-config --cflags --libs gradc-runtime)"
"$gradc" compile "$source/examples/lenet.model" --train --quiet -o "$out/lenet"
mv "$out/lenet/gradc_runtime.h" "$out/lenet/gradc_model.hpp" "$out"  # the installed ones are taken
c++ -std=c++17 -O2 -Wall -Wextra -Wpedantic -Wconversion -Werror -I"$out/lenet" "$source/examples/embed/main.cpp" "$out/lenet/lenet.o" \
  "${flags[@]}" -o "$out/by_pkg_config"
"$out/by_pkg_config"
"$gradc" compile "$source/examples/mlp.model" --train --bind hidden=64 --batch 32 --quiet -o "$out/mlp"
cc -std=c11 -O2 -Wall -Wextra -Wpedantic -Wconversion -Werror -I"$out/mlp" "$source/examples/embed_c/main.c" "$out/mlp/mlp.o" \
  "$(find "$prefix" -name libgradc_runtime.a)" -lstdc++ -lm -pthread -o "$out/by_hand"
(cd "$out" && ./by_hand)

echo "== the runtime alone"
quietly cmake --install "$build" --prefix "$out/runtime" --component runtime
[ ! -e "$out/runtime/bin" ] || fail "the runtime brings programs"
prefix=$out/runtime
refused "only gradc's runtime is installed" "find_package(gradc REQUIRED)
gradc_add_model(net MODEL net.model)"
refused 'it has no component `compiler` here' "find_package(gradc REQUIRED COMPONENTS compiler)"
printf 'cmake_minimum_required(VERSION 3.20)\nproject(p LANGUAGES CXX)\nfind_package(gradc REQUIRED)\nadd_executable(p %s)\ntarget_include_directories(p PRIVATE %s)\ntarget_link_libraries(p gradc::runtime)\n' \
  "$source/examples/embed/main.cpp $out/lenet/lenet.o" "$out/lenet" >"$out/broken/CMakeLists.txt"
configure "$out/broken" "$out/broken/runtime" -G Ninja -DCMAKE_CXX_STANDARD=17
quietly cmake --build "$out/broken/runtime"
"$out/broken/runtime/p"
