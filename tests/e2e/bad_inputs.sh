#!/bin/sh
# Bad inputs: one clear message, the right exit code, no crash.
#   bad_inputs.sh GRADC SOURCE_DIR
gradc=$1
source=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0 passed=0
mlp=$source/examples/mlp.model

# expect CODE TEXT COMMAND...: the exit code, and a text that the message must hold.
expect() {
  code=$1 text=$2
  shift 2
  "$@" >"$out/stdout" 2>"$out/stderr"
  seen=$?
  if [ $seen != "$code" ] || ! grep -qF -- "$text" "$out/stderr"; then
    echo "FAILED: $* gave exit code $seen, wanted $code and a message with '$text':"
    cat "$out/stderr"
    failed=$((failed + 1))
  else
    passed=$((passed + 1))
  fi
}

model() { printf '%s\n' "$1" >"$out/m.model"; }
ir() { printf '%s\n' "$1" >"$out/m.ir"; }

# The command line.
expect 2 "subcommand" "$gradc"
expect 2 "required" "$gradc" train
expect 2 "--data or --feed" "$gradc" train "$mlp"
expect 2 "--memory got" "$gradc" info "$mlp" --memory lots
expect 2 "--threads got" "$gradc" info "$mlp" --threads 0
expect 2 "--bind got" "$gradc" info "$mlp" --bind batch
expect 2 "--batch" "$gradc" info "$mlp" --batch many
expect 2 "--optimizer" "$gradc" train "$mlp" --data fashion-mnist --optimizer magic
expect 2 "znver4" "$gradc" info "$mlp" --cpu znver44
expect 2 "did you mean" "$gradc" opt "$mlp" --passes simplfy
expect 2 "did you mean" "$gradc" dump "$mlp" --after simplfy
expect 2 "--epochs or --steps" "$gradc" train "$mlp" --data fashion-mnist --epochs 1 --steps 1

# Files.
expect 1 "no such file" "$gradc" info "$out/none.model"
expect 1 "extension" "$gradc" info "$source/LICENSE"
expect 1 "extension" "$gradc" info "$source"
mkdir "$out/folder.model"
expect 1 "not a file" "$gradc" info "$out/folder.model"
expect 1 "cannot be written" "$gradc" train "$mlp" --data fashion-mnist --steps 1 --metrics /dev/full
expect 1 "folder.model" "$gradc" train "$mlp" --data fashion-mnist --steps 1 --save "$out/folder.model"
printf '\037\213\010garbage' >"$out/train-images-idx3-ubyte.gz"
expect 1 "idx" "$gradc" train "$mlp" --data "$out" --steps 1
expect 1 "none.npz" "$gradc" run "$mlp" --feed "$out/none.npz"
printf 'PK\003\004garbage' >"$out/bad.npz"
expect 1 "bad.npz" "$gradc" run "$mlp" --feed "$out/bad.npz"
expect 1 "none.safetensors" "$gradc" train "$mlp" --data fashion-mnist --steps 1 --resume "$out/none.safetensors"
head -c 100 /dev/zero >"$out/bad.safetensors"
expect 1 "bad.safetensors" "$gradc" train "$mlp" --data fashion-mnist --steps 1 --weights "$out/bad.safetensors"
expect 1 "/nowhere" "$gradc" train "$mlp" --data /nowhere --steps 1
expect 1 "cannot be" "$gradc" dump "$mlp" --all -o /proc/none
expect 1 "cannot be" "$gradc" train "$mlp" --data fashion-mnist --steps 1 --metrics /proc/none/m.jsonl
: >"$out/empty.txt"
expect 1 "empty.txt" "$gradc" train "$source/examples/gpt.model" --data "$out/empty.txt" --steps 1

# The model language.
model 'model m(x: f32[2,3]) { return y }'
expect 1 "m.model:1:" "$gradc" info "$out/m.model"
model 'model m(x: f32[2,3]) {
  y = tahn(x)
  return y
}'
expect 1 "tanh" "$gradc" info "$out/m.model"
model 'model m(x: f32[2,3]) {'
expect 1 "m.model:" "$gradc" info "$out/m.model"
model 'model m(x: f32[batch,3]) { return x }'
expect 1 "batch" "$gradc" info "$out/m.model"
model 'model m(x: f32[2,3], z: f32[4,5]) {
  y = x + z
  return y
}'
expect 1 "m.model:2:" "$gradc" info "$out/m.model"

# IR text.
ir 'module @m
entry @infer(%x: f32[2]) { %y: f32[3] = tanh(%x) return %y }'
expect 1 "m.ir:2:28: error: %y is written as f32[3], but \`tanh\` gives f32[2]" "$gradc" info "$out/m.ir"
ir 'hello'
expect 1 "m.ir:1:1" "$gradc" info "$out/m.ir"
ir 'module @m
entry @infer(%x: f32[2]) { %y = add(%x) return %y }'
expect 1 "takes 2 operands" "$gradc" info "$out/m.ir"
ir 'module @m
entry @infer(%x: f32[2]) { %y = tanh(%z) return %y }'
expect 1 "not defined" "$gradc" info "$out/m.ir"
ir 'module @m
entry @infer(%x: f99[2]) { return %x }'
expect 1 "unknown element type" "$gradc" info "$out/m.ir"

# Impossible budgets.
expect 4 "smallest" "$gradc" info "$mlp" --train --memory 1KiB
expect 4 "smallest" "$gradc" info "$source/examples/lenet.model" --train --memory 100KB
expect 4 "smallest" "$gradc" compile "$mlp" --train --memory 64KiB -o "$out/o"
expect 4 "" "$gradc" info "$mlp" --train --memory-total 1MiB
expect 4 "" "$gradc" train "$mlp" --data fashion-mnist --steps 1 --memory 1B

echo "$passed passed, $failed failed"
[ $failed = 0 ]
