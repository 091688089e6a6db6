#!/bin/sh
# Whatever the budget, a step gives the same parameters, optimizer state and running statistics, to the bit: a model with
# batch norm, dropout and a residual is trained within 100, 90, ... percent of its arena, and the checkpoints are compared.
#   budget_bits.sh GRADC
set -eu
gradc=$1
. "$(dirname "$0")/folder.sh"
cat >"$out/net.model" <<'END'
dim batch = 16

model net(image: f32[batch, 1, 28, 28], label: i32[batch]) {
  a = conv(image, 8, 3, pad=1) |> batch_norm |> relu
  b = conv(a, 8, 3, pad=1) |> batch_norm |> relu
  c = conv(b, 8, 3, pad=1) |> batch_norm
  d = relu(a + c) |> max_pool(2) |> dropout(0.25)
  e = conv(d, 16, 3, pad=1) |> batch_norm |> relu |> max_pool(2) |> flatten
  logits = dense(e, 64) |> tanh |> dropout(0.5) |> dense(10)
  loss = cross_entropy(logits, label)
  return loss, logits
}
END
train() {
  name=$1
  shift
  "$gradc" train "$out/net.model" --data fashion-mnist --steps 3 --seed 3 --threads 1 --save "$out/$name.safetensors" \
    --metrics "$out/$name.jsonl" --json "$@" >"$out/$name.json" 2>"$out/$name.err"
}
train free
arena=$(sed 's/.*"arena_bytes": *\([0-9]*\).*/\1/' "$out/free.json")
met=0
for percent in 90 80 70 60 50 40 30; do
  budget=$((arena * percent / 100))
  code=0
  train small --memory $budget || code=$?
  if [ $code = 4 ]; then
    break
  elif [ $code != 0 ]; then
    cat "$out/small.err"
    exit 1
  fi
  [ "$(sed 's/.*"arena_bytes": *\([0-9]*\).*/\1/' "$out/small.json")" -le $budget ]
  cmp "$out/free.jsonl" "$out/small.jsonl"
  cmp "$out/free.safetensors" "$out/small.safetensors" || { echo "within $percent % of the arena"; exit 1; }
  met=$percent
done
[ $met != 0 ] && [ $met -le 60 ] || { echo "no budget below $met % of $arena bytes is met"; exit 1; }
echo "the same bits down to $met % of $arena bytes"
