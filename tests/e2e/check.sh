#!/bin/sh
# gradc check: all problems at once, with nodes and cures.
#   check.sh GRADC SOURCE_DIR
set -u
gradc=$1 source=$2 data=$2/tests/data/onnx
command=check
. "$2/tests/e2e/expect.sh"

expect 1 "$data/problems.onnx"
says "opset 17, 6 nodes: "
says "needs a size, e.g. --bind batch=1, as assumed here"
says 'op: op `Relu6` is not supported; did you mean `Relu`?'
says 'node "first" (#0, Relu6)'
says 'other: `Softmax` has no attribute `axes`; did you mean `axis`?'
says 'op: op `Loop` is not supported'
says 'node "third" (#2, Loop)'
says "help: fix the number of rounds"
says 'value: input 1 (`shape`) must be known at compile time'
says "help: bind the input that it depends on: --bind shape=VALUE"
complains "problems.onnx: error: cannot be taken: 4 problems"
expect 1 "$data/problems.onnx" --bind batch=2 --bind shape=3,2
complains "3 problems"
grep -q "needs a size" "$out/stdout" && fail "batch is bound"

expect 1 "$data/problems.onnx" --json
python3 - "$out/stdout" <<'END' || fail "JSON"
import json, sys
result = json.load(open(sys.argv[1]))
assert not result["ok"] and result["needs"] == ["--bind batch=1"], result
problems = {problem["node"]: problem for problem in result["problems"]}
assert set(problems) == {"first", "second", "third", "fifth"}, problems
assert problems["third"]["op"] == "Loop" and problems["third"]["kind"] == "op" and problems["third"]["cure"]
END

expect 0 "$data/tokens.onnx"
says "input   ids"
says "40 parameters (160 B)"
says "it can be taken"
expect 0 "$data/tokens.onnx" --train --loss cross_entropy
says "it can be trained"
expect 1 "$data/tokens.onnx" --train
complains "cannot be trained: 1 problem"

expect 0 "$source/examples/lenet.model" --train
says "it can be trained"
printf 'model m(x: f32[2]) {\n  return y=frobnicate(x)\n}\n' >"$out/m.model"
expect 1 "$out/m.model"
says "m.model:2:"
expect 2 "$data/tokens.onnx" --bind nothing=3
expect 1 "$out/absent.onnx"
exit $failed
