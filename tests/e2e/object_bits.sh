#!/bin/sh
# The losses of a training run are the same text for 1 and 2 threads, with and without a memory budget, in the
# process of `gradc train` and in a C++ program with the object that `gradc compile` writes.
#   object_bits.sh GRADC MODEL STEPS BATCH PROGRAM "LIBRARY..." [FLAGS...]     FLAGS: how it trains
# PROGRAM is the library made of object_bits.cpp, the others are what it needs. The budget is 60 % of what the
# arena takes without one, or the smallest possible one if that is impossible.
set -eu
gradc=$1 model=$2 steps=$3 batch=$4 program=$5 libraries=$6
shift 6
flags=$*
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

info() {
  "$gradc" info "$model" --train --json --threads 2 --batch "$batch" $flags "$@"
}

arena=$(info | sed -n '/"arena_bytes"/,/}/s/.*"train": *\([0-9]*\).*/\1/p')
budget=$((arena * 60 / 100))
code=0
info --memory $budget >"$out/info" 2>&1 || code=$?
if [ $code = 4 ]; then
  budget=$(sed -n 's/^help: allow --memory //p' "$out/info")
  info --memory "$budget" >/dev/null
elif [ $code != 0 ]; then
  cat "$out/info"
  exit 1
fi
echo "arena: $arena bytes, budget: $((100 * budget / arena)) %"

# object NAME FLAGS...: compiles the model and links the program.
object() {
  name=$1
  shift
  "$gradc" compile "$model" --train --cpu native --threads 2 --batch "$batch" --name model -o "$out/$name" --json \
    $flags "$@" >/dev/null
  c++ "$program" "$out/$name/model.o" $libraries -lfmt -lz -pthread -o "$out/$name/program"
}
object free
object small --memory "$budget"
"$out/free/program" feed "$out/batch.npz"

jit() {
  name=$1
  shift
  "$gradc" train "$model" --feed "$out/batch.npz" --steps "$steps" --seed 3 --batch "$batch" --cpu native --json \
    $flags --metrics "$out/$name.jsonl" "$@" >/dev/null
  sed -i '/"health"/d' "$out/$name.jsonl"
}
jit jit1 --threads 1
jit jit2 --threads 2
jit jit2small --threads 2 --memory "$budget"
for threads in 1 2; do
  "$out/free/program" train "$out/batch.npz" "$steps" $threads >"$out/object$threads.jsonl"
  "$out/small/program" train "$out/batch.npz" "$steps" $threads >"$out/object${threads}small.jsonl"
done
for name in jit2 jit2small object1 object2 object1small object2small; do
  cmp "$out/jit1.jsonl" "$out/$name.jsonl" || { echo "losses of run '$name' differ"; exit 1; }
done
[ "$(wc -l <"$out/jit1.jsonl")" = "$steps" ]
# It trains: the last loss is another than the first.
[ "$(sed -n '1s/.*loss//p' "$out/jit1.jsonl")" != "$(sed -n '$s/.*loss//p' "$out/jit1.jsonl")" ]
tail -1 "$out/jit1.jsonl"
