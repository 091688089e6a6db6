#!/bin/sh
# `gradc train --invert`: values that come back from later ones, how far they are off, and that without it a budget
# leaves the bits as they are.
#   invert.sh GRADC SOURCE_DIR
set -eu
gradc=$1 source=$2
. "$source/tests/e2e/folder.sh"

narrow="$source/examples/revnet.model --batch 16 --bind channels=16 --optimizer sgd --threads 2"
revnet="$narrow --bind blocks=4"
# train NAME FLAGS...: a few steps, whose losses are kept.
train() {
  name=$1
  shift
  "$gradc" train "$@" --data fashion-mnist --seed 1 --steps 4 --metrics "$out/$name.jsonl" --json >"$out/$name.json"
}
budget=1450KiB
# shellcheck disable=SC2086
{
  train plain $revnet
  train exact $revnet --memory $budget
  train invert $revnet --memory $budget --invert
  train verify $revnet --memory $budget --invert --verify-invert
  "$gradc" dump $revnet --train --memory $budget --invert --after plan -o "$out/planned.ir"
  "$gradc" dump $revnet --train --memory $budget --after plan -o "$out/exact.ir"
}
cmp "$out/plain.jsonl" "$out/exact.jsonl" || fail "a budget changes losses without --invert"
cmp "$out/invert.jsonl" "$out/verify.jsonl" || fail "what --verify-invert runs is not what --invert runs"
if cmp -s "$out/plain.jsonl" "$out/invert.jsonl"; then fail "no inverse rounds"; fi

# The dump says what comes from an inverse, and runs as it is.
grep -q '^  %[a-z0-9.]*\.inv[.0-9]*: .* = call @[a-z_0-9]*_inverse_1(' "$out/planned.ir" || fail "no inverse in the plan"
if grep -q 'rounds=true' "$out/exact.ir"; then fail "an inverse that rounds without --invert"; fi
train dump "$out/planned.ir" --optimizer sgd --threads 2 --invert
cmp "$out/invert.jsonl" "$out/dump.jsonl" || fail "the planned dump runs otherwise"

python3 - "$out" <<'END' || fail "losses or errors are off"
import json, sys
errors = json.load(open(sys.argv[1] + "/verify.json"))["inverse_errors"]
assert errors and all(name.startswith("x") and 0 < error < 1e-5 for name, error in errors.items()), errors
plain, invert = ([json.loads(line)["loss"] for line in open(f"{sys.argv[1]}/{name}.jsonl")] for name in ("plain", "invert"))
assert all(abs(a - b) < 1e-3 * a for a, b in zip(plain, invert)), (plain, invert)
END

# Memory does not grow with depth: six times the blocks in the same arena, for less than one more forward pass.
for blocks in 4 24; do
  # shellcheck disable=SC2086
  "$gradc" info $narrow --bind blocks=$blocks --train --memory $budget --invert --json >"$out/blocks$blocks.json"
done
python3 - "$out" <<'END' || fail "the arena of a deep revnet is not flat"
import json, sys
few, many = (json.load(open(f"{sys.argv[1]}/blocks{blocks}.json")) for blocks in (4, 24))
few_bytes, many_bytes = few["arena_bytes"]["train"], many["arena_bytes"]["train"]
assert abs(many_bytes - few_bytes) < 0.02 * few_bytes, (few_bytes, many_bytes)
flops = many["flops"]
assert flops["recomputed"] < 0.36 * (flops["forward"] + flops["backward"]), flops
END
# What is before a batch norm and a leaky relu comes back from what is behind them, if no scale is near 0.
cat >"$out/skips.model" <<'END'
dim batch = 16

fn layer(x) {
  return conv(x, 16, kernel=3, pad=1) |> batch_norm(least_scale=0.1) |> leaky_relu(slope=0.2)
}

model skips(image: f32[batch, 1, 28, 28], label: i32[batch]) {
  a = layer(image)
  b = layer(a)
  c = layer(b)
  d = layer(c)
  logits = concat(a, b, c, d, axis=1) |> conv(16, kernel=3, pad=1) |> relu |> global_avg_pool |> dense(10)
  loss = cross_entropy(logits, label)
  return loss, logits
}
END
skips="$out/skips.model --optimizer sgd --threads 2"
# shellcheck disable=SC2086
{
  train skips_plain $skips
  train skips_verify $skips --memory 6900KiB --invert --verify-invert
  "$gradc" dump $skips --train --memory 6900KiB --after plan -o "$out/skips_exact.ir"
  "$gradc" dump $skips --train --memory 6900KiB --invert --after plan -o "$out/skips_planned.ir"
}
if grep -q 'rounds=true' "$out/skips_exact.ir"; then fail "a batch norm is inverted without --invert"; fi
grep -q '\.inv.* = call @.*leaky_relu.*_inverse_' "$out/skips_planned.ir" || fail "no batch norm is inverted"
python3 - "$out" <<'END' || fail "losses or errors of batch norms are off"
import json, sys
errors = json.load(open(sys.argv[1] + "/skips_verify.json"))["inverse_errors"]
assert errors and all(0 < error < 1e-4 for error in errors.values()), errors
plain, invert = ([json.loads(line)["loss"] for line in open(f"{sys.argv[1]}/skips_{name}.jsonl")] for name in ("plain", "verify"))
assert all(abs(a - b) < 1e-3 * a for a, b in zip(plain, invert)), (plain, invert)
END

code=0
# shellcheck disable=SC2086
"$gradc" train $revnet --data fashion-mnist --verify-invert 2>"$out/error" || code=$?
[ "$code" = 2 ] || fail "--verify-invert without --invert gave $code"
exit $failed
