#!/usr/bin/env bash
# gee-cl beside PyTorch and llama.cpp: same model, sizes and threads, in turn. See --help.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

print_help() {
  cat <<'HELP'
usage: scripts/bench_peers.sh [--rounds N] [--threads N] [--quick] [--peers A,B] [--output FILE.md]

Measures gee-cl bench, PyTorch with transformers and PEFT (float32 and bfloat16) and llama.cpp (PyPI's
llama-cpp-python) one after another, in several rounds, with the parts of gee-cl bench that each of them has: products,
decoding, prefill, forward and backward with LoRA, a training step. Prints a Markdown table: seconds of gee-cl, and how
many times as long the others took, with median, minimum and maximum over the rounds. Installs what is missing, about
6 GB once, into ~/.cache/gee-cl; run it as root or with sudo the first time, on a machine that is otherwise idle.

  --rounds N        rounds (3)
  --threads N       processors that each may use, the first N (all)
  --quick           one run of each part in a round instead of three, and no products
  --peers A,B       of torch-f32, torch-bf16 and llama, those named
  --output FILE.md  also writes the table there
HELP
}

rounds=3 threads=$(nproc) quick='' output='' peers=torch-f32,torch-bf16,llama
while [ $# -gt 0 ]; do
  case $1 in
  --help | -h)
    print_help
    exit 0
    ;;
  --quick) quick=1 ;;
  --rounds | --threads | --peers | --output)
    [ $# -gt 1 ] || usage_error "$1 needs a value"
    case $1 in
    --rounds) rounds=$2 ;;
    --threads) threads=$2 ;;
    --peers) peers=$2 ;;
    --output) output=$2 ;;
    esac
    shift
    ;;
  *) usage_error "unknown argument $1" ;;
  esac
  shift
done
[[ $rounds =~ ^[1-9][0-9]{0,2}$ ]] || usage_error "--rounds $rounds is not a number from 1 to 999"
if ! [[ $threads =~ ^[1-9][0-9]{0,3}$ ]] || [ "$threads" -gt "$(nproc)" ]; then
  usage_error "--threads $threads is not a number from 1 to $(nproc)"
fi
for peer in ${peers//,/ }; do
  case $peer in torch-f32 | torch-bf16 | llama) ;; *) usage_error "there is no peer $peer" ;; esac
done

# python_of PEER: the Python that has it.
python_of() {
  case $1 in
  llama) echo "${GEE_LLAMA_PYTHON:-$cache/llama/bin/python}" ;;
  *) echo "${GEE_PEER_PYTHON:-$cache/peers/bin/python}" ;;
  esac
}

heading "1/3  Packages, build, model and peers"
install_packages "${build_packages[@]}" python3 python3-venv || die "cannot install the packages"
build release gee-cl
fetch_model
if [ -z "${GEE_PEER_PYTHON:-}" ]; then python_environment peers 9 "${peer_packages[@]}"; fi
if [ -z "${GEE_LLAMA_PYTHON:-}" ]; then python_environment llama 1 llama-cpp-python numpy; fi

heading "2/3  Rounds"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cores=0-$((threads - 1)) parts=gemm,decode,prefill,gradient,step runs=3
if [ -n "$quick" ]; then parts=decode,prefill,gradient,step runs=1; fi
for ((round = 1; round <= rounds; round++)); do
  note "round $round of $rounds: gee-cl"
  quietly env POCL_MAX_PTHREAD_COUNT="$threads" taskset -c "$cores" build/gee-cl bench --model "$model" \
    ${quick:+--quick} --only "$parts" --json "$folder/gee-cl.$round.json" || die "gee-cl bench failed"
  for peer in ${peers//,/ }; do
    python=$(python_of "$peer")
    if [ ! -x "$python" ]; then
      note "$peer is not installed: skipped"
      continue
    fi
    note "round $round of $rounds: $peer"
    quietly taskset -c "$cores" "$python" tests/bench/peers.py measure "$peer" "$model" "$folder/$peer.$round.json" "$runs" ||
      note "$peer failed, and is left out of this round"
  done
done

heading "3/3  The table"
written=$(python3 tests/bench/peers.py table "$folder")
printf '%s\n' "$written"
if [ -n "$output" ]; then printf '%s\n' "$written" >"$output"; fi
