#!/usr/bin/env bash
# on_compilers.sh WRITE_KERNELS: compile.py on what that program writes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" "$folder"
python3 "$(dirname "$0")/compile.py" "$folder"
