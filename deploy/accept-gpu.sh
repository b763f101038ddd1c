#!/usr/bin/env bash
# Proves on a box with an NVIDIA GPU that joulemark measures it: the counter and the power readings against each other, the
# meter, batches of two models, two GPUs, a killed worker, a cancelled experiment, three power limits where somebody sets them. Below 10 minutes, below 4 with --quick; needs
# built programs (deploy/build-cuda.sh), Python, and no network. Writes hardware-report.json and hardware-report.md, and lays
# both in docs/hardware/ unless a figure is simulated. Ends with 0 where nothing failed, 1 where a line did, 2 where it cannot run.
# Usage: accept-gpu.sh [--quick] [--output FOLDER] [--programs FOLDER] [--models FOLDER] [--nvml-lib FILE] [--power-control WHO]
set -euo pipefail
# shellcheck source=deploy/setup-build.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-build.sh"

has python3 || fail "accept-gpu.sh needs python3"
exec python3 -B "$(dirname "${BASH_SOURCE[0]}")/accept" "$@"
