#!/bin/sh
# Every stage that `gradc dump --all` writes reads back to itself, and trains, with the weights beside it, to the
# losses of the model.
#   stages.sh GRADC MODEL DATA SIZES...      DATA as for --data, or `text`; SIZES as for --bind
set -eu
gradc=$1 model=$2 data=$3
shift 3
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
if [ "$data" = text ]; then
  data=$out/model.txt
  cat "$model" >"$data"
fi
binds=""
for size in "$@"; do
  binds="$binds --bind $size"
done

"$gradc" dump "$model" $binds --train --all --seed 5 --threads 2 -o "$out" --json
train() {
  from=$1 name=$2
  shift 2
  "$gradc" train "$from" --weights "$out/weights.safetensors" --data "$data" --steps 3 --seed 3 --threads 2 --json \
    --metrics "$out/$name.jsonl" "$@" >/dev/null
}
train "$model" model $binds
stages=0
for stage in "$out"/*.ir "$out"/*.loops; do
  "$gradc" opt "$stage" -o "$out/again"
  grep -v '^//' "$stage" | cmp - "$out/again" || { echo "$(basename "$stage") prints something else than it is read from"; exit 1; }
  stages=$((stages + 1))
done
for stage in "$out"/*.ir; do
  train "$stage" stage
  cmp "$out/model.jsonl" "$out/stage.jsonl" || { echo "losses from $(basename "$stage") differ"; exit 1; }
  rm "$out/stage.jsonl"
done
echo "$stages stages; $(tail -1 "$out/model.jsonl")"
[ $stages -ge 11 ]

# What was decided for two threads and this CPU is not run as something else, and a plan is no promise to keep
# another budget.
refused() {
  code=$1
  shift
  seen=0
  "$gradc" info "$@" --train >"$out/refused" 2>&1 || seen=$?
  [ $seen = "$code" ] || { echo "info $*: exit code $seen"; cat "$out/refused"; exit 1; }
}
refused 2 "$out"/*-plan.ir --threads 1
refused 2 "$out"/*-schedule.ir --threads 2 --cpu x86-64-v2
refused 4 "$out"/*-plan.ir --threads 2 --memory 1KiB
