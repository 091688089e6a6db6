#!/bin/sh
# Bad inputs: one clear message with a place, the right exit code, no crash. Five or more of each kind.
#   bad_inputs.sh GRADC SOURCE_DIR
gradc=$1
source=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0 passed=0 of_kind=0 kind_name=""
mlp=$source/examples/mlp.model
lenet=$source/examples/lenet.model

fail() {
  echo "FAILED: $1"
  failed=$((failed + 1))
}

# kind NAME: ends the kind before, which must have been long enough.
kind() {
  [ -z "$kind_name" ] || echo "$of_kind of $kind_name"
  [ -z "$kind_name" ] || [ $of_kind -ge 5 ] || fail "only $of_kind of $kind_name"
  kind_name=$1 of_kind=0
}

# expect CODE TEXT COMMAND...: the exit code, and a text that the message must hold. There is one message, it names
# a place where the model, the data or the budget are at fault, and it is neither a sanitizer's nor about a bug.
expect() {
  code=$1 text=$2
  shift 2
  of_kind=$((of_kind + 1))
  "$@" >"$out/stdout" 2>"$out/stderr"
  seen=$?
  place="" && [ "$code" = 2 ] || place=".*: "
  if [ $seen != "$code" ] || ! grep -qF -- "$text" "$out/stderr"; then
    fail "$* gave exit code $seen, wanted $code and a message with '$text':"
    cat "$out/stderr"
  elif [ "$(grep -c "^${place}error: " "$out/stderr")" != 1 ]; then
    fail "$* wanted one line '${place}error: ':"
    cat "$out/stderr"
  elif grep -q -e "runtime error: " -e "Sanitizer" -e "bug of gradc" "$out/stderr"; then
    fail "$*:"
    cat "$out/stderr"
  else
    passed=$((passed + 1))
  fi
}

# The same with standard output, or files beyond 512 bytes, that cannot be written.
to_full_disk() { "$@" >/dev/full; }
with_little_room() (ulimit -f 1 && "$@")

