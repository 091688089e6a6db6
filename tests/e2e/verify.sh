#!/bin/sh
# gradc verify: which cases pass, fail and are skipped, why, and with which exit code.
#   verify.sh GRADC SOURCE_DIR
set -u
gradc=$1 cases=$2/tests/data/onnx/cases
command=verify
. "$2/tests/e2e/expect.sh"

expect 0 "$cases/good"
says "ok      relu: y f32[2,3] max abs 0 rel 0 ulp 0"
says "ok      reshape: y f32[3,2] max abs 0 rel 0 ulp 0"
says "ok      empty: y f32[2,3] max abs 0 rel 0 ulp 0; z f32[2,0,3] max abs 0 rel 0 ulp 0"
says "4 cases: 4 passed, 0 failed, 0 skipped, in "
expect 0 "$cases/good" --evaluator
says "4 cases: 4 passed"
expect 0 "$cases/good/relu" "$cases/good/exp/" --threads 1
says "2 cases: 2 passed"

# What cannot be taken is no failure where something else passed.
expect 0 "$cases/skipped" "$cases/good"
says 'skipped op: unsupported op: model.onnx: node #0 (NonZero): op `NonZero` is not supported'
says "skipped strings: strings: "
says "skipped type: unsupported type: "
says "7 cases: 4 passed, 0 failed, 3 skipped (unsupported op 1, unsupported type 1, strings 1), in "
expect 1 "$cases/skipped"
complains "no case could run"

expect 1 "$cases/wrong" "$cases/good/relu"
says 'FAILED  shape: test_data_set_0/output_0.pb: output `y` is f32[2,3], wanted is f32[3,2]'
says 'FAILED  value: y f32[2,3] max abs 1 rel 1 ulp '
says 'output `y`: 1 of 6 elements are wrong, the first at 1: got 0, wanted 1'
says "3 cases: 1 passed, 2 failed, 0 skipped"
complains "2 of 3 cases failed"
expect 0 "$cases/wrong/value" --atol 1
expect 0 "$cases/wrong/value" --rtol 1
expect 1 "$cases/good/exp" --rtol 0 --atol 0 --threads 1 --evaluator --json
grep -q '"outcome": "failed"' "$out/stdout" || fail "no failed case in JSON"

expect 1 "$cases" --json
python3 - "$out/stdout" <<'END' || fail "JSON"
import json, sys
result = json.load(open(sys.argv[1]))
assert result["counts"]["passed"] == 4 and result["counts"]["failed"] == 2, result["counts"]
by_name = {case["name"]: case for case in result["cases"]}
assert by_name["reshape"]["knows_inputs"] and not by_name["relu"]["knows_inputs"]
value = by_name["value"]["outputs"][0]
assert value["wrong"] == 1 and value["max_absolute"] == 1 and value["max_ulp"] > 1000, value
END

# Damaged and missing files are failures of the case, bad arguments are the command line's.
cp -r "$cases/good/relu" "$out/damaged"
head -c 10 "$cases/good/relu/test_data_set_0/input_0.pb" >"$out/damaged/test_data_set_0/input_0.pb"
expect 1 "$out/damaged"
says "FAILED  damaged: test_data_set_0/input_0.pb: "
rm "$out/damaged/test_data_set_0/input_0.pb"
expect 1 "$out/damaged"
says "FAILED  damaged: test_data_set_0: has 0 inputs, the model takes 1"
rm -r "$out/damaged/test_data_set_0"
expect 1 "$out/damaged"
says "FAILED  damaged: model.onnx: has no test_data_set_0 beside it"
expect 1 "$out/absent"
complains "absent: error: there is no such folder"
expect 2 "$cases/good" --rtol x
expect 2
exit $failed
