#!/usr/bin/env bash
# on_driver.sh DRIVER PROGRAM: runs a test program so that it sees, or takes, one driver. Exits with 77 (skipped) and a
# reason if the driver is missing or has no device.
#   intel      Intel's CPU runtime; $GEE_INTEL_OPENCL names libintelocl.so, else where scripts/test.sh puts it
#   rusticl    Mesa's rusticl on llvmpipe, Debian's mesa-opencl-icd
#   oclgrind   a simulator that finds races and bad accesses; a finding fails the test
#   cuda       the double of NVIDIA's libraries in $GEE_CUDA_DOUBLE (tests/cuda_double), which runs CUDA's kernels here
set -euo pipefail
driver=$1 program=$2
vendors=${GEE_OPENCL_VENDORS:-/etc/OpenCL/vendors}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}

skip() {
  echo "skipped: $*"
  exit 77
}

only() {
  [ -f "$1" ] || skip "$driver is not installed ($1 is missing)"
  cp "$1" "$folder/only.icd"
  export OCL_ICD_VENDORS=$folder
}

# Drawing from a whole vocabulary takes minutes where work items run one after another.
draw_small() {
  case $program in */test_sample) export GEE_TEST_SMALL=1 ;; esac
}

case $driver in
intel)
  library=${GEE_INTEL_OPENCL:-$XDG_CACHE_HOME/gee-cl/intel/lib/libintelocl.so}
  [ -f "$library" ] || skip "Intel's runtime is not installed ($library is missing)"
  echo "$library" >"$folder/intel.icd"
  only "$folder/intel.icd"
  rm "$folder/intel.icd"
  "$program"
  ;;
rusticl)
  only "$vendors/rusticl.icd"
  export RUSTICL_ENABLE=llvmpipe
  draw_small
  # The self-test of every matrix instruction takes a minute; pocl and the double of CUDA have it.
  case $program in */test_matrix_tiles) export GEE_TEST_SMALL=1 ;; esac
  "$program"
  ;;
oclgrind)
  command -v oclgrind >/dev/null || skip "oclgrind is not installed"
  GEE_TEST_SMALL=1 oclgrind --data-races --log "$folder/findings" "$program"
  if [ -s "$folder/findings" ]; then
    head -40 "$folder/findings"
    exit 1
  fi
  ;;
cuda)
  [ -f "$GEE_CUDA_DOUBLE/libcuda.so.1" ] || skip "the double of CUDA was not built: it needs x86-64"
  command -v c++ >/dev/null || skip "no C++ compiler for the kernels"
  export CUDA_PATH=$GEE_CUDA_DOUBLE XDG_CACHE_HOME=$GEE_CUDA_DOUBLE/cache GEE_TEST_DEVICE=cuda:0
  draw_small
  "$program"
  ;;
*)
  echo "unknown driver $driver"
  exit 1
  ;;
esac
