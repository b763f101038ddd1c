#!/usr/bin/env bash
# Lints what deploy/ gives to Docker, Compose, systemd and udev. What nginx and Caddy make of theirs the integration tests show
# (`fronted`); tests/dockerfile/build.py carries the Dockerfile out, tests/boot/boot.sh boots a Debian with the unit and
# tests/deb.sh one with the package, each in minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/setup-clients.sh
. deploy/setup-checks.sh

# systemd's own measure, in tenths; 2.0 is what is left with GPUs, a real-time thread and a network.
most_exposed=20

dockerfile() {
  hadolint --failure-threshold style Dockerfile
  python3 tests/dockerfile/check.py
}

# What is in the package is there, but for what build-deb.sh makes; deb.sh builds, installs and removes it.
package() {
  python3 - <<'PYTHON'
import glob, tomllib
deb = tomllib.load(open("Cargo.toml", "rb"))["package"]["metadata"]["deb"]
assets = deb["assets"] + deb["variants"]["cuda"]["merge-assets"]["append"]
static = [source for source, _, _ in assets if not source.startswith("target/")]
missing = [source for source in static if not glob.glob(source)]
assert len(static) > 10 and not missing, f"the package names what is not there: {missing}"
made = open("deploy/build-deb.sh").read()
for source, _, _ in assets:
    folder = source.removeprefix("target/deb/").split("/")[0]
    assert not source.startswith("target/deb/") or folder in made, f"build-deb.sh does not make {source}"
PYTHON
  # The unit's programs are where the package puts them, by the lines that build-deb.sh rewrites.
  ! sed "$(sed -n "s/^sed '\(.*\)' deploy.joulemark.service.*/\1/p" deploy/build-deb.sh)" deploy/joulemark.service | grep -q /usr/local ||
    fail "the package's unit names /usr/local"
}

# Prometheus' own configuration has the alerts beside it, as the container does.
compose() {
  local root
  "$PYTHON_TOOLS/python" -B tests/compose/check.py
  root=$(mktemp -d)
  trap 'rm -rf "$root"' RETURN
  cp deploy/compose/prometheus.yml deploy/prometheus/alerts.yml "$root/"
  promtool check config "$root/prometheus.yml"
}

# Both programs or nothing, each in its place, and away again.
programs() {
  local root said service engine missing version program gone
  root=$(mktemp -d)
  trap 'rm -rf "$root"' RETURN
  service=$root/system/usr/local/bin/joulemark
  engine=$root/system/usr/local/libexec/joulemark/joulemark-mistral
  mkdir "$root/built"
  for missing in joulemark joulemark-mistral; do
    install -m 0755 /bin/true "$root/built/joulemark"
    install -m 0755 /bin/true "$root/built/joulemark-mistral"
    rm "$root/built/$missing"
    ! said=$(DESTDIR=$root/system deploy/install.sh "$root/built/joulemark" 2>&1) || fail "it installs without $missing"
    grep -q 'cargo build --release --locked$' <<<"$said" || fail "without $missing it does not say how to build it: $said"
    [ ! -e "$root/system" ] || fail "without $missing it installs something"
  done
  for version in old new; do
    for program in joulemark joulemark-mistral; do
      printf '#!/bin/sh\necho %s %s\n' "$version" "$program" | install -m 0755 /dev/stdin "$root/built/$program"
    done
    DESTDIR=$root/system deploy/install.sh "$root/built/joulemark" >/dev/null
  done
  [ "$("$service") $("$engine")" = "new joulemark new joulemark-mistral" ] || fail "an upgrade leaves an old program"
  said=$(find "$root/system" -name '*.new')
  [ -z "$said" ] || fail "it leaves $said"
  install -D -m 0644 /dev/null "$root/system/etc/systemd/system/joulemark.service.d/override.conf"
  DESTDIR=$root/system deploy/install.sh --uninstall >/dev/null
  for gone in "$service" "${engine%/*}"; do
    [ ! -e "$gone" ] || fail "it leaves $gone"
  done
  [ -e "$root/system/etc/systemd/system/joulemark.service.d/override.conf" ] || fail "it takes an admin's own drop-in away"
  printf 'install.sh puts both programs in place and takes both away\n'
}

