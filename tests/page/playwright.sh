#!/bin/sh
# The page in Debian's Chromium once more, driven by playwright-core from its registry. Not a part of the suite, which
# needs no network; CI runs it. By hand:
#     B=$PWD/build T=$(mktemp -d) tests/page/playwright.sh
npm install --silent --no-package-lock --no-audit --no-fund --prefix "$T/npm" playwright-core@1.64.1 \
	>"$T/npm.log" 2>&1 || { tail -n 3 "$T/npm.log"; echo "npm cannot install" && exit 77; }
PLAYWRIGHT=$T/npm/node_modules/playwright-core
export PLAYWRIGHT
exec "$(dirname "$0")/browser.test"
