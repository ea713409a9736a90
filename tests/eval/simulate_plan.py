#!/usr/bin/env python3
"""Simulates what docs/DESIGN.md, "Plans", reports: how often an interval of the variance that a plan is made from holds the truth, by the
jackknife of its logarithm (used) and by generalized pivots of the two mean squares (Weerahandi, 1993), and how many times its high end
is its low one, in the median. Run with numpy and scipy:

  tests/eval/simulate_plan.py [REPEATS]       (1,000 repeats: three minutes)

tests/eval/test_gap_plan.c checks gee-cl's own code in the same way.
"""
import sys

import numpy as np
from scipy import stats

REPEATS, ANSWERS, DRAWS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000, 2, 1000
rng = np.random.default_rng(1)
NOISE = {
    "normal": rng.normal,
    "Laplace": lambda size: rng.laplace(size=size) / np.sqrt(2),
    "exponential": lambda size: rng.exponential(size=size) - 1,
    "uniform": lambda size: (rng.uniform(size=size) - 0.5) * np.sqrt(12),
}


def mean_squares(d):
    """Between sets and within, of d[..., sets, answers]."""
    return ANSWERS * d.mean(-1).var(-1, ddof=1), d.var(-1, ddof=1).mean(-1)


def variance(between, within, answers):
    return np.maximum(0, (between - within) / ANSWERS) + within / answers


def jackknife(d, answers):
    n = d.shape[-2]
    full = np.log(variance(*mean_squares(d), answers))
    others = np.array([[j for j in range(n) if j != i] for i in range(n)])
    parts = np.log(variance(*mean_squares(d[:, others]), answers))
    error = np.sqrt((n - 1) * parts.var(-1))
    reach = stats.t.ppf(0.975, n - 1) * error
    return np.exp(full - reach), np.exp(full + reach)


def pivots(d, answers):
    n = d.shape[-2]
    between, within = mean_squares(d)
    freedom = n - 1, n * (ANSWERS - 1)
    draws = variance(between[:, None] * freedom[0] / rng.chisquare(freedom[0], DRAWS),
                     within[:, None] * freedom[1] / rng.chisquare(freedom[1], DRAWS), answers)
    return np.percentile(draws, [2.5, 97.5], axis=1)


print("sets, noise, variance between sets (1 within), answers: held by the jackknife, by pivots; high / low of both")
for n in (8, 12, 20, 40):
    for name, noise in NOISE.items():
        for between in (0.05, 1.0):
            for answers in (1, 8):
                d = np.sqrt(between) * noise(size=(REPEATS, n, 1)) + noise(size=(REPEATS, n, ANSWERS))
                truth = between + 1 / answers
                ends = jackknife(d, answers), pivots(d, answers)
                held = [np.mean((low <= truth) & (truth <= high)) for low, high in ends]
                width = [np.median(high / low) for low, high in ends]
                print(f"{n:2} {name:11} {between:4} {answers}: {held[0]:.3f} {held[1]:.3f}; {width[0]:.1f} {width[1]:.1f}")
