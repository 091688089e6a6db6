#!/bin/sh
# What a refusal names is enough: each model is refused within a byte, and again within what is just too little, and
# taken within the budget that the error says to allow.
#   smallest_budget.sh GRADC SOURCE_DIR
gradc=$1
command=dump
. "$2/tests/e2e/expect.sh"

named() { sed -n "s/^help: allow $1 //p" "$out/stderr"; }

# enough MODEL FLAGS...
enough() {
  model=$2/examples/$1.model
  shift 2
  set -- "$model" --train --no-cache --after plan "$@"
  for flag in --memory --memory-total; do
    expect 4 "$@" $flag 1
    least=$(named $flag)
    expect 0 "$@" $flag "$least"
    # No more is named where a part of it is allowed.
    expect 4 "$@" $flag $((least * 3 / 4))
    [ "$(named $flag)" = "$least" ] || fail "$flag $least was enough before"
  done
}

# close MODEL FLAGS...: the smallest budget is at most 1.05 times what is proved to be needed
close() {
  model=$2/examples/$1.model
  shift 2
  expect 4 "$model" --train --no-cache --after plan --threads 1 --memory 1 "$@"
  floor=$(sed -n 's/^note: no plan can do with less than \([0-9]*\) bytes.*/\1/p' "$out/stderr")
  least=$(named --memory)
  [ $((least * 100)) -le $((floor * 105)) ] || fail "$model: $least bytes, but $floor are proved"
}

# Inference fits where the step does not, and shares its products: their scratch has to be the same.
for cpu in x86-64-v3 znver4; do
  enough gpt "$2" --bind layers=1 --bind width=64 --batch 4 --threads 1 --cpu $cpu
done
enough lenet "$2" --batch 8 --threads 4 --cpu x86-64-v3
enough unet "$2" --batch 1 --threads 1 --cpu x86-64-v3
enough revnet "$2" --batch 2 --threads 1 --cpu x86-64-v3 --invert

# For cpus of one table of costs, so that it is the same everywhere.
close unet "$2" --batch 4 --cpu znver4
close gpt "$2" --batch 4 --cpu znver4
close resnet18 "$2" --batch 4 --cpu znver4
close resnet20 "$2" --batch 4 --cpu znver4
exit $failed
