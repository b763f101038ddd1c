# What a build on Debian or Ubuntu needs. Sourced, not run: deploy/quickstart.sh, deploy/fetch-model.sh and
# tests/run.sh share it, so that they cannot disagree. Does nothing, quickly, where everything is there.
# shellcheck shell=bash

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

has() {
  command -v "$1" >/dev/null 2>&1
}

apt_install() {
  local as_root=() log
  has apt-get || fail "missing here: $*; install them with your package manager (the names are Debian's) and run this again"
  if [ "$(id -u)" -ne 0 ]; then
    { has sudo && sudo -n true 2>/dev/null; } || fail "missing here: $*; run 'sudo apt-get install $*' and then this again"
    as_root=(sudo -n)
  fi
  printf 'installing %s\n' "$*"
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -q &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    fail "apt-get could not install $*"
  fi
  rm -f "$log"
}

# The compiler is for SQLite, oniguruma, AWS-LC and the tokenizer's suffix arrays, whose C and C++ sources are built
# in; none of them needs cmake on Linux.
setup_build_tools() {
  local missing=()
  { has cc && has c++; } || missing+=(build-essential)
  has pkg-config || missing+=(pkg-config)
  has curl || missing+=(curl ca-certificates)
  has python3 || missing+=(python3)
  [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
  # rustup puts cargo on the PATH of new shells only.
  if ! has cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
  fi
  has cargo || fail "there is no Rust toolchain: install one with rustup (1.94 or later) and run this again"
  # rust-toolchain.toml asks rustup for the stable channel, which may not be the one that is installed.
  cargo --version >/dev/null || fail "rustup could not give the stable toolchain (the message above says why): install it with \
'rustup toolchain install stable', or name one that is there (1.94 or later) in RUSTUP_TOOLCHAIN, and run this again"
}

setup_pip() {
  local missing=()
  has python3 || missing+=(python3)
  python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
  [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
}

# Its programs: the tests start a cluster of their own, in a folder.
setup_postgres() {
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || apt_install postgresql
}

# promtool and prometheus, which tests start themselves: the package would start one as a service.
setup_promtool() {
  local tools=$PWD/target/tools
  if ! { has promtool && has prometheus; } && [ ! -x "$tools/usr/bin/promtool" ]; then
    mkdir -p "$tools"
    (cd "$tools" && apt-get download -q prometheus && dpkg -x prometheus_*.deb . && rm -f prometheus_*.deb) >/dev/null 2>&1 ||
      apt_install prometheus
  fi
  export PATH="$PATH:$tools/usr/bin"
}

setup_rust_component() {
  local name=$1 probe=$2
  cargo "$probe" --version >/dev/null 2>&1 && return
  has rustup || fail "cargo $probe is missing: install the $name component of your Rust toolchain"
  rustup component add "$name" || fail "rustup could not add $name"
}
