# Sourced by tests of one command of gradc: expect, says and complains. They want $gradc and $command; `failed` is 1
# after a failure.
. "$(dirname "$0")/folder.sh"
fail() {
  echo "FAILED: $1"
  cat "$out/stdout" "$out/stderr"
  failed=1
}

# expect CODE ARGUMENTS...
expect() {
  code=$1
  shift
  "$gradc" "$command" "$@" >"$out/stdout" 2>"$out/stderr"
  seen=$?
  [ $seen = "$code" ] || fail "$command $* gave exit code $seen, wanted $code"
}
# says TEXT: on standard output; complains TEXT: on standard error.
says() { grep -qF -- "$1" "$out/stdout" || fail "no line with '$1'"; }
complains() { grep -qF -- "$1" "$out/stderr" || fail "no message with '$1'"; }
