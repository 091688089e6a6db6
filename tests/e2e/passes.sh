#!/bin/sh
# The flags that look at passes: --check, --time-passes, --skip, --print-after.
#   passes.sh GRADC SOURCE_DIR
set -eu
gradc=$1 model=$2/examples/mlp.model
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
sizes="--batch 4 --bind hidden=8"

wants() {
  grep -q -- "$1" "$2" || { echo "no '$1' in:"; cat "$2"; exit 1; }
}

# Every pass keeps the answer; standard output holds the stage and nothing else.
"$gradc" dump "$model" $sizes --train --check --time-passes --print-after fuse >"$out/fuse.ir" 2>"$out/times"
"$gradc" dump "$model" $sizes --train --after fuse -o "$out/again.ir"
cmp "$out/fuse.ir" "$out/again.ir"
for row in import simplify autodiff fuse total; do
  wants "^$row " "$out/times"
done
"$gradc" opt "$model" $sizes --train --passes unroll,autodiff --check --time -o "$out/opt.ir" 2>"$out/times"
wants '^autodiff ' "$out/times"
"$gradc" compile "$model" $sizes --train --time-passes -o "$out/object" --json >"$out/json" 2>"$out/times"
wants '^codegen ' "$out/times"
[ "$(wc -l <"$out/json")" = 1 ]

# Without the pass that saves work the bits are the same.
"$gradc" dump --train --skip simplify "$model" $sizes -o "$out/skipped.ir"  # a flag takes one value, the next is the model
wants 'passes="raise sink unroll autodiff optimizer expand layout far_taps subpixel bands pack fuse schedule plan"' "$out/skipped.ir"
train() {
  "$gradc" train "$@" --data fashion-mnist --steps 3 --json --metrics "$out/metrics" >/dev/null
}
train "$model" $sizes
mv "$out/metrics" "$out/whole"
train "$out/skipped.ir"
cmp "$out/whole" "$out/metrics"

# What a later pass cannot do without is an error that says so.
refused() {
  code=$1 text=$2
  shift 2
  seen=0
  "$gradc" "$@" >"$out/stdout" 2>"$out/stderr" || seen=$?
  [ $seen = "$code" ] || { echo "$*: exit code $seen"; cat "$out/stderr"; exit 1; }
  wants "$text" "$out/stderr"
}
refused 1 'run `expand` first' compile "$model" $sizes --train --skip expand -o "$out/object"
refused 1 'run `fuse` first' compile "$model" $sizes --train --skip fuse -o "$out/object"
refused 1 'run `schedule`' compile "$model" $sizes --train --skip schedule -o "$out/object"
refused 1 'run `plan`' compile "$model" $sizes --train --skip plan -o "$out/object"
refused 1 'run `unroll` first' dump "$2/examples/lstm.model" --train --skip unroll
refused 2 'did you mean `unroll`' dump "$model" --skip unrol
refused 2 'did not run' dump "$model" --skip simplify --after simplify
refused 2 'did not run' dump "$out/skipped.ir" --after fuse
