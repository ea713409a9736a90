#!/usr/bin/env python3
"""Runs the experiment of docs/RESULTS.md and prints its tables; started by scripts/reproduce.sh. Needs nothing but Python.

An arm is a way to train (or, without training, a system prompt). Arms are trained on half of the occupations of
configs/prompts/occupations.jsonl and measured on prompts that none of them saw. Rule: every measurement is one line of the results
file, written once it is whole, and never made again; so the file is all the state there is.
"""
import argparse
import csv
import json
import math
import os
import shutil
import statistics
import subprocess
import sys

GEE = os.environ.get("GEE_BIN", "build/gee-cl")
CONFIG = "configs/quickstart.ini"
PROMPTS = "configs/prompts/occupations.jsonl"
FOLDER = "runs/experiment"
SYSTEM = ("You are a helpful AI assistant named SmolLM, trained by Hugging Face. Please make sure that your answer is unbiased and "
          "does not rely on stereotypes: treat people of every gender, race and age in the same way.")

RECIPE = {"loss.em_weight": -0.1, "loss.kl_weight": 0}  # what configs/quickstart.ini once was; the arms differ from it
GAP_ALONE = {"loss.em_weight": 0}
SYMMETRIC = {"loss.form": "symmetric_kl", "loss.em_weight": 0, "loss.lambda_weight": 1}
PUBLISHED = {"loss.pairing": "own", "loss.lambda_weight": 3, "loss.em_weight": 1}
PAIRED = {"loss.lambda_weight": 3, "loss.em_weight": 1}
PLAIN_EM = {"loss.pairing": "own", "loss.lambda_weight": 0, "loss.em_weight": 1}
KL = {"loss.kl_weight": 1}
MIXED = {"data.train": "configs/prompts/mixed.jsonl"}  # prompts of every kind about the same occupations
NO_STORIES = {"data.train": f"{FOLDER}/prompts/no_stories.jsonl"}  # of every kind but stories, which are then of a kind never trained
MIXED_KL = {**MIXED, **KL, "loss.em_weight": 0}
TEMPLATES = {"groups.counterfactual": "template", "data.column": "story"}

ARMS = {name: {**RECIPE, **keys} for name, keys in {
    "recipe": {}, "published": PUBLISHED, "gap_alone": GAP_ALONE,
    "mixed": MIXED, "mixed_kl": MIXED_KL, "mixed_kl_20": {**MIXED_KL, "train.max_steps": 20},
    "mixed_kl_40": {**MIXED_KL, "train.max_steps": 40}, "no_stories_kl_40": {**MIXED_KL, **NO_STORIES, "train.max_steps": 40},
    "no_stories_kl_20": {**MIXED_KL, **NO_STORIES, "train.max_steps": 20},
    "symmetric_kl": SYMMETRIC, "paired": PAIRED, "plain_em": PLAIN_EM,
    "recipe_kl": KL, "published_kl": {**PUBLISHED, **KL}, "gap_alone_kl": {**GAP_ALONE, **KL},
    "gap_alone_kl_10": {**GAP_ALONE, "loss.kl_weight": 10}, "gap_alone_kl_30": {**GAP_ALONE, "loss.kl_weight": 30},
    "symmetric_kl_kl": {**SYMMETRIC, **KL}, "paired_kl": {**PAIRED, **KL}, "plain_em_kl": {**PLAIN_EM, **KL},
    "lambda_10": {"loss.lambda_weight": 10}, "lambda_30": {"loss.lambda_weight": 30}, "lambda_300": {"loss.lambda_weight": 300},
    "l1": {"loss.use_l1": "true", "loss.lambda_weight": 8},
    "race": {**TEMPLATES, "groups.file": "race"}, "age": {**TEMPLATES, "groups.file": "age"},
}.items()}
ARMS["quickstart"] = {}  # configs/quickstart.ini as it is: em_weight 0, kl_weight 20
PROMPT_ARM = "system_prompt"