# A program for GPUs goes with its engine, the libraries that were laid for it where its loader looks, and one of another
# build goes away.
for_gpus() {
  local root libexec program gone
  root=$(mktemp -d)
  trap 'rm -rf "$root"' RETURN
  libexec=$root/system/usr/local/libexec/joulemark
  mkdir -p "$root/built/release" "$root/built/lib/joulemark"
  touch "$root/built/lib/joulemark/libcudart.so.13"
  for program in joulemark joulemark-mistral joulemark-mistral-sm80 joulemark-mistral-sm90; do
    install -m 0755 /bin/true "$root/built/release/$program"
  done
  DESTDIR=$root/system deploy/install.sh "$root/built/release/joulemark" >/dev/null
  for program in joulemark-mistral-sm80 joulemark-mistral-sm90; do
    [ -x "$libexec/$program" ] || fail "it leaves out $program"
  done
  [ -f "$libexec/../../lib/joulemark/libcudart.so.13" ] || fail "it leaves out the CUDA libraries"
  rm "$root/built/release/joulemark-mistral-sm80"
  DESTDIR=$root/system deploy/install.sh "$root/built/release/joulemark" >/dev/null
  [ ! -e "$libexec/joulemark-mistral-sm80" ] || fail "a program of another build stays"
  [ -x "$libexec/joulemark-mistral-sm90" ] || fail "an upgrade takes a program away that it has"
  DESTDIR=$root/system deploy/install.sh --uninstall >/dev/null
  for gone in "$libexec" "$root/system/usr/local/lib/joulemark"; do
    [ ! -e "$gone" ] || fail "it leaves $gone"
  done
  printf 'install.sh takes the programs for GPUs along\n'
}

# fake_nvcc TOOLKIT VERSION CAPABILITY…
fake_nvcc() {
  mkdir -p "$1/bin"
  install -m 0755 /dev/stdin "$1/bin/nvcc" <<EOF
#!/bin/sh
case \$1 in
  --version) echo "Cuda compilation tools, release $2, V$2.1" ;;
  --list-gpu-code) printf 'sm_%s\\n' ${*:3} ;;
esac
EOF
}

# What an nvcc of each version and its capabilities come to, without one: the toolkit that is made where none fits is there.
toolkits() {
  local root said given version capability is_used toolkit
  root=$(mktemp -d)
  trap 'rm -rf "$root"' RETURN
  fake_nvcc "$root/target/cuda/toolkit/nvidia/cu13" 13.0 80 90 100 120
  for given in "12.8 90 yes" "13.2 90 yes" "13.3 90 no" "11.8 90 no" "12.0 100 no"; do
    read -r version capability is_used <<<"$given"
    rm -rf "$root/here"
    fake_nvcc "$root/here" "$version" 80 90
    said=$(CUDA_HOME=$root/here CARGO_TARGET_DIR=$root/target deploy/cuda-toolkit.sh "$capability" 2>"$root/why")
    toolkit=$root/here
    if [ "$is_used" = no ]; then
      toolkit=$root/target/cuda/toolkit/nvidia/cu13
      grep -q "nvcc $version" "$root/why" || fail "why it does not take nvcc $version it does not say"
    fi
    [ "$said" = "$toolkit" ] || fail "with nvcc $version for $capability it takes $said"
  done
  ! said=$(deploy/build-cuda.sh nine 2>&1) || fail "nine is taken for a compute capability"
  grep -q 'nine is none' <<<"$said" || fail "what is wrong with nine it does not say: $said"
  printf 'cuda-toolkit.sh takes an nvcc that fits, and no other\n'
}

