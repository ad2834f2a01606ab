#!/bin/sh
# The first answer for a program with more than 100 MB of debug info: time and memory of our lookup beside addr2line's
# and llvm-symbolizer's for the same addresses, taken in turns. B = build folder.
here=$(cd "$(dirname "$0")" && pwd)
B=${B:-$here/../../build}
TOOL=$B/tests/unit/symbol_lookup
ADDRESSES=${ADDRESSES:-500} ROUNDS=${ROUNDS:-3}
for tool in objdump addr2line awk; do
	command -v "$tool" >/dev/null || { echo "skipped: no $tool" && exit 77; }
done
[ -x "$TOOL" ] || { echo "skipped: $TOOL is not built" && exit 77; }
D=$(mktemp -d) || exit 1
trap 'rm -rf "$D"' EXIT
trap 'exit 130' INT TERM
cd "$D" || exit 1

. "$here/big.inc" || exit 1
size -A big | awk '/^\.debug/ { n += $2 } END { printf "debug info: %.0f MB\n", n / 1e6 }'
objdump -d --no-show-raw-insn big | sed -n 's/^ *\([0-9a-f]*\):.*/0x\1/p' >all

# pick N: that many of all addresses, the same ones every time.
pick() { awk -v n="$1" '{ a[k++] = $0 } END { srand(1); while (n--) print a[int(rand() * k)] }' all; }
pick "$ADDRESSES" >some

# measured NAME cmd...: seconds and peak memory of a run.
measured() {
	name=$1
	shift
	/usr/bin/time -f "$name: %e s, %M KiB" "$@" <some 2>took >/dev/null
	tail -n 1 took
}
round=0
while [ $round -lt "$ROUNDS" ]; do
	echo "ours: $("$TOOL" bench big <some)"
	if [ -x /usr/bin/time ]; then
		measured "ours, whole process" "$TOOL" big
		measured "addr2line -i" addr2line -i -f -C -e big
		command -v llvm-symbolizer >/dev/null && measured llvm-symbolizer llvm-symbolizer -i -f -e big
		command -v eu-addr2line >/dev/null && measured "eu-addr2line -i" eu-addr2line -i -f -C -e big
	fi
	round=$((round + 1))
done
echo "ours: $(pick 10000 | "$TOOL" bench big)"
