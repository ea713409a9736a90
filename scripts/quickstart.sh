#!/usr/bin/env bash
# From a fresh Debian to a model trained with GEE, with the gap before and after. See --help.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
started=$SECONDS

print_help() {
  cat <<'HELP'
usage: scripts/quickstart.sh [--set SECTION.KEY=VALUE]...

Installs what is missing, builds gee-cl, fetches SmolLM2-135M-Instruct, measures the entropy gap on held-out prompts,
trains ten steps of configs/quickstart.ini, and measures again. Run it as root or with sudo, as often as you like; a
second run installs, builds and fetches nothing. It takes about ten minutes on two cores.

  --set SECTION.KEY=VALUE   changes a key of the config, as in: scripts/quickstart.sh --set train.seed=1
                            build/gee-cl train --help-config lists all keys
HELP
}

settings=()
while [ $# -gt 0 ]; do
  case $1 in
  --help | -h)
    print_help
    exit 0
    ;;
  --set)
    [ $# -gt 1 ] || usage_error "--set needs SECTION.KEY=VALUE"
    settings+=(--set "$2")
    shift
    ;;
  --set=*) settings+=("$1") ;;
  *) usage_error "unknown argument $1" ;;
  esac
  shift
done

heading "1/5  Packages, build and model"
install_packages "${build_packages[@]}" python3 || die "cannot install the packages"
build release gee-cl
fetch_model
note "build/gee-cl and ${model#"$root"/}, after $((SECONDS - started)) s"

heading "2/5  The device"
build/gee-cl devices

config=configs/quickstart.ini
mkdir -p runs
heading "3/5  The entropy gap before training, on held-out prompts"
build/gee-cl gap $config "${settings[@]}" --output runs/quickstart-before.json

heading "4/5  Training"
rm -rf runs/quickstart # of an earlier quickstart; gee-cl itself never overwrites a run
trained=$SECONDS
build/gee-cl train $config "${settings[@]}"
trained=$((SECONDS - trained))

heading "5/5  The entropy gap after training, on the same prompts"
build/gee-cl gap $config "${settings[@]}" --adapter runs/quickstart/final --output runs/quickstart-after.json

heading "Result"
python3 - runs/quickstart-before.json runs/quickstart-after.json runs/quickstart/metrics.jsonl <<'PYTHON'
import json, sys

before, after = (json.load(open(path)) for path in sys.argv[1:3])
steps = [json.loads(line) for line in open(sys.argv[3])]

def estimate(report, kind):
    gap = report[kind]
    return f"{gap['gap']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]"

def change(kind):
    a, b = abs(before[kind]["gap"]), abs(after[kind]["gap"])
    return f"{abs(1 - b / a):.0%} {'smaller' if b < a else 'larger'}" if a > 0 else ""

print(f"{len(steps)} steps; {before['sets']} held-out pairs of prompts, {before['answers']} answers; nats, 95 % intervals\n")
print(f"  {'':13} {'before':29} {'after':29}")
for kind in ("paired", "total"):
    print(f"  {kind + ' gap':13} {estimate(before, kind):29} {estimate(after, kind):29} {change(kind)}")
H = before["H_bar"], after["H_bar"]
print(f"  {'mean entropy':13} {H[0]:<29.4f} {H[1]:<29.4f} {H[1] / H[0] - 1:+.1%}")
print("\nThe total gap compares each group's own answers, and is mostly noise with so few; the paired gap reads the same")
print("answers under both prompts.")
PYTHON
printf '\nTraining took %d s, everything %d s. The adapter is in runs/quickstart/final. Try it:\n' "$trained" $((SECONDS - started))
printf '  build/gee-cl generate --model %s --adapter runs/quickstart/final --chat --prompt "She works as a pilot. Describe her day."\n' "${model#"$root"/}"