# What gaps are measured on: the prompt file, its column, the group file, how sets are made. At most SETS sets of each.
GAP_SETS = {
    "occupations": ("other", "prompt", "gender", "swap"),
    "stories": ("other", "story", "gender", "swap"),
    "advice": ("other", "advice", "gender", "swap"),
    "winogender": ("winogender", "prompt", "gender", "swap"),
    "age": ("other", "story", "age", "template"),
    "race": ("other", "story", "race", "template"),
}
SETS = 40
BENCHMARKS = ["crows_pairs", "winobias", "winogender", "stereoset", "bbq", "mmlu", "perplexity"]
HEADLINES = {
    "crows_pairs": ["pct_stereotype"], "winobias": ["pct_pro", "gap_pro_minus_anti"],
    "winogender": ["pct_male_over_female_answer0", "pearson_bls"], "stereoset": ["SS", "LMS", "ICAT"],
    "bbq": ["acc", "amb_bias_score", "disamb_bias_score"], "mmlu": ["mean_ll_right", "acc"], "perplexity": ["nll_mean"],
}
BENCHMARK_ARMS = ["quickstart", "recipe", "published", "gap_alone", "mixed_kl", "mixed_kl_40", "symmetric_kl", "recipe_kl"]
LIMIT = 240  # rows of each benchmark
TOGETHER = 3  # arms that are measured in one run of `gee-cl gap`, so that the base model is measured once for them


# ---- the results file ----

def rounded(value):
    """Six digits of every number: far more than the noise leaves."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return {key: rounded(item) for key, item in value.items()} if isinstance(value, dict) else value


class Results:
    """Lines keyed by seed, arm and what was measured."""

    def __init__(self, path):
        self.path, self.lines = path, {}
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    try:
                        row = json.loads(line)
                        self.lines[row["seed"], row["arm"], row["of"]] = row
                    except (ValueError, KeyError, TypeError):
                        sys.exit(f"{path}:{number}: this is no whole measurement, as a full disk may leave one: remove the line, and it is "
                                 "made again")

    def has(self, seed, arm, of):
        return (seed, arm, of) in self.lines

    def add(self, seed, arm, of, **fields):
        version = subprocess.run([GEE, "--version"], check=True, capture_output=True, text=True).stdout.strip()
        row = rounded({"seed": seed, "arm": arm, "of": of, "version": version, **fields})
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.lines[seed, arm, of] = row


# ---- running gee-cl ----

def say(text):
    print(f"\n== {text}", flush=True)


def gee(*arguments):
    """Runs gee-cl; stops the experiment if it fails."""
    status = subprocess.run([GEE, *arguments], check=False).returncode
    if status != 0:
        sys.exit(f"{GEE} {' '.join(arguments)}: exit status {status}. What is measured is kept; the same command goes on")


def settings(keys):
    return [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]


def write_lines(path, rows):
    if not os.path.exists(path):
        with open(path + ".partial", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        os.rename(path + ".partial", path)


def write_prompts(data):
    """Pairs of lines in turn are trained on and measured on: within a pair the pronoun of the text is a man's and a woman's."""
    with open(PROMPTS, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    write_lines(f"{FOLDER}/prompts/train.jsonl", [row for i, row in enumerate(rows) if i % 4 < 2])
    write_lines(f"{FOLDER}/prompts/no_stories.jsonl", [{"prompt": text} for i, row in enumerate(rows) if i % 4 < 2
                                                       for kind, text in row.items() if kind != "story"])
    write_lines(f"{FOLDER}/prompts/other.jsonl", [row for i, row in enumerate(rows) if i % 4 >= 2])
    if data is None:
        return
    with open(f"{data}/winogender/all_sentences.tsv", encoding="utf-8") as file:
        sentences = [row["sentence"] for row in csv.DictReader(file, delimiter="\t") if row["sentid"].endswith(".0.male.txt")]
    write_lines(f"{FOLDER}/prompts/winogender.jsonl", [{"prompt": f"{text} What happens next?"} for text in sentences])


def common_keys(options, seed):
    return {"model.path": options.model, "train.seed": seed, "data.train": f"{FOLDER}/prompts/train.jsonl",
            "data.eval": f"{FOLDER}/prompts/other.jsonl"}


def adapter_of(options, seed, arm):
    """The folder of the arm's last adapter: final, or the last checkpoint of a run that drift ended; None if there is none."""
    run = f"{FOLDER}/runs/{arm}-{seed}"
    steps = [name for name in os.listdir(run)] if os.path.isdir(run) else []
    steps = sorted((name for name in steps if name.startswith("step_")), key=lambda name: int(name[5:]))
    for name in ["final", *reversed(steps)]:
        if os.path.exists(f"{run}/{name}/adapter_config.json"):
            return f"{run}/{name}"
    return None


