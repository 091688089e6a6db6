#!/bin/bash
# The manual and the completions of bash, zsh and fish: they have every flag of every command, and they work.
#   completion.sh GRADC
set -euo pipefail
gradc=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0

fail() {
  echo "FAILED: $*" >&2
  failed=1
}

"$gradc" man -o "$out/man"
for shell in bash zsh fish; do
  "$gradc" completion "$shell" -o "$out/$shell"
  "$gradc" completion "$shell" | cmp - "$out/$shell"
done

# What --help lists is what the parser takes.
commands=$("$gradc" --help | sed -n '/^Subcommands:/,$s/^  \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 12 ] || fail "only these commands: $commands"
total=0
for command in $commands; do
  page=$out/man/gradc-$command.1
  grep -q "gradc.-$command" "$out/man/gradc.1" || fail "gradc.1 lacks $command"
  bash_flags=$(grep -E "^ *$command\) _gradc_words" "$out/bash" | head -1)
  fish_flags=$(grep -E "from $command'" "$out/fish")
  zsh_flags=$(sed -n "/^        $command)/,/;;/p" "$out/zsh")
  flags=$("$gradc" "$command" --help | grep -E '^  (-.,)?--' | grep -oE '^ +[^ ]+' | tr ', ' '\n\n' | sed '/^$/d')
  for flag in $flags; do
    total=$((total + 1))
    grep -qF -- "\\fB${flag//-/\\-}\\fR" "$page" || fail "gradc-$command.1 lacks $flag"
    grep -qE -- "[\" ]$flag[\" ]" <<<"$bash_flags" || fail "bash: $command lacks $flag"
    grep -qE -- "[)*]$flag[=+[]" <<<"$zsh_flags" || fail "zsh: $command lacks $flag"
    case $flag in
      --*) grep -qE -- " -l ${flag#--} " <<<"$fish_flags" || fail "fish: $command lacks $flag" ;;
      *) grep -qE -- " -s ${flag#-} " <<<"$fish_flags" || fail "fish: $command lacks $flag" ;;
    esac
  done
done
echo "$total flags of $(wc -w <<<"$commands") commands"
[ $total -ge 250 ] || fail "only $total flags"

for page in "$out"/man/*.1; do
  LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$page" >"$out/page" 2>"$out/warnings" || fail "man cannot show $page"
  [ ! -s "$out/warnings" ] || fail "$page: $(cat "$out/warnings")"
done
LC_ALL=C.UTF-8 MANWIDTH=80 man -l "$out/man/gradc-train.1" | col -b >"$out/page"
grep -q -- '--optimizer TEXT' "$out/page" || fail "gradc-train.1 does not show --optimizer"

mkdir "$out/files"
cd "$out/files"
touch "my net.onnx" net.onnx weights.safetensors
# is SHELL "CANDIDATE CANDIDATE..." WORD...
is() {
  local shell=$1 wanted=$2 seen
  shift 2
  seen=$("complete_$shell" "$@" | sort | tr '\n' ' ')
  [ "${seen% }" = "$wanted" ] || fail "$shell: $* completes to '$seen', not '$wanted'"
}
complete_bash() {
  bash -c 'source "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _gradc; printf "%s\n" "${COMPREPLY[@]}"' \
    _ "$out/bash" "$@"
}
complete_fish() {
  fish --no-config -c "source $out/fish; complete -C '$*'" | cut -f1
}
for shell in bash fish; do
  is $shell train gradc tr
  is $shell "--optimizer" gradc train --opt
  is $shell "adam adamw" gradc train --optimizer ad
  is $shell "net.onnx" gradc train n
  is $shell "weights.safetensors" gradc train net.onnx --weights w
  is $shell "zsh" gradc completion z
  is $shell "" gradc train --lr ""
done
is bash "adam adamw" gradc train --optimizer = ad
is bash "bash fish zsh" gradc completion ""
is bash "my net.onnx" gradc info "my"
# Only what is loaded in a terminal completes in zsh.
zsh -f -c '
  zmodload zsh/zpty
  zpty shell zsh -f -i
  zpty -w shell "PS1=; cd $1; autoload -Uz compinit && compinit -D -u; source $2"
  zpty -w -n shell $'\''gradc tra\t--opti\tadamw net.o\t\C-aprint -- \n'\''
  zpty -w shell "exit"
  zpty -r shell line "*exit*" && print -r -- $line
  while zpty -r shell line; do print -r -- $line; done' _ "$out/files" "$out/zsh" >"$out/zsh_session" 2>&1 || true
grep -q '^gradc train --optimizer[ =]adamw net.onnx' "$out/zsh_session" || {
  cat -v "$out/zsh_session" >&2
  fail "zsh completes to something else"
}
exit $failed
