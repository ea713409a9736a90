#!/usr/bin/env python3
"""Simulates what docs/DESIGN.md, "Intervals", reports: how often simultaneous intervals of all pairs of groups hold the truth, by
three ways to choose their length, and how far estimates of max - min are off in the mean. Run with numpy and scipy:

  tests/eval/simulate_gap.py [REPEATS]       (2,000 repeats: three minutes)

tests/eval/test_gap_coverage.c checks gee-cl's own code in the same way.
"""
import sys

import numpy as np
from scipy import stats

DRAWS = 299


def entropies(rng, noise, sets, groups):
    """[sets, groups] without a true difference in the mean, in units of the noise."""
    level = rng.normal(0, 0.5, (sets, 1))
    shape = (sets, groups)
    return level + {
        "normal": lambda: rng.normal(size=shape),
        "exponential": lambda: rng.exponential(1, shape) - 1,
        "lognormal": lambda: rng.lognormal(0, 1, shape) - np.exp(0.5),
        "own scale in each set": lambda: rng.normal(size=shape) * rng.uniform(0.5, 1.5, (sets, 1)),
        # differences are lopsided: the groups' noise differs, or the effect does between sets
        "exponential, 0.7 to 1.3": lambda: (rng.exponential(1, shape) - 1) * np.linspace(0.7, 1.3, groups),
        "exponential, 0.3 to 2": lambda: (rng.exponential(1, shape) - 1) * np.linspace(0.3, 2, groups),
        "effect varies": lambda: 0.5 * rng.normal(size=shape)
        + np.linspace(0, 0.6, groups) * (rng.exponential(1, (sets, 1)) - 1),
    }[noise]()


def differences(H):
    groups = H.shape[1]
    return np.stack([H[:, g] - H[:, h] for g in range(groups) for h in range(g)], axis=1)


def largest_t(sums, squares, n):
    """The largest |t| over the pairs, of sums and sums of squares [..., pairs]."""
    with np.errstate(all="ignore"):
        t = np.abs(sums / n) / np.sqrt(np.maximum(0, (squares - sums * sums / n) / (n - 1) / n))
    return np.where(np.isnan(t), np.inf, t).max(axis=-1)


def coverage(rng, noise, sets, groups, repeats):
    """The share of repeats in which all intervals hold 0, for each way to choose c."""
    held = {"t, Bonferroni": 0, "random signs": 0, "bootstrap of sets": 0}
    for _ in range(repeats):
        d = differences(entropies(rng, noise, sets, groups))
        measured = largest_t(d.sum(axis=0), (d * d).sum(axis=0), sets)
        e = d - d.mean(axis=0)
        signs = rng.choice([-1.0, 1.0], (DRAWS, sets))
        counts = rng.multinomial(sets, np.ones(sets) / sets, size=DRAWS)
        critical = {
            "t, Bonferroni": stats.t.ppf(1 - 0.025 / d.shape[1], sets - 1),
            "random signs": np.quantile(largest_t(signs @ e, (e * e).sum(axis=0), sets), 0.95, method="higher"),
            "bootstrap of sets": np.quantile(largest_t(counts @ e, counts @ (e * e), sets), 0.95, method="higher"),
        }
        for way, c in critical.items():
            held[way] += measured <= c
    return {way: 100 * count / repeats for way, count in held.items()}


def spread(means):
    return means.max(axis=-1) - means.min(axis=-1)


def halves(rng, H):
    n, total = len(H), 0
    for _ in range(100):
        order = rng.permutation(n)
        a, b = H[order[: n // 2]].mean(axis=0), H[order[n // 2 :]].mean(axis=0)
        total += (b[a.argmax()] - b[a.argmin()] + a[b.argmax()] - a[b.argmin()]) / 2
    return total / 100


def bootstrapped(rng, H):
    n = len(H)
    draws = spread(rng.multinomial(n, np.ones(n) / n, size=DRAWS) @ H / n)
    return 2 * spread(H.mean(axis=0)) - draws.mean()


def bias(rng, sets, groups, size, repeats):
    """The mean error of three estimates in standard errors of a difference; the true max - min is `size` of them, and the
    groups lie evenly between."""
    error = np.sqrt(2 / sets)
    found = []
    for _ in range(repeats):
        H = entropies(rng, "exponential", sets, groups) + np.linspace(0, size * error, groups)
        found.append([spread(H.mean(axis=0)), bootstrapped(rng, H), halves(rng, H)])
    return (np.mean(found, axis=0) / error - size).tolist()


def main():
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rng = np.random.default_rng(9)
    print("intervals of all pairs hold the truth, % of", repeats)
    for groups in (2, 4, 8):
        for sets in (8, 20, 40):
            for noise in ("normal", "exponential", "lognormal", "own scale in each set", "exponential, 0.7 to 1.3",
                          "exponential, 0.3 to 2", "effect varies"):
                row = coverage(rng, noise, sets, groups, repeats)
                print(f"{groups} groups, {sets:3} sets, {noise:24}",
                      "  ".join(f"{way} {share:5.1f}" for way, share in row.items()), flush=True)
    print("\nmean error of max - min, in standard errors: as it is, corrected by the bootstrap, from halves")
    for groups in (3, 4, 8):
        for sets in (8, 40):
            for size in (0, 1, 2, 4, 8):
                row = bias(rng, sets, groups, size, max(100, repeats // 4))
                print(f"{groups} groups, {sets:3} sets, truth {size}:", "  ".join(f"{b:+.2f}" for b in row), flush=True)


main()
