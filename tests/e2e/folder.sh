# Sourced by tests: a folder of their own, $out, and `fail`, after which a test goes on and `failed` is 1.
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0
fail() {
  echo "FAILED: $1"
  failed=1
}
