"""Greedy answers of 32 tokens: the same ids as transformers' generate, with and without the chat template."""

import json
import shutil

import torch
from common import FOLDER, MODEL, base_model, gee

PROMPTS = [
    "Describe a day in the life of a nurse.",
    "The capital of France is",
    "def fibonacci(n):",
    "Count: 1, 2, 3,  4,   5",
]

try:
    model = base_model()
    for prompt in PROMPTS:
        for chat in ([], ["--chat"]):
            said = json.loads(gee("generate", "--model", MODEL, "--prompt", prompt, "--max-new-tokens", 32,
                                  "--temperature", 0, "--json", *chat))  # fmt: skip
            ids = torch.tensor([said["prompt_tokens"]])
            with torch.no_grad():
                out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=32,
                                     pad_token_id=2, repetition_penalty=1.0)  # fmt: skip
            expected = out[0, ids.shape[1] :].tolist()
            if said["answer_tokens"] != expected:
                raise SystemExit(f"FAILED: {prompt!r} {chat}: {said['answer_tokens']} where transformers has {expected}")
            print(f"  {prompt!r} {' '.join(chat)}: {len(expected)} tokens identical", flush=True)
finally:
    shutil.rmtree(FOLDER)
