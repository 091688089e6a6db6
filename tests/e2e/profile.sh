#!/bin/sh
# `gradc bench --profile`: the table, the trace's lanes, the same rows as JSON.
#   profile.sh GRADC SOURCE_DIR
set -u
gradc=$1 source=$2
command=bench
. "$2/tests/e2e/expect.sh"
mlp=$source/examples/mlp.model

# On a machine that is busy otherwise, one thread may do all of a step: then once more.
for try in 1 2 3 4 5; do
  expect 0 "$mlp" --train --threads 2 --seconds 0.2 --profile "$out/trace.json"
  [ "$(grep -o '"name": *"thread_name"' "$out/trace.json" | wc -l)" -lt 2 ] || break
done
says "all kernels"
says "mlp.model:6:7"
says "roof: "
python3 - "$out/trace.json" <<'END' || fail "the trace"
import json, sys
events = json.load(open(sys.argv[1]))["traceEvents"]
lanes = {event["tid"] for event in events if event["ph"] == "M" and event["name"] == "thread_name"}
assert lanes == {0, 1}, lanes
spans = [event for event in events if event["ph"] == "X"]
kernels = [span for span in spans if span["cat"] != "part"]
parts = [span for span in spans if span["cat"] == "part"]
assert {span["tid"] for span in kernels} == {0}
assert {span["tid"] for span in parts} == {0, 1}
assert {span["cat"] for span in kernels} == {"forward", "backward", "update"}
assert any("mlp.model:6" in span["args"]["place"] for span in kernels)
kernels.sort(key=lambda span: span["ts"])
for before, after in zip(kernels, kernels[1:]):
    assert before["ts"] + before["dur"] <= after["ts"] + 1e-3, (before, after)
for part in parts:
    assert any(kernel["ts"] <= part["ts"] + 1e-3 and
               part["ts"] + part["dur"] <= kernel["ts"] + kernel["dur"] + 1e-3 for kernel in kernels
               if kernel["name"] == part["name"]), part
END
expect 0 "$mlp" --threads 1 --seconds 0.2 --profile "$out/infer.json" --json
python3 - "$out/stdout" <<'END' || fail "JSON"
import json, sys
result = json.load(open(sys.argv[1]))
rows = result["kernels"]
assert abs(sum(row["share"] for row in rows) - 1) < 1e-6
assert [row["us"] for row in rows] == sorted((row["us"] for row in rows), reverse=True)
assert sum(row["us"] for row in rows) < 1e3 * result["step_ms"]["median"] * 1.5
assert 0 < rows[0]["fraction_of_roofline"], rows[0]
END
expect 1 "$mlp" --seconds 0.1 --profile "$out/none/trace.json"
complains "none/trace.json"
exit $failed