model() { printf '%s\n' "$1" >"$out/m.model"; }
ir() { printf '%s\n' "$1" >"$out/m.ir"; }
# An entry around one line.
ir_line() { ir "module @m
entry @infer(%x: f32[2,3]) {
  $1
  return y=%y
}"; }
# model_line SHAPE LINE: a model around one line.
model_line() { model "model m(x: f32[$1]) {
  $2
  return y
}"; }
train() { "$gradc" train "$@" --data fashion-mnist --steps 1; }

kind "bad flags"
expect 2 "subcommand" "$gradc"
expect 2 "subcommand" "$gradc" trian
expect 2 "required" "$gradc" train
expect 2 "--colour" "$gradc" info "$mlp" --colour
expect 2 "--data or --feed" "$gradc" train "$mlp"
expect 2 "--memory got" "$gradc" info "$mlp" --memory lots
expect 2 "--memory got" "$gradc" info "$mlp" --memory nan
expect 2 "--threads got" "$gradc" info "$mlp" --threads 0
expect 2 "--bind got" "$gradc" info "$mlp" --bind batch
expect 2 "the model has no such dim" "$gradc" info "$mlp" --bind bacth=3
expect 2 "the model has no such input" "$gradc" info "$mlp" --shape picture=3
expect 2 "the input has 2 axes" "$gradc" info "$mlp" --shape image=3
expect 2 "--batch" "$gradc" info "$mlp" --batch many
expect 2 "--seed: got \`-1\`" "$gradc" info "$mlp" --seed -1
expect 2 "--lr: got \`nan\`" train "$mlp" --lr nan
expect 2 "--loss-scale: got \`0\`; it takes a number greater than 0" train "$mlp" --loss-scale 0
expect 2 "--precision: bf8 not in" train "$mlp" --precision bf8
expect 2 "--conv: fft not in" train "$mlp" --conv fft
expect 2 "momentum" train "$mlp" --optimizer sgd --momentum -5
expect 2 "--steps: got" "$gradc" train "$mlp" --data fashion-mnist --steps 99999999999999999999
expect 2 "--optimizer" train "$mlp" --optimizer magic
expect 2 "znver4" "$gradc" info "$mlp" --cpu znver44
expect 2 "did you mean" "$gradc" opt "$mlp" --passes simplfy
expect 2 "did you mean" "$gradc" dump "$mlp" --after simplfy
expect 2 "did you mean \`softmax\`" "$gradc" ops sotfmax
expect 2 "give a folder" "$gradc" dump "$mlp" --all
expect 2 "--emit" "$gradc" compile "$mlp" --emit exe -o "$out/o"
expect 2 "--epochs or --steps" train "$mlp" --epochs 1
expect 2 "leave --weights away" train "$mlp" --resume a --weights b
expect 2 "needs --steps" "$gradc" train "$mlp" --feed x.npz

kind "model language"
expect 1 "no such file" "$gradc" info "$out/none.model"
expect 1 "extension" "$gradc" info "$source/LICENSE"
expect 1 "extension" "$gradc" info "$source"
mkdir "$out/folder.model"
expect 1 "not a file" "$gradc" info "$out/folder.model"
model 'model m(x: f32[2,3]) { return y }'
expect 1 "m.model:1:" "$gradc" info "$out/m.model"
model_line 2,3 'y = tahn(x)'
expect 1 "did you mean \`tanh\`" "$gradc" info "$out/m.model"
model 'model m(x: f32[2,3]) {'
expect 1 "m.model:2:1: error: unexpected end of the file" "$gradc" info "$out/m.model"
model 'model m(x: f99[2,3]) { return x }'
expect 1 "m.model:1:12: error: unknown element type \`f99\`" "$gradc" info "$out/m.model"
model_line 2,3 'y = dense(x, 4, bais=false)'
expect 1 "did you mean \`bias\`" "$gradc" info "$out/m.model"
model_line 2,3 'y = 3'
expect 1 "a model returns tensors" "$gradc" info "$out/m.model"
model 'fn f(x) { return f(x) }
model m(x: f32[2]) {
  y = f(x)
  return y
}'
expect 1 "does \`f\` call itself?" "$gradc" info "$out/m.model"
model_line 2 "y = $(printf '(%.0s' $(seq 1000))x"
expect 1 "levels deep" "$gradc" info "$out/m.model"
printf '\000\001\002' >"$out/m.model"
expect 1 "m.model:1:1: error: unexpected byte 0x00" "$gradc" info "$out/m.model"
model_line 2,3 'y = x'
expect 1 "no result is named \`loss\`" "$gradc" bench "$out/m.model" --train

kind "unbound dims and shape clashes"
model 'dim batch
model m(x: f32[batch,3]) { return x }'
expect 1 "batch" "$gradc" info "$out/m.model"
model 'model m(x: f32[batch,3]) { return x }'
expect 1 "unknown name \`batch\`" "$gradc" info "$out/m.model"
model 'model m(x: f32[2,3], z: f32[4,5]) {
  y = x + z
  return y
}'
expect 1 "m.model:2:" "$gradc" info "$out/m.model"
model_line 2,3 'y = matmul(x, x)'
expect 1 "inner sizes differ" "$gradc" info "$out/m.model"
model_line 2,3 'y = reshape(x, [4, 2])'
expect 1 "m.model:2:7" "$gradc" info "$out/m.model"
model_line 1,1,4,4 'y = conv(x, 2, kernel=5)'
expect 1 "m.model:2:7" "$gradc" info "$out/m.model"
model_line 2,3 'y = concat(x, reshape(x, [3, 2]), axis=0)'
expect 1 "m.model:2:7" "$gradc" info "$out/m.model"
model_line 2,3 'y = transpose(x, [0, 2])'
expect 1 "m.model:2:7" "$gradc" info "$out/m.model"
expect 1 "out of range" "$gradc" info "$mlp" --batch 1000000000000
expect 1 "a batch of 70000 cannot be made of 60000 samples" train "$mlp" --batch 70000
expect 1 "a sample of \`image\` is u8[28,28] (784 elements), input \`image\` takes f32[3,32,32]" \
  train "$source/examples/resnet18.model"

