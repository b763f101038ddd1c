#!/usr/bin/env bash
# Builds the engine for NVIDIA GPUs: one program a compute capability, joulemark-mistral-sm90 for instance, beside the
# service in TARGET/release, where it finds them. sm80 runs on 8.0 to 8.9, sm90 on 9.0: a program runs on boards of its own
# generation from its own capability on. No GPU and no driver is needed to build; about half an hour on two cores each.
# Usage: build-cuda.sh [--flash-attn] [--cudnn] [CAPABILITY…]     default: those of the GPUs here, else 90 (H100, H200)
#   --flash-attn   faster attention of candle's; git and the network, since it fetches CUTLASS while it builds
#   --cudnn        convolutions, which no language model here has; cuDNN 9 in the toolkit's folder or the system's
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/setup-build.sh

# What the program needs of CUDA beside the driver; NVRTC and the others it does not start with.
libraries=(cudart cublas cublasLt curand)

capabilities=()
features=cuda
for argument; do
  case $argument in
    --flash-attn)
      has git || fail "--flash-attn fetches CUTLASS while it builds: it needs git and the network"
      features+=,flash-attn
      ;;
    --cudnn) features+=,cudnn ;;
    *)
      # 9.0, 90 and sm_90 are the same.
      capability=${argument#sm_}
      capability=${capability/./}
      [[ $capability =~ ^[1-9][0-9]{1,2}$ ]] || fail "usage: $0 [--flash-attn] [--cudnn] [CAPABILITY…], 90 for instance; $argument is none"
      capabilities+=("$capability")
      ;;
  esac
done
if [ ${#capabilities[@]} -eq 0 ] && has nvidia-smi; then
  mapfile -t capabilities < <(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null |
    sed -n 's/^ *\([0-9]*\)\.\([0-9]\) *$/\1\2/p' | sort -u)
fi
[ ${#capabilities[@]} -gt 0 ] || capabilities=(90)

setup_build_tools
has readelf || apt_install binutils
toolkit=$(deploy/cuda-toolkit.sh "${capabilities[@]}")
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/release"
target=$(cd "$target" && pwd)
version=$("$toolkit/bin/nvcc" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
printf 'nvcc %s of %s, for compute capability %s\n' "$version" "$toolkit" "${capabilities[*]}"

# The driver's library belongs to the driver, which is not here or is not the one of the box that runs it: to link, its
# functions by name are enough. Where there is no GPU, each says so (100: no device).
make_stub() {
  rm -rf "$1"
  mkdir -p "$1"
  cargo metadata --locked --all-features --filter-platform "$(rustc -vV | sed -n 's/^host: //p')" --format-version 1 | python3 -c '
import json, pathlib, re, sys
packages = json.load(sys.stdin)["packages"]
folders = [pathlib.Path(each["manifest_path"]).parent for each in packages if each["name"] == "cudarc"]
names = {name for folder in folders for name in re.findall(r"\bfn (cu\w+)\(", (folder / "src/driver/sys/mod.rs").read_text())}
if not names:
    sys.exit("cudarc declares no function of the driver where it is looked for")
print("".join(f"int {name}(void) {{ return 100; }}\n" for name in sorted(names)), end="")' >"$1/cuda.c"
  cc -shared -fPIC -w -Wl,-soname,libcuda.so.1 -o "$1/libcuda.so.1" "$1/cuda.c"
  ln -s libcuda.so.1 "$1/libcuda.so"
}

# Those of NVIDIA's packages are laid where a program beside the service finds them; a toolkit of this machine stays where
# it is, and the program knows its folder.
lay_libraries() {
  local folder=$target/lib/joulemark library file package
  mkdir -p "$folder"
  for library in "${libraries[@]}"; do
    for file in "$toolkit/lib/lib$library".so.*; do
      cp -l --remove-destination "$file" "$folder/" 2>/dev/null || cp --remove-destination "$file" "$folder/"
    done
  done
  for package in cuda_runtime cublas curand; do
    cp "$toolkit"/../../nvidia_"$package"-*.dist-info/licenses/License.txt "$folder/LICENSE.nvidia_$package.txt"
  done
  printf 'CUDA libraries: laid in %s (%s), with their licences\n' "$folder" "$(du -sh "$folder" | cut -f 1)"
}

# build CAPABILITY
build() {
  local program=$target/release/joulemark-mistral-sm$1 folder=$target/cuda/sm$1-$version begun=$SECONDS
  # The tools choose a toolkit by these in orders of their own: all name the one.
  env -u NVCC -u CUDA_PATH -u CUDA_ROOT -u CUDA_TOOLKIT_ROOT_DIR \
    CUDA_HOME="$toolkit" CUDA_COMPUTE_CAP="$1" PATH="$toolkit/bin:$PATH" \
    NVCC_PREPEND_FLAGS="-I$toolkit/include/cccl ${NVCC_PREPEND_FLAGS:-}" LIBRARY_PATH="$stub:$toolkit/lib64:${LIBRARY_PATH:-}" \
    cargo rustc --release --locked --package joulemark-mistral --bin joulemark-mistral --features "$features" \
    --target-dir "$folder" -- -C strip=symbols -C "link-arg=-Wl,--enable-new-dtags,-rpath,$runpath"
  # Beside the old one and then in its place: a program that runs cannot be written over.
  cp "$folder/release/joulemark-mistral" "$program.new"
  mv "$program.new" "$program"
  printf '\n%s: %d s, %d MB, features %s\n' "$program" $((SECONDS - begun)) $(($(stat -c %s "$program") / 1000000)) "$features"
  examine "$program"
}

# What it links, and that it starts: by the driver where there is one, else by the stub, which no program is told of.
examine() {
  local driver=() linked
  ldconfig -p | grep -q 'libcuda\.so\.1 ' || driver=("LD_LIBRARY_PATH=$stub")
  readelf -d "$1" | sed -n 's/.*(\(NEEDED\|RUNPATH\|RPATH\)).*\[\(.*\)\]/  \1 \2/p'
  linked=$(env "${driver[@]}" ldd "$1")
  ! grep 'not found' <<<"$linked" || fail "$1 does not find what stands above"
  grep -E 'libcu' <<<"$linked"
  printf '  --describe%s: ' "${driver[*]:+ with a stub for the driver, which is not here}"
  env "${driver[@]}" "$1" --describe
}

stub=$target/cuda/stub
make_stub "$stub"
case $toolkit/ in
  "$target"/*)
    lay_libraries
    # Beside the service, and in libexec/joulemark of an installation.
    # shellcheck disable=SC2016
    runpath='$ORIGIN/../lib/joulemark:$ORIGIN/../../lib/joulemark'
    ;;
  *)
    runpath=$toolkit/lib64
    printf 'CUDA libraries: taken from %s; the program needs that toolkit where it runs\n' "$runpath"
    ;;
esac
if [[ $features = *cudnn* ]]; then
  compgen -G "$toolkit/include/cudnn*.h" >/dev/null || compgen -G '/usr/include/cudnn*.h' >/dev/null ||
    compgen -G '/usr/include/*/cudnn*.h' >/dev/null || fail "--cudnn needs cuDNN 9: its headers are not in $toolkit/include nor in /usr/include"
fi
for capability in "${capabilities[@]}"; do
  build "$capability"
done
