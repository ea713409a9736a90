#!/usr/bin/env bash
# Runs all tests, from a fresh Debian. Fails if any test failed. See --help.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
started=$SECONDS
cores=$(nproc)

print_help() {
  cat <<'HELP'
usage: [GEE_PEERS=0] scripts/test.sh

Installs what is missing, builds with gcc and clang (warnings are errors), with sanitizers and with libFuzzer, and runs
every test: all of them, then every room under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer, and
threaded code under ThreadSanitizer. Run it as root or with sudo. It took 47 minutes on two cores, and lists the
slowest tests. Tests that cannot run here are skipped, with the reason.

  GEE_PEERS=0   skips the comparison with PyTorch, TensorBoard and W&B, which installs about 6 GB once, into ~/.cache/gee-cl

A single test: ctest --preset gcc -R model/test_forward (CONTRIBUTING.md has more)
HELP
}

case ${1:-} in
'') ;;
--help | -h)
  print_help
  exit 0
  ;;
*) usage_error "unknown argument $1" ;;
esac

# try_packages NAME...: installs each if possible. Tests that lack a package say so and are skipped.
try_packages() {
  local package
  for package in "$@"; do install_packages "$package" || note "cannot install $package; tests that need it are skipped"; done
}

after() { note "$*, after $((SECONDS - started)) s"; }

heading "1/5  Packages, model, drivers and peers"
install_packages "${build_packages[@]}" libcmocka-dev python3 || die "cannot install the packages"
try_packages python3-venv clang libclang-rt-dev clang-format clang-tidy universal-ctags shellcheck oclgrind \
  mesa-opencl-icd chromium ccache clang-19 rocm-device-libs intel-opencl-icd
fetch_model
python_environment intel 3 intel-opencl-rt intel-cmplr-lib-rt
python_environment compilers 1 nvidia-cuda-nvrtc-cu12 nvidia-cuda-nvcc-cu12
if [ "${GEE_PEERS:-1}" != 0 ] && [ -z "${GEE_PEER_PYTHON:-}" ]; then
  python_environment peers 9 "${peer_packages[@]}"
fi
if [ "${GEE_PEERS:-1}" != 0 ] && [ -z "${GEE_TRACKERS_PYTHON:-}" ]; then
  python_environment trackers 1 tensorboard wandb
fi

heading "2/5  Builds: gcc, clang, sanitizers and fuzz targets; warnings are errors"
if command -v ccache >/dev/null; then # for the next time, from whatever folder
  export CMAKE_C_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
fi
build gcc tests
after "gcc"
if command -v clang >/dev/null; then
  build clang tests
  after "clang"
fi
build asan tests
build tsan threaded_tests
after "sanitizers"
if has_libfuzzer; then
  build fuzz fuzzers
  after "fuzz targets"
else
  note "clang has no libFuzzer here; tests that need it are skipped"
fi

# Tests that take any device see only pocl, so that they test the same everywhere; tests/drivers covers the others.
vendors=$(mktemp -d)
trap 'rm -rf "$vendors"' EXIT
cp /etc/OpenCL/vendors/pocl.icd "$vendors/"
export GEE_OPENCL_VENDORS=/etc/OpenCL/vendors OCL_ICD_VENDORS=$vendors
status=0

# This comes before the sanitizers: it leaves pocl's cache with every kernel compiled, and pocl's compiler leaks.
heading "3/5  All tests"
ctest --preset gcc -j "$cores" | tee build-gcc/tests.log || status=1
printf '\nThe slowest tests:\n'
sed -n 's/.*Test *#[0-9]*: \([^ ]*\) .* \([0-9.]*\) sec$/\2 s  \1/p' build-gcc/tests.log | sort -rn | head -8
after "all tests"

heading "4/5  Every room under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer"
ctest --preset asan -j "$cores" || status=1
after "AddressSanitizer"

heading "5/5  Threaded code under ThreadSanitizer"
ctest --preset tsan -j "$cores" || status=1
after "ThreadSanitizer"

printf '\nAll tests, from 3/5:\n'
sed -n '/tests passed/,$p' build-gcc/tests.log
exit $status
