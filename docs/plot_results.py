#!/usr/bin/env python3
"""Draws results.svg from results.jsonl, the paired entropy gap before and after training with its 95 % intervals, and prints
the table of docs/RESULTS.md.

Each line of results.jsonl is one run of scripts/quickstart.sh: seed, pairing, and from runs/quickstart-gap.json the `base` as
"before" and the only one of the `adapters` as "after". Needs nothing but Python: docs/plot_results.py docs/results.jsonl docs/results.svg
"""
import json
import sys

WIDTH, LEFT, RIGHT, TOP, ROW = 780, 170, 170, 64, 46
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


def draw(runs, target):
    ends = [run[when]["paired"][end] for run in runs for when in ("before", "after") for end in ("low", "high")]
    low, high = min(ends + [0]), max(ends + [0])
    margin = 0.05 * (high - low)
    low, high = low - margin, high + margin

    def x(value):
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    height = TOP + ROW * len(runs) + 46
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
           f'font-size="13" fill="{INK}">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           '<text x="16" y="26" font-size="16" font-weight="bold">Paired entropy gap on prompts that were not trained on</text>',
           f'<text x="16" y="46" fill="{BEFORE}">before</text><text x="68" y="46" fill="{AFTER}">after ten steps</text>',
           f'<text x="{WIDTH - RIGHT + 16}" y="46">gap</text>',
           f'<text x="{WIDTH - RIGHT + 66}" y="46">mean entropy</text>']
    bottom = TOP + ROW * len(runs)
    step = 0.02
    tick = int(low / step) * step
    while tick <= high:
        svg.append(f'<line x1="{x(tick):.1f}" y1="{TOP}" x2="{x(tick):.1f}" y2="{bottom}" '
                   f'stroke="{INK if abs(tick) < 1e-9 else FAINT}"/>')
        svg.append(f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick:+.2f}</text>')
        tick += step
    svg.append(f'<text x="{x((low + high) / 2):.1f}" y="{bottom + 36}" text-anchor="middle">nats, 95 % intervals</text>')
    for i, run in enumerate(runs):
        y = TOP + ROW * i + ROW / 2
        svg.append(f'<text x="16" y="{y + 4:.1f}">{run["pairing"]}, seed {run["seed"]}</text>')
        for when, colour, shift in (("before", BEFORE, -7), ("after", AFTER, 7)):
            gap = run[when]["paired"]
            svg.append(f'<line x1="{x(gap["low"]):.1f}" y1="{y + shift:.1f}" x2="{x(gap["high"]):.1f}" '
                       f'y2="{y + shift:.1f}" stroke="{colour}" stroke-width="4" stroke-linecap="round"/>')
            svg.append(f'<circle cx="{x(gap["gap"]):.1f}" cy="{y + shift:.1f}" r="6" fill="{colour}"/>')
        smaller = 1 - abs(run["after"]["paired"]["gap"]) / abs(run["before"]["paired"]["gap"])
        entropy = run["after"]["H_bar"] / run["before"]["H_bar"] - 1
        svg.append(f'<text x="{WIDTH - RIGHT + 16}" y="{y + 4:.1f}">{-smaller:+.0%}</text>')
        svg.append(f'<text x="{WIDTH - RIGHT + 66}" y="{y + 4:.1f}">{entropy:+.1%}</text>')
    svg.append("</svg>\n")
    with open(target, "w") as file:
        file.write("\n".join(svg))


results = [json.loads(line) for line in open(sys.argv[1])]
print_table(results)
draw(results, sys.argv[2])
