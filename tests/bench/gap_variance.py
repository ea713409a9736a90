#!/usr/bin/env python3
"""Measures what pairing, shared random numbers and loss.unbiased do to the variance of the gap, of its gradient and of its square, on a
real model. It runs gee-cl alone, and computes from what gee-cl writes. Prints the tables of docs/RESULTS.md, "How noisy a gap is".

    python tests/bench/gap_variance.py GEE_CL MODEL.gguf FOLDER [SEEDS [STEPS [PAIRS]]]      (3, 8 and 4; numpy and scipy are needed)

What is in FOLDER already is not run again.

Shared random numbers have no switch. In the gap, an answer of one group from a run with one seed stands beside the partner's from a run
with another. In training, groups.counterfactual = off gives every prompt random numbers of its own; the pairs of prompts are then all
prompts that there are, so each step asks the same ones.

Training has a learning rate of 0, so every step measures the same weights on new answers; and beta1 = 0, so AdamW's first moment in a
checkpoint is the step's gradient.
"""
import json
import os
import struct
import subprocess
import sys

import numpy as np
from scipy import stats

gee, model, folder = sys.argv[1:4]
SEEDS, STEPS, PAIRS = (int(x) for x in (sys.argv[4:7] + ["3", "8", "4"][len(sys.argv[4:7]):]))
PROMPTS = os.path.join(os.path.dirname(__file__), "../../configs/prompts/occupations.jsonl")
SETS, ANSWERS, LAMBDA = 40, 2, 1.0
COMMON = {"model.path": model, "groups.file": "gender", "groups.counterfactual": "swap", "sampling.sample_temp": 0.7,
          "sampling.top_p": 1, "sampling.repetition_penalty": 1}


def run(command, config, *options):
    sections = {}
    for key, value in config.items():
        section, name = key.split(".")
        sections.setdefault(section, []).append(f"{name} = {value}")
    path = os.path.join(folder, "config.ini")
    with open(path, "w", encoding="utf-8") as f:
        f.write("".join(f"[{section}]\n" + "\n".join(keys) + "\n" for section, keys in sections.items()))
    subprocess.run([gee, command, path, *options], check=True)


def prompts(count, both):
    """A file of `count` occupations, as they are or in the words of either group."""
    swaps = {"She": "He", "Her": "His", "her": "his", "he": "she", "He": "She", "his": "her", "His": "Her"}
    with open(PROMPTS, encoding="utf-8") as f:
        texts = [json.loads(line)["prompt"] for line in f][:count]
    if both:
        texts += [" ".join(swaps.get(word, word) for word in text.split(" ")) for text in texts]
    path = os.path.join(folder, f"prompts-{count}{'-both' if both else ''}.txt")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(texts) + "\n")
    return path


# ---- the gap ----

def readings(seed):
    """H[set, answer, group whose answer it is, group whose prompt it is read under]."""
    items = os.path.join(folder, f"items-{seed}.jsonl")
    if not os.path.exists(items):
        run("gap", COMMON | {"data.use_test_data": "true", "data.eval": prompts(SETS, False), "data.eval_sets": 0,
                             "data.eval_answers": ANSWERS, "sampling.max_new_tokens": 32, "train.seed": seed}, "--items", items)
    H = np.full((SETS, ANSWERS, 2, 2), np.nan)
    with open(items, encoding="utf-8") as f:
        for line in map(json.loads, f):
            H[line["set"], line["answer"], int(line["answer_of"] == "male"), int(line["read_under"] == "male")] = line["H"]
    assert not np.isnan(H).any()
    return H


def differences(female, male):
    """Per set: of the total gap and of the paired one, where the women's answers are from one run and the men's from another."""
    total = (male[:, :, 1, 1] - female[:, :, 0, 0]).mean(axis=1)
    paired = (np.stack([female[:, :, 0], male[:, :, 1]], axis=2) @ [-1, 1]).mean(axis=(1, 2))
    return {"total": total, "paired": paired}


