#!/bin/sh
# gradc plan MODEL: the curve, its picture and what is explained of it.
#   plan.sh GRADC SOURCE_DIR
gradc=$1
command=plan
. "$2/tests/e2e/expect.sh"

# Six layers of one shape; the activations are most of the arena.
model=$out/deep.model
cat >"$model" <<'EOF'
model deep(x: f32[256, 64], label: i32[256]) {
  a = dense(x, 64) |> tanh |> dense(64) |> tanh |> dense(64) |> tanh |> dense(64) |> tanh
  logits = dense(a, 64) |> tanh |> dense(10)
  loss = cross_entropy(logits, label)
  return loss, logits
}
EOF

expect 0 "$model" --svg "$out/curve.svg" --explain
says 'overhead 0.00 %, at least 0.00 %, gap 0.00 points'
says 'recomputation     at least         gap'
says 'are the smallest budget that a plan was found for'
says 'no plan can do with less than '
says 'the dearest bytes held over the peak'
says 'the cheapest next budget: --memory '
grep -q 'more time than without a budget' "$out/curve.svg" || fail "no axis in curve.svg"
next=$(sed -n 's/.*cheapest next budget: --memory \([0-9]*\) .*/\1/p' "$out/stdout")
expect 0 "$model" --memory "$next" --explain
says 'the dearest recomputations'
says "($next bytes)"
expect 0 "$model" --measure --seconds 0.01 --json
says '"step_ms"'
says '"bound"'
expect 2 "$model" --seconds -1

# A longer search gives the same plan each time; one by the clock ends in time.
expect 0 "$model" --memory "$next" --plan-effort 10 --threads 1 --no-cache --json
cp "$out/stdout" "$out/long"
expect 0 "$model" --memory "$next" --plan-effort 10 --threads 1 --no-cache --json
cmp "$out/long" "$out/stdout" || fail "another plan the second time"
expect 0 "$model" --memory "$next" --plan-time 0.1
expect 2 "$model" --memory "$next" --plan-time 1 --plan-effort 2
expect 2 "$model" --plan-effort -1

# Results of micro-batches are joined behind them: what is joined cannot be had back before.
expect 0 "$model" --memory 300000 --accumulate 4 --threads 1

# What wishes cost.
expect 0 "$model" --memory "$next" --keep tanh.1 --recompute a
says 'without --keep tanh.1: arena '
says 'without --recompute a: arena '
says 'without any wish: arena '
expect 0 "$model" --recompute 'tanh*' --json
says '"wish": "any wish"'
expect 4 "$model" --memory "$next" --keep 'tanh*'
complains 'note: without --keep and --recompute, '
expect 2 "$model" --keep tanhh
complains 'no value of the arena is named `tanhh`'
complains 'help: did you mean `tanh'
exit $failed
