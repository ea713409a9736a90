#!/usr/bin/env bash
# Draws the pictures of README.md anew, from the run that scripts/quickstart.sh left.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

run=runs/quickstart
if [ ! -d $run/final ] || [ ! -f $run-items.jsonl ]; then die "$run is not there; run scripts/quickstart.sh first"; fi
build release gee-cl
build/gee-cl report $run --pictures
mkdir -p docs/pictures
for name in sets tokens-before; do cp "$run/report/pictures/$name.svg" docs/pictures/; done
