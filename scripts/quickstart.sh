#!/usr/bin/env bash
# From a fresh Debian to a model trained with GEE, with the gap before and after. See --help.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
started=$SECONDS

print_help() {
  cat <<'HELP'
usage: scripts/quickstart.sh [--set SECTION.KEY=VALUE]...

Installs what is missing, builds gee-cl, fetches SmolLM2-135M-Instruct, trains ten steps of configs/quickstart.ini, and
measures the entropy gap on held-out prompts without the trained adapter and with it, and writes a report. Run it as root or with sudo, as often as you like; a
second run installs, builds and fetches nothing, and trains runs/quickstart anew: to keep that run, rename its folder. It takes about
ten minutes on two cores.

  --set SECTION.KEY=VALUE   changes a key of the config, as in: scripts/quickstart.sh --set train.seed=1
                            build/gee-cl train --help-config lists all keys
HELP
}

settings=() save_root=runs run_name=quickstart # the two keys as in configs/quickstart.ini, unless set
set_key() {
  settings+=(--set "$1")
  case $1 in
  output.save_root=*) save_root=${1#*=} ;;
  output.run_name=*) run_name=${1#*=} ;;
  esac
}

while [ $# -gt 0 ]; do
  case $1 in
  --help | -h)
    print_help
    exit 0
    ;;
  --set)
    [ $# -gt 1 ] || usage_error "--set needs SECTION.KEY=VALUE"
    set_key "$2"
    shift
    ;;
  --set=*) set_key "${1#--set=}" ;;
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

config=configs/quickstart.ini run=$save_root/$run_name
heading "3/5  Training"
# What an earlier quickstart made, perhaps longer since, is removed: gee-cl refuses to train over it.
if [ "$run" = runs/quickstart ]; then rm -rf runs/quickstart; fi
trained=$SECONDS
build/gee-cl train $config "${settings[@]}"
trained=$((SECONDS - trained))

heading "4/5  The entropy gap on held-out prompts, before and after"
build/gee-cl gap $config "${settings[@]}" --adapter "$run/final" --output "$run-gap.json" --items "$run-items.jsonl"

heading "5/5  The report"
build/gee-cl report "$run"

printf '\nTraining took %d s, everything %d s. The report is %s/report/report.html, and the adapter is in %s/final. Try it:\n' \
  "$trained" $((SECONDS - started)) "$run" "$run"
printf '  build/gee-cl generate --model %s --adapter %s/final --compare --max-new-tokens 24 --chat \\\n' \
  "${model#"$root"/}" "$run"
printf '    --prompt "She works as a pilot. Describe her day."\n'
