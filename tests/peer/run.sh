#!/usr/bin/env bash
# run.sh SCRIPT GEE-CL: runs a peer check with a Python that has torch, transformers, peft, safetensors and gguf.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${GEE_PEER_PYTHON:-${XDG_CACHE_HOME:-$HOME/.cache}/gee-cl/peers/bin/python}
export GEE_SMOLLM2=${GEE_SMOLLM2:-$here/../../models/SmolLM2-135M-Instruct.Q4_1.gguf}
if ! "$python" -c 'import torch, transformers, peft, safetensors, gguf' 2>/dev/null; then
  echo "skipped: $python has no torch, transformers, peft, safetensors and gguf; set GEE_PEER_PYTHON"
  exit 77
fi
if [ ! -f "$GEE_SMOLLM2" ]; then
  echo "skipped: $GEE_SMOLLM2 is missing; set GEE_SMOLLM2"
  exit 77
fi
exec "$python" "$here/$1" "$2" "$GEE_SMOLLM2"
