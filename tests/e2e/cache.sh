#!/bin/sh
# The cache on the command line: the same objects with and without, by two processes at once, from
# damaged entries; its folder, its size, its end.
#   cache.sh GRADC SOURCE_DIR
set -eu
gradc=$1 source=$2
. "$source/tests/e2e/folder.sh"
# object NAME FLAGS...: lenet's object, in $out/NAME.
object() {
  name=$1
  shift
  "$gradc" compile "$source/examples/lenet.model" --train --batch 4 --quiet -o "$out/$name" "$@"
}
same() { cmp "$out/$1/lenet.o" "$out/none/lenet.o" || fail "other bits: $1"; }
entries() { "$gradc" cache --json "$@" | python3 -c 'import json, sys; print(json.load(sys.stdin)["entries"])'; }

export XDG_CACHE_HOME="$out/home"
object none --no-cache
[ "$(entries)" = 0 ] || fail "--no-cache keeps something"
[ ! -e "$out/home/gradc" ] || fail "--no-cache makes a folder"

# Two at once fill a folder.
object first --cache "$out/shared" &
object second --cache "$out/shared" &
wait
same first
same second
kept=$(entries --cache "$out/shared")
[ "$kept" -gt 10 ] || fail "only $kept entries"
[ "$(find "$out/shared" -type f | wc -l)" = "$kept" ] || fail "something beside the entries"
object warm --cache "$out/shared"
same warm
[ "$(entries --cache "$out/shared")" = "$kept" ] || fail "a second run adds entries"

# Damage: each entry cut, then each with other bytes.
for file in "$out"/shared/*; do truncate -s 100 "$file"; done
object cut --cache "$out/shared"
same cut
for file in "$out"/shared/*; do printf 'xxxx' | dd of="$file" bs=1 seek=150 conv=notrunc 2>/dev/null; done
object damaged --cache "$out/shared"
same damaged
object mended --cache "$out/shared"
same mended

# Other options are other entries; what runs here shares those of what is compiled.
object threads --cache "$out/shared" --threads 3
[ "$(entries --cache "$out/shared")" -gt "$kept" ] || fail "threads do not count"
"$gradc" bench "$source/examples/lenet.model" --train --batch 4 --seconds 0.01 --threads 1 >/dev/null
[ "$(entries)" -gt 10 ] || fail "no entries in the default folder"
"$gradc" cache | grep -q "$out/home/gradc: .* of 512.0 MiB" || fail "what gradc cache says"
echo mine >"$out/home/gradc/notes"
"$gradc" cache --clear | grep -q ": 0 entries, 0 B" || fail "what gradc cache --clear says"
[ "$(ls "$out/home/gradc")" = notes ] || fail "--clear leaves entries, or removes other files"
XDG_CACHE_HOME='' HOME='' "$gradc" cache 2>"$out/log" && fail "a cache without a home"
grep -q "name one: --cache DIR" "$out/log" || fail "no help without a home"
exit $failed
