#!/bin/sh
# `gradc train --health`: what it measures and warns of, and that training is the same bits with and without it.
#   health.sh GRADC SOURCE_DIR
set -eu
gradc=$1 source=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mlp=$source/examples/mlp.model

# train NAME FLAGS...: the MLP, whose losses and weights are kept.
train() {
  name=$1
  shift
  "$gradc" train "$mlp" --data fashion-mnist --batch 16 --seed 3 --steps 5 --metrics "$out/$name.jsonl" \
    --save "$out/$name.safetensors" "$@" >"$out/$name.txt" 2>"$out/$name.log"
}
fail() {
  echo "FAILED: $1"
  exit 1
}

train plain --threads 1
train health --threads 1 --health-every 2 --tensorboard "$out/events"
train two --threads 2 --health-every 2
train small --threads 2 --health-every 2 --memory 1700KiB
grep -v '"health"' "$out/health.jsonl" | cmp - "$out/plain.jsonl" || fail "--health changes losses"
cmp "$out/plain.safetensors" "$out/health.safetensors" || fail "--health changes weights"
for name in two small; do
  cmp "$out/health.jsonl" "$out/$name.jsonl" || fail "what run '$name' measures differs"
done
if grep -q health "$out/plain.jsonl" "$out/plain.txt"; then fail "health that nobody asked for"; fi

# Steps 0, 2 and 4, one row a layer, in the table and in the file.
[ "$(grep -c '"health"' "$out/health.jsonl")" = 3 ] || fail "the number of reports in the metrics"
[ "$(grep -c '^  dense_[123] ' "$out/health.txt")" = 9 ] || fail "the rows of the tables"

# The event file says the same as the metrics.
python3 "$source/tests/e2e/read_events.py" "$out"/events/events.out.tfevents.* >"$out/events.txt"
[ "$(grep -c ' loss ' "$out/events.txt")" = 5 ] || fail "losses in the event file"
for tag in activation/dense_1 gradient/dense_2 dead/dense_1 update_ratio/dense_3 weights/dense_1.w; do
  [ "$(grep -c " $tag " "$out/events.txt")" = 3 ] || fail "$tag in the event file"
done
grep -q "^4 weights/dense_1.w $((512 * 784))\$" "$out/events.txt" || fail "the histogram of dense_1.w"
python3 - "$out" <<'END' || fail "metrics and event file differ"
import json, sys
events = {tuple(line.split()[:2]): float(line.split()[2]) for line in open(sys.argv[1] + "/events.txt")}
for line in map(json.loads, open(sys.argv[1] + "/health.jsonl")):
    step = str(line["step"])
    numbers = {"loss": line["loss"]} if "loss" in line else {
        f"{what}/{layer}": value for layer, values in line["health"].items() for what, value in values.items()}
    for tag, value in numbers.items():
        seen = events[step, tag]
        assert abs(seen - value) <= 1e-6 * abs(value), (step, tag, seen, value)
END

# Vanishing gradients are warned of by layer and place, once; a loss that is no number names the layer.
deep() {
  "$gradc" train "$source/examples/vanishing.model" --bind layers=12 --batch 16 --data fashion-mnist --seed 3 \
    --optimizer sgd "$@" >"$out/deep.txt" 2>"$out/deep.log"
}
deep --bind variant=0 --steps 3 --health-every 1
[ "$(grep -c 'vanishing gradients: of layers `dense_1` (.*vanishing.model:' "$out/deep.log")" = 1 ] ||
  fail "no warning of vanishing gradients"
deep --bind variant=2 --steps 3 --health-every 1
if grep -q warning "$out/deep.log"; then fail "a warning of Glorot's initialisation"; fi
if deep --bind variant=3 --steps 20 --lr 1e6 --health; then fail "a loss that is not finite"; fi
grep -q 'note: layer `hidden_.*is the first whose output is not finite' "$out/deep.log" || fail "no layer in the note"

# Layers of ONNX files have the names of their parameters and the places of their nodes.
onnx=$source/tests/data/onnx/references
"$gradc" train "$onnx/unet.onnx" --train-mode --loss cross_entropy --feed "$onnx/unet.npz" --steps 2 --lr 0 --health \
  >"$out/unet.txt" 2>"$out/unet.log"
for layer in d1 d2 mid up out; do
  grep -q "^  $layer  *[0-9]" "$out/unet.txt" || fail "layer $layer of unet.onnx"
done
echo "$(wc -l <"$out/events.txt") numbers in the event file"
