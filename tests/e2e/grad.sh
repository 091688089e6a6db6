#!/bin/sh
# gradc grad --of --wrt.
#   grad.sh GRADC SOURCE_DIR
set -eu
gradc=$1
models=$2/tests/data/references
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

grad() {
  model=$1
  shift
  "$gradc" grad "$models/$model.model" --feed "$models/$model.npz" -o "$out/out.npz" "$@" >"$out/stdout" 2>"$out/stderr"
}
# Names of arrays stand in the file as NAME.npy.
has() {
  grep -qaF -- "$1.npy" "$out/out.npz" || { echo "no array $1 from: $model $*"; exit 1; }
}
lacks() {
  ! grep -qaF -- "$1.npy" "$out/out.npz" || { echo "an array $1 from: $model $*"; exit 1; }
}

# The loss by everything is what grad does without the flags, to the bit.
for model in convnet recurrent transformer; do
  grad $model
  mv "$out/out.npz" "$out/whole.npz"
  grad $model --of loss
  cmp "$out/whole.npz" "$out/out.npz"
done

grad convnet --of logits --wrt x,image,dense_1.w
for name in loss logits grad_x grad_image grad/dense_1.w; do
  has $name
done
lacks grad/dense_1.b
# A gradient of a gradient; the first one is no output.
grad convnet --of grad_image --wrt dense_1.w
has grad/dense_1.w
lacks grad_image
grad convnet --of grad/dense_1.w --wrt image
has grad_image
lacks grad/dense_1.w
# A stage before expand has the same names.
"$gradc" dump "$models/convnet.model" --train --after import -o "$out/import.ir"
grad convnet --of logits
mv "$out/out.npz" "$out/whole.npz"
"$gradc" grad "$out/import.ir" --feed "$models/convnet.npz" --of logits -o "$out/out.npz" >/dev/null
cmp "$out/whole.npz" "$out/out.npz"
"$gradc" dump "$models/convnet.model" --train --after plan -o "$out/plan.ir"

refused() {
  text=$1 code=0
  shift
  "$@" || code=$?
  [ $code = 2 ] && grep -qF -- "$text" "$out/stderr" || { echo "$*: exit code $code"; cat "$out/stderr"; exit 1; }
}
refused 'did you mean `logits`?' grad convnet --of logit
refused 'did you mean `image`?' grad convnet --wrt imge
refused 'only floating point values have gradients' grad convnet --wrt label
refused 'did you mean `dense_1.w`?' grad convnet --of grad/dense_1.v
plan() {
  "$gradc" grad "$out/plan.ir" --feed "$models/convnet.npz" -o "$out/out.npz" "$@" 2>"$out/stderr"
}
refused 'a stage behind `expand`' plan --of logits
