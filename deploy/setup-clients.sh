# Tools of Node and Python that check the API's description, and compose.yaml, in folders below target/, pinned by
# tests/openapi. Sourced by the scripts that use them; quick where everything is there.
# shellcheck shell=bash

# shellcheck source=deploy/setup-build.sh
. deploy/setup-build.sh

NODE_FOLDER=target/openapi/node
# Used by the scripts that source this.
# shellcheck disable=SC2034
NODE_TOOLS=$NODE_FOLDER/node_modules/.bin
PYTHON_TOOLS=target/openapi/venv/bin
OLDEST_NODE=20

setup_node_tools() {
  local missing=()
  has node || missing+=(nodejs)
  has npm || missing+=(npm)
  [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
  [ "$(node -p 'process.versions.node.split(".")[0]')" -ge "$OLDEST_NODE" ] ||
    fail "node $(node --version) is too old: install $OLDEST_NODE or later"
  mkdir -p "$NODE_FOLDER"
  is_kept tests/openapi/package-lock.json "$NODE_FOLDER/installed" && return
  cp tests/openapi/package.json tests/openapi/package-lock.json tests/openapi/.npmrc "$NODE_FOLDER/"
  # No script of a package runs: none is needed.
  (cd "$NODE_FOLDER" && npm ci --ignore-scripts --silent) || fail "npm could not install the tools of tests/openapi"
  cp tests/openapi/package-lock.json "$NODE_FOLDER/installed"
}

setup_python_tools() {
  setup_pip
  is_kept tests/openapi/requirements.txt target/openapi/venv/installed && return
  python3 -m venv --help >/dev/null 2>&1 || apt_install python3-venv
  # A Debian without python3-venv has the module but not what it puts into the folder.
  python3 -m venv --clear target/openapi/venv 2>/dev/null ||
    { apt_install python3-venv && python3 -m venv --clear target/openapi/venv; } || fail "no virtual environment could be made"
  "$PYTHON_TOOLS/pip" install --quiet --disable-pip-version-check -r tests/openapi/requirements.txt ||
    fail "pip could not install tests/openapi/requirements.txt"
  cp tests/openapi/requirements.txt target/openapi/venv/installed
}

# Whether what was installed is what is asked for.
is_kept() {
  cmp -s "$1" "$2"
}