kind "IR text"
ir 'module @m
entry @infer(%x: f32[2]) { %y: f32[3] = tanh(%x) return %y }'
expect 1 "m.ir:2:28: error: %y is written as f32[3], but \`tanh\` gives f32[2]" "$gradc" info "$out/m.ir"
ir 'hello'
expect 1 "m.ir:1:1" "$gradc" info "$out/m.ir"
ir_line '%y = add(%x)'
expect 1 "takes 2 operands" "$gradc" info "$out/m.ir"
ir_line '%y = tanh(%z)'
expect 1 "m.ir:3:13: error: %z is not defined" "$gradc" info "$out/m.ir"
ir 'module @m
entry @infer(%x: f99[2]) { return %x }'
expect 1 "unknown element type" "$gradc" info "$out/m.ir"
ir_line '%y: f32[2,3] = call @f(%x)'
expect 1 "has no function @f" "$gradc" info "$out/m.ir"
ir_line '%y = constant() {dtype=f32, shape=[9223372036854775807,2], value=0.0}'
expect 1 "m.ir:3:8: error: attribute \`shape\`" "$gradc" info "$out/m.ir"
ir 'module @m
func @b(%c: f32[2]) { return %c }
entry @infer(%x: f32[2]) { %y: f32[2] = scan @b(%x) {carries=-1, sequences=1, trips=3} return y=%y }'
expect 1 "do not fit the operands" "$gradc" info "$out/m.ir"
ir 'module @m
func @b(%c: f32[2]) { %d: f32[2] = call @b(%c) return %d }
entry @infer(%x: f32[2]) { return %x }'
expect 1 "@b calls itself" "$gradc" info "$out/m.ir"
ir 'module @m
entry @infer(%x: f32[0,2], %y: f32[0,3]) { %z = add(%x, %y) return z=%z }'
expect 1 "operand types differ" "$gradc" info "$out/m.ir"
"$gradc" dump "$lenet" --threads 1 --batch 2 --after plan -o "$out/planned.ir" || fail "gradc dump"
expect 2 "is scheduled for" "$gradc" info "$out/planned.ir" --threads 2
sed 's/tile=\[[0-9]*/tile=[0/' "$out/planned.ir" >"$out/m.ir"
expect 1 "is scheduled as" "$gradc" info "$out/m.ir" --threads 1
sed 's/@[1-9][0-9]* =/@0 =/' "$out/planned.ir" >"$out/m.ir"
expect 1 "m.ir: error: @infer: " "$gradc" info "$out/m.ir" --threads 1
sed 's/class="map"/class="mop"/' "$out/planned.ir" >"$out/m.ir"
expect 1 "its class is \`mop\`" "$gradc" info "$out/m.ir" --threads 1

kind "impossible budgets"
expect 4 "smallest" "$gradc" info "$mlp" --train --memory 1KiB
expect 4 "smallest" "$gradc" info "$lenet" --train --memory 100KB
expect 4 "smallest" "$gradc" compile "$mlp" --train --memory 64KiB -o "$out/o"
expect 4 "allow --memory-total" "$gradc" info "$mlp" --train --memory-total 1MiB
expect 4 "allow --memory " train "$mlp" --memory 1B
expect 4 "is planned already" "$gradc" info "$out/planned.ir" --threads 1 --memory 1KiB

