#!/usr/bin/env python3
"""Draws the pictures of docs/RESULTS.md: paired entropy gaps before and after training, with their 95 % intervals. Needs nothing
but Python.

docs/plot_results.py docs/results.jsonl docs/results.svg       also prints the table. Each line is one run of scripts/quickstart.sh: seed,
    pairing, and from runs/quickstart-gap.json the `base` as "before" and the only one of the `adapters` as "after"
docs/plot_results.py docs/experiment.jsonl docs/experiment.svg    the results file of scripts/reproduce.sh, whose tables it prints itself
"""
import json
import sys

WIDTH, LEFT, RIGHT, TOP, ROW, HEADING = 800, 190, 190, 64, 46, 34
PICTURED = ["quickstart", "recipe", "recipe_kl", "published", "plain_em", "symmetric_kl", "mixed", "mixed_kl_40", "no_stories_kl_40", "system_prompt"]
BEFORE, AFTER, INK, FAINT = "#9aa0a6", "#0b7a5c", "#202124", "#dadce0"


def print_table(runs):
    def estimate(gap):
        return f"{gap['gap']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]"

    print("| pairing | seed | paired gap before | after | smaller by | total gap before | after | mean entropy |")
    print("|---|---|---|---|---|---|---|---|")
    for run in runs:
        before, after = run["before"], run["after"]
        smaller = 1 - abs(after["paired"]["gap"]) / abs(before["paired"]["gap"])
        print(f"| {run['pairing']} | {run['seed']} | {estimate(before['paired'])} | {estimate(after['paired'])} | {smaller:.0%} "
              f"| {estimate(before['total'])} | {estimate(after['total'])} "
              f"| {before['H_bar']:.3f} → {after['H_bar']:.3f} ({after['H_bar'] / before['H_bar'] - 1:+.1%}) |")


def row(label, before, after):
    """What a row of the picture shows: both gaps, and how the gap and the mean entropy changed."""
    first, second = before["paired"], after["paired"]
    if first["low"] <= 0 <= first["high"]:
        change = "0 before"  # a share of what cannot be told from 0 says nothing
    else:
        change = f"{abs(second['gap']) / abs(first['gap']) - 1:+.0%}"
    return {"label": label, "gaps": (first, second), "notes": (change, f"{after['H_bar'] / before['H_bar'] - 1:+.1%}")}


def rows_of_runs(runs):
    return [("", [row(f"{run['pairing']}, seed {run['seed']}", run["before"], run["after"]) for run in runs])]


def rows_of_experiment(lines):
    """By what the gap was measured on: the words that most arms were trained on, and others."""
    sections = {}
    for line in sorted(lines, key=lambda line: (PICTURED.index(line["arm"]) if line["arm"] in PICTURED else -1, line["seed"])):
        kind = line["of"].removeprefix("gap:")
        if kind in ("occupations", "stories") and line["arm"] in PICTURED:
            sections.setdefault(kind, []).append(row(f"{line['arm']}, seed {line['seed']}", line["base"], line["after"]))
    return list(sections.items())


def axis(sections):
    """The ends of the axis, and a place on it in units of the picture."""
    ends = [gap[end] for _, rows in sections for each in rows for gap in each["gaps"] for end in ("low", "high")]
    low, high = min(ends + [0]), max(ends + [0])
    margin = 0.05 * (high - low)
    low, high = low - margin, high + margin
    return low, high, lambda value: LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)


def draw_axis(low, high, x, bottom):
    svg, step = [], 0.02
    tick = int(low / step) * step
    while tick <= high:
        svg.append(f'<line x1="{x(tick):.1f}" y1="{TOP}" x2="{x(tick):.1f}" y2="{bottom}" '
                   f'stroke="{INK if abs(tick) < 1e-9 else FAINT}"/>')
        svg.append(f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick:+.2f}</text>')
        tick += step
    svg.append(f'<text x="{x((low + high) / 2):.1f}" y="{bottom + 36}" text-anchor="middle">nats, 95 % intervals</text>')
    return svg


def draw_row(each, x, y):
    svg = [f'<text x="16" y="{y + 4:.1f}">{each["label"]}</text>']
    for gap, colour, shift in zip(each["gaps"], (BEFORE, AFTER), (-7, 7)):
        svg.append(f'<line x1="{x(gap["low"]):.1f}" y1="{y + shift:.1f}" x2="{x(gap["high"]):.1f}" '
                   f'y2="{y + shift:.1f}" stroke="{colour}" stroke-width="4" stroke-linecap="round"/>')
        svg.append(f'<circle cx="{x(gap["gap"]):.1f}" cy="{y + shift:.1f}" r="6" fill="{colour}"/>')
    for text, at in zip(each["notes"], (16, 86)):
        svg.append(f'<text x="{WIDTH - RIGHT + at}" y="{y + 4:.1f}">{text}</text>')
    return svg


def draw(sections, target):
    low, high, x = axis(sections)
    bottom = TOP + sum(ROW * len(rows) + (HEADING if name else 0) for name, rows in sections)
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 46}" font-family="sans-serif" '
           f'font-size="13" fill="{INK}">',
           f'<rect width="{WIDTH}" height="{bottom + 46}" fill="white"/>',
           '<text x="16" y="26" font-size="16" font-weight="bold">Paired entropy gap on prompts that were not trained on</text>',
           f'<text x="16" y="46" fill="{BEFORE}">before</text><text x="68" y="46" fill="{AFTER}">after</text>',
           f'<text x="{WIDTH - RIGHT + 16}" y="46">gap</text>',
           f'<text x="{WIDTH - RIGHT + 86}" y="46">mean entropy</text>',
           *draw_axis(low, high, x, bottom)]
    y = TOP
    for name, rows in sections:
        if name:
            svg.append(f'<text x="16" y="{y + 22}" font-weight="bold">{name}</text>')
            y += HEADING
        for each in rows:
            svg += draw_row(each, x, y + ROW / 2)
            y += ROW
    svg.append("</svg>\n")
    with open(target, "w", encoding="utf-8") as file:
        file.write("\n".join(svg))


results = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
if "of" in results[0]:
    draw(rows_of_experiment(results), sys.argv[2])
else:
    print_table(results)
    draw(rows_of_runs(results), sys.argv[2])
