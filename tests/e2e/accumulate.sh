#!/bin/sh
# `--accumulate`: micro-batches train like the batch that they make up, and are the same bits for 1 and 2 threads,
# with and without a memory budget, and when a checkpoint lies between.
#   accumulate.sh GRADC SOURCE_DIR
set -eu
gradc=$1 source=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
train() {
  name=$1
  shift
  "$gradc" train "$source/examples/lenet.model" --data fashion-mnist --seed 3 --metrics "$out/$name.jsonl" --json "$@" \
    >"$out/$name.json"
}
arena() {
  sed 's/.*"arena_bytes": *\([0-9]*\).*/\1/' "$out/$1.json"
}
micro="--batch 32 --accumulate 2"
train whole --steps 4 --threads 1 --batch 64
train one --steps 4 --threads 1 $micro
train two --steps 4 --threads 2 $micro
budget=$(($(arena one) * 80 / 100))
train small --steps 4 --threads 2 $micro --memory $budget
train first --steps 2 --threads 1 $micro --save "$out/half.safetensors"
cp "$out/first.jsonl" "$out/resumed.jsonl"
train resumed --steps 2 --threads 1 $micro --resume "$out/half.safetensors"
for name in two small resumed; do
  cmp "$out/one.jsonl" "$out/$name.jsonl" || { echo "losses of run '$name' differ"; exit 1; }
done
# Adam would turn the rounding of a gradient near 0 into a step of full size.
plain="--optimizer sgd --lr 0.05 --steps 4 --threads 1"
train whole_sgd --batch 64 $plain
train parts_sgd $micro $plain
[ "$(arena small)" -le $budget ]
[ "$(arena one)" -lt "$(arena whole)" ] || { echo "the arena is no smaller: $(arena one) of $(arena whole)"; exit 1; }
python3 - "$out" <<'END'
import json, sys
whole, parts = ([json.loads(line)["loss"] for line in open(f"{sys.argv[1]}/{name}.jsonl")] for name in ("whole_sgd", "parts_sgd"))
assert len(whole) == 4 and whole[0] != whole[3]
for a, b in zip(whole, parts):
    assert abs(a - b) <= 1e-5 * abs(a), (whole, parts)
END
# An epoch ends with a test, whose batches are as long as a micro-batch.
head -c 70000 /dev/urandom | od -An -v -tu1 -w785 | head -80 | sed 's/^ *//; s/ \+/,/g' |
  awk -F, -v OFS=, '{ $785 = $785 % 10; print }' >"$out/table.csv"
"$gradc" train "$source/examples/mlp.model" --data "$out/table.csv" --test-data "$out/table.csv" --epochs 1 $micro \
  >"$out/epoch.txt" 2>"$out/epoch.log"
grep -q '^epoch 1: test accuracy' "$out/epoch.txt"
# What cannot be cut is said.
if "$gradc" train "$source/examples/mlp.model" --data fashion-mnist --accumulate 0 2>/dev/null; then exit 1; fi
echo "arena $(arena one) of $(arena whole)"
