#!/usr/bin/env bash
# The whole experiment of docs/RESULTS.md, from a fresh Debian: trains every arm with several seeds, measures each, writes the
# tables. See --help.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

print_help() {
  cat <<'HELP'
usage: scripts/reproduce.sh [options]

Installs what is missing, builds gee-cl, fetches SmolLM2-135M-Instruct, then trains and measures the arms of the experiment one after
another: hours on two cores. Each measurement is a line of the results file; what is there is not done again, so after Ctrl-C or a
kill the same command goes on. Run it as root or with sudo.

  --seeds N,...          seeds of training and of measuring (15,16,17)
  --arms NAME,...        only these arms (all; an unknown name lists them)
  --kinds NAME,...       only these kinds of prompts to measure gaps on (all; an unknown name lists them)
  --answers N            answers to each prompt that gaps are measured on (1; docs/RESULTS.md has 4)
  --benchmarks NAME,...  the arms that are measured on benchmarks too
  --data DIR             the benchmarks' data, as for gee-cl eval --data-dir; without it no benchmarks are run
  --results FILE         where the measurements go (runs/experiment/results.jsonl). docs/experiment.jsonl has those of
                         docs/RESULTS.md: a copy of it continues from them
  --tables               only prints the tables of the results, as Markdown
HELP
}

case ${1:-} in
--help | -h)
  print_help
  exit 0
  ;;
esac

install_packages "${build_packages[@]}" python3 || die "cannot install the packages"
build release gee-cl
fetch_model
exec python3 scripts/reproduce.py --model "${model#"$root"/}" "$@"
