#!/usr/bin/env python3
"""Writes tests/golden/divergence: the two divergences of the loss and their gradients, by PyTorch (float64) and PEFT.

Run once, after make_golden.py and with the same packages:

    python tests/golden/make_divergence.py

Writes, for the tiny Llama with two groups and the tiny Qwen2 with four:
    divergence/<model>.json           prompts in sets (a prompt of each group), their answers, the loss, what each case measures
    divergence/<model>.safetensors    start.<adapter>; grad.<case>.<adapter>

The cases are the loss with KL to the base model for own and for paired answers, and the symmetric KL of partners with it.
Among the prompts are one that belongs to two sets, and a set in which two groups have the same prompt.
"""

import os

import torch
from make_golden import HERE, write_json
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LOSS = {"lambda_weight": 3.0, "em_weight": 0.5, "kl_weight": 0.75, "tau": 0.7, "rank": 2, "alpha": 6.0,
        "weights": [1.0, 0.25]}
LLAMA = {
    "model": "llama",
    "groups": "gender",
    "sets": [[[3, 17, 42, 5, 61], [3, 30, 42, 5, 61]], [[9, 17, 30], [9, 30, 30]], [[3, 17, 42, 5, 61], [3, 11, 42, 5, 61]]],
    "types": [0, 1, 0],
    "answers": [[[8, 44, 2, 19], [8, 21, 33, 60, 7, 1]], [[50], [12, 12, 40]], [[25, 66, 0, 13, 3], [25, 66]]],
}
QWEN2 = {
    "model": "qwen2",
    "groups": "race",
    "sets": [[[3, 17, 42], [3, 30, 42], [3, 31, 42], [3, 17, 42]], [[9, 17], [9, 30], [9, 31], [9, 32]]],
    "types": [1, 0],
    "answers": [[[8, 44, 2], [50], [8, 21, 33, 60], [7, 1]], [[12, 40], [12, 12, 40], [25, 66], [6, 9, 10]]],
}
CASES = {"own": {"paired": False, "symmetric": False}, "paired": {"paired": True, "symmetric": False},
         "symmetric": {"paired": True, "symmetric": True}}


def log_probabilities(model, prompt, answer):
    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits / LOSS["tau"], dim=-1)


def kl(logp, logq):
    return (logp.exp() * (logp - logq)).sum(-1)


def measure(model, data, paired):
    """For each set and answer, the sequences (group whose prompt it is, log p, log q of the base, the type's weight)."""
    for prompts, answers, kind in zip(data["sets"], data["answers"], data["types"]):
        for own, answer in enumerate(answers):
            groups = range(len(prompts)) if paired else [own]
            logp = {g: log_probabilities(model, prompts[g], answer) for g in groups}
            with torch.no_grad(), model.disable_adapter():
                logq = {g: log_probabilities(model, prompts[g], answer) for g in groups}
            yield logp, logq, LOSS["weights"][kind]


def loss_of(model, data, paired, symmetric):
    """em_weight · mean H + λ · Σ_{g<h} (H_g − H_h)² or the divergence of partners + kl_weight · mean KL (loss/loss.h)."""
    count = len(data["sets"][0])
    H, K, weights, groups, apart, apart_weights = [], [], [], [], [], []
    for logp, logq, weight in measure(model, data, paired):
        for g in logp:
            H.append(-(logp[g].exp() * logp[g]).sum(-1).mean())
            K.append(kl(logp[g], logq[g]).mean())
            weights.append(weight)
            groups.append(g)
        if symmetric:
            pairs = [kl(logp[g], logp[h]).mean() for g in logp for h in logp if g != h]
            apart.append(torch.stack(pairs).mean())
            apart_weights.append(weight)
    H, K, weights, groups = torch.stack(H), torch.stack(K), torch.tensor(weights, dtype=torch.float64), torch.tensor(groups)
    mean = [(H * weights)[groups == g].sum() / weights[groups == g].sum() for g in range(count)]
    bias = sum((mean[g] - mean[h]) ** 2 for g in range(count) for h in range(g + 1, count))
    if symmetric:
        w = torch.tensor(apart_weights, dtype=torch.float64)
        bias = (torch.stack(apart) * w).sum() / w.sum()
    loss = LOSS["em_weight"] * H.mean() + LOSS["lambda_weight"] * bias + LOSS["kl_weight"] * K.mean()
    return loss, {"loss": loss, "loss_bias": bias, "kl": K.mean()}


def adapted_model(name, seed):
    model = AutoModelForCausalLM.from_pretrained(os.path.join(HERE, name), dtype=torch.float64)
    config = LoraConfig(r=LOSS["rank"], lora_alpha=LOSS["alpha"], lora_dropout=0.0, target_modules=TARGETS,
                        task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config).double()
    generator = torch.Generator().manual_seed(seed)
    named = {}
    for key, p in adapted.named_parameters():
        if "lora_" in key:
            with torch.no_grad():
                p.copy_((torch.randn(p.shape, generator=generator, dtype=torch.float64) * 0.08).float().double())
            named[key.replace(".default", "")] = p
    return adapted, named


def make(data, seed):
    model, named = adapted_model(data["model"], seed)
    tensors = {"start." + key: p.detach().float().contiguous() for key, p in named.items()}
    cases = {}
    for case, how in CASES.items():
        for p in named.values():
            p.grad = None
        loss, parts = loss_of(model, data, **how)
        loss.backward()
        cases[case] = {key: value.item() for key, value in parts.items()}
        tensors.update({f"grad.{case}.{key}": p.grad.float().contiguous() for key, p in named.items()})
    folder = os.path.join(HERE, "divergence")
    os.makedirs(folder, exist_ok=True)
    write_json(os.path.join(folder, data["model"] + ".json"), {**data, **LOSS, "cases": cases})
    save_file(tensors, os.path.join(folder, data["model"] + ".safetensors"))


def main():
    torch.set_num_threads(1)
    make(LLAMA, 7)
    make(QWEN2, 8)


if __name__ == "__main__":
    main()
