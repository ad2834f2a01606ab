# Shared by the scenarios. Each has a service with a known truth, takes the view that misleads and the view that
# tells, and asserts on both; then it puts the cause of the confusion back and sees its own check fail.
# What is printed is a transcript that the guide (README.md) quotes from.
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../../.." || exit 1
# shellcheck source=tests/hosts/lib.sh
. tests/hosts/lib.sh
[ -z "${SAN-}" ] || skip "sanitizers change where time and memory go"
need curl python3 go cc

# Also what was started by a check that ran in a shell of its own.
# shellcheck disable=SC2046,SC2086
ends() { for p in $PIDS $(cat "$T/pids" 2>/dev/null); do kill "$p" 2>/dev/null; done; wait 2>/dev/null; }

# build NAME [FLAGS...]: the scenario's service.c (or .cc) as $T/NAME, linked with the library and with $LDLIBS.
build() {
	name=$1
	shift
	src=$here/service.c cc=${CC:-cc}
	[ -f "$src" ] || src=$here/service.cc cc=${CXX:-c++}
	# shellcheck disable=SC2086
	$cc -D_GNU_SOURCE -Iinclude "$@" -o "$T/$name" "$src" -Wl,--no-as-needed -L"$B" -lpprofd -Wl,-rpath,"$B" -lpthread -lm ${LDLIBS-} ||
		fail "building $name"
}

# start NAME [ARGS...]: run it with a service on a free port; sets PID and URL.
start() {
	slog=$T/$1.log
	: >"$slog"
	# shellcheck disable=SC2086
	PPROFD_LISTEN=127.0.0.1:0 PPROFD_LOG=$slog "$T/$1" ${2+"$2"} ${3+"$3"} ${4+"$4"} >"$T/$1.out" 2>&1 &
	PID=$!
	PIDS="$PIDS $PID"
	echo "$PID" >>"$T/pids"
	within 10 grep -q 'serving on' "$slog" || { cat "$slog" "$T/$1.out" >&2; fail "$1 did not start serving"; }
	URL=$(sed -n 's/.*serving on \(.*\)/\1/p' "$slog" | head -n 1)
}

# stop: end the service started last.
stop() {
	kill "$PID" && wait "$PID" 2>/dev/null
	return 0
}

# view TITLE COMMAND...: run it, keep what it prints in $T/view, and show its first lines.
view() {
	printf '\n== %s\n' "$1"
	shift
	"$@" >"$T/view" 2>"$T/view.err" || { cat "$T/view.err" >&2; fail "$*"; }
	head -n "${LINES_SHOWN:-22}" "$T/view"
}

# The tool itself, for `go` takes longer to start than the tool takes to answer.
PPROF=$(go tool -n pprof 2>/dev/null)
[ -x "$PPROF" ] || PPROF="go tool pprof"
pprof() {
	$PPROF -symbolize=none "$@"
}

# CPU time that the service has used, in hundredths of a second
used() { awk '{ print $14 + $15 }' "/proc/$PID/stat"; }

# take FILE SECONDS: a CPU profile over so many seconds of CPU time; the window is longer where others want the
# processor, too
take() {
	before=$(used)
	sleep 0.4
	fetch "$1" "/debug/pprof/profile?seconds=$(awk -v cpu="$2" -v used=$(($(used) - before)) 'BEGIN {
		s = used ? cpu * 40 / used : 20; print int(s > 20 ? 20 : s < cpu / 2 ? cpu / 2 + 0.9 : s + 0.9) }')"
}

# says REGEX / says_not REGEX: in the last view
says() { grep -qE "$1" "$T/view" || { cat "$T/view" >&2; fail "the view does not say: $1"; }; }
says_not() { ! grep -qE "$1" "$T/view" || { cat "$T/view" >&2; fail "the view says: $1"; }; }

# column FUNCTION flat%|cum%: of the last `-top` view, as a number; 0 when it is not there.
column() {
	awk -v f="$1" -v col="$([ "$2" = flat% ] && echo 2 || echo 5)" '
		index($0, f) { v = $col; sub(/%/, "", v); print v + 0; found = 1; exit }
		END { if (!found) print 0 }' "$T/view"
}

# first: name of the first row of the last `-top` view
first() { awk 'row { print $6; exit } /flat%/ { row = 1 }' "$T/view"; }

# near A B POINTS what: |A - B| <= POINTS
near() {
	awk -v a="$1" -v b="$2" -v d="$3" 'BEGIN { x = a - b; exit !(x <= d && -x <= d) }' ||
		fail "$4: $1, wanted $2 within $3"
}

# comments FILE: the profile's comments, one a line.
comments() { pprof -comments "$1"; }

# With the cause put back, the check must fail; otherwise it proves nothing.
must_fail() {
	title=$1
	shift
	if ("$@") >"$T/mutant" 2>&1; then
		cat "$T/mutant" >&2
		fail "the check passes although $title"
	fi
	printf '\n== with the cause put back (%s) the check fails:\n%s\n' "$title" "$(tail -n 1 "$T/mutant")"
}
