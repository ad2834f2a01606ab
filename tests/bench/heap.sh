#!/bin/sh
# What sampled allocations cost, beside other allocators' profilers and heaptrack. ROUNDS=n: launches of each (default 7).
cd "$(dirname "$0")/../.." || exit 1
B=${B:-$PWD/build}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
for p in pairs live sqlite; do
	libs=-lpthread
	[ "$p" = sqlite ] && libs=-lsqlite3
	cc -O2 -g -fno-builtin -o "$T/$p" "tests/bench/heap/$p.c" $libs || exit 1
done
python3 tests/bench/heap/run.py "$B" "$T" "${ROUNDS:-7}" "$@"
