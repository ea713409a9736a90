#!/usr/bin/env python3
"""docs/RESULTS.md against the measurements kept beside it: its rows of figures are those that the scripts print, none is left out,
and its pictures are drawn from them."""

import os
import re
import subprocess
import sys
import tempfile

ROW = re.compile(r"\| [\w ]+ \| \d+ \| .*\[.*\|")  # | arm or pairing | seed | figures with an interval |


def printed(*command):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return [line.strip() for line in done.stdout.splitlines() if ROW.match(line.strip())]


def same_bytes(a, b):
    with open(a, "rb") as first, open(b, "rb") as second:
        return first.read() == second.read()


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name in ("results", "experiment"):
            picture = os.path.join(folder, name + ".svg")
            rows += printed("docs/plot_results.py", f"docs/{name}.jsonl", picture)
            if not same_bytes(picture, f"docs/{name}.svg"):
                faults.append(f"docs/{name}.svg is not what docs/plot_results.py draws of docs/{name}.jsonl")
    tables = printed("scripts/reproduce.py", "--model", "none", "--tables", "--results", "docs/experiment.jsonl")
    gaps = [row for row in tables if row.count("|") == 8]  # those of benchmarks, of which the page has two, have six
    with open("docs/RESULTS.md", encoding="utf-8") as file:
        page = [line.strip() for line in file if ROW.match(line.strip())]
    assert len(rows) > 0 and len(gaps) > 0 and len(page) > 0
    faults += [f"no measurement gives: {row}" for row in page if row not in {*rows, *tables}]
    faults += [f"docs/RESULTS.md lacks: {row}" for row in [*rows, *gaps] if row not in set(page)]
    print("\n".join(faults) or f"{len(page)} rows")
    return len(faults) > 0


sys.exit(main())
