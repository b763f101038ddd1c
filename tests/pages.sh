#!/usr/bin/env bash
# Drives the pages in a headless Chromium: a server that asks nobody who they are, with two GPUs of the mock NVML, and one
# with keys behind nginx as deploy/ has it, over TLS and under a prefix. One line a check.
#   bash tests/pages.sh                  about a minute
#   bash tests/pages.sh PATTERN          only the checks whose names match it
#   bash tests/pages.sh --screenshots    makes the pictures of docs/pages anew instead
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/setup-clients.sh
. deploy/setup-checks.sh
# shellcheck source=tests/openapi/server.sh
. tests/openapi/server.sh
# shellcheck source=tests/openapi/proxy.sh
. tests/openapi/proxy.sh

case "${1:-}" in
  --screenshots) run=(node tests/pages/screenshots.mjs) ;;
  -*) fail "unknown option $1; accepted is --screenshots" ;;
  *) run=(node --test-reporter=spec "--test-name-pattern=${1:-.}" tests/pages/main.mjs) ;;
esac
export JOULEMARK=${JOULEMARK:-${CARGO_TARGET_DIR:-target}/release/joulemark}
mock=${MOCK_NVML:-$(dirname "$JOULEMARK")/libmock_nvml.so}
for file in "$JOULEMARK" "$mock"; do
  [ -e "$file" ] || fail "$file is not there; build it first: cargo build --release --locked --workspace"
done
setup_proxies
setup_page_tools
setup_chromium

# Options of a server that sees GPUs of a mock of its own: power moves, so that lines are no straight ones.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
with_gpus() {
  local library=$folder/$1.so
  cp "$mock" "$library"
  printf 'devices=2\nshape=sine:250:100:3,step:90:260:2\naverage_ms=100\ncompute_capability=9.0\n' >"$library.conf"
  options=(--nvml-lib "$library" --sample-interval-ms 50 --models-dir "${MODELS_DIR:-models}" --trusted-proxy 127.0.0.1)
}

with_gpus open
SERVER_AUTH=none start_server "${options[@]::6}"
export OPEN_URL=$SERVER_URL
with_gpus guarded
start_server "${options[@]}"
trap 'stop_proxy; stop_server; rm -rf "$folder"' EXIT
READER_KEY=$("$JOULEMARK" key create --name rae --role reader --database-url "sqlite://$SERVER_FOLDER/joulemark.db")
export READER_KEY
PROXY_IDENTITY=none start_proxy nginx "$SERVER_URL"
export GUARDED_URL=$PROXY_URL/ GUARDED_KEY=$SERVER_KEY
PAGE_TOOLS=$PWD/$PAGE_TOOLS "${run[@]}"
