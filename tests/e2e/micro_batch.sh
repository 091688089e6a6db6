#!/bin/sh
# --micro-batch: the batch in parts, by size or as the budget asks for; what cannot be cut is refused.
#   micro_batch.sh GRADC SOURCE_DIR
gradc=$1
command=plan
. "$2/tests/e2e/expect.sh"
model=$2/examples/mlp.model
train() {
  name=$1
  shift
  "$gradc" train "$model" --data fashion-mnist --seed 3 --steps 4 --threads 1 --optimizer sgd --metrics "$out/$name.jsonl" \
    --json "$@" >"$out/$name.json" || fail "train $*"
}
arena() {
  sed 's/.*"arena_bytes": *\([0-9]*\).*/\1/' "$out/$1.json"
}
# By size it is --accumulate, over the same data.
train whole --batch 64
train parts --batch 64 --micro-batch 16
train by_hand --batch 16 --accumulate 4
cmp "$out/parts.jsonl" "$out/by_hand.jsonl" || fail "micro-batches of 16 are not --accumulate 4"
[ "$(arena parts)" = "$(arena by_hand)" ] || fail "arenas differ"

# As few parts as the budget allows, and what they compute is equal but for rounding.
train auto --batch 64 --micro-batch auto --memory "$(arena whole)"
cmp "$out/auto.jsonl" "$out/whole.jsonl" || fail "a batch that fits was cut"
python3 - "$out" <<'END' || fail "losses of the whole batch and of its parts"
import json, sys
whole, parts = ([json.loads(line)["loss"] for line in open(f"{sys.argv[1]}/{name}.jsonl")] for name in ("whole", "parts"))
assert len(whole) == 4 and whole[0] != whole[3] and whole != parts
assert all(abs(a - b) <= 1e-5 * abs(a) for a, b in zip(whole, parts)), (whole, parts)
END
# A deep net: recomputation first, then parts.
deep=$out/deep.model
cat >"$deep" <<'END'
dim batch = 4096
model deep(x: f32[batch, 64], label: i32[batch]) {
  a = dense(x, 64) |> tanh |> dense(64) |> tanh |> dense(64) |> tanh |> dense(64) |> tanh
  logits = dense(a, 64) |> tanh |> dense(10)
  loss = cross_entropy(logits, label)
  return loss, logits
}
END
expect 4 "$deep" --memory 1MiB --threads 1
expect 0 "$deep" --memory 1MiB --threads 1 --micro-batch auto --json
grep -q '"arena_bytes"' "$out/stdout" || fail "no plan"
[ "$(sed -n 's/^  "arena_bytes": \([0-9]*\),$/\1/p' "$out/stdout" | head -1)" -le 1048576 ] || fail "over the budget"
expect 0 "$deep" --memory 1MiB --threads 1 --micro-batch auto
complains 'micro-batches: '
expect 4 "$deep" --batch 4 --memory 1KiB --threads 1 --micro-batch auto
complains 'note: that is with micro-batches of 1'

expect 2 "$deep" --micro-batch auto
complains 'needs a budget to meet'
expect 2 "$deep" --micro-batch 3
complains '--micro-batch 3 does not divide the batch of 4096'
expect 2 "$deep" --micro-batch 4 --accumulate 2
expect 2 "$deep" --micro-batch 4 --infer
expect 2 "$2/examples/resnet20.model" --memory 1MiB --micro-batch auto
complains 'micro-batches have other statistics than the whole'
# Statistics of the batch that nothing keeps.
sed 's/loss = cross_entropy(logits/loss = cross_entropy(logits - reduce_mean(logits, axes=[0])/' "$deep" >"$out/centred.model"
expect 2 "$out/centred.model" --micro-batch 4
complains 'samples meet in `sub` other than by a mean, which `loss` depends on'
sed 's/^dim batch.*//; s/batch/4096/g' "$deep" >"$out/fixed.model"
expect 2 "$out/fixed.model" --micro-batch 4
complains 'the model has no such dim'
exit $failed
