#!/usr/bin/env bash
# Installs the service, its engine, the engine's programs for GPUs with the CUDA libraries that deploy/build-cuda.sh put
# beside them, and the files for systemd and udev. An environment file that exists is not
# overwritten, nor are drop-ins of the unit; the unit itself is. Run it again after an upgrade.
# Usage: install.sh [PROGRAM]       default: target/release/joulemark; joulemark-mistral and joulemark-mistral-sm* are taken
#                            from the same folder, the CUDA libraries from ../lib/joulemark there
#        install.sh --uninstall     leaves /etc/joulemark, /var/lib/joulemark, the user, and drop-ins of the unit
# DESTDIR is respected: everything goes below it, and nothing is started or reloaded.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=${DESTDIR:-}

service=/usr/local/bin/joulemark
# The service searches its engines in ../libexec/joulemark, relative to its own folder.
libexec=/usr/local/libexec/joulemark
# Programs for GPUs search CUDA's libraries in ../../lib/joulemark, relative to their folder.
libraries=/usr/local/lib/joulemark
unit=/etc/systemd/system/joulemark.service
rules=/etc/udev/rules.d/60-joulemark.rules
users=/etc/sysusers.d/joulemark.conf
folders=/etc/tmpfiles.d/joulemark.conf
environment=/etc/joulemark/joulemark.env
docs=/usr/local/share/doc/joulemark

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

put() {
  install -D -m "$1" "$2" "$root$3"
  printf '%s\n' "$root$3"
}

if [ "${1:-}" = --uninstall ]; then
  if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    systemctl disable --now joulemark.service || true
  fi
  rm -rf "$root$unit" "$root$rules" "$root$users" "$root$folders" "$root$service" "$root$libexec" "$root$libraries" "$root$docs"
  if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
  fi
  printf 'left as they are: /etc/joulemark, /var/lib/joulemark, /var/cache/joulemark, %s.d, the user and groups\n' "$unit"
  exit 0
fi

program=${1:-target/release/joulemark}
engine=$(dirname "$program")/joulemark-mistral
for built in "$program" "$engine"; do
  [ -x "$built" ] || fail "$built is not there; build both programs with: cargo build --release --locked"
done
mapfile -t for_gpus < <(compgen -G "$engine-sm*")
laid=$(dirname "$program")/../lib/joulemark
[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail "run it as root, or set DESTDIR"

# New files are written beside the old ones and then renamed, because a running program cannot be overwritten. All are
# written before the first is renamed, so that a full disk leaves the old pair. The engine is renamed first, so that no service
# starts with an older engine.
trap 'rm -f "$root$libexec"/joulemark-mistral*.new "$root$libraries"/*.new "$root$service.new"' EXIT
engines=()
if [ ${#for_gpus[@]} -gt 0 ] && [ -d "$laid" ]; then
  for file in "$laid"/*; do
    install -D -m 0644 "$file" "$root$libraries/${file##*/}.new"
    engines+=("$libraries/${file##*/}")
  done
fi
for built in "$engine" "${for_gpus[@]}"; do
  install -D -m 0755 "$built" "$root$libexec/${built##*/}.new"
  engines+=("$libexec/${built##*/}")
done
install -D -m 0755 "$program" "$root$service.new"
# A program of another build may have another protocol version.
for old in "$root$libexec"/joulemark-mistral-sm*; do
  if [ -e "$old" ] && [[ $old != *.new ]] && [ ! -e "$old.new" ]; then
    rm -f "$old"
    printf 'removed %s, which was not built\n' "$old"
  fi
done
for installed in "${engines[@]}" "$service"; do
  mv "$root$installed.new" "$root$installed"
  printf '%s\n' "$root$installed"
done
put 0644 deploy/joulemark.service "$unit"
put 0644 deploy/60-joulemark.rules "$rules"
put 0644 deploy/joulemark.sysusers.conf "$users"
put 0644 deploy/joulemark.tmpfiles.conf "$folders"
put 0644 deploy/README.md "$docs/README.md"
[ -e "$root$environment" ] || put 0640 deploy/joulemark.env "$environment"
mkdir -p "$root/srv/models" "$root/srv/prompts"

if [ -n "$root" ]; then
  exit 0
fi
systemd-sysusers "$users"
systemd-tmpfiles --create "$folders"
chgrp joulemark "$environment"
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
if [ -S /run/udev/control ]; then
  udevadm control --reload
  udevadm trigger --subsystem-match=powercap --action=add
fi
printf 'next: edit %s, then: systemctl enable --now joulemark\n' "$environment"
