#!/usr/bin/env bash
# All tests, from a fresh Debian: installs what is missing, builds with gcc and clang (warnings are errors) and with sanitizers,
# and runs ctest. The last line is ctest's own; the script fails where anything failed. Run it as root or with sudo at hand.
#   GEE_PEERS=0   leaves the comparison with PyTorch out (it installs about 6 GB once, into ~/.cache/gee-cl)
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
started=$SECONDS
cores=$(nproc)

# try_packages NAME...: installs each if it can; the tests that need one that cannot say so and are skipped.
try_packages() {
  local package
  for package in "$@"; do install_packages "$package" || note "$package cannot be installed; what needs it is skipped"; done
}

# python_environment NAME GIGABYTES PACKAGE...: a virtual environment in the cache, made once, where the disk has room.
python_environment() {
  local name=$1 gigabytes=$2 folder=$cache/$1 free
  shift 2
  [ ! -f "$folder/whole" ] || return 0
  mkdir -p "$cache"
  free=$(df --output=avail -B1G "$cache" | tail -1)
  if [ "$free" -lt "$gigabytes" ]; then
    note "$name needs $gigabytes GB of disk in $cache and $free are free: skipped"
    return 0
  fi
  note "installing $* into $folder"
  rm -rf "$folder"
  if quietly python3 -m venv "$folder" && quietly "$folder/bin/python" -m pip install --quiet --no-cache-dir "$@"; then
    touch "$folder/whole"
  else
    note "$name cannot be installed: skipped"
  fi
}

heading "1/4  Packages, model, drivers and peers"
install_packages "${build_packages[@]}" libcmocka-dev python3 || die "the packages cannot be installed"
try_packages python3-venv clang clang-format oclgrind mesa-opencl-icd
fetch_model
python_environment intel 3 intel-opencl-rt intel-cmplr-lib-rt
if [ "${GEE_PEERS:-1}" != 0 ] && [ -z "${GEE_PEER_PYTHON:-}" ]; then
  python_environment peers 9 torch transformers peft safetensors gguf
fi

heading "2/4  Builds: gcc, clang and sanitizers, warnings are errors"
build build-gcc tests -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release -DGEE_WERROR=ON
note "gcc, after $((SECONDS - started)) s"
if command -v clang >/dev/null; then
  build build-clang tests -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Release -DGEE_WERROR=ON
  note "clang, after $((SECONDS - started)) s"
fi
build build-asan tests -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O1 -DGEE_WERROR=ON \
  -DGEE_SANITIZE=ON
note "sanitizers, after $((SECONDS - started)) s"

heading "3/4  The host's rooms under AddressSanitizer and UndefinedBehaviorSanitizer"
ctest --test-dir build-asan --output-on-failure -j "$cores" -R '^(util|io|text|data|loss|track)/'

heading "4/4  All tests"
# pocl alone for what takes any device, so that the same is tested everywhere; tests/drivers takes the others.
vendors=$(mktemp -d)
trap 'rm -rf "$vendors"' EXIT
cp /etc/OpenCL/vendors/pocl.icd "$vendors/"
export GEE_OPENCL_VENDORS=/etc/OpenCL/vendors OCL_ICD_VENDORS=$vendors
note "after $((SECONDS - started)) s"
status=0
ctest --test-dir build-gcc --output-on-failure -j "$cores" || status=$?
exit $status
