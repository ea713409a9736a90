#!/usr/bin/env bash
# Every script is as shellcheck wants it.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v shellcheck >/dev/null; then
  echo "skipped: shellcheck is not installed"
  exit 77
fi
find scripts tests .ci \( -name '*.sh' -o -path .ci/run \) -print0 | xargs -0 shellcheck -x --source-path=SCRIPTDIR
