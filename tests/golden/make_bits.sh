#!/usr/bin/env bash
# make_bits.sh BINARY: records what tests/cli/test_cli_bits.c compares, with a gee-cl of an earlier version, as
# tests/golden/bits/DEVICE-DRIVER-libcVERSION.json. What is there began with commit 79386b1; git log says what was recorded anew and why. Build the tests
# first.
# It overwrites the recording of this kind of machine: do that only where a change of the numbers is intended, and say
# why in the commit.
#   BUILD=FOLDER   where the tests are built (build-gcc)
set -euo pipefail
if [ $# != 1 ] || [ ! -x "$1" ]; then
  echo "usage: tests/golden/make_bits.sh BINARY" >&2
  exit 2
fi
binary=$(realpath "$1")
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
GEE_BITS_BINARY=$binary GEE_BITS_RECORD=$work/bits.json "${BUILD:-build-gcc}/tests/test_cli_bits"
name=$(python3 -c '
import json, sys
machine = json.load(open(sys.argv[1]))["machine"]
print(machine["device"] + "-" + machine["driver"] + "-libc" + machine["libc"])
' "$work/bits.json" | tr -c 'A-Za-z0-9.\n' '-')
mv "$work/bits.json" "tests/golden/bits/$name.json"
echo "tests/golden/bits/$name.json"
