#!/usr/bin/env bash
# Tests and measures gee-cl on every GPU of this machine, and packs what came out into one archive. See --help.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

print_help() {
  cat <<'HELP'
usage: scripts/test_gpu.sh [--device NAME]... [--build DIR] [--output FILE]

Installs what is missing, builds gee-cl and its tests, and then on each GPU, through each back end that sees it (CUDA, OpenCL): the
self-test, every test that takes a device, and the benchmark. Prints a table, and packs it with all logs into one archive, which
helps us most where a card misbehaves that we do not have. Run it as root or with sudo. Takes about ten minutes a GPU.

  --device NAME  this device in place of every GPU: an index or a part of a name, as gee-cl devices shows them
  --build DIR    tests that are built already, by cmake --preset gcc: nothing is installed or built
  --output FILE  the archive (gee-cl-gpu.tar.gz)

Exits with 1 if anything failed, with 77 if there is no GPU.
HELP
}

devices=() folder=build-gcc output=gee-cl-gpu.tar.gz built=
while [ $# -gt 0 ]; do
  case $1 in
  --help | -h)
    print_help
    exit 0
    ;;
  --device | --build | --output)
    [ $# -ge 2 ] || usage_error "$1 needs a value"
    case $1 in
    --device)
      [ -n "$2" ] || usage_error "--device needs a name"
      devices+=("$2")
      ;;
    --build) folder=$2 built=yes ;;
    --output) output=$2 ;;
    esac
    shift 2
    ;;
  *) usage_error "unknown argument $1" ;;
  esac
done

# What would end the script after the work, and its logs with it.
{ [ ! -d "$output" ] && touch "$output"; } 2>/dev/null || die "--output $output cannot be written"
[ -s "$output" ] || rm -f "$output"
repeated=$(printf '%s\n' "${devices[@]//[^A-Za-z0-9.]/_}" | sort | uniq -d)
[ -z "$repeated" ] || [ ${#devices[@]} = 0 ] || die "--device $repeated is there twice"

if [ -z "$built" ]; then
  install_packages "${build_packages[@]}" libcmocka-dev python3 || die "cannot install the packages"
  build gcc tests
  fetch_model
fi
gee=$folder/gee-cl
[ -x "$gee" ] || die "$gee is missing; build it with cmake --preset gcc and cmake --build --preset gcc --target tests"

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
mkdir "$logs/gee-cl-gpu"
report=$logs/gee-cl-gpu
failed=0

# gpus: the index of every GPU in `gee-cl devices --json`.
gpus() {
  python3 -c 'import json, sys
for device in json.load(sys.stdin)["devices"]:
    if device["class"] != "CPU":
        print(device["index"])'
}

# step NAME COMMAND...: runs a command into NAME.log and adds a line to the table.
step() {
  local name=$1 started=$SECONDS result=passed
  shift
  "$@" >"$report/$name.log" 2>&1 || result=FAILED failed=1
  printf '%-28s %-7s %5d s\n' "$name" "$result" $((SECONDS - started)) | tee -a "$report/summary.txt"
}

test_device() {
  local device=$1 name=device-${1//[^A-Za-z0-9.]/_}
  mkdir "$report/$name"
  heading "device $device"
  step "$name/selftest" "$gee" selftest --device "$device" --reference tests/golden/selftest.json
  step "$name/selftest-own-gemm" "$gee" selftest --device "$device" --gemm own
  step "$name/tests" env GEE_TEST_DEVICE="$device" ctest --test-dir "$folder" -L device -j "$(nproc)" --output-on-failure
  grep -E '\*\*\*Failed|\*\*\*Timeout|Skipped' "$report/$name/tests.log" | sed 's/^/    /' || true
  step "$name/tune" "$gee" tune --dry-run --device "$device" --json "$report/$name/tune.json"
  step "$name/bench" "$gee" bench --quick --device "$device" --json "$report/$name/bench.json"
}

"$gee" devices --json >"$report/devices.json" || die "gee-cl devices failed"
{ "$gee" --version && "$gee" devices && "$gee" doctor; } >"$report/machine.txt" 2>&1 || true
[ ${#devices[@]} -gt 0 ] || mapfile -t devices < <(gpus <"$report/devices.json")
if [ ${#devices[@]} = 0 ]; then
  cat "$report/machine.txt"
  note "no GPU was found; gee-cl doctor says what each kind of card needs"
  exit 77
fi
for device in "${devices[@]}"; do test_device "$device"; done
tar -C "$logs" -czf "$output" gee-cl-gpu
heading "$output has the logs"
exit $failed
