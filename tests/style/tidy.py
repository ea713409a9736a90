#!/usr/bin/env python3
"""tidy.py BUILD: clang-tidy 14 (Debian 12's), with the checks of .clang-tidy, has nothing to say about src. BUILD is a build folder,
whose compile_commands.json says how each file is compiled.

Rule: a file that passed is not looked at again until its text, a header that it includes, .clang-tidy or clang-tidy changes; what
passed is kept by hash in $XDG_CACHE_HOME/gee-cl/tidy. The analyser takes two seconds a file, so a second run takes seconds in all.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "gee-cl" / "tidy"


def find_tidy():
    for name in "clang-tidy-14", "clang-tidy":
        path = shutil.which(name)
        if path:
            version = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
            if "version 14." in version:
                return path, version
    print("skipped: clang-tidy 14 is not installed")
    sys.exit(77)


def preprocessed(entry):
    """The file with its headers, without the folder they are in, and with comments, which may tell clang-tidy to be quiet."""
    words = shlex.split(entry["command"])
    if "ccache" in os.path.basename(words[0]):
        words = words[1:]
    words[words.index("-o"):words.index("-o") + 2] = []
    return subprocess.run([*words, "-E", "-P", "-C", "-w"], check=True, capture_output=True, cwd=entry["directory"]).stdout


def check(entry, build, tidy, common):
    """What clang-tidy says about the file: nothing, if it passed now or before."""
    digest = hashlib.sha256(common)
    digest.update(preprocessed(entry))
    passed = CACHE / digest.hexdigest()
    if passed.exists():
        return ""
    result = subprocess.run([tidy, "-p", build, "-quiet", entry["file"]], check=False, capture_output=True, text=True, cwd=ROOT)
    if result.returncode == 0:
        passed.touch()
        return ""
    return result.stdout or result.stderr


def main():
    build = os.path.abspath(sys.argv[1])
    tidy, version = find_tidy()
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(f"{build}/compile_commands.json", encoding="utf-8") as file:
        entries = [entry for entry in json.load(file) if entry["file"].startswith(f"{ROOT}/src/")]
    entries = list({entry["file"]: entry for entry in entries}.values())  # tests compile some files of src once more
    common = version.encode() + (ROOT / ".clang-tidy").read_bytes()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [text for text in pool.map(lambda entry: check(entry, build, tidy, common), entries) if text]
    print("\n".join(found) if found else f"{len(entries)} files have no findings")
    sys.exit(1 if found or not entries else 0)


main()
