#!/usr/bin/env bash
# Makes the Debian package and, in a Debian that it boots with systemd in a container, installs, upgrades, removes and purges it
# (deb/walk.sh). Needs root and both programs built; takes some minutes, the first time also for cargo-deb and the Debian, so
# that CI does not run it.
# Usage: deb.sh [PROGRAM [FOLDER]]    default: target/release/joulemark; where the system is made, /var/tmp/joulemark-deb, which
#                                     is kept for the next run
set -euo pipefail
program=$(realpath "${1:-$(dirname "${BASH_SOURCE[0]}")/../target/release/joulemark}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/setup-build.sh

work=${2:-/var/tmp/joulemark-deb}
system=$work/system
[ "$(id -u)" -eq 0 ] || fail "debootstrap and systemd-nspawn need root"
missing=()
has debootstrap || missing+=(debootstrap)
has systemd-nspawn || missing+=(systemd-container)
has lintian || missing+=(lintian)
[ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"

rm -rf target/debian
deploy/build-deb.sh "$program" --fast
package=$(compgen -G 'target/debian/*.deb')
# For no archive: it has no changelog of Debian's and no address of its own, and its question is asked by no script before the
# installation.
lintian --allow-root --fail-on error --suppress-tags no-changelog,bogus-mail-host,no-debconf-config "$package"

packages="systemd systemd-sysv udev dbus curl debconf procps man-db bash-completion"
if [ "$(cat "$work/base.ready" 2>/dev/null)" != "$packages" ]; then
  rm -rf "$work/base"
  mkdir -p "$work"
  python3 -B - "$work/base" <<'PYTHON'
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

# The next version: the same, but for its number, a line of the configuration and what the engine is called by.
rm -rf "$work/next"
dpkg-deb --raw-extract "$package" "$work/next"
sed -i 's/^\(Version: .*\)/\1+next/' "$work/next/DEBIAN/control"
printf '# A line that the next version has.\n' >>"$work/next/etc/joulemark/joulemark.env"
printf 'next\n' >"$work/next/usr/share/doc/joulemark/NEXT"
(cd "$work/next" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
install -d "$system/opt/joulemark"
cp "$package" "$system/opt/joulemark/this.deb"
dpkg-deb --root-owner-group -Zgzip -z1 --build "$work/next" "$system/opt/joulemark/next.deb" >/dev/null
install -m 0755 tests/deb/walk.sh "$system/root/walk.sh"
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$(hostname)" >"$system/etc/hosts"
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
timeout 500 systemd-nspawn --directory="$system" --boot --register=no --keep-unit --private-network --capability=all \
  >"$work/console.log" 2>&1 </dev/null || true
cat "$system/root/walk.log" || { tail -n 30 "$work/console.log"; fail "it did not come to the walk"; }
[ "$(cat "$system/root/walk.status" 2>/dev/null)" = 0 ] || fail "the walk failed; its last line says where"
