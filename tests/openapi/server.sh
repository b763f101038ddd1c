# Servers of its own for a test of the API: `start_server OPTION…` sets SERVER_URL, SERVER_FOLDER and SERVER_KEY (an
# admin's, which SERVER_AUTH=none before it has no use for); all stop when the script ends. Sourced, after
# deploy/setup-build.sh.
# shellcheck shell=bash

SERVER_FOLDERS=()
SERVER_PROCESSES=()

# For a test that runs a real model: says what is missing before anything is waited for. The engine is where the service
# looks for it.
require_engine() {
  local program=${JOULEMARK:-target/release/joulemark} folder
  folder=$(dirname "$program")
  [ -x "$program" ] || fail "$program is not there; build it first: cargo build --release --locked"
  [ -x "$folder/joulemark-mistral" ] || [ -x "$folder/../libexec/joulemark/joulemark-mistral" ] ||
    fail "$folder/joulemark-mistral is not there; build it first: cargo build --release --locked"
}

start_server() {
  local program=${JOULEMARK:-target/release/joulemark} line
  SERVER_FOLDER=$(mktemp -d)
  SERVER_FOLDERS+=("$SERVER_FOLDER")
  local database=(--database-url "sqlite://$SERVER_FOLDER/joulemark.db")
  SERVER_KEY=$("$program" key create --name tester --role admin "${database[@]}")
  mkfifo "$SERVER_FOLDER/said"
  "$program" serve --listen 127.0.0.1:0 --auth "${SERVER_AUTH:-keys}" --allow-synthetic-engine --lock-dir "$SERVER_FOLDER/locks" \
    --rate-limit-per-minute 0 "${database[@]}" "$@" >"$SERVER_FOLDER/said" 2>"$SERVER_FOLDER/log" &
  SERVER_PROCESSES+=("$!")
  trap stop_server EXIT
  IFS= read -r line <"$SERVER_FOLDER/said" || { cat "$SERVER_FOLDER/log" >&2 && exit 1; }
  SERVER_URL=${line#listening on }
  export SERVER_URL SERVER_KEY
}

stop_server() {
  kill "${SERVER_PROCESSES[@]}" 2>/dev/null || true
  wait "${SERVER_PROCESSES[@]}" 2>/dev/null || true
  rm -rf "${SERVER_FOLDERS[@]}"
}
