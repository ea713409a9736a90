#!/usr/bin/env bash
# run.sh SCRIPT GEE-CL: runs a peer check with a Python that has what it needs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gee-cl
case $1 in
peer_trackers.py) variable=GEE_TRACKERS_PYTHON python=${GEE_TRACKERS_PYTHON:-$cache/trackers/bin/python} needs='tensorboard, wandb' ;;
*) variable=GEE_PEER_PYTHON python=${GEE_PEER_PYTHON:-$cache/peers/bin/python} needs='torch, transformers, peft, safetensors, gguf' ;;
esac
export GEE_SMOLLM2=${GEE_SMOLLM2:-$here/../../models/SmolLM2-135M-Instruct.Q4_1.gguf}
if ! "$python" -c "import $needs" 2>/dev/null; then
  echo "skipped: $python has not all of $needs; set $variable"
  exit 77
fi
if [ ! -f "$GEE_SMOLLM2" ]; then
  echo "skipped: $GEE_SMOLLM2 is missing; set GEE_SMOLLM2"
  exit 77
fi
exec "$python" "$here/$1" "$2" "$GEE_SMOLLM2"
