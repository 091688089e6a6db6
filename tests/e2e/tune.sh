#!/bin/sh
# gradc bench --tune: the file it writes, who reads it, and that bits stay the same whatever it says.
#   tune.sh GRADC SOURCE_DIR
set -u
gradc=$1 source=$2 command=bench
. "$source/tests/e2e/expect.sh"
export XDG_DATA_HOME="$out/data"
model="$source/examples/mlp.model"
file="$out/data/gradc/tuning.json"

expect 0 "$model" --batch 32 --train --threads 1 --tune --seconds 0.02 --json
cp "$out/stdout" "$out/tuned.json"
[ -s "$file" ] || fail "no file at its place"

# A file that says something of every product.
python3 - "$out/tuned.json" "$out/all.json" <<'END' || fail "no such file can be made"
import json, sys
tuned = json.load(open(sys.argv[1]))
assert len(tuned["kernels"]) >= 6, tuned
kernels = [{"key": k["key"], "what": k["what"], "schedule": "one-vector", "gain": 1.1} for k in tuned["kernels"]]
json.dump({"gradc_tuning": 1, "cpus": {tuned["cpu"]: kernels}}, open(sys.argv[2], "w"))
END
schedules() { "$gradc" dump "$model" --batch 32 --train --threads 1 --after schedule "$@" | grep -E 'method="(tile|panels)"' | grep -o 'tile=\[[^]]*\]'; }
schedules --tune-file none >"$out/usual"
schedules --tune-file "$out/all.json" >"$out/measured"
cmp -s "$out/usual" "$out/measured" && fail "the file changes no tile"
# Those whose scratch has room for it.
[ "$(grep -c ',1\]' "$out/measured")" -ge 4 ] || fail "tiles are not as the file says"

# The same losses.
train() { "$gradc" train "$model" --data fashion-mnist --batch 32 --threads 1 --seed 3 --steps 5 --metrics "$out/$1.jsonl" --json --tune-file "$2" >"$out/stdout" 2>"$out/stderr" || fail "training with $2"; }
train usual none
train measured "$out/all.json"
cmp "$out/usual.jsonl" "$out/measured.jsonl" || fail "losses differ"

# Results of other kernels stay in the file.
expect 0 "$model" --batch 8 --threads 1 --tune --seconds 0.02 --tune-file "$out/all.json"
says "written to $out/all.json"
[ "$(grep -c one-vector "$out/all.json")" -ge 6 ] || fail "older results are gone"

# Files that are none, of other CPUs, or not there.
sed 's/one-vector/ten-vectors/' "$out/all.json" >"$out/unknown.json"
expect 1 "$model" --tune-file "$out/unknown.json"
complains "unknown.json: error: there is no schedule \`ten-vectors\`"
printf '{"gradc_tuning": 2, "cpus": {}}' >"$out/newer.json"
expect 1 "$model" --tune-file "$out/newer.json"
complains "it has version 2, expected 1"
head -c 100 "$out/all.json" >"$out/cut.json"
expect 1 "$model" --tune-file "$out/cut.json"
complains "it is not what \`gradc bench --tune\` writes"
expect 1 "$model" --tune-file "$out/missing.json"
complains "missing.json"
expect 0 "$model" --batch 8 --cpu x86-64-v3 --seconds 0.01 --tune-file "$out/all.json"
complains "warning: $out/all.json has nothing measured on x86-64-v3"
expect 2 "$model" --tune --tune-file none
expect 2 "$model" --tune --profile "$out/trace.json"
exit $failed