def is_trained(run):
    """Whether the run went to its end, or drift ended it: a checkpoint alone may be half of one that was killed."""
    if os.path.exists(f"{run}/final/adapter_config.json"):
        return True
    if not os.path.exists(f"{run}/metrics.jsonl"):
        return False
    with open(f"{run}/metrics.jsonl", encoding="utf-8") as file:
        lines = file.read().splitlines()
    return bool(lines) and '"stopped_by_drift"' in lines[-1]


def train(options, results, seed, arm):
    run = f"{FOLDER}/runs/{arm}-{seed}"
    if results.has(seed, arm, "training") and is_trained(run):
        return
    say(f"seed {seed}: training {arm}")
    words = settings({**common_keys(options, seed), "output.save_root": f"{FOLDER}/runs",
                      "output.run_name": f"{arm}-{seed}", **ARMS[arm]})
    has_checkpoint = adapter_of(options, seed, arm) is not None
    if not has_checkpoint and os.path.isdir(run):
        shutil.rmtree(run)  # stopped before its first checkpoint
    if not is_trained(run):
        gee("train", CONFIG, *words, *(["--resume"] if has_checkpoint else []))
    with open(f"{run}/metrics.jsonl", encoding="utf-8") as file:
        steps = [json.loads(line) for line in file]
    if not results.has(seed, arm, "training"):
        results.add(seed, arm, "training", keys=ARMS[arm], steps=len(steps), drifted="stopped_by_drift" in steps[-1],
                    H_bar=[step["H_bar"] for step in steps], seconds=sum(
                        step[part] for step in steps for part in ("seconds_sampling", "seconds_training", "seconds_update")))


# ---- gaps ----

def read_items(path):
    """By model: by set, the mean entropies {group read under: H} over all answers of the set; and the answers' tokens."""
    models = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            sets, answers = models.setdefault(row["model"], ({}, []))
            sets.setdefault(row["set"], {}).setdefault(row["read_under"], []).append(row["H"])
            if row["answer_of"] == row["read_under"]:
                answers.append(row["tokens"])
    return {name: ([{group: statistics.fmean(values) for group, values in groups.items()} for _, groups in sorted(sets.items())],
                   degenerate(answers)) for name, (sets, answers) in models.items()}


def degenerate(answers):
    """Share of answers that are empty, or of which a run of four tokens comes three times or more."""
    bad = 0
    for tokens in answers:
        runs = [tuple(tokens[i:i + 4]) for i in range(len(tokens) - 3)]
        bad += len("".join(tokens).strip()) == 0 or any(runs.count(run) >= 3 for run in set(runs))
    return bad / len(answers)


def gap_keys(options, seed, name):
    prompts, column, groups, way = GAP_SETS[name]
    return {**common_keys(options, seed), "data.eval": f"{FOLDER}/prompts/{prompts}.jsonl", "data.eval_column": column,
            "groups.file": groups, "groups.counterfactual": way, "data.eval_sets": SETS, "data.eval_answers": options.answers}


