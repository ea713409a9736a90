#!/usr/bin/env python3
"""Writes tests/ops/divergence.json: KL divergences and their gradients by PyTorch in float64, on logits that have gone wrong
elsewhere. Run with PyTorch installed:

    python tests/ops/make_divergence.py

Each row: its name; logits z of p and y of q; tau; kl = KL(p‖q) and back = KL(q‖p) by torch.nn.functional.kl_div; forward and
reverse, their gradients by z from autograd.
"""

import json
import os

import torch
from torch.nn.functional import kl_div, log_softmax

HERE = os.path.dirname(os.path.abspath(__file__))
V = 12


def rows():
    generator = torch.Generator().manual_seed(5)

    def draw(scale):
        return (torch.randn(V, generator=generator) * scale).tolist()

    z, y, ramp = draw(3), draw(3), [float(i) for i in range(V)]
    peak = [30.0] + [0.0] * (V - 1)
    return [
        # pytorch#51716, #80488: kl_div of a distribution from itself was not 0, or below it
        ("the same", z, z, 1.0),
        ("a few ulps apart", z, [v * (1 + 2e-7) for v in z], 1.0),
        ("small numbers of issue 80488", [1.0, 2.0, 3.0], [8.0, 10.0, 6.0], 1.0),
        # pytorch#57459: the arguments of kl_div are the other way round than they read
        ("the two directions differ", [0.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], 1.0),
        # pytorch#89558: the gradient was NaN where q is all but 0
        ("700 below", [1.0, 0.0], [0.0, -700.0], 1.0),
        ("700 above", [0.0, -700.0], [1.0, 0.0], 1.0),
        # optax#1786: 0 · −inf of a token that is masked in one of the two
        ("masked in q", z, y[:5] + [-1e30] + y[6:], 1.0),
        ("masked in p", z[:5] + [-1e30] + z[6:], y, 1.0),
        ("masked in both", z[:5] + [-1e30] + z[6:], y[:5] + [-1e30] + y[6:], 1.0),
        # one-hot and uniform
        ("certain of the same", peak, [v * 1.5 for v in peak], 1.0),
        ("certain of different tokens", peak, peak[::-1], 1.0),
        ("certain beside uniform", peak, [0.0] * V, 1.0),
        ("uniform beside certain", [0.0] * V, peak, 1.0),
        # a shift of all logits changes nothing; it is what log Z's rounding does too
        ("shifted by 1000", z, [v + 1000 for v in y], 1.0),
        ("ramps", ramp, ramp[::-1], 0.5),
        # trl#925 and its likes: at a temperature, both models are scaled
        ("hot", z, y, 10.0),
        ("cold", z, y, 0.1),
        ("one token", [3.0], [-4.0], 1.0),
        ("large logits", [v * 300 for v in z], [v * 300 + 1 for v in z], 1.0),
        ("close", z, [v + d for v, d in zip(z, draw(1e-3))], 1.0),
        ("very close", z, [v + d for v, d in zip(z, draw(1e-5))], 1.0),
        ("at the border of the series", [0.0, 0.0], [0.0, 0.2500001], 1.0),
    ]


def measure(name, z, y, tau):
    z, y = torch.tensor(z).float().double(), torch.tensor(y).float().double()
    gradients = []
    for forward in (True, False):
        x = z.clone().requires_grad_(True)
        logp, logq = log_softmax(x / tau, 0), log_softmax(y / tau, 0)
        # kl_div(input, target) is KL(target ‖ input)
        kl = kl_div(logq, logp, reduction="sum", log_target=True) if forward else kl_div(logp, logq, reduction="sum", log_target=True)
        kl.backward()
        gradients.append((kl.item(), x.grad.tolist()))
    return {"name": name, "z": z.tolist(), "y": y.tolist(), "tau": tau, "kl": gradients[0][0], "back": gradients[1][0],
            "forward": gradients[0][1], "reverse": gradients[1][1]}


def main():
    with open(os.path.join(HERE, "divergence.json"), "w") as f:
        json.dump({"torch": torch.__version__, "rows": [measure(*row) for row in rows()]}, f, indent=0)
        f.write("\n")


if __name__ == "__main__":
    main()
