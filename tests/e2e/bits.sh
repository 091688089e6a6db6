#!/bin/sh
# The losses of a training run are the same text for 1 and 2 threads, with and without a memory budget, and when
# a run is interrupted by a checkpoint.
#   bits.sh GRADC MODEL BUDGET STEPS
set -eu
gradc=$1 model=$2 budget=$3 steps=$4
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
train() {
  name=$1
  shift
  "$gradc" train "$model" --data fashion-mnist --seed 3 --metrics "$out/$name.jsonl" --json "$@" >"$out/$name.json"
}
train one --steps "$steps" --threads 1
train two --steps "$steps" --threads 2
train small --steps "$steps" --threads 2 --memory "$budget"
train first --steps 2 --threads 1 --save "$out/half.safetensors"
cp "$out/first.jsonl" "$out/resumed.jsonl"
train resumed --steps $((steps - 2)) --threads 1 --resume "$out/half.safetensors"
for name in two small resumed; do
  cmp "$out/one.jsonl" "$out/$name.jsonl" || { echo "losses of run '$name' differ"; exit 1; }
done
[ "$(wc -l <"$out/one.jsonl")" = "$steps" ]