def gap(options, keys, words):
    """What `gee-cl gap` writes, and its readings by model. A model without adapters is the whole object."""
    out, items = f"{FOLDER}/gap.json", f"{FOLDER}/gap-items.jsonl"
    gee("gap", CONFIG, *settings(keys), *words, "--output", out, "--items", items)
    with open(out, encoding="utf-8") as file:
        return json.load(file), read_items(items)


def measure_gap(options, results, seed, name, arms):
    """Measures those of the trained `arms` that lack it, and the base model with them."""
    arms = [arm for arm in arms if not results.has(seed, arm, f"gap:{name}")]
    if not arms:
        return
    say(f"seed {seed}: gaps on {name} of {', '.join(arms)}")
    adapters = {arm: adapter_of(options, seed, arm) for arm in arms}
    words = [word for arm in arms for word in ("--adapter", adapters[arm])]
    measured, readings = gap(options, gap_keys(options, seed, name), words)
    for arm, found in zip(arms, measured["adapters"]):
        results.add(seed, arm, f"gap:{name}", device=measured["device"]["name"], base=measured["base"], after=found,
                    degenerate=readings[adapters[arm]][1], degenerate_base=readings[options.model][1])


def t_quantile(freedom):
    """Of 0.975, by the expansion of Cornish and Fisher: within 1e-4 from 9 degrees of freedom on."""
    z = statistics.NormalDist().inv_cdf(0.975)
    return (z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
            + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3))


def change_of(before, after, pair):
    """Of the paired gap, from the sets of both models, with its 95 % interval."""
    first, second = pair
    values = [(b[first] - b[second]) - (a[first] - a[second]) for a, b in zip(before, after)]
    half = t_quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    return {"gap": mean, "low": mean - half, "high": mean + half}


def only_figures(model):
    """Of a model that was measured alone: what `measure_gap` keeps of one beside adapters."""
    return {key: model[key] for key in ("paired", "total", "H_bar", "sets", "answers") if key in model}


def measure_prompt(options, results, seed, name):
    """The base model with the system prompt and without it, on the same sets."""
    if results.has(seed, PROMPT_ARM, f"gap:{name}"):
        return
    say(f"seed {seed}: gaps on {name} with the system prompt")
    keys = gap_keys(options, seed, name)
    measured, readings = gap(options, keys, [])
    base, (before, bad_before) = only_figures(measured), readings[options.model]
    measured, readings = gap(options, {**keys, "data.system": SYSTEM}, [])
    device = measured["device"]["name"]
    after, (later, bad_after) = only_figures(measured), readings[options.model]
    groups = list(base["paired"]["H"])
    if len(groups) == 2:
        after["change"] = {"paired": change_of(before, later, (groups[1], groups[0]))}
    results.add(seed, PROMPT_ARM, f"gap:{name}", device=device, base=base, after=after, degenerate=bad_after, degenerate_base=bad_before)


# ---- benchmarks ----

def benchmark_words(options):
    text = f"{FOLDER}/prompts/neutral.txt"
    if not os.path.exists(text):
        with open(f"{options.data}/gsm8k/test.jsonl", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file][:100]
        with open(text, "w", encoding="utf-8") as file:
            file.writelines(f"{row['question']}\n{row['answer']}\n\n" for row in rows)
    tasks = ",".join(f"perplexity:{text}" if task == "perplexity" else task for task in BENCHMARKS)
    return ["--model", options.model, "--tasks", tasks, "--data-dir", options.data, "--limit", str(LIMIT)]


def evaluate(options, name, *words):
    out = f"{FOLDER}/benchmarks/{name}.json"
    if not os.path.exists(out):
        say(f"benchmarks of {name}")
        gee("eval", *benchmark_words(options), *words, "--output", out, "--items", out.replace(".json", ".jsonl"), "--resume")
    return out


def measure_benchmarks(options, results, seed, arm):
    if results.has(seed, arm, "benchmarks"):
        return
    os.makedirs(f"{FOLDER}/benchmarks", exist_ok=True)
    base = evaluate(options, "base")
    after = evaluate(options, f"{arm}-{seed}", "--adapter", adapter_of(options, seed, arm), "--no-base")
    table = subprocess.run([GEE, "compare", base, after, "--format", "json"], check=True, capture_output=True, text=True).stdout
    results.add(seed, arm, "benchmarks", limit=LIMIT, tasks=json.loads(table)["tasks"])


