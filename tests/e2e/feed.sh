#!/bin/sh
# The array `target` of --feed says which axis of an ONNX model's output holds the classes: here the last, where the
# middle one is it without a target.
#   feed.sh GRADC SOURCE_DIR
set -eu
gradc=$1 data=$2/tests/data/onnx
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
fail() {
  echo "FAILED: $1"
  exit 1
}

# make_feed_model.py prints this loss.
loss=1.80073
"$gradc" grad "$data/tokens.onnx" --loss cross_entropy --feed "$data/tokens.npz" -o "$out/grads.npz" >"$out/grad"
grep -q "^loss $loss" "$out/grad" || fail "grad gave $(cat "$out/grad"), wanted loss $loss"
"$gradc" train "$data/tokens.onnx" --loss cross_entropy --feed "$data/tokens.npz" --steps 1 --metrics "$out/metrics" \
  >/dev/null
grep -q "\"loss\": *$loss" "$out/metrics" || fail "train gave $(cat "$out/metrics"), wanted loss $loss"

# Cut into micro-batches: the same mean.
"$gradc" train "$data/tokens.onnx" --loss cross_entropy --feed "$data/tokens.npz" --batch 1 --accumulate 2 --steps 1 \
  --metrics "$out/metrics" >/dev/null
grep -q "\"loss\": *$loss" "$out/metrics" || fail "micro-batches gave $(cat "$out/metrics"), wanted loss $loss"

# A shape on the command line is the user's.
if "$gradc" grad "$data/tokens.onnx" --loss cross_entropy --shape target=2x5 --feed "$data/tokens.npz" \
  -o "$out/grads.npz" 2>"$out/error"; then
  fail "--shape target=2x5 took a target of 2x3"
fi
grep -qF 'array `target` is i64[2,3], but the model takes i64[2,5]' "$out/error" || fail "$(cat "$out/error")"
