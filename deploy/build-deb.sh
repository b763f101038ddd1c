#!/usr/bin/env bash
# Makes a Debian package of the built programs, the unit, udev's rule, man pages and completions: target/debian/*.deb. With
# programs for GPUs beside them (deploy/build-cuda.sh) these are in it, with their libraries. It runs on the Debian it is
# built on and later ones. Builds cargo-deb the first time (some minutes); what goes where stands in Cargo.toml.
# Usage: build-deb.sh [PROGRAM [OPTION…]]    default: target/release/joulemark; the engine is taken from the same folder. Options
#                                            are cargo-deb's: --fast compresses less
set -euo pipefail
program=$(realpath "${1:-$(dirname "${BASH_SOURCE[0]}")/../target/release/joulemark}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/setup-build.sh
. deploy/setup-checks.sh

engine=$(dirname "$program")/joulemark-mistral
for built in "$program" "$engine"; do
  [ -x "$built" ] || fail "$built is not there; build both programs with: cargo build --release --locked"
done
has dpkg-shlibdeps || apt_install dpkg-dev
setup_cargo_deb

laid=target/deb
rm -rf "$laid"
mkdir -p "$laid"/{completions,lib,man,release,sysusers.d,tmpfiles.d}
# A package's programs are in /usr, an administrator's own in /usr/local.
sed 's|/usr/local/bin/joulemark|/usr/bin/joulemark|; s|/usr/local/share/doc|/usr/share/doc|' deploy/joulemark.service >"$laid/joulemark.service"
cp deploy/joulemark.sysusers.conf "$laid/sysusers.d/joulemark.conf"
cp deploy/joulemark.tmpfiles.conf "$laid/tmpfiles.d/joulemark.conf"
"$program" man --dir "$laid/man" >/dev/null
gzip -9n "$laid"/man/*
for shell in bash zsh fish; do
  "$program" completions "$shell" >"$laid/completions/joulemark.$shell"
done

# Where cargo-deb looks for what was built: target/release of Cargo.toml, in whichever folder it was built.
ln -s "$program" "$engine" "$laid/release/"
variant=()
mapfile -t for_gpus < <(compgen -G "$engine-sm*")
if [ ${#for_gpus[@]} -gt 0 ]; then
  variant=(--variant cuda)
  ln -s "${for_gpus[@]}" "$laid/release/"
  libraries=$(dirname "$program")/../lib/joulemark
  compgen -G "$libraries/*" >/dev/null || fail "the CUDA libraries are not in $libraries: run deploy/build-cuda.sh"
  ln -s "$(realpath "$libraries")"/* "$laid/lib/"
fi
# As Debian's own tools name who makes a package.
maintainer=()
[ -z "${DEBEMAIL:-}" ] || maintainer=(--maintainer "${DEBFULLNAME:-$DEBEMAIL} <$DEBEMAIL>")
mkdir -p target/debian
CARGO_TARGET_DIR=$laid cargo_deb --no-build --locked --package joulemark --output target/debian/ "${variant[@]}" "${maintainer[@]}" "${@:2}"
