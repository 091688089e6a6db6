#!/bin/sh
# Symbols and model lines of kernels: in objects, in programs, and in code that gradc runs itself.
#   debug.sh GRADC SOURCE_DIR
set -eu
gradc=$1 source=$2
. "$source/tests/e2e/folder.sh"
# says TEXT FILE
says() { grep -qF -- "$1" "$2" || { cat "$2"; fail "no '$1'"; }; }

cp "$source/examples/mlp.model" "$out/"
cd "$out"
"$gradc" compile mlp.model --train --batch 4 --threads 2 --cpu x86-64-v2 --name model --quiet --no-cache -o .
c++ -std=c++20 -O1 -I "$source" "$source/tests/e2e/target_steps.cpp" model.o "$source"/runtime/*.cpp -pthread -o steps

# Every kernel has a name, a size, and its line.
nm -S steps | grep ' t model\.' >symbols
[ "$(wc -l <symbols)" -gt 15 ] || fail "too few symbols"
first=$(sed -n 's/^\([0-9a-f]*\) .* model\.dot_add_relu_1$/\1/p' symbols)
addr2line -f -e steps "$first" >line
says "dot_add_relu_1" line
says "mlp.model:6" line
readelf --debug-dump=info,decodedline steps >dwarf 2>warnings
[ ! -s warnings ] || { cat warnings; fail "DWARF that readelf warns of"; }
says "DW_AT_decl_line" dwarf

gdb -batch -nx -ex 'break mlp.model:6' -ex run -ex 'info symbol $pc' -ex 'info line *$pc' --args ./steps 1 >gdb 2>&1 ||
  fail "gdb on a program"
says 'model.' gdb
says 'Line 6 of "mlp.model"' gdb

# In memory: the same by --perf, and nothing of it without.
"$gradc" bench mlp.model --train --batch 4 --threads 1 --seconds 0.1 --no-cache --perf >bench &
pid=$!
wait $pid || fail "bench --perf"
says " mlp.dot_add_relu_1" "/tmp/perf-$pid.map"
grep -vqE '^[0-9a-f]+ [0-9a-f]+ mlp[._]' "/tmp/perf-$pid.map" && fail "a line of the map"
rm -f "/tmp/perf-$pid.map"
"$gradc" bench mlp.model --train --batch 4 --threads 1 --seconds 0.1 --no-cache >bench &
pid=$!
wait $pid || fail "bench"
[ ! -e "/tmp/perf-$pid.map" ] || fail "a map that nobody asked for"
gdb -batch -nx -ex 'set breakpoint pending on' -ex 'break mlp.model:6' -ex run -ex 'info line *$pc' -ex kill --args \
  "$gradc" bench mlp.model --train --batch 4 --threads 1 --seconds 0.1 --no-cache --perf >gdb 2>&1 || fail "gdb on gradc"
says 'Line 6 of "mlp.model"' gdb
rm -f /tmp/perf-"$(sed -n 's/.*process \([0-9]*\).*/\1/p' gdb | head -1)".map
exit $failed
