#!/usr/bin/env bash
# Prints the folder of a CUDA toolkit that the engine can be built with: of an nvcc that is here and fits, else of one made
# of NVIDIA's Python packages (CUDA 13.0, 675 MB to fetch, 1.3 GB on disk, each by its SHA-256) under the target folder.
# What it does, it says on standard error.
# Usage: cuda-toolkit.sh [CAPABILITY…]       what it has to compile for, 90 for instance
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/setup-build.sh"

# The oldest that CUDA's C++17 kernels and compute capability 9.0 build with, and the newest that mistralrs-quant knows.
oldest=12.0
newest=13.2

say() {
  printf '%s\n' "$*" >&2
}

# Compiles and links a few lines as the engine's build will: header, library or host compiler that is missing shows here.
# compiles TOOLKIT CAPABILITY
compiles() {
  local work status=0
  work=$(mktemp -d)
  printf '%s\n' '#include <cublasLt.h>' '#include <cublas_v2.h>' '#include <cuda/std/limits>' '#include <curand.h>' \
    '#include <nvrtc.h>' '__global__ void one(float *x) { *x = 1; }' 'int main() { one<<<1, 1>>>(nullptr); }' >"$work/one.cu"
  "$1/bin/nvcc" -std=c++17 -gencode "arch=compute_$2,code=sm_$2" -I"$1/include/cccl" -L"$1/lib64" -o "$work/one" \
    "$work/one.cu" -cudart shared -lcublas -lcublasLt -lcurand -lnvrtc >"$work/said" 2>&1 || status=$?
  [ "$status" -eq 0 ] || tail -n 3 "$work/said" >&2
  rm -rf "$work"
  return "$status"
}

# Says why it does not, where it does not.
# fits TOOLKIT CAPABILITY…
fits() {
  local toolkit=$1 version capability
  shift
  version=$("$toolkit/bin/nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\.[0-9]*\),.*/\1/p')
  if [ -z "$version" ] || [ "$(printf '%s\n' "$oldest" "$version" "$newest" | sort -V | sed -n 2p)" != "$version" ]; then
    say "$toolkit: nvcc ${version:-of no version} is not used: it has to be $oldest to $newest"
    return 1
  fi
  for capability; do
    if ! "$toolkit/bin/nvcc" --list-gpu-code | grep -qx "sm_$capability"; then
      say "$toolkit: nvcc $version does not compile for $capability"
      return 1
    fi
    if ! compiles "$toolkit" "$capability"; then
      say "$toolkit: nvcc $version is not used: it does not build a program with cuBLAS, cuRAND and NVRTC"
      return 1
    fi
  done
}

# Where an nvcc lies, by what the environment names, the PATH, and where NVIDIA's installers put one.
installed() {
  local named path
  path=$(command -v nvcc || true)
  for named in "${CUDA_HOME:-}" "${CUDA_PATH:-}" "${path:+$(dirname "$(dirname "$(readlink -f "$path")")")}" /usr/local/cuda; do
    if [ -n "$named" ] && [ -x "$named/bin/nvcc" ]; then
      realpath "$named"
    fi
  done | awk '!seen[$0]++'
}

# Made beside its place, so that an interrupted one is never taken for whole.
make_toolkit() {
  local made=$1 work=$1.new nvidia library
  [ "$(uname -m)" = x86_64 ] || fail "no nvcc fits, and the packages it could be made of are x86-64's: install CUDA $oldest to $newest"
  setup_pip
  say "fetching CUDA 13.0 into $made (675 MB)"
  rm -rf "$work" "$made"
  mkdir -p "$(dirname "$work")"
  PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --target "$work" --requirement "$here/cuda-toolkit.requirements" >&2 ||
    fail "pip could not install the parts of CUDA; the message above says why"
  nvidia=$work/nvidia/cu13
  # What an installer of NVIDIA's makes, and a wheel cannot hold.
  chmod +x "$nvidia"/bin/* "$nvidia"/nvvm/bin/*
  for library in "$nvidia"/lib/lib*.so.*; do
    ln -sf "${library##*/}" "${library%%.so.*}.so"
  done
  ln -s lib "$nvidia/lib64"
  mv "$work" "$made"
}

[ $# -gt 0 ] || set -- 90
for capability; do
  [[ $capability =~ ^[1-9][0-9]{1,2}$ ]] || fail "$capability is no compute capability: 90 is 9.0, 80 is 8.0"
done
while read -r toolkit; do
  if fits "$toolkit" "$@"; then
    printf '%s\n' "$toolkit"
    exit 0
  fi
done < <(installed)
made=$(mkdir -p "${CARGO_TARGET_DIR:-$here/../target}" && cd "${CARGO_TARGET_DIR:-$here/../target}" && pwd)/cuda/toolkit
[ -x "$made/nvidia/cu13/bin/nvcc" ] || make_toolkit "$made"
fits "$made/nvidia/cu13" "$@" || fail "the toolkit of NVIDIA's packages does not build for $*; the message above says why"
printf '%s\n' "$made/nvidia/cu13"
