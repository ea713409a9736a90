#!/usr/bin/env bash
# The sizes that CONTRIBUTING.md names: files of at most 500 lines, functions of at most 60, lines of at most 110 columns,
# comments too, and at most 4 in 100 functions of src with more than five parameters. What is beyond them is listed.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! ctags --version 2>/dev/null | grep -q 'Universal Ctags'; then
  echo "skipped: universal-ctags is not installed"
  exit 77
fi
exec python3 tests/style/limits.py
