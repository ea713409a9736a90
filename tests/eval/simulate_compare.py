#!/usr/bin/env python3
"""Simulates what docs/DESIGN.md, "Comparisons", reports: how often the 95 % interval of a mean difference over paired units holds the
truth, by percentiles of a bootstrap as they are and expanded as src/eval/compare.c expands them. Run with numpy and scipy:

  tests/eval/simulate_compare.py [REPEATS]       (2,000 repeats)

The percentiles are of DRAWS samples, gee-cl's of 10,000.
"""
import sys

import numpy as np
from scipy import stats

DRAWS = 2000
DIFFERENCES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "exponential less exponential": lambda rng, n: rng.exponential(1, n) - rng.exponential(1, n),
    "lopsided (exponential)": lambda rng, n: rng.exponential(1, n) - 1,
}


def coverage(rng, draw, units, repeats):
    """The shares of repeats, in %, in which the plain and the expanded interval hold 0."""
    expanded = stats.norm.sf(np.sqrt(units / (units - 1)) * stats.t.ppf(0.975, units - 1))
    held = np.zeros(2)
    for _ in range(repeats):
        d = draw(rng, units)
        means = rng.multinomial(units, np.ones(units) / units, size=DRAWS) @ d / units
        for way, tail in enumerate((0.025, expanded)):
            low, high = np.quantile(means, (tail, 1 - tail))
            held[way] += low <= 0 <= high
    return 100 * held / repeats


repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
for name, draw in DIFFERENCES.items():
    for units in (8, 20, 40):
        plain, expanded = coverage(np.random.default_rng(units), draw, units, repeats)
        print(f"{name}, {units} units: plain {plain:.1f}, expanded {expanded:.1f}", flush=True)