def gap_table():
    H = [readings(seed) for seed in range(1, SEEDS + 1)]
    cases = {"shared": [(H[k], H[k]) for k in range(SEEDS)], "apart": [(H[k], H[k - 1]) for k in range(SEEDS)]}
    d = {(kind, numbers): np.array([differences(*pair)[kind] for pair in pairs])
         for numbers, pairs in cases.items() for kind in ("total", "paired")}  # [seeds, sets]
    error = lambda x: np.sqrt((x.var(axis=1, ddof=1) / x.shape[1]).mean())
    noise = lambda x: np.sqrt((x.var(axis=0, ddof=1)).mean() / x.shape[1])
    print(f"{SETS} sets, {ANSWERS} answers to each prompt, seeds 1 to {SEEDS}\n")
    print("| gap | random numbers of partners | gap, mean of seeds | standard error | of it the answers' noise | times smaller |")
    print("|---|---|---|---|---|---|")
    first = d["total", "apart"]
    for kind, numbers in (("total", "apart"), ("total", "shared"), ("paired", "apart"), ("paired", "shared")):
        x = d[kind, numbers]
        low, high = ratio_interval(first, x, error)
        print(f"| {kind} | {numbers} | {x.mean():+.4f} | {error(x):.4f} | {noise(x):.4f} | {error(first) / error(x):.1f} "
              f"[{low:.1f}, {high:.1f}] |")
    low, high = ratio_interval(d["total", "shared"], d["paired", "shared"], error)
    print(f"\nstandard error of the total gap over that of the paired gap, same answers: "
          f"{error(d['total', 'shared']) / error(d['paired', 'shared']):.2f} [{low:.2f}, {high:.2f}]; by seed " +
          ", ".join(f"{np.std(t, ddof=1) / np.std(p, ddof=1):.1f}" for t, p in zip(d["total", "shared"], d["paired", "shared"])))


def ratio_interval(a, b, error):
    """The bootstrap of sets, whose answers of all seeds go together."""
    rng = np.random.default_rng(1)
    draws = [rng.integers(0, SETS, SETS) for _ in range(4000)]
    return np.percentile([error(a[:, i]) / error(b[:, i]) for i in draws], [2.5, 97.5])


# ---- how many answers ----

def all_answers(kind):
    """Differences [sets, answers of all seeds]."""
    H = [readings(seed) for seed in range(1, SEEDS + 1)]
    return np.concatenate([np.stack([differences(h[:, a:a + 1], h[:, a:a + 1])[kind] for a in range(ANSWERS)], axis=1) for h in H], axis=1)


def power(aim, variance, sets):
    critical, shift = stats.t.ppf(0.975, sets - 1), aim * np.sqrt(sets / variance)
    return stats.nct.sf(critical, sets - 1, shift) + stats.nct.cdf(-critical, sets - 1, shift)


def fewest_sets(aim, variance):
    low, high = 1, 2
    while power(aim, variance, high) < 0.8:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(aim, variance, middle) >= 0.8 else (middle, high)
    return high


def need_table():
    print("\n| gap | deviation between sets | within | to see | sets of 1 answer | of 2 | of 8 |\n|---|---|---|---|---|---|---|")
    for kind in ("total", "paired"):
        d = all_answers(kind)
        within = d.var(axis=1, ddof=1).mean()
        between = max(0, d.mean(axis=1).var(ddof=1) - within / d.shape[1])
        for aim in (0.1, 0.05, 0.02, 0.01):
            sets = [fewest_sets(aim, between + within / answers) for answers in (1, 2, 8)]
            print(f"| {kind} | {np.sqrt(between):.4f} | {np.sqrt(within):.4f} | {aim} | " + " | ".join(map(str, sets)) + " |")


# ---- its square ----

def square_table():
    """What a step of some sets has as gap², and with loss.unbiased as gap² − s² / n (loss/loss.h), over many draws of sets and answers."""
    rng = np.random.default_rng(2)
    print("\n| gap | sets, of one answer to each prompt | gap² of all sets and answers | gap² of a step, mean | with unbiased, mean |")
    print("|---|---|---|---|---|")
    for kind in ("total", "paired"):
        d = all_answers(kind)
        large = d.mean() ** 2 - d.mean(axis=1).var(ddof=1) / SETS
        for n in (10, 20):
            x = np.array([d[rng.permutation(SETS)[:n], rng.integers(0, d.shape[1], n)] for _ in range(20000)])
            square, correction = x.mean(axis=1) ** 2, x.var(axis=1, ddof=1) / n
            print(f"| {kind} | {n} | {large:.5f} | {square.mean():.5f} | {(square - correction).mean():.5f} |")


