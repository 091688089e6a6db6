#!/bin/sh
# Reports are opened in a browser: no script errors, nothing blank, and a click lights up what it should.
#   report.sh GRADC SOURCE_DIR
set -eu
gradc=$1 source=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$gradc" report "$source/examples/mlp.model" --train -o "$out/mlp.html" --cpu x86-64-v3
"$gradc" report "$source/examples/resnet20.model" --batch 8 --train --memory 6MiB -o "$out/resnet20.html" --cpu x86-64-v3
"$gradc" report "$source/examples/gpt.model" --batch 2 --train -o "$out/gpt.html" --cpu x86-64-v3
"$gradc" report "$source/examples/lenet.model" -o "$out/lenet.html" --cpu x86-64-v3
"$gradc" dump "$source/examples/mlp.model" --train -o "$out/plan.ir" --cpu x86-64-v3
"$gradc" report "$out/plan.ir" --train -o "$out/plan.html" --cpu x86-64-v3

# A folder that ends in the middle of a tag, so that the path of the model closes and opens elements.
mkdir -p "$out/<img src=q onerror=window.broken=1>x<"
hostile="$out/<img src=q onerror=window.broken=1>x</script><script>window.broken=1</script>.model"
mkdir -p "$(dirname "$hostile")"
cp "$source/examples/mlp.model" "$hostile"
"$gradc" report "$hostile" --train -o "$out/hostile.html" --cpu x86-64-v3

# The data alone, for other programs.
"$gradc" report "$source/examples/mlp.model" --json --cpu x86-64-v3 >"$out/mlp.json"
grep -q '^{"gradc":"' "$out/mlp.json"

# What is wrong is said before anything is written.
if "$gradc" report "$out/absent.model" -o "$out/absent.html" 2>/dev/null; then exit 1; fi
[ ! -e "$out/absent.html" ]
if "$gradc" report "$source/examples/mlp.model" -o "$out/no/such/folder.html" 2>"$out/error"; then exit 1; fi
grep -q "no/such/folder.html: error: " "$out/error"

PYTHONPATH="$source/tests/support" python3 "$source/tests/e2e/report.py" "$out"