kind "bad data files and checkpoints"
printf '\037\213\010garbage' >"$out/train-images-idx3-ubyte.gz"
expect 1 "train-images-idx3-ubyte.gz" "$gradc" train "$mlp" --data "$out" --steps 1
printf '\000\000\010\003\000\000\000\002\000\000\000\034\000\000\000\034short' >"$out/train-images-idx3-ubyte"
expect 1 "train-images-idx3-ubyte: error: is cut short" "$gradc" train "$mlp" --data "$out" --steps 1
expect 1 "/nowhere" "$gradc" train "$mlp" --data /nowhere --steps 1
: >"$out/empty.txt"
expect 1 "empty.txt" "$gradc" train "$source/examples/gpt.model" --data "$out/empty.txt" --steps 1
expect 1 "none.npz" "$gradc" run "$mlp" --feed "$out/none.npz"
printf 'PK\003\004garbage' >"$out/bad.npz"
expect 1 "bad.npz" "$gradc" run "$mlp" --feed "$out/bad.npz"
# A file of arrays that is good, but of another model; and halves of it.
ir 'module @m
entry @infer(%x: f32[]) { %y = constant() {dtype=f32, shape=[100], value=1.0} return y=%y }'
printf '\223NUMPY\001\000\066\000%-54s' "{'descr': '<f4', 'fortran_order': False, 'shape': ()}" >"$out/x.npy"
printf '\000\000\000\000' >>"$out/x.npy"
"$gradc" run "$out/m.ir" --feed "$out/x.npy" -o "$out/other.npz" >/dev/null || fail "gradc run"
expect 1 "other.npz: error: there is no array \`image\`" "$gradc" run "$mlp" --feed "$out/other.npz"
head -c 300 "$out/other.npz" >"$out/half.npz"
expect 1 "half.npz: error: not a zip archive, or a damaged one" "$gradc" run "$mlp" --feed "$out/half.npz"
expect 1 "x.npy: error: there is no array" "$gradc" run "$mlp" --feed "$out/x.npy"
mkdir "$out/short"
head -c 66 "$out/x.npy" >"$out/short/x.npy"
expect 1 "x.npy: error: has" "$gradc" run "$out/m.ir" --feed "$out/short/x.npy"
expect 1 "none.safetensors" train "$mlp" --resume "$out/none.safetensors"
head -c 100 /dev/zero >"$out/bad.safetensors"
expect 1 "bad.safetensors" train "$mlp" --weights "$out/bad.safetensors"
printf '\002\000\000\000\000\000\000\000{}' >"$out/none_inside.safetensors"
expect 1 "none_inside.safetensors: error: lacks tensor" train "$mlp" --weights "$out/none_inside.safetensors"
expect 1 "has no valid \`step\`" train "$mlp" --resume "$out/none_inside.safetensors"
"$gradc" dump "$lenet" --all -o "$out/lenet" >/dev/null || fail "gradc dump"
expect 1 "weights.safetensors: error: tensor \`dense_1.w\` is F32[256,3136]" train "$mlp" --weights "$out/lenet/weights.safetensors"
head -c 5000 "$out/lenet/weights.safetensors" >"$out/half.safetensors"
expect 1 "half.safetensors: error: is damaged" train "$lenet" --weights "$out/half.safetensors"

kind "unwritable or full disk"
expect 1 "standard output: error: cannot be written" to_full_disk "$gradc" info "$mlp"
expect 1 "output: error: cannot write" to_full_disk "$gradc" ops --markdown
expect 1 "standard output: error: cannot be written" to_full_disk "$gradc" opt "$mlp"
expect 1 "cannot be written" train "$mlp" --metrics /dev/full
expect 1 "cannot be" train "$mlp" --metrics /proc/none/m.jsonl
expect 1 "folder.model: error: is a directory" train "$mlp" --save "$out/folder.model"
expect 1 "cannot create" train "$mlp" --save /proc/none/s.safetensors
expect 1 "cannot create" "$gradc" plan "$mlp" --svg /proc/none/c.svg
expect 1 "cannot create" "$gradc" bench "$mlp" --profile /proc/none/t.json
expect 1 "cannot be" "$gradc" dump "$mlp" --all -o /proc/none
expect 1 "cannot create" "$gradc" run "$out/m.ir" --feed "$out/x.npy" -o /proc/none/y.npz
expect 1 "cannot write: File too large" with_little_room train "$mlp" --save "$out/s.safetensors"
expect 1 "cannot write: File too large" with_little_room "$gradc" compile "$mlp" -o "$out/o"
expect 1 "cannot write: File too large" with_little_room "$gradc" dump "$mlp" --all -o "$out/d"
! ls "$out"/*.tmp-* "$out"/*/*.tmp-* 2>/dev/null || fail "temporary files are left"
"$gradc" info "$mlp" >&- 2>&- || fail "gradc info with closed streams"
"$gradc" trian 2>/dev/full
[ $? = 2 ] || fail "gradc trian with a full standard error"

kind ""
echo "$passed passed, $failed failed"
[ $failed = 0 ]
