#!/bin/sh
# An exported model computes, and trains, as in the framework that it comes from.
#   onnx_references.sh GRADC SOURCE_DIR MODEL
set -eu
gradc=$1
base=$2/tests/data/onnx/references/$3
compare=$2/tests/e2e/compare_gradients.py
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
set -- --train-mode --loss cross_entropy --feed "$base.npz"
"$gradc" grad "$base.onnx" "$@" -o "$out/out.npz"
"$gradc" train "$base.onnx" "$@" --steps 6 --optimizer sgd --lr 0.05 --momentum 0.9 --metrics "$out/sgd.jsonl"
"$gradc" train "$base.onnx" "$@" --steps 6 --optimizer adamw --lr 0.001 --weight-decay 0.01 --metrics "$out/adamw.jsonl"
for optimizer in sgd adamw; do
  python3 "$compare" "$base.npz" "$out/out.npz" "$out/$optimizer.jsonl" ${optimizer}_loss
done
