#!/bin/sh
# From the end of a CPU window to the last byte of its profile, for a program with more than 100 MB of debug info: the
# first request and those after it, beside what a tool needs that reads the same debug info from outside (perf report of
# a recording of the same length). B = build folder.
here=$(cd "$(dirname "$0")" && pwd)
B=$(cd "${B:-$here/../../build}" && pwd)
D=$(mktemp -d) || exit 1
pid=
trap '[ -z "$pid" ] || kill "$pid"; rm -rf "$D"' EXIT
trap 'exit 130' INT TERM
cd "$D" || exit 1
. "$here/big.inc" || exit 1
size -A big | awk '/^\.debug/ { n += $2 } END { printf "debug info: %.0f MB\n", n / 1e6 }'
PPROFD_LISTEN=127.0.0.1:0 PPROFD_LOG=$D/log PPROFD_CPU_HZ=1000 LD_PRELOAD=$B/libpprofd.so ./big run &
pid=$!
while ! grep -q 'serving on' log 2>/dev/null; do sleep 0.05; done
url=$(sed -n 's/.*serving on //p' log)
for i in 1 2 3 4; do
	curl -sS -o p.pb.gz -w '%{time_total} %{size_download}' "$url/debug/pprof/profile?seconds=3" |
		awk -v i=$i '{ printf "request %d: last byte %.3f s after the window, %d bytes\n", i, $1 - 3, $2 }'
done
grep -E 'VmRSS|VmHWM' /proc/$pid/status
command -v perf >/dev/null || exit 0
perf record -q -F 1000 -g -e cpu-clock -p $pid -o perf.data -- sleep 3 >/dev/null 2>&1
from=$(date +%s%N)
perf report -i perf.data --inline --stdio -g caller >/dev/null 2>&1
echo "perf report --inline of such a window: $((($(date +%s%N) - from) / 1000000)) ms"
