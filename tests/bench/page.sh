#!/bin/sh
# What the built-in page costs on large profiles: time on the processor from a file's bytes to the picture, the longest
# task of the main thread, and what an interaction takes; and what a browser has to fetch.
command -v node >/dev/null && command -v chromium >/dev/null || { echo "no node or no chromium" && exit 77; }
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
ls -l "$B"/gen/www/*.gz
DEMO="$B/tests/demo/demo" T="$T" node "$(dirname "$0")/../page/speed.mjs" "$@"
