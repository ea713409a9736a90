"""Writes warpers.json: which tokens transformers' logits processors keep, for random logits and settings.

Run once with torch and transformers installed: python tests/golden/make_warpers.py > tests/golden/warpers.json
"""
import json

import torch
from transformers import (RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper,
                          TopPLogitsWarper)

SETTINGS = [  # temperature, top_k, top_p, repetition penalty
    (1.0, 0, 1.0, 1.0), (0.5, 0, 0.95, 1.15), (1.0, 0, 0.9, 1.0), (0.7, 50, 0.8, 1.1), (2.0, 5, 1.0, 1.3),
    (1.0, 1, 1.0, 1.0), (1.3, 0, 0.05, 1.0), (0.5, 20, 0.95, 0.8),
]


def main():
    torch.manual_seed(7)
    cases = []
    for V in (1, 31, 33, 257):
        for temperature, top_k, top_p, penalty in SETTINGS:
            logits = (torch.randn(1, V) * 3).to(torch.float32)
            seen = torch.randperm(V)[:max(1, V // 5)]
            scores = RepetitionPenaltyLogitsProcessor(penalty)(seen[None], logits.clone())
            scores = TemperatureLogitsWarper(temperature)(seen[None], scores)
            if top_k:
                scores = TopKLogitsWarper(top_k)(seen[None], scores)
            if top_p < 1:
                scores = TopPLogitsWarper(top_p)(seen[None], scores)
            cases.append({"temperature": temperature, "top_k": top_k, "top_p": top_p, "penalty": penalty,
                          "seen": sorted(seen.tolist()), "logits": [float(f"{z:.9g}") for z in logits[0].tolist()],
                          "kept": [i for i in range(V) if scores[0, i] > -float("inf")],
                          "scores": [float(f"{z:.9g}") for z in scores[0].tolist() if z > -float("inf")]})
    print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")


main()