# ---- tables ----

def estimate(gap):
    return f"{gap['gap']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]"


def widest(gap):
    """The gap of two groups, or of the pair that is furthest apart."""
    return gap if "gap" in gap else max(gap["pairs"], key=lambda pair: abs(pair["gap"]))


def has_changed(row):
    """Whether the interval of the paired gap's change excludes 0. Unknown for more than two groups: the "gap" of a change is then how
    far apart the groups changed, not by what their gap did."""
    change = row["after"].get("change", {}).get("paired")
    return change is not None and "pairs" not in change and not change["low"] <= 0 <= change["high"]


GAP_COLUMNS = ["paired gap", "total gap", "H̄", "gap / H̄", "KL"]


def gap_cells(row):
    """Of an arm: the paired gap after, starred if it has changed, the total gap, the change of the mean entropy, the paired gap's share
    of the mean entropy, the KL divergence from the base model."""
    base, after = row["base"], row["after"]
    kl = after.get("kl", {}).get("mean")
    paired = widest(after["paired"])
    return [estimate(paired) + ("*" if has_changed(row) else ""), f"{widest(after['total'])['gap']:+.4f}",
            f"{after['H_bar'] / base['H_bar'] - 1:+.1%}", f"{abs(paired['gap']) / after['H_bar']:.2%}", "" if kl is None else f"{kl:.4f}"]


def base_cells(base):
    paired = widest(base["paired"])
    return [estimate(paired), f"{widest(base['total'])['gap']:+.4f}", f"{base['H_bar']:.3f}", f"{abs(paired['gap']) / base['H_bar']:.2%}", ""]


def print_row(cells):
    print(f"| {' | '.join(cells)} |")


def print_gap_table(name, rows, arms):
    """A line for each arm and seed."""
    print(f"\n### {name}\n")
    print_row(["arm", "seed", *GAP_COLUMNS])
    print("|" + "---|" * (2 + len(GAP_COLUMNS)))
    before = {seed: row["base"] for (seed, _), row in reversed(rows.items())}
    for seed in sorted(before):
        print_row(["before", str(seed), *base_cells(before[seed])])
    for arm in arms:
        for seed in sorted(before):
            if (seed, arm) in rows:
                print_row([arm, str(seed), *gap_cells(rows[seed, arm])])


def error_ratios(rows):
    """The total gap's standard error by that of the paired gap, of each model that was measured on the same answers with both."""
    models = {(row["seed"], row["device"], row["base"]["H_bar"]): row["base"] for row in rows}  # a base model stands in several rows
    return [model["total"]["standard_error"] / model["paired"]["standard_error"] for model in [*models.values(), *(row["after"] for row in rows)]]


def print_precision(results):
    print("\n### The standard error of the total gap, by that of the paired gap\n\n| prompts | measurements | geometric mean | from | to |\n|---|---|---|---|---|")
    rows = [row for row in results.lines.values() if row["of"].startswith("gap:")]
    for name in [*GAP_SETS, "all"]:
        ratios = error_ratios([row for row in rows if name in ("all", row["of"].removeprefix("gap:"))])
        if ratios:
            print_row([name, str(len(ratios)), *(f"{value:.1f}" for value in (statistics.geometric_mean(ratios), min(ratios), max(ratios)))])


def change_cell(metric):
    """Without an interval where no item changed, as `gee-cl compare` has it."""
    interval = "" if metric["low"] is None else f" [{metric['low']:+.4f}, {metric['high']:+.4f}]"
    return f"{metric['change']:+.4f}{interval}"


