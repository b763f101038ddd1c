#!/usr/bin/env bash
# Every check there is, from a fresh clone on Debian or Ubuntu with a Rust toolchain. Stops at the first that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/setup-clients.sh
. deploy/setup-checks.sh

timings=()

step() {
  local name=$1 begun=$EPOCHREALTIME microseconds
  shift
  printf '\n== %s: %s\n' "$name" "$*"
  "$@" || fail "$name failed: $*"
  microseconds=$((${EPOCHREALTIME//[.,]/} - ${begun//[.,]/}))
  printf -v line '%6d.%d s  %s' $((microseconds / 1000000)) $((microseconds / 100000 % 10)) "$name"
  timings+=("$line")
  printf '== %s\n' "$line"
}

setup() {
  setup_build_tools
  setup_postgres
  setup_promtool
  setup_proxies
  setup_linters
  setup_node_tools
  setup_python_tools
  setup_rust_component rustfmt fmt
  setup_rust_component clippy clippy
}

scripts() {
  shellcheck -x -P deploy deploy/*.sh tests/*.sh tests/*/*.sh .ci/run
}

step "tools" setup
step "model" bash deploy/fetch-model.sh models
step "scripts" scripts
step "deploy" bash tests/deploy.sh
step "format" cargo fmt --all --check
# One profile and one set of features throughout, so that the engine is compiled once.
step "build" cargo build --release --locked --workspace --all-targets
step "clippy" cargo clippy --release --locked --workspace --all-targets -- -D warnings
step "docs" env RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --workspace --no-deps --document-private-items
step "openapi lint" bash tests/openapi_lint.sh
step "generated clients" bash tests/clients.sh
step "schemathesis" bash tests/schemathesis.sh
# These compare readings with the truth to a percent: they get the machine to themselves, one after the other, since a
# meter whose thread waits for a CPU measures the load of the tests beside it.
quiet=(nvml:: recovered_gpu:: overlapping:: rapl:: honesty:: peers:: true_energy:: meter_command:: baselines:: timeseries:: surroundings::)
skips=()
for module in "${quiet[@]}"; do skips+=(--skip "$module"); done
step "unit tests" cargo test --release --locked --workspace --lib --bins
step "integration tests" cargo test --release --locked --test integration -- "${skips[@]}"
step "quiet tests" cargo test --release --locked --test integration -- --test-threads=1 "${quiet[@]}"

printf '\nevery check passed; what took how long:\n'
printf '%s\n' "${timings[@]}" | sort -rn
