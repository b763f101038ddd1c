#!/usr/bin/env bash
# From a fresh clone on Debian or Ubuntu with a Rust toolchain to the metrics of a real model: installs what is
# missing, fetches a small model, builds, starts the server and runs one experiment. A second run takes seconds.
# Usage: quickstart.sh [--stop]
#   --stop   stop the server at the end instead of leaving it for the next experiment
# JOULEMARK_LISTEN (default 127.0.0.1:8080) and JOULEMARK_DATABASE_URL (default sqlite://joulemark.db) are respected.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/setup-build.sh

stop_at_end=no
case "${1:-}" in
  "") ;;
  --stop) stop_at_end=yes ;;
  *) fail "usage: $0 [--stop]" ;;
esac

model=SmolLM2-135M-Instruct.Q4_1.gguf
program=target/release/joulemark
engine=target/release/joulemark-mistral
log=joulemark.log
listen=${JOULEMARK_LISTEN:-127.0.0.1:8080}
started=$EPOCHREALTIME
server_pid=
client_pid=
experiment=
finished=no
id_file=$(mktemp)

seconds_since() {
  local microseconds=$((${EPOCHREALTIME//[.,]/} - ${1//[.,]/}))
  printf '%d.%d s' $((microseconds / 1000000)) $((microseconds / 100000 % 10))
}

step() {
  local name=$1 begun=$EPOCHREALTIME
  shift
  printf -- '-- %s\n' "$name"
  "$@"
  printf '   %s\n' "$(seconds_since "$begun")"
}

# Until the end is reached, whatever ends the script ends the server that it started, and the experiment: otherwise it
# would go back to the queue and the next run would wait for it.
stop_started() {
  local pid
  rm -f "$id_file"
  if [ -n "$experiment" ] && [ $finished = no ]; then
    "$program" cancel "$experiment" >/dev/null 2>&1 || true
  fi
  for pid in $client_pid $server_pid; do
    if kill "$pid" 2>/dev/null; then
      wait "$pid" 2>/dev/null || true
    fi
  done
}
trap stop_started EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# In the background, since the shell runs its traps only between foreground commands; with its own standard input, which
# the shell would take from it there; and in a session of its own, so that Ctrl-C is this script's alone.
run_client() {
  setsid "$program" "$@" <&0 &
  client_pid=$!
  if ! wait "$client_pid"; then
    client_pid=
    show_log_tail
    exit 1
  fi
  client_pid=
}

show_log_tail() {
  if [ -n "$server_pid" ]; then
    printf '\nthe last lines of %s:\n' "$log" >&2
    tail -n 20 "$log" >&2
  fi
}

# What answers at an address: a joulemark that is ready, something else, or nothing.
occupant() {
  if curl --noproxy '*' -fsS --max-time 2 "http://$1/openapi.json" 2>/dev/null | grep -Eq '"title": ?"joulemark"' &&
    curl --noproxy '*' -fsS --max-time 2 -o /dev/null "http://$1/readyz" 2>/dev/null; then
    echo joulemark
  elif (exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null; then
    echo other
  else
    echo nothing
  fi
}

start_server() {
  : >"$log"
  # A session of its own, so that it outlives this terminal.
  NO_COLOR=1 setsid "$program" serve --listen "$1" --models-dir ./models >"$log" 2>&1 </dev/null &
  server_pid=$!
  local deadline=$((SECONDS + 30)) address
  while [ $SECONDS -lt $deadline ]; do
    # The server says where it listens, which it chooses itself for port 0.
    address=$(sed -n 's#^listening on http://##p' "$log")
    if [ -n "$address" ] && curl --noproxy '*' -fsS --max-time 2 -o /dev/null "http://$address/readyz" 2>/dev/null; then
      listen=$address
      printf '   http://%s, process %s, log in %s\n' "$listen" "$server_pid" "$log"
      return
    fi
    if ! kill -0 "$server_pid" 2>/dev/null; then
      show_log_tail
      server_pid=
      fail "the server ended before it was ready"
    fi
    sleep 0.05
  done
  show_log_tail
  fail "the server was not ready within 30 seconds"
}

# A server keeps running from the file that a build has replaced since.
warn_of_older_server() {
  local older
  # Processes end while they are listed, of which find complains.
  older=$({ find /proc -maxdepth 2 -name exe -lname "$PWD/$program (deleted)" 2>/dev/null || true; } | tr -dc '0-9\n' | head -n 1)
  [ -z "$older" ] || printf "   it is older than this build: 'kill %s' and run this again for the new one\n" "$older"
}

find_or_start_server() {
  case $(occupant "$listen") in
    joulemark)
      printf '   reusing the one at http://%s\n' "$listen"
      warn_of_older_server
      ;;
    nothing) start_server "$listen" ;;
    other)
      [ -z "${JOULEMARK_LISTEN:-}" ] || fail "$listen (JOULEMARK_LISTEN) is taken by something that is not a ready joulemark"
      printf '   %s is taken by something else, using a free port\n' "$listen"
      start_server 127.0.0.1:0
      ;;
  esac
}

step "tools" setup_build_tools
step "model" bash deploy/fetch-model.sh models
{ [ -x "$program" ] && [ -x "$engine" ]; } ||
  printf '   the first build compiles the inference engine: 20 to 35 minutes on two cores\n'
step "build" cargo build --release --locked
step "server" find_or_start_server
printf '   %s from the command to the experiment\n' "$(seconds_since "$started")"

export JOULEMARK_SERVER="http://$listen"
printf -- '-- experiment\n'
run_client submit --quiet - >"$id_file" <<EXPERIMENT
config_name: quickstart
model_name: $model
prompts: {dataset: short-32, count: 4}
max_output_tokens: 32
min_output_tokens: 32
warmup_iterations: 3
num_cycles: 3
EXPERIMENT
experiment=$(cat "$id_file")
printf '   %s/v1/experiments/%s\n' "$JOULEMARK_SERVER" "$experiment"
run_client status --watch --table "$experiment" >/dev/null
finished=yes
printf '\n'
run_client results --table "$experiment"
cat <<GO_ON

go on with
  $program results $experiment   # piped or with --json: everything above and more, as JSON
  $program submit --wait experiment.yaml   # one of your own, as JSON or YAML
  $program list
  $program --help
  curl -s $JOULEMARK_SERVER/openapi.json   # every field and route
GO_ON
printf '\n%s in all\n' "$(seconds_since "$started")"

if [ $stop_at_end = yes ] && [ -n "$server_pid" ]; then
  printf 'stopping the server\n'
  exit 0
fi
if [ -n "$server_pid" ]; then
  printf "the server keeps running as process %s; stop it with 'kill %s'\n" "$server_pid" "$server_pid"
else
  printf 'the server was running before and keeps running\n'
fi
server_pid=
