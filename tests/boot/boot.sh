#!/usr/bin/env bash
# Boots a Debian with systemd in a container of its own, and there walks the way of an admin by deploy/README.md: install,
# first key, nginx and Caddy on port 443, a real experiment, what the service may not do, stop, watchdog, uninstall
# (walk.sh). Needs root and both programs built; takes about two minutes, the model's included.
# Usage: boot.sh [FOLDER]    where the system is made; default /var/tmp/joulemark-boot, kept for the next run
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. deploy/setup-build.sh

work=${1:-/var/tmp/joulemark-boot}
system=$work/system
[ "$(id -u)" -eq 0 ] || fail "debootstrap and systemd-nspawn need root"
for program in joulemark joulemark-mistral; do
  [ -x "target/release/$program" ] || fail "target/release/$program is not there; build it first: cargo build --release --locked"
done
missing=()
has debootstrap || missing+=(debootstrap)
has systemd-nspawn || missing+=(systemd-container)
[ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
bash deploy/fetch-model.sh models

packages="systemd systemd-sysv udev dbus curl nginx-light caddy openssl postgresql procps sudo libpam-systemd"
if [ "$(cat "$work/base.ready" 2>/dev/null)" != "$packages" ]; then
  rm -rf "$work/base"
  mkdir -p "$work"
  python3 - "$work/base" <<'PYTHON'
import pathlib, sys
sys.path.insert(0, "tests/dockerfile")
import build
build.debootstrap("bookworm", pathlib.Path(sys.argv[1]))
PYTHON
  unshare --mount --pid --fork --mount-proc="$work/base/proc" chroot "$work/base" sh -c "apt-get update -q &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages" >"$work/apt.log" 2>&1 ||
    fail "apt-get failed, see $work/apt.log"
  printf '%s\n' "$packages" >"$work/base.ready"
fi
rm -rf "$system"
cp -a "$work/base" "$system"
install -D -m 0755 --target-directory="$system/opt/joulemark/target/release" \
  target/release/joulemark target/release/joulemark-mistral
cp -r deploy "$system/opt/joulemark/"
install -D -m 0644 models/SmolLM2-135M-Instruct.Q4_1.gguf "$system/srv/models/SmolLM2-135M-Instruct.Q4_1.gguf"
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$(hostname)" >"$system/etc/hosts"
install -m 0755 tests/boot/walk.sh "$system/root/walk.sh"
cat >"$system/etc/systemd/system/walk.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash -c '/root/walk.sh >/root/walk.log 2>&1; echo $? >/root/walk.status'
ExecStopPost=/bin/systemctl poweroff --no-block
UNIT
mkdir -p "$system/etc/systemd/system/graphical.target.wants"
ln -sf ../walk.service "$system/etc/systemd/system/graphical.target.wants/walk.service"
# A network of its own: its port 443 is nobody else's. Capabilities, so that the unit can lend one.
timeout 500 systemd-nspawn --directory="$system" --boot --register=no --keep-unit --private-network --capability=all \
  >"$work/console.log" 2>&1 </dev/null || true
cat "$system/root/walk.log" || { tail -n 30 "$work/console.log"; fail "it did not come to the walk"; }
[ "$(cat "$system/root/walk.status" 2>/dev/null)" = 0 ] || fail "the walk failed; its last line says where"
