# Shared by the scripts that run real programs under the library. B = build folder, T = private folder.
# Every program is ended by its pid, whatever happens.

LIB=$B/libpprofd.so
PIDS=
# shellcheck disable=SC2086
ends() { for p in $PIDS; do kill "$p" 2>/dev/null; done; wait 2>/dev/null; }
trap ends EXIT
trap 'exit 1' INT TERM

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

skip() {
	echo "skipped: $*"
	exit 77
}

need() {
	for tool; do command -v "$tool" >/dev/null || skip "$tool is not installed"; done
}

# within SECONDS command...: until it succeeds.
within() {
	limit=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$limit" ] || return 1
		sleep 0.05
	done
}

# preload LOGNAME cmd...: run in the background with the library on a free port; sets PID and, once it serves, URL.
preload() {
	plog=$T/$1.log
	shift
	PPROFD_LISTEN=${LISTEN:-127.0.0.1:0} PPROFD_LOG=$plog LD_PRELOAD=$LIB "$@" >"$T/out" 2>&1 &
	PID=$!
	PIDS="$PIDS $PID"
	within 10 grep -q 'serving on' "$plog" || { cat "$plog" "$T/out" >&2; fail "$1 did not start serving"; }
	URL=$(sed -n 's/.*serving on \(.*\)/\1/p' "$plog" | head -n 1)
}

# A port of the loopback address that nobody uses just now.
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# fetch FILE PATH: GET into a file; fails unless the answer is 200.
fetch() {
	curl -sS --fail --max-time 120 -o "$1" "$URL$2" || fail "GET $2"
}

# share FILE REGEX: percent of the profile's cpu in samples with a frame that matches (cum), as a number.
share() {
	tests/pb.py "$1" --json | python3 -c '
import json, re, sys
p = json.load(sys.stdin)
total = match = 0
for s in p["sample"]:
    v = s["value"][-1]
    total += v
    if any(re.search(sys.argv[1], f) for f in s["stack"]):
        match += v
print(f"{100 * match / total:.1f}" if total else "0.0")' "$2"
}

# at_least A B what: A >= B as numbers.
at_least() {
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }' || fail "$3: $1, wanted at least $2"
}
at_most() {
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }' || fail "$3: $1, wanted at most $2"
}
