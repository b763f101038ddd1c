#!/usr/bin/env bash
# Every check there is, from a fresh clone on Debian or Ubuntu with a Rust toolchain. Stops at the first that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/setup-clients.sh
. deploy/setup-checks.sh

records=$(mktemp -d)
# The process of each step that runs, and its name.
declare -A running=()

# Runs a step and waits for it; its output is shown as it comes.
step() {
  begin timed "$@"
  local own=$!
  while [ -n "${running[$own]:-}" ]; do wait_one; done
}

# Starts a step beside those that follow; its output is shown whole when it ends.
start() {
  begin recorded "$@"
}

wait_all() {
  while [ ${#running[@]} -gt 0 ]; do wait_one; done
}

wait_one() {
  local ended
  # What failed has said so.
  wait -n -p ended "${!running[@]}" || exit 1
  unset "running[$ended]"
}

begin() {
  # A process group for each step, so that `stop` ends all that it started.
  set -m
  "$@" </dev/null &
  set +m
  running[$!]=$2
}

stop() {
  local process
  for process in "${!running[@]}"; do kill -- "-$process" 2>/dev/null || true; done
  rm -rf "$records"
}
trap stop EXIT

recorded() {
  local status=0
  (timed "$@") >"$records/$1" 2>&1 || status=$?
  cat "$records/$1"
  return "$status"
}

timed() {
  local name=$1 begun=$EPOCHREALTIME microseconds line
  shift
  printf '\n== %s: %s\n' "$name" "$*"
  "$@" || fail "$name failed: $*"
  microseconds=$((${EPOCHREALTIME//[.,]/} - ${begun//[.,]/}))
  printf -v line '%6d.%d s  %s' $((microseconds / 1000000)) $((microseconds / 100000 % 10)) "$name"
  printf '%s\n' "$line" >>"$records/timings"
  printf '== %s\n' "$line"
}

setup() {
  setup_build_tools
  setup_postgres
  setup_promtool
  setup_proxies
  setup_linters
  setup_cargo_deny
  setup_llama
  setup_node_tools
  setup_page_tools
  setup_chromium
  setup_python_tools
  setup_rust_component rustfmt fmt
  setup_rust_component clippy clippy
}

scripts() {
  shellcheck -x -P deploy deploy/*.sh deploy/debian/post* tests/*.sh tests/*/*.sh .ci/run
}

# Needs no network but the registry; advisories need more and are left to .github/workflows/ci.yml.
dependencies() {
  cargo fetch --quiet --locked --target x86_64-unknown-linux-gnu &&
    cargo_deny --offline --locked --workspace check -D warnings licenses bans sources
}

documents() {
  local programs=${CARGO_TARGET_DIR:-target}/release
  python3 -B tests/documents/words.py &&
    "$PYTHON_TOOLS/python" -B tests/documents/check.py "$programs" &&
    "$PYTHON_TOOLS/python" -B tests/documents/commands.py "$programs"
}

# In this shell, since it sets variables of the environment.
timed "tools" setup
start "model" bash deploy/fetch-model.sh models
start "scripts" scripts
start "deploy" bash tests/deploy.sh
start "dependencies" dependencies
start "format" cargo fmt --all --check
# One profile and one set of features throughout, so that the engine is compiled once. Clippy checks the benches.
step "build" cargo build --release --locked --workspace --lib --bins --tests --examples
wait_all
start "documents" documents
start "openapi lint" bash tests/openapi_lint.sh
start "generated clients" bash tests/clients.sh
start "dashboard" python3 -B tests/dashboard/check.py "${CARGO_TARGET_DIR:-target}/release"
# These compare readings with the truth to a percent: they get the machine to themselves, one after the other, since a
# meter whose thread waits for a CPU measures the load of the tests beside it.
quiet=(servers::llama:: power_curves:: sweeps::a_search_finds nvml:: hanging_driver:: implausible:: recovered_gpu:: overlapping:: rapl:: honesty:: peers:: true_energy:: meter_command:: baselines:: timeseries:: disturbances::)
skips=()
for module in "${quiet[@]}"; do skips+=(--skip "$module"); done
# The others wait more than they compute, so that the lints compile meanwhile.
start "integration tests" cargo test --release --locked --test integration -- "${skips[@]}"
# Each holds the lock of the build's folder while it compiles: the tests, which have nothing to compile, go first.
until grep -qsE 'Running|failed' "$records/integration tests"; do sleep 0.2; done
start "pages" bash tests/pages.sh
step "clippy" cargo clippy --release --locked --workspace --all-targets -- -D warnings
step "docs" env RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --workspace --no-deps --document-private-items
step "doc tests" cargo test --release --locked --workspace --doc
step "unit tests" cargo test --release --locked --workspace --lib --bins --test cases --test cases_of_files --test controlling --test keeper --test kills --test packed --test published --test stored --test undescribed --test zeusd
start "schemathesis" bash tests/schemathesis.sh
wait_all
# Its readings are held against the truth as well.
step "acceptance" python3 -B tests/accept/check.py "${CARGO_TARGET_DIR:-target}/release" models
step "quiet tests" cargo test --release --locked --test integration -- --test-threads=1 "${quiet[@]}"

printf '\nevery check passed in %d s; what took how long, some beside others:\n' "$SECONDS"
sort -rn "$records/timings"
