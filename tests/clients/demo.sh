# shellcheck shell=sh
# To be sourced: the demo service at work, $url its address with a slash at the end, $pid its
# process; `no` tells what is not as it should be, `done_` ends the test.
export PPROF_TMPDIR="$T" NO_PROXY='*' no_proxy='*'
failed=0

no()
{
	echo "not so: $*"
	failed=1
}

# has FILE WORDS: the words stand in the file as they are.
has()
{
	grep -qaF -e "$2" "$1" || no "'$2' in $(head -c 600 "$1" | tr -cd '[:print:]\n')"
}

done_()
{
	exit $failed
}

PPROFD_LISTEN=127.0.0.1:0 PPROFD_LOG=$T/log "$B/tests/demo/demo" >"$T/url" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null; wait $pid 2>/dev/null' EXIT
for _ in $(seq 100); do
	[ -s "$T/url" ] && break
	sleep 0.1
done
url=$(cat "$T/url")
case $url in http://*/) ;; *) echo "the demo service did not start: $url" && exit 1 ;; esac