# ---- its gradient ----

def first_moment(path):
    """All first moments of a checkpoint as one vector, by name."""
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        body = f.read()
    names = sorted(n for n in header if n.startswith("exp_avg."))
    assert names and all(header[n]["dtype"] == "F32" for n in names)
    return np.concatenate([np.frombuffer(body[slice(*header[n]["data_offsets"])], "<f4") for n in names]).astype(float)


def train(name, changes):
    """Gradients [steps, parameters] and the lines of metrics.jsonl."""
    path = os.path.join(folder, name)
    if not os.path.exists(os.path.join(path, "final")):
        run("train", COMMON | {"data.train": prompts(PAIRS, False), "data.chat": "off", "data.held_out": 0,
                               "sampling.max_new_tokens": 16,
                               "loss.lambda_weight": LAMBDA, "loss.em_weight": 0, "train.max_steps": STEPS,
                               "train.effective_batch": 2 * PAIRS, "train.micro_batch_size": 20, "train.learning_rate": 0,
                               "train.beta1": 0, "train.max_grad_norm": 0, "train.max_drift": 0, "train.weight_decay": 0,
                               "output.save_root": folder, "output.run_name": name, "output.save_steps": 1} | changes)
    with open(os.path.join(path, "metrics.jsonl"), encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    steps = [f"step_{s}" for s in range(1, STEPS)] + ["final"]
    return np.array([first_moment(os.path.join(path, step, "optimizer.safetensors")) for step in steps]), lines


def dispersion(g):
    """|E g|², and the noise E |g − E g|² of one step; the first without the noise of the mean."""
    noise = g.var(axis=0, ddof=1).sum()
    return (g.mean(axis=0) ** 2).sum() - noise / len(g), noise


def jackknife(statistic, g):
    """The statistic with its standard error over steps."""
    parts = np.array([statistic(np.delete(g, i, axis=0)) for i in range(len(g))])
    return statistic(g), np.sqrt((len(g) - 1) * parts.var())


def describe_gradient(g):
    signal, noise = dispersion(g)
    log_noise, error = jackknife(lambda x: np.log(dispersion(x)[1]), g)
    ratio = f"{noise / signal:.1f}" if signal > 0 else "no signal in the mean of all steps"
    return f"{np.sqrt(max(signal, 0)):.4g} | {noise:.4g} ± {noise * error:.2g} | {ratio}"


def gradient_tables():
    apart = {"data.train": prompts(PAIRS, True), "groups.counterfactual": "off"}
    unbiased, paired = {"loss.unbiased": "true"}, {"loss.pairing": "paired"}
    runs = {"own, random numbers of partners apart": train("apart", apart), "own": train("own", {}),
            "own, unbiased": train("own-unbiased", unbiased), "paired": train("paired", paired),
            "paired, unbiased": train("paired-unbiased", paired | unbiased)}
    gap = {name: np.array([line["H_male"] - line["H_female"] for line in lines]) for name, (_, lines) in runs.items()}
    print(f"\n{PAIRS} pairs of prompts, the same in each of {STEPS} steps")
    print("\n| gradient of the gap | norm of its mean | noise of a step, squared norm | noise / mean² |\n|---|---|---|---|")
    for name, (g, _) in runs.items():
        if "unbiased" not in name:
            print(f"| {name} | {describe_gradient(g / (2 * LAMBDA * gap[name])[:, None])} |")
    print("\n| gradient of the loss (gap²) | norm of its mean | noise of a step, squared norm | noise / mean² |\n|---|---|---|---|")
    for name, (g, _) in runs.items():
        print(f"| {name} | {describe_gradient(g)} |")
    print("\nsteps' gaps: " + "; ".join(f"{name} {x.mean():+.4f}, standard deviation {x.std(ddof=1):.4f}" for name, x in gap.items()))


os.makedirs(folder, exist_ok=True)
gap_table()
need_table()
square_table()
gradient_tables()
