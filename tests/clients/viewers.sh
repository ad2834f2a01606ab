#!/bin/sh
# Other people's programs on a live service, from their registries: speedscope and pprof-format under Node, gostackparse
# and the pprof that is not Go's. Not a part of the suite, which needs no network; CI runs it. By hand:
#     B=$PWD/build T=$(mktemp -d) tests/clients/viewers.sh
# shellcheck source=tests/clients/demo.sh
. "$(dirname "$0")/demo.sh"
here=$(cd "$(dirname "$0")" && pwd)

npm install --silent --no-package-lock --no-audit --no-fund --prefix "$T/npm" speedscope@1.25.0 pprof-format@2.3.2 \
	>"$T/npm.log" 2>&1 || { tail -n 3 "$T/npm.log"; echo "npm cannot install" && exit 77; }
for query in seconds=2 'seconds=2&inlines=split' 'seconds=2&gzip=0'; do
	curl -s "${url}profile?$query" -o "$T/cpu.${query##*[&=]}.gz"
done
curl -s "${url}profile?seconds=2&format=json" -o "$T/cpu.speedscope.json"
curl -s "${url}profile?seconds=2&format=collapsed" -o "$T/cpu.txt"
curl -s "${url}goroutine" -o "$T/goroutine.gz"
node "$here/viewers.mjs" "$T/npm/node_modules" "$T"/cpu.2.gz "$T"/cpu.split.gz "$T"/cpu.0.gz "$T"/cpu.speedscope.json \
	"$T"/cpu.txt "$T"/goroutine.gz >"$T/viewers" 2>&1 || no "viewers.mjs: $(tail -n 5 "$T/viewers")"
python3 - "$T/viewers" <<'END' || no "what the viewers read"
import json, sys
cpu, split, plain, scope, folded, goroutine = map(json.loads, open(sys.argv[1]))
for what in cpu, split, plain, scope, folded:
	name, unit, total, frames = what['profiles'][-1]
	assert {'parse_request', 'render_page', 'serve_next'} <= set(frames), frames
	assert total > 1e8 and (what is folded) == (unit == 'none'), (total, unit)
for what in cpu, split, plain, goroutine:
	assert what['totals'][-1][2] == what['profiles'][0][2], what['totals']
# checksum() is inlined into render_page().
assert not 'checksum' in cpu['profiles'][0][3] and all('checksum' in w['profiles'][-1][3] for w in (split, scope, folded))
assert [p[:2] for p in scope['profiles']] == [['samples', 'none'], ['cpu', 'nanoseconds']], scope['profiles']
END

export GOPATH="$T/go" GOFLAGS=-modcacherw GOBIN="$T/bin"
go install github.com/google/pprof@v0.0.0-20261016150608-1facf8f91b50 >"$T/go.log" 2>&1 ||
	{ tail -n 3 "$T/go.log"; echo "go cannot install" && exit 77; }
for view in -top -traces -raw -tree -list=parse_request -peek=serve_next -tags; do
	"$T/bin/pprof" $view -symbolize=demangle=full "$T/cpu.2.gz" >"$T/out" 2>&1 || no "pprof $view: $(tail -n 3 "$T/out")"
	case $view in *serve_next) has "$T/out" serve_next ;; -tags) has "$T/out" ': /json' ;; *) has "$T/out" parse_request ;; esac
done
"$T/bin/pprof" -top -seconds 1 "${url}profile?symbolize=0" >"$T/out" 2>&1
has "$T/out" parse_request
"$T/bin/pprof" -top "${url}goroutine?debug=1" >"$T/out" 2>&1
has "$T/out" look_up

mkdir -p "$T/dump" && cd "$T/dump" || exit 1
cat >main.go <<'END'
package main

import (
	"fmt"
	"os"

	"github.com/DataDog/gostackparse"
)

func main() {
	all, errs := gostackparse.Parse(os.Stdin)
	fmt.Println(len(all), "goroutines,", len(errs), "errors", errs)
}
END
go mod init dump >/dev/null 2>&1 && go get github.com/DataDog/gostackparse@v0.7.0 >"$T/go.log" 2>&1 && go build -o dump . || no "gostackparse"
curl -s "${url}goroutine?debug=2" | ./dump >"$T/out"
has "$T/out" "$(curl -s "${url}goroutine?debug=2" | grep -c '^goroutine ') goroutines, 0 errors"
cat "$T/out"
done_
