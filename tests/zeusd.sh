#!/usr/bin/env bash
# Sets boards of the mock driver through the real zeusd, as root of a user namespace of its own, and has them put back after
# the server was killed. Builds zeusd (about five minutes), so that CI does not run it: tests/zeusd.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/release/joulemark}")
work=$(mktemp -d)
tools=${ZEUSD_ROOT:-$PWD/target/tools/zeusd-0.5.0}

[ -x "$tools/bin/zeusd" ] || cargo install zeusd --version 0.5.0 --locked --root "$tools"
library=$work/libnvidia-ml.so.1
rustc --edition 2024 --crate-type cdylib --crate-name mock_nvml -O -o "$library" tests/mock_nvml/src/lib.rs
# Setting is refused to all but the daemon, whose variable goes before the file.
printf 'devices=2\nmax_limit=500\ndefault_limit=400\npower_limit=400\nset_refused=1\n' >"$library.conf"
socket=$work/zeusd.sock

cleanup() {
  jobs -p | xargs -r kill 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

MOCK_NVML_SET_REFUSED=0 LD_LIBRARY_PATH=$work unshare -r "$tools/bin/zeusd" serve --socket-path "$socket" \
  --socket-permissions 600 --enable gpu-control,gpu-read --num-workers 1 >"$work/zeusd.log" 2>&1 &
for _ in $(seq 50); do [ -S "$socket" ] && break; sleep 0.1; done

serve() {
  "$program" serve --listen 127.0.0.1:0 --database-url "sqlite://$work/joulemark.db" --lock-dir "$work/locks" \
    --models-dir "$work" --allow-synthetic-engine --nvml-lib "$library" --power-control "$1" \
    >"$work/out" 2>"$work/server.log" &
  server=$!
  for _ in $(seq 100); do grep -q '^listening on' "$work/out" && break; sleep 0.1; done
  url=$(sed -n 's/^listening on //p' "$work/out")
}
limit() {
  python3 - "$library" <<'PY'
import ctypes, sys
nvml = ctypes.CDLL(sys.argv[1])
nvml.nvmlInit_v2()
device, milliwatts = ctypes.c_void_p(), ctypes.c_uint()
nvml.nvmlDeviceGetHandleByIndex_v2(1, ctypes.byref(device))
nvml.nvmlDeviceGetPowerManagementLimit(device, ctypes.byref(milliwatts))
print(milliwatts.value // 1000)
PY
}
experiment() {
  curl -sS "$url/v1/experiments" -H 'content-type: application/json' -d '{"model_name": "synthetic:decode_ms=50",
    "prompts": ["a"], "max_output_tokens": '"$1"', "device": "cpu", "gpus": [1], "num_cycles": 1, "warmup_iterations": 0,
    "idle_baseline_sec": 0, "power_limit_w": 310}'
}
until_state() {
  for _ in $(seq 200); do
    state=$(curl -sS "$url/v1/experiments/$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["state"])')
    [ "$state" = "$2" ] && return
    case $state in failed|cancelled) break ;; esac
    sleep 0.1
  done
  echo "experiment $1 is $state, not $2" >&2
  cat "$work/server.log" >&2
  exit 1
}
is() { [ "$1" = "$2" ] || { echo "$3: $1, not $2" >&2; exit 1; }; }
id_of() { python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])'; }

serve nvml
is "$(experiment 10 | grep -c 'it may not be set')" 1 "who may not set is refused"
kill "$server" && wait "$server"

serve "zeusd:$socket"
id=$(experiment 60 | id_of)
until_state "$id" measuring
is "$(limit)" 310 "the limit while it runs"
until_state "$id" completed
is "$(limit)" 400 "the limit afterwards"

id=$(experiment 5000 | id_of)
until_state "$id" measuring
kill -KILL "$server"
wait "$server" 2>/dev/null || true
is "$(limit)" 310 "the limit of a killed server"
"$program" power restore --power-control "zeusd:$socket" --lock-dir "$work/locks" --nvml-lib "$library"
is "$(limit)" 400 "the limit put back by hand"
echo "zeusd 0.5.0: set, read back and put back"
