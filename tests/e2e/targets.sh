#!/bin/sh
# Objects for other processors: linked, run (under qemu where this machine is none of them), and held against this
# machine's own results.
#   targets.sh GRADC SOURCE_DIR
set -eu
gradc=$1 source=$2
. "$source/tests/e2e/folder.sh"

# runtime COMPILER [FLAGS...]: the objects of the runtime and of the program, for one architecture.
runtime() {
  cxx=$1 objects=$out/$1.d
  mkdir -p "$objects"
  (cd "$objects" && "$@" -std=c++20 -c -I "$source" "$source/tests/e2e/target_steps.cpp" "$source"/runtime/*.cpp)
}
# build CPU COMPILER [FLAGS...]: the program $out/CPU/MODEL for each model.
build() {
  cpu=$1 cxx=$2
  shift 2
  for model in $models; do
    # shellcheck disable=SC2046
    "$gradc" compile "$source/examples/$model.model" --train --optimizer sgd --cpu "$cpu" --threads 2 --name model \
      --quiet --no-cache -o "$out/$cpu/$model.d" $(sizes "$model")
    "$cxx" "$@" "$out/$cxx.d"/*.o "$out/$cpu/$model.d/model.o" -pthread -o "$out/$cpu/$model"
  done
}
sizes() {
  case $1 in
    mlp) echo --batch 4 --bind hidden=40 ;;
    lenet) echo --batch 2 ;;
    gpt) echo --batch 2 --bind layers=1 --bind context=16 --bind width=32 ;;
    lstm) echo --batch 3 --bind hidden=20 ;;
  esac
}
# same CPU PREFIX...: the bits of one and of two threads, and numbers near those of x86-64-v3.
same() {
  cpu=$1
  shift
  for model in $models; do
    "$@" "$out/$cpu/$model" 1 >"$out/$cpu/$model.txt" || fail "$model for $cpu does not run"
    "$@" "$out/$cpu/$model" 2 >"$out/$cpu/$model.2.txt" || fail "$model for $cpu with two threads does not run"
    cmp "$out/$cpu/$model.txt" "$out/$cpu/$model.2.txt" || fail "$model for $cpu: threads change bits"
    python3 - "$out/x86-64-v3/$model.txt" "$out/$cpu/$model.txt" <<'END' || fail "$model for $cpu: other numbers"
import sys
wanted, got = ([line.split() for line in open(path)] for path in sys.argv[1:])
assert [line[0] for line in wanted] == [line[0] for line in got]
assert len(wanted) > 8
for name, a, b in zip((line[0] for line in wanted), (line[1:] for line in wanted), (line[1:] for line in got)):
    a, b = [float(x) for x in a], [float(x) for x in b]
    scale = max(map(abs, a))
    worst = max(abs(x - y) for x, y in zip(a, b))
    assert scale == scale and worst <= 2e-4 * scale + 1e-7, (name, worst, scale)
END
  done
}

runtime c++
runtime aarch64-linux-gnu-g++
models="mlp lenet gpt lstm"
build x86-64-v3 c++
same x86-64-v3 qemu-x86_64 -cpu max
build x86-64-v2 c++
same x86-64-v2 qemu-x86_64 -cpu Nehalem
build cortex-a72 aarch64-linux-gnu-g++ -static
same cortex-a72 qemu-aarch64 -cpu cortex-a72
models=mlp
build neoverse-n1 aarch64-linux-gnu-g++ -static
same neoverse-n1 qemu-aarch64 -cpu max
build x86-64-v4 c++
if grep -q avx512vl /proc/cpuinfo; then same x86-64-v4 env; fi

# A processor that lacks what was compiled for is an error, no illegal instruction.
if qemu-x86_64 -cpu Nehalem "$out/x86-64-v3/mlp" 1 >"$out/log" 2>&1; then fail "Nehalem runs x86-64-v3"; fi
grep -q "this CPU lacks \`avx" "$out/log" || fail "no word of what Nehalem lacks"
if qemu-aarch64 -cpu cortex-a53 "$out/neoverse-n1/mlp" 1 >"$out/log" 2>&1; then fail "cortex-a53 runs neoverse-n1"; fi
grep -q "this CPU lacks \`" "$out/log" || fail "no word of what cortex-a53 lacks"

# complains TEXT ARGUMENTS...
complains() {
  text=$1
  shift
  if "$gradc" "$@" >"$out/log" 2>&1; then fail "no error: $*"; fi
  grep -qF "$text" "$out/log" || { cat "$out/log"; fail "no '$text' from: $*"; }
}
mlp=$source/examples/mlp.model
complains 'unknown CPU `neoverse-n7`' compile "$mlp" --cpu neoverse-n7 -o "$out/none"
complains 'did you mean `neoverse-n1`?' compile "$mlp" --cpu neoverse-n7 -o "$out/none"
complains 'known are native, x86-64-v2' compile "$mlp" --cpu toaster -o "$out/none"
complains '`core2` has no SSE4.1' compile "$mlp" --cpu core2 -o "$out/none"
complains 'code for cortex-a72 (aarch64) does not run on this machine' bench "$mlp" --cpu cortex-a72 --no-cache
exit $failed
