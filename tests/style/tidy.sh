#!/usr/bin/env bash
# tidy.sh BUILD: clang-tidy 14 (Debian 12's), with the checks of .clang-tidy, has nothing to say about src. BUILD
# is a build folder, whose compile_commands.json says how each file is compiled.
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
tidy=$(command -v clang-tidy-14 || command -v clang-tidy || true)
runner=$(command -v run-clang-tidy-14 || command -v run-clang-tidy || true)
if [ -z "$tidy" ] || [ -z "$runner" ] || ! "$tidy" --version | grep -q 'version 14\.'; then
  echo "skipped: clang-tidy 14 is not installed"
  exit 77
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if "$runner" -clang-tidy-binary "$tidy" -p "$build" -quiet -j "$(nproc)" "^$PWD/src/" >"$log" 2>&1; then exit 0; fi
grep -vE '^[^ ]*clang-tidy[^ ]* |^[0-9]+ warnings? generated|^Suppressed|^Use -header-filter' "$log"
exit 1
