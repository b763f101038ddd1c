# Tools of Node and Python that check the API's description, compose.yaml and the pages, in folders below target/, pinned by
# tests/openapi and tests/pages. Sourced by the scripts that use them; quick where everything is there.
# shellcheck shell=bash

# shellcheck source=deploy/setup-build.sh
. deploy/setup-build.sh

NODE_FOLDER=target/openapi/node
# Used by the scripts that source this.
# shellcheck disable=SC2034
NODE_TOOLS=$NODE_FOLDER/node_modules/.bin
PYTHON_TOOLS=target/openapi/venv/bin
# shellcheck disable=SC2034
PAGE_TOOLS=target/pages/node
OLDEST_NODE=20

setup_node_tools() {
  setup_node_packages tests/openapi "$NODE_FOLDER"
}

# setup_node_packages FOLDER INTO: what FOLDER's package-lock.json pins.
setup_node_packages() {
  local missing=()
  has node || missing+=(nodejs)
  has npm || missing+=(npm)
  [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
  [ "$(node -p 'process.versions.node.split(".")[0]')" -ge "$OLDEST_NODE" ] ||
    fail "node $(node --version) is too old: install $OLDEST_NODE or later"
  mkdir -p "$2"
  is_kept "$1/package-lock.json" "$2/installed" && return
  cp "$1/package.json" "$1/package-lock.json" "$1/.npmrc" "$2/"
  # No script of a package runs: none is needed.
  (cd "$2" && npm ci --ignore-scripts --silent) || fail "npm could not install the tools of $1"
  cp "$1/package-lock.json" "$2/installed"
}

# A browser that scripts drive, and the rules of accessibility.
setup_page_tools() {
  setup_node_packages tests/pages "$PAGE_TOOLS"
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