# In a folder that has what the unit names, so that the real system does not matter.
unit() {
  local root
  root=$(mktemp -d)
  trap 'rm -rf "$root"' RETURN
  touch "$root/joulemark" "$root/joulemark-mistral"
  chmod +x "$root/joulemark" "$root/joulemark-mistral"
  DESTDIR=$root/system deploy/install.sh "$root/joulemark" >/dev/null
  for target in sysinit basic multi-user network-online shutdown; do
    printf '[Unit]\nDescription=%s\n' "$target" >"$root/system/etc/systemd/system/$target.target"
  done
  local said
  said=$(systemd-analyze verify --root="$root/system" joulemark.service 2>&1) || fail "systemd-analyze verify: $said"
  [ -z "$said" ] || fail "systemd-analyze verify: $said"
  systemd-analyze security --offline=true --threshold="$most_exposed" --root="$root/system" joulemark.service >"$root/security" ||
    { cat "$root/security"; fail "the unit is more exposed than $most_exposed tenths"; }
  tail -n 1 "$root/security"
  mkdir "$root/system/etc/systemd/system/joulemark.service.d"
  cp deploy/joulemark-perfmon.conf "$root/system/etc/systemd/system/joulemark.service.d/"
  said=$(systemd-analyze verify --root="$root/system" joulemark.service 2>&1) || fail "with perfmon: $said"
  [ -z "$said" ] || fail "with perfmon: $said"
  cp deploy/joulemark-engines.conf "$root/system/etc/systemd/system/joulemark.service.d/"
  said=$(systemd-analyze verify --root="$root/system" joulemark.service 2>&1) || fail "with engines: $said"
  [ -z "$said" ] || fail "with engines: $said"
  install -D -m 0755 /dev/null "$root/system/bin/sh"
  install -D -m 0755 /dev/null "$root/system/usr/bin/find"
  cp deploy/joulemark-backup.* "$root/system/etc/systemd/system/"
  printf '[Unit]\nDescription=timers\n' >"$root/system/etc/systemd/system/timers.target"
  said=$(systemd-analyze verify --root="$root/system" joulemark-backup.service joulemark-backup.timer 2>&1) || fail "the backup's units: $said"
  [ -z "$said" ] || fail "the backup's units: $said"
  # Memory that runs out ends one experiment: boot.sh shows it, where there is a systemd to show it.
  grep -qx 'OOMPolicy=continue' deploy/joulemark.service || fail "the unit stops with a worker that the kernel killed"
  ! grep -Eq '^(OOMScoreAdjust|MemoryMax)=' deploy/joulemark.service || fail "the unit chooses for the kernel, or for the host"
  grep -q 'MemoryMax=' deploy/README.md || fail "README.md does not explain MemoryMax="
  grep -qx 'ExecStopPost=-/usr/local/bin/joulemark power restore' deploy/joulemark.service || fail "a killed server leaves boards set"
  grep -qx 'UMask=0077' deploy/joulemark.service || fail "what the service makes is not its own"
}

# No test machine has RAPL: the same rule, for a device and a file that every machine has, must come to the same two
# commands. Folders of udev that this would touch are covered meanwhile.
rules() {
  if [ "$(id -u)" -ne 0 ]; then
    printf 'the udev rule is left out: covering its folders needs root\n'
    return
  fi
  local ran expected
  # shellcheck disable=SC2016
  ran=$(unshare --mount bash -euc '
    mkdir -p /etc/udev/rules.d /run/udev /dev/char
    for folder in /etc/udev/rules.d /run/udev /dev/char; do mount -t tmpfs tmpfs "$folder"; done
    grep "^joulemark:" /etc/group >/dev/null || { cp /etc/group /run/udev/group; echo joulemark:x:4711: >>/run/udev/group
      mount --bind /run/udev/group /etc/group; }
    sed "s/SUBSYSTEM==\"powercap\"/SUBSYSTEM==\"mem\"/; s/energy_uj/dev/g" deploy/60-joulemark.rules >/etc/udev/rules.d/60-joulemark.rules
    udevadm test /sys/devices/virtual/mem/null 2>&1')
  expected="run: '/bin/chgrp joulemark /sys/devices/virtual/mem/null/dev'
run: '/bin/chmod 0440 /sys/devices/virtual/mem/null/dev'"
  [ "$(grep '^run: .*mem/null' <<<"$ran")" = "$expected" ] || fail "udevadm test: $ran"
  ! grep -E '60-joulemark.*(Invalid|Unknown|ignor)' <<<"$ran" || fail "udevadm does not take the rule"
  printf 'the udev rule runs chgrp and chmod\n'
}

setup_linters
setup_promtool
setup_python_tools
dockerfile
package
compose
programs
for_gpus
toolkits
unit
rules
