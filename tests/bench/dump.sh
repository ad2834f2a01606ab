#!/bin/sh
# A dump of all threads: ours and a broadcast of signals from within, then tools that look from outside.
cd "$(dirname "$0")/../.." || exit 1
B=${B:-$PWD/build}
"$B/tests/bench/dump" || exit 1

ms_of() {
	from=$(date +%s%N)
	"$@" >/dev/null 2>&1 </dev/null
	echo "$((($(date +%s%N) - from) / 1000000))"
}

dir=$(mktemp -d) || exit 1
mkfifo "$dir/in" "$dir/out"
for n in 10 100 1000; do
	"$B/tests/bench/dump" $n <"$dir/in" >"$dir/out" &
	exec 3>"$dir/in"
	read -r pid <"$dir/out"
	for tool in 'eu-stack -n 0 -p' 'gdb -batch -ex thread\ apply\ all\ bt -p'; do
		command -v "${tool%% *}" >/dev/null || continue
		eval "set -- $tool $pid"
		echo "$n threads, ${tool%% *}: $(ms_of timeout 60 "$@") ms"
	done
	exec 3>&-
	wait
done
rm -rf "$dir"
