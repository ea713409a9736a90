#!/usr/bin/env bash
# Every C and OpenCL file looks as clang-format 14 (Debian 12's) makes it. Other versions disagree with it in small things: skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."
formatter=$(command -v clang-format-14 || command -v clang-format || true)
if [ -z "$formatter" ] || ! "$formatter" --version | grep -q 'version 14\.'; then
  echo "skipped: clang-format 14 is not installed"
  exit 77
fi
find src tests cl \( -name '*.[ch]' -o -name '*.cl' \) -print0 | xargs -0 "$formatter" --dry-run -Werror
