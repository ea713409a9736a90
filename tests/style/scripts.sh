#!/usr/bin/env bash
# scripts/test_gpu.sh refuses before its long work what would end it afterwards, with the logs lost.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# refused TEXT ARGUMENT...: the script fails with TEXT. There is no build, so no device is touched in any case.
refused() {
  local text=$1
  shift
  if scripts/test_gpu.sh --build "$work/none" "$@" >"$work/said" 2>&1 || ! grep -qF -- "$text" "$work/said"; then
    echo "test_gpu.sh $*: not refused with \"$text\", but:"
    cat "$work/said"
    exit 1
  fi
}

echo kept >"$work/kept.tar.gz"
refused "cannot be written" --output "$work/none/a.tar.gz"
refused "cannot be written" --output "$work"
refused "is there twice" --device cuda:0 --device 1 --device cuda:0
refused "needs a name" --device ""
refused "is missing" --device cuda:0 --device opencl:0 --output "$work/kept.tar.gz"
refused "is missing" --output "$work/new.tar.gz"
[ "$(cat "$work/kept.tar.gz")" = kept ] && [ ! -e "$work/new.tar.gz" ]
