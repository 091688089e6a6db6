#!/bin/sh
# gradc bench: a batch of one's own, and one measurement per line of standard input.
#   bench.sh GRADC SOURCE_DIR
set -u
gradc=$1 data=$2/tests/data/onnx command=bench
. "$2/tests/e2e/expect.sh"

tokens="$data/tokens.onnx --loss cross_entropy --feed $data/tokens.npz"
expect 0 $tokens --train --seconds 0.01
says "tokens train_step: "
says "GFLOP/s this machine can do"

# The first line says what does not change, here the loss that make_feed_model.py prints.
printf '\n\n' | "$gradc" bench $tokens --train --seconds 0.01 --on-request >"$out/stdout" 2>"$out/stderr" ||
  fail "exit code $?"
[ "$(wc -l <"$out/stdout")" = 3 ] || fail "wanted three lines"
[ "$(grep -c '"loss":1.80073' "$out/stdout")" = 3 ] || fail "wanted the loss in each"
[ "$(grep -c '"step_ms":{"min":' "$out/stdout")" = 2 ] || fail "wanted the time in two"

# Inputs that are not all there.
expect 1 "$data/tokens.onnx" --feed "$2/tests/data/onnx/missing.npz"
complains "missing.npz"
exit $failed
