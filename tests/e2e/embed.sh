#!/bin/sh
# The object that `gradc compile` writes, in a C++ program without LLVM: it learns, it is small, and it links only
# libc, libm, libstdc++ and threads.
#   embed.sh GRADC SOURCE_DIR RUNTIME_LIBRARY
set -eu
gradc=$1 source=$2 runtime=$3
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$gradc" compile "$source/examples/lenet.model" --train --cpu native -o "$out"
c++ -std=c++17 -O2 -Wall -Wextra -I"$out" "$source/examples/embed/main.cpp" "$out/lenet.o" "$runtime" -pthread -o "$out/embed"
"$out/embed"
strip "$out/embed"
bytes=$(wc -c <"$out/embed")
echo "stripped: $bytes bytes"
[ "$bytes" -le 500000 ]
if ldd "$out/embed" | grep -vE 'linux-vdso|libstdc\+\+|libm\.|libgcc_s|libc\.|libpthread|ld-linux'; then
  echo "links more than libc, libm, libstdc++ and threads"
  exit 1
fi
