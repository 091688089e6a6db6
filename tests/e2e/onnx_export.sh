#!/bin/sh
# A trained ONNX model, written back: valid, the same but for its weights, which are PyTorch's; and nothing half written.
#   onnx_export.sh GRADC SOURCE_DIR
set -eu
gradc=$1
references=$2/tests/data/onnx/references
script=$2/tests/e2e/onnx_export.py
python=/usr/bin/python3  # Debian's, which has Debian's packages
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
train() {
  model=$1
  shift
  "$gradc" train "$model" --train-mode --loss cross_entropy --feed "$feed" --steps 6 --optimizer sgd --lr 0.05 --momentum 0.9 "$@"
}
entries() { find "$out" | wc -l; }

for name in lstm unet; do
  base=$references/$name.onnx feed=$references/$name.npz
  train "$base" --save "$out/$name.safetensors" -o "$out/$name.onnx" --metrics "$out/more.jsonl"
  "$python" "$script" check "$base" "$out/$name.onnx" "$feed"
  # As gradc itself reads it, and from the checkpoint.
  "$gradc" run "$out/$name.onnx" --feed "$feed" -o "$out/from_onnx.npz"
  "$gradc" run "$base" --weights "$out/$name.safetensors" --feed "$feed" -o "$out/from_checkpoint.npz"
  cmp "$out/from_onnx.npz" "$out/from_checkpoint.npz"
  "$gradc" compile "$base" --weights "$out/$name.safetensors" --emit onnx -o "$out/$name.d"
  cmp "$out/$name.onnx" "$out/$name.d/$name.onnx"
done

mkdir "$out/make" "$out/make/tensors" "$out/elsewhere"
feed=$references/lstm.npz
"$python" "$script" make "$references/lstm.onnx" "$out/make"

# External data stay external, in a file of the copy's own.
train "$out/make/external.onnx" -o "$out/elsewhere/trained.onnx"
mv "$out/make/tensors" "$out/gone"
[ "$(ls "$out/elsewhere")" = "trained.onnx
trained.onnx.data" ] || fail "wrote $(ls "$out/elsewhere")"
"$gradc" run "$out/elsewhere/trained.onnx" --feed "$feed" -o "$out/from_external.npz"
"$gradc" run "$out/lstm.onnx" --feed "$feed" -o "$out/from_onnx.npz"
cmp "$out/from_external.npz" "$out/from_onnx.npz"
mv "$out/gone" "$out/make/tensors"
"$python" "$script" check "$out/make/external.onnx" "$out/elsewhere/trained.onnx" "$feed"
# Onto itself.
cp "$out/make/external.onnx" "$out/make/before.onnx"
train "$out/make/external.onnx" -o "$out/make/external.onnx"
"$python" "$script" check "$out/make/before.onnx" "$out/make/external.onnx" "$feed"

# Names as in the file.
train "$out/make/names.onnx" -o "$out/names.onnx" --save "$out/names_checkpoint.safetensors"
"$python" "$script" check "$out/make/names.onnx" "$out/names.onnx" "$feed"
train "$out/make/names.onnx" -o "$out/names.safetensors"
"$python" "$script" names "$out/make/names.onnx" "$out/names.safetensors"
"$gradc" run "$out/make/names.onnx" --weights "$out/names.safetensors" --feed "$feed" -o "$out/from_names.npz"
cmp "$out/from_names.npz" "$out/from_onnx.npz"
"$gradc" dump "$out/make/names.onnx" --train --loss cross_entropy --shape target=6 --all -o "$out/dump" >/dev/null
"$gradc" run "$out/dump/00-import.ir" --weights "$out/dump/weights.safetensors" --feed "$feed" -o "$out/from_dump.npz"
"$gradc" run "$out/make/names.onnx" --feed "$feed" -o "$out/from_names.npz"
cmp "$out/from_dump.npz" "$out/from_names.npz"

# refused CODE TEXT COMMAND...: and no file comes or goes.
refused() {
  code=$1 text=$2 seen=0
  shift 2
  before=$(entries)
  "$@" 2>"$out/error" >/dev/null || seen=$?
  [ $seen = "$code" ] && grep -qF -- "$text" "$out/error" || { cat "$out/error"; fail "$* gave $seen"; }
  [ "$(entries)" = "$before" ] || fail "$* left a file behind"
}
: >"$out/error"
cp "$out/lstm.safetensors" "$out/make/w.safetensors"
refused 2 "takes an .onnx or .safetensors file" train "$references/lstm.onnx" -o "$out/trained"
refused 2 "of this model they go into a .safetensors file" "$gradc" train "$2/examples/mlp.model" --data fashion-mnist -o "$out/t.onnx"
refused 2 "--emit onnx" "$gradc" compile "$2/examples/mlp.model" --emit onnx -o "$out/lstm.d"
refused 1 "names.onnx: error: would be replaced by what is made of it" "$gradc" compile "$out/make/names.onnx" --emit onnx -o "$out/make"
refused 1 "w.safetensors: error: would be replaced" "$gradc" compile "$references/lstm.onnx" --weights "$out/make/w.safetensors" \
  --name w -o "$out/make"
refused 1 "cannot" train "$references/lstm.onnx" -o "$out/no/folder/t.onnx"
# Computed weights have no place in the file: said before training, not after.
refused 1 'has no initializer and no tensor of a Constant node "w" to replace' "$gradc" train "$out/make/computed.onnx" --loss cross_entropy \
  --feed "$out/make/computed.npz" --steps 1000000000 -o "$out/t.onnx"
# A disk that is full.
refused 1 "cannot write" sh -c 'ulimit -f 8; exec "$@"' _ "$gradc" train "$references/lstm.onnx" --loss cross_entropy --feed "$feed" \
  --steps 1 -o "$out/t.onnx"
refused 1 "cannot write" sh -c 'ulimit -f 8; exec "$@"' _ "$gradc" train "$out/make/external.onnx" --loss cross_entropy --feed "$feed" \
  --steps 1 -o "$out/t.onnx"
