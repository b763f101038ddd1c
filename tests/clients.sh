#!/usr/bin/env bash
# Generates a Python and a TypeScript client from the API's description, checks their types, and has each submit an
# experiment to a live server with a real model, wait for it and read its results: directly, and through nginx and
# Caddy as deploy/ has them, over TLS and under a prefix.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/setup-clients.sh
# shellcheck source=tests/openapi/server.sh
. tests/openapi/server.sh
# shellcheck source=tests/openapi/proxy.sh
. tests/openapi/proxy.sh

require_engine
setup_node_tools
setup_python_tools
python_client=target/openapi/python
typescript_client=target/openapi/typescript

printf -- '-- generate the Python client\n'
generated=$("$PYTHON_TOOLS/openapi-python-client" generate --path openapi/openapi.json --output-path "$python_client" \
  --overwrite --config tests/openapi/python-client.yaml 2>&1)
# It has no YAML and says so of each body that may also be that; such a client sends JSON. Anything else is a defect here.
warnings=$(grep -A2 '^WARNING' <<<"$generated" | grep -vE '^(WARNING parsing .*|Unsupported content type application/yaml|--|)$' || true)
[ -z "$warnings" ] || fail "the generator warns: $generated"
printf -- '-- check its types, and those of a program that uses it\n'
MYPYPATH=$python_client "$PYTHON_TOOLS/mypy" --strict --cache-dir target/openapi/mypy "$python_client/joulemark_client" \
  tests/openapi/client.py

printf -- '-- generate the TypeScript client\n'
mkdir -p "$typescript_client"
# Beside the tools, where both node and tsc look for what it imports.
ln -sfn ../node/node_modules "$typescript_client/node_modules"
"$NODE_TOOLS/openapi-typescript" openapi/openapi.json --output "$typescript_client/joulemark.d.ts"
cp tests/openapi/client.ts tests/openapi/tsconfig.json "$typescript_client/"
printf '{"type": "module"}\n' >"$typescript_client/package.json"
printf -- '-- check its types, and those of a program that uses it\n'
"$NODE_TOOLS/tsc" --project "$typescript_client"

run_clients() {
  printf -- '-- Python, %s: submit, wait, results\n' "$1"
  PYTHONPATH=$python_client "$PYTHON_TOOLS/python" tests/openapi/client.py
  printf -- '-- TypeScript, %s: submit, wait, results\n' "$1"
  node "$typescript_client/client.js"
}

start_server --models-dir "${MODELS_DIR:-models}" --trusted-proxy 127.0.0.1
trap 'stop_proxy; stop_server' EXIT
run_clients directly
for proxy in nginx caddy; do
  start_proxy "$proxy" "$SERVER_URL"
  SERVER_URL=$PROXY_URL SSL_CERT_FILE=$PROXY_AUTHORITY NODE_EXTRA_CA_CERTS=$PROXY_AUTHORITY run_clients "through $proxy"
  stop_proxy
done
