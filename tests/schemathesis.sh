#!/usr/bin/env bash
# Runs schemathesis with all checks against a live server: every operation of its description, with good input and bad.
#   bash tests/schemathesis.sh          about a minute
#   bash tests/schemathesis.sh --long   ten times as many cases and another seed each time
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/setup-clients.sh
# shellcheck source=tests/openapi/server.sh
. tests/openapi/server.sh

case "${1:-}" in
  "") effort=(--max-examples 25 --seed 1) ;;
  --long) effort=(--max-examples 400 --continue-on-failure) ;;
  *) fail "unknown option $1; accepted is --long" ;;
esac
# The examples of the description, which it sends as well, name a real model.
require_engine
setup_python_tools
start_server --models-dir "${MODELS_DIR:-models}"
experiment='{"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 8, "num_cycles": 1, "labels": {"team": "nlp"}}'
said=$(curl -sS -H "Authorization: Bearer $SERVER_KEY" -H 'Content-Type: application/json' -d "$experiment" "$SERVER_URL/v1/experiments")
COMPLETED=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])' <<<"$said")
curl -sSf -o /dev/null -H "Authorization: Bearer $SERVER_KEY" "$SERVER_URL/v1/experiments/$COMPLETED/results?wait=60"
export COMPLETED
export PYTHONPATH=$PWD/tests/openapi
# It keeps notes where it runs.
cd target/openapi
venv/bin/schemathesis --config-file "$PYTHONPATH/schemathesis.toml" run "$SERVER_URL/openapi.json" \
  --url "$SERVER_URL" --header "Authorization: Bearer $SERVER_KEY" --workers 1 --no-color \
  --generation-database none --suppress-health-check all "${effort[@]}" "${@:2}"
if grep -E '"level":"ERROR"| ERROR ' "$SERVER_FOLDER/log"; then
  fail "the server logged errors"
fi
