#!/usr/bin/env bash
# Builds and runs the fuzz targets of tests/fuzz: feeds each parser mutations of what it reads, under AddressSanitizer and
# UndefinedBehaviorSanitizer. Fails if one of them finds something, and names the input. See --help.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

print_help() {
  cat <<'HELP'
usage: scripts/fuzz.sh [--runs N | --seconds S] [--seed N] [--prebuilt] [TARGET...]
       scripts/fuzz.sh --check TARGET...

Builds the fuzz targets into build-fuzz (clang with libFuzzer is needed) and runs each of them, or those named.
What they learn is kept in build-fuzz/corpus/TARGET, so a later run continues from there. An input that breaks a target
goes to build-fuzz/findings/TARGET-*; after the fix, add it to tests/fuzz/corpus/TARGET under a name that says what it was.

  --runs N      inputs for each target
  --seconds S   time for each target (60)
  --seed N      seed of the mutations (random)
  --prebuilt    does not build
  --check       what the tests do: no build, two seconds from the kept corpus with a fixed seed; exit code 77 where
                the target is not built
  --list        names the targets

  scripts/fuzz.sh --runs 1000000            every target, some minutes each
  scripts/fuzz.sh --seconds 36000 parquet   a night
HELP
}

# Inputs of other tests that TARGET can use as they are, separated by commas.
seeds_of() {
  local files=()
  case $1 in
  parquet) files=(tests/io/data/*.parquet tests/io/data/table/*.parquet tests/io/data/prompts/*.parquet) ;;
  records) files=(tests/io/data/lines.jsonl tests/io/data/prompts/*.{jsonl,json,csv,gz,zst}) ;;
  table) files=(tests/io/data/lines.jsonl tests/io/data/table/quotes.csv tests/io/data/table/list.json) ;;
  json) files=(tests/golden/samples.json tests/golden/llama/config.json) ;;
  safetensors) files=(tests/io/data/peer.safetensors tests/golden/qwen2_untied/model-00002-of-00002.safetensors) ;;
  torch) files=(tests/io/data/torch/*.bin tests/model/adapters/bin*/adapter_model.bin) ;;
  safetensors_index) files=(tests/golden/qwen2_untied/model.safetensors.index.json) ;;
  weight_names) files=(tests/model/odd/tensors.safetensors) ;;
  model_gguf) files=(tests/model/odd/*.gguf) ;;
  gguf) files=(tests/io/data/peer.gguf tests/golden/qwen2.gguf) ;;
  tokenizer_hf) files=(tests/text/bpe_qwen2/tokenizer.json) ;;
  groups) files=(configs/groups/gender.json) ;;
  esac
  local IFS=,
  echo "${files[*]}"
}

all_targets() {
  local file
  for file in tests/fuzz/fuzz_*.c; do
    file=${file#tests/fuzz/fuzz_}
    echo "${file%.c}"
  done
}

# run_target TARGET OPTION...: fails if it finds something.
run_target() {
  local target=$1 learnt=build-fuzz/corpus/$1 kept=tests/fuzz/corpus/$1 seeds
  shift
  seeds=$(seeds_of "$target")
  mkdir -p build-fuzz/findings "$learnt"
  [ "$check" = 0 ] || learnt=$(mktemp -d)
  local status=0 folders=("$learnt")
  [ ! -d "$kept" ] || folders+=("$kept")
  "build-fuzz/fuzz/fuzz_$target" -timeout=10 -rss_limit_mb=2560 -print_final_stats=1 -verbosity=1 ${seeds:+"-seed_inputs=$seeds"} \
    -artifact_prefix="build-fuzz/findings/$target-" "$@" "${folders[@]}" >"build-fuzz/$target.log" 2>&1 || status=$?
  [ "$check" = 0 ] || rm -r "$learnt"
  awk -v target="$target" '/stat::number_of_executed_units/ {n = $2} /stat::average_exec_per_sec/ {r = $2}
    /stat::peak_rss_mb/ {m = $2} / cov: / {for (i = 1; i < NF; i++) if ($i == "cov:") c = $(i + 1)}
    END {printf "%-18s %9d inputs  %7d a second  %5d MB at most  %6d edges\n", target, n, r, m, c}' "build-fuzz/$target.log"
  [ "$status" = 0 ] || grep -v '^#[0-9]' "build-fuzz/$target.log" | tail -60
  return "$status"
}

check=0 built=0 limit=() seed=()
while [ $# -gt 0 ]; do
  case $1 in
  --help | -h)
    print_help
    exit 0
    ;;
  --list)
    all_targets
    exit 0
    ;;
  --runs | --seconds | --seed)
    [[ ${2:-} =~ ^[0-9]+$ ]] || usage_error "$1 needs a whole number"
    case $1 in
    --runs) limit=("-runs=$2") ;;
    --seconds) limit=("-max_total_time=$2") ;;
    --seed) seed=("-seed=$2") ;;
    esac
    shift
    ;;
  --prebuilt) built=1 ;;
  --check) check=1 built=1 limit=(-max_total_time=2) seed=(-seed=1) ;;
  -*) usage_error "unknown option $1" ;;
  *) break ;;
  esac
  shift
done
[ ${#limit[@]} -gt 0 ] || limit=(-max_total_time=60)
if [ $# -gt 0 ]; then targets=("$@"); else mapfile -t targets < <(all_targets); fi
for target in "${targets[@]}"; do
  [ -f "tests/fuzz/fuzz_$target.c" ] || usage_error "there is no target \"$target\"; --list names them"
  if [ $built = 1 ] && [ ! -x "build-fuzz/fuzz/fuzz_$target" ]; then
    echo "skipped: build-fuzz/fuzz/fuzz_$target is not built; scripts/fuzz.sh builds it where clang is"
    exit 77
  fi
done

if [ $built = 0 ]; then build fuzz fuzzers; fi
failed=0
for target in "${targets[@]}"; do
  run_target "$target" "${limit[@]}" "${seed[@]}" || failed=1
done
exit $failed