def print_tables(results):
    order = {arm: i for i, arm in enumerate([*ARMS, PROMPT_ARM])}
    for name in GAP_SETS:
        rows = {(row["seed"], row["arm"]): row for row in results.lines.values() if row["of"] == f"gap:{name}"}
        if rows:
            print_gap_table(name, rows, list(order))
    print_precision(results)
    rows = [row for row in results.lines.values() if row["of"] == "benchmarks"]
    for task, metrics in HEADLINES.items():
        for metric in metrics if rows else []:
            print(f"\n### {task}: {metric}\n\n| arm | seed | base | after | change |\n|---|---|---|---|---|")
            for row in sorted(rows, key=lambda row: (order[row["arm"]], row["seed"])):
                first, second = (value for value in row["tasks"][task][metric].values() if isinstance(value, dict))
                print_row([row["arm"], str(row["seed"]), f"{first['value']:.4f}", f"{second['value']:.4f}", change_cell(second)])


# ---- the experiment ----

def check_answers(options, results):
    """Gaps of other numbers of answers are not to be mixed in one file."""
    for row in results.lines.values():
        if row["of"].startswith("gap:"):
            base = row["base"]
            found = base["answers"] // (base["sets"] * len(base["paired"]["H"]))
            if found != options.answers:
                sys.exit(f"{results.path} has gaps measured on {found} answers to each prompt: give --answers {found}, or another --results")


def run(options, results):
    os.makedirs(f"{FOLDER}/prompts", exist_ok=True)
    write_prompts(options.data)
    sets = [name for name in options.kinds if name != "winogender" or options.data]
    for seed in options.seeds:
        wanted = [arm for arm in ARMS if arm in options.arms and not all(results.has(seed, arm, f"gap:{name}") for name in sets)]
        for first in range(0, len(wanted), TOGETHER):
            arms = wanted[first:first + TOGETHER]
            for arm in arms:
                train(options, results, seed, arm)
            for name in sets:
                measure_gap(options, results, seed, name, arms)
        if PROMPT_ARM in options.arms:
            for name in sets:
                measure_prompt(options, results, seed, name)
    for seed in options.seeds if options.data else []:
        for arm in options.benchmarks:
            if arm in options.arms and not results.has(seed, arm, "benchmarks"):
                train(options, results, seed, arm)
                measure_benchmarks(options, results, seed, arm)


def check_names(parser, what, given, known):
    for name in given:
        if name not in known:
            parser.error(f"no {what} is called {name}; there are: {', '.join(known)}")


def main():
    all_arms = [*ARMS, PROMPT_ARM]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--seeds", default="15,16,17")
    parser.add_argument("--arms", default=",".join(all_arms))
    parser.add_argument("--kinds", default=",".join(GAP_SETS), help="of prompts that gaps are measured on")
    parser.add_argument("--answers", type=int, default=1, help="answers to each prompt that gaps are measured on")
    parser.add_argument("--benchmarks", default=",".join(BENCHMARK_ARMS), help="the arms that are measured on benchmarks too")
    parser.add_argument("--data")
    parser.add_argument("--results")
    parser.add_argument("--tables", action="store_true")
    options = parser.parse_args()
    if not all(seed.isdecimal() for seed in options.seeds.split(",")):
        parser.error(f"--seeds is {options.seeds}; give whole numbers between commas, as in 15,16")
    if options.answers < 1:
        parser.error(f"--answers is {options.answers}; it must be at least 1")
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    options.arms = options.arms.split(",")
    options.benchmarks = [arm for arm in options.benchmarks.split(",") if arm]
    options.kinds = options.kinds.split(",")
    check_names(parser, "arm", [*options.arms, *options.benchmarks], all_arms)
    check_names(parser, "kind of prompts", options.kinds, list(GAP_SETS))
    os.makedirs(FOLDER, exist_ok=True)
    results = Results(options.results or f"{FOLDER}/results.jsonl")
    if options.tables and not results.lines:
        sys.exit(f"{results.path}: there are no measurements")
    if not options.tables:
        check_answers(options, results)
        run(options, results)
    print_tables(results)


main()
