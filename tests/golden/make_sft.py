#!/usr/bin/env python3
"""Writes tests/golden/sft: the cross-entropy of given answers and its gradients, by PyTorch (float64) and PEFT.

Run once, after make_golden.py and with the same packages:

    python tests/golden/make_sft.py

Writes, for the tiny Llama (LoRA on all matrices) and the tiny Qwen2 (every weight):
    sft/<model>.json           rows of (prompt, answer, mask of the answer's tokens that count), what each measures, AdamW's losses
    sft/<model>.safetensors    start.<adapter>, grad.<parameter>, after.<parameter> of five steps

The loss is computed as transformers computes it: labels of -100 where a token does not count, the sum of the cross-entropies over
all rows divided by the number of tokens that count (num_items_in_batch). Among the rows are some that share a prompt, of which
two begin with the same token, one that is there twice, and chats in which turns of a user follow the first answer.
"""

import os

import torch
from make_divergence import TARGETS
from make_golden import HERE, write_json
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

ROWS = [
    ([3, 17, 42, 5, 61], [8, 44, 2, 19], None),
    ([9, 17, 30], [50], None),
    ([3, 17, 42, 5, 61], [8, 21, 33, 60, 7, 1], None),
    ([9, 17, 30], [12, 12, 40, 9, 30, 31, 6, 2], [1, 1, 1, 0, 0, 0, 1, 1]),
    ([3, 11, 42], [25, 66, 0, 13, 3], [1, 0, 1, 0, 1]),
    ([3, 17, 42, 5, 61], [8, 44, 2, 19], None),
]
RANK, ALPHA, STEPS, RATE, DECAY = 2, 6.0, 5, 0.001, 0.01


def row_numbers(model, prompt, answer, mask):
    """Sum of −log p and of the entropies over the tokens that count, and how many of them are the likeliest."""
    ids = torch.tensor([prompt + answer])
    logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
    logp = torch.log_softmax(logits, dim=-1)
    counts = torch.tensor(mask if mask is not None else [1] * len(answer), dtype=torch.float64)
    nll = -(logp[torch.arange(len(answer)), torch.tensor(answer)] * counts).sum()
    entropy = -((logp.exp() * logp).sum(-1) * counts).sum()
    likeliest = ((logits.argmax(-1) == torch.tensor(answer)) * counts).sum()
    return nll, entropy, int(likeliest.item())


def measure(model):
    rows = [row_numbers(model, *row) for row in ROWS]
    tokens = sum(sum(mask) if mask is not None else len(answer) for _, answer, mask in ROWS)
    loss = sum(nll for nll, _, _ in rows) / tokens
    return loss, {"loss": loss.item(), "entropy": (sum(e for _, e, _ in rows) / tokens).item(), "tokens": tokens,
                  "likeliest": sum(count for _, _, count in rows), "nll": [nll.item() for nll, _, _ in rows]}


def check_against_transformers(model):
    """The same loss by transformers' own code, from labels and num_items_in_batch."""
    longest = max(len(p) + len(a) for p, a, _ in ROWS)
    ids, labels, attention = [], [], []
    for prompt, answer, mask in ROWS:
        pad = longest - len(prompt) - len(answer)
        given = [a if mask is None or mask[i] else -100 for i, a in enumerate(answer)]
        ids.append(prompt + answer + [0] * pad)
        labels.append([-100] * len(prompt) + given + [-100] * pad)
        attention.append([1] * (len(prompt) + len(answer)) + [0] * pad)
    labels = torch.tensor(labels)
    out = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(attention), labels=labels,
                num_items_in_batch=(labels != -100).sum())
    return out.loss.item()


def named_parameters(model, full):
    return {key.replace(".default", ""): p for key, p in model.named_parameters() if full or "lora_" in key}


def open_model(name, full, seed):
    model = AutoModelForCausalLM.from_pretrained(os.path.join(HERE, name), dtype=torch.float64, attn_implementation="eager")
    if full:
        return model, named_parameters(model, True)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=TARGETS, task_type="CAUSAL_LM")
    model = get_peft_model(model, config).double()
    generator = torch.Generator().manual_seed(seed)
    named = named_parameters(model, False)
    for p in named.values():
        with torch.no_grad():
            p.copy_((torch.randn(p.shape, generator=generator, dtype=torch.float64) * 0.08).float().double())
    return model, named


def make(name, full, seed):
    model, named = open_model(name, full, seed)
    tensors = {} if full else {"start." + key: p.detach().float().contiguous().clone() for key, p in named.items()}
    loss, numbers = measure(model)
    if abs(check_against_transformers(model) - numbers["loss"]) > 1e-6:  # transformers takes logits to float32
        raise SystemExit("transformers computes another loss")
    loss.backward()
    tensors.update({"grad." + key: p.grad.float().contiguous().clone() for key, p in named.items()})
    optimizer = torch.optim.AdamW(named.values(), lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=DECAY)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss, _ = measure(model)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(named.values(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    tensors.update({"after." + key: p.detach().float().contiguous().clone() for key, p in named.items()})
    folder = os.path.join(HERE, "sft")
    os.makedirs(folder, exist_ok=True)
    rows = [{"prompt": p, "answer": a, "mask": m if m is not None else [1] * len(a)} for p, a, m in ROWS]
    write_json(os.path.join(folder, name + ".json"), {"rank": RANK, "alpha": ALPHA, "learning_rate": RATE, "weight_decay": DECAY,
                                                      "rows": rows, **numbers, "losses": losses})
    save_file(tensors, os.path.join(folder, name + ".safetensors"))


def main():
    torch.set_num_threads(1)
    make("llama", False, 11)
    make("qwen2", True, 12)


if __name__ == "__main__":
    main()
