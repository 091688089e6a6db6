#!/bin/sh
# gradc plan --graph and gradc pack.
#   plan_graph.sh GRADC SOURCE_DIR
gradc=$1
command=plan
. "$2/tests/e2e/expect.sh"

# Four layers forward and backward: everything is held at the turn. An inverse makes `b` from `c`.
graph=$out/graph.json
cat >"$graph" <<'EOF'
{"name": "tiny", "values": [
  {"id": 0, "name": "w", "size": 100, "persistent": true},
  {"id": 1, "name": "a", "size": 400, "persistent": false},
  {"id": 2, "name": "b", "size": 400, "persistent": false},
  {"id": 3, "name": "c", "size": 400, "persistent": false},
  {"id": 4, "name": "dc", "size": 400, "persistent": false},
  {"id": 5, "name": "db", "size": 400, "persistent": false},
  {"id": 6, "name": "dw", "size": 100, "persistent": false}],
"kernels": [
  {"id": 0, "name": "fa", "cost": 1000, "inputs": [0], "outputs": [1], "workspace": 0, "inplace": [], "mutates": [], "required": true, "role": "fwd"},
  {"id": 1, "name": "fb", "cost": 1000, "inputs": [1], "outputs": [2], "workspace": 0, "inplace": [], "mutates": [], "required": true, "role": "fwd"},
  {"id": 2, "name": "fc", "cost": 1000, "inputs": [2], "outputs": [3], "workspace": 0, "inplace": [[2, 3]], "mutates": [], "required": true, "role": "fwd"},
  {"id": 3, "name": "loss", "cost": 1000, "inputs": [3], "outputs": [4], "workspace": 64, "inplace": [], "mutates": [], "required": true, "role": "fwd"},
  {"id": 4, "name": "gb", "cost": 1000, "inputs": [4, 2], "outputs": [5], "workspace": 0, "inplace": [], "mutates": [], "required": true, "role": "bwd"},
  {"id": 5, "name": "ga", "cost": 1000, "inputs": [5, 1], "outputs": [6], "workspace": 0, "inplace": [], "mutates": [], "required": true, "role": "bwd"},
  {"id": 6, "name": "step", "cost": 1000, "inputs": [0, 6], "outputs": [], "workspace": 0, "inplace": [], "mutates": [0], "required": true, "role": "upd"},
  {"id": 7, "name": "ib", "cost": 100, "inputs": [3], "outputs": [2], "workspace": 0, "inplace": [], "mutates": [], "required": false, "role": "inv"}]}
EOF

expect 0 --graph "$graph"
says 'overhead               0.000 %'
expect 0 --graph "$graph" --budget 1300 --plan-out "$out/plan.json"
says 'budget                 1300 bytes'
says 'no plan within the budget has less'
says 'arena                  1264 bytes'
cp "$out/plan.json" "$out/first.json"
# All required kernels and recomputations; the same each time.
grep -q '^\[0,1,2,3,' "$out/plan.json" || fail "no list of kernels in plan.json"
expect 0 --graph "$graph" --budget 1300 --plan-out "$out/plan.json"
cmp "$out/first.json" "$out/plan.json" || fail "another plan the second time"
expect 0 --graph "$graph" --budget 0.9x --json
says '"bound_percent"'
says '"gap_points"'
expect 0 --graph "$graph" --budget 1300 --plan-time 0.1
expect 4 --graph "$graph" --budget 1000
complains 'no plan can do with less than 1200'
complains 'help: allow --budget 1'

expect 2
complains 'neither a model nor a --graph is given'
expect 2 --budget 5
expect 2 --graph "$graph" --budget much
complains 'got `much`'
expect 2 --graph "$graph" --budget 0x
complains 'a share of the peak is above 0'
expect 2 --graph "$graph" --plan-effort -1
expect 1 --graph "$out/none.json"
complains 'there is no such file'

# bad SED-SCRIPT MESSAGE
bad() {
  sed "$1" "$graph" >"$out/bad.json"
  expect 1 --graph "$out/bad.json"
  complains "$2"
}
bad 's/"name": "tiny", /"name": "tiny", }/' 'bad.json:1:18: error: `}` is not where JSON can have it'
bad 's/"size": 100/"size": -1/' 'values[0].size: error: -1 is no whole number'
bad 's/"size": 100/"size": 9007199254740993/' 'is not below'
bad 's/"inputs": \[3\]/"inputs": [33]/' 'kernels[3].inputs[0]: error: there is no value 33; there are 7'
bad 's/"id": 2, "name": "fc"/"id": 5, "name": "fc"/' 'kernels[2].id: error: ids count from 0'
bad 's/"outputs": \[3\]/"outputs": [0]/' 'value 0 is persistent'
bad 's/"outputs": \[3\]/"outputs": [2]/' 'value 2 is an input of the kernel, too'
bad 's/"inplace": \[\[2, 3\]\]/"inplace": [[1, 3]]/' 'value 1 is no input of the kernel'
bad 's/"outputs": \[1\]/"outputs": []/' 'no required kernel makes `a`'
bad 's/"required": true/"required": 1/' 'is neither true nor false'
bad 's/"inputs": \[0\], "outputs": \[1\]/"inputs": [6], "outputs": [1]/' 'no order is possible'
bad 's/"workspace": 64, //' 'kernels[3]: error: there is no `workspace`'

command=pack
cat >"$out/lives.csv" <<'EOF'
id,lower,upper,size
7,0,10,40
8,5,15,60
9,10,20,40
EOF
expect 0 "$out/lives.csv" -o "$out/offsets.csv"
says '3 buffers, at most 100 bytes at one time, packed into 100: 1.0000 of that'
[ "$(head -n 1 "$out/offsets.csv")" = 'id,offset' ] || fail "no header in offsets.csv"
[ "$(wc -l <"$out/offsets.csv")" = 4 ] || fail "not a line per buffer in offsets.csv"
expect 0 "$out/lives.csv" --capacity 100
expect 4 "$out/lives.csv" --capacity 99
complains '100 are needed at one time'
sed 's/5,15/15,5/' "$out/lives.csv" >"$out/bad.csv"
expect 1 "$out/bad.csv"
complains 'bad.csv:3: error: `upper` is 5, which is not behind `lower`, 15'
sed 's/^8/7/' "$out/lives.csv" >"$out/bad.csv"
expect 1 "$out/bad.csv"
complains 'there is another buffer 7'
sed 's/size/bytes/' "$out/lives.csv" >"$out/bad.csv"
expect 1 "$out/bad.csv"
complains 'there is no column `size`'
sed 's/60/-60/' "$out/lives.csv" >"$out/bad.csv"
expect 1 "$out/bad.csv"
complains '`size` is -60'
exit $failed
