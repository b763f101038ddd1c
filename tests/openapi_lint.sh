#!/usr/bin/env bash
# Lints the API's description with Redocly and Spectral; a warning fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/setup-clients.sh

setup_node_tools
for file in openapi/openapi.json openapi/openapi.yaml; do
  "$NODE_TOOLS/redocly" lint --config tests/openapi/redocly.yaml --max-problems 50 "$file"
  "$NODE_TOOLS/spectral" lint --ruleset tests/openapi/spectral.yaml --fail-severity hint "$file"
done
