"""What gee-cl init writes, in transformers: loaded with no key missing or left over, a model of the same numbers, and weights that are
distributed as those that transformers makes from the same config. Log probabilities and entropies agree within 2e-3."""

import json
import os
import shutil

import torch
from common import FOLDER, MODEL, AutoModelForCausalLM, AutoTokenizer, check, gee, json_lines, path, predictions
from transformers import AutoConfig

SIZES = dict(hidden_size=96, intermediate_size=160, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
             vocab_size=49152, pad_token_id=2, eos_token_id=2, initializer_range=0.1)  # fmt: skip
SHAPES = {
    "llama": dict(model_type="llama", tie_word_embeddings=True, head_dim=32, torch_dtype="float32"),
    "llama_biases": dict(model_type="llama", attention_bias=True, mlp_bias=True, dtype="float16"),
    "qwen2": dict(model_type="qwen2"),
    "qwen2_tied": dict(model_type="qwen2", tie_word_embeddings=True, dtype="float32"),
}
TEXTS = [("She works as a pilot.", " Her day begins at 5."), ("Где здесь кафе?", "12 минут 🙂.")]
TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def check_distribution(name, made, own):
    """`own` is what transformers makes itself: the same names, and deviations as far as 5 standard errors of both allow."""
    assert made.keys() == own.keys(), f"{name}: {made.keys() ^ own.keys()}"
    worst = 0.0
    for key, tensor in own.items():
        found = made[key].float()
        assert found.shape == tensor.shape, f"{name} {key}: {found.shape} is not {tensor.shape}"
        if tensor.float().std() == 0:
            assert torch.equal(found, tensor.float()), f"{name} {key} is not constant"
            continue
        ratio = (found.std() / tensor.float().std() - 1).abs().item()
        worst = max(worst, ratio * tensor.numel() ** 0.5)
        # a row of zeros is one of both or of none
        zero = [(rows == 0).all(dim=-1).nonzero().tolist() for rows in (found, tensor.float())]
        assert zero[0] == zero[1], f"{name} {key}: rows of zeros {zero}"
    check(f"{name}: deviations, in standard errors", worst, 5)


@torch.no_grad()
def check_shape(name, shape):
    with open(path(f"{name}.json"), "w") as file:
        json.dump({**SIZES, **shape}, file)
    gee("init", "--config", f"{name}.json", "--tokenizer", MODEL, "--output", name, "--seed", 3)
    model, info = AutoModelForCausalLM.from_pretrained(path(name), output_loading_info=True)
    for what, keys in info.items():
        assert not keys, f"{name}: {what}: {keys}"
    assert model.dtype == TYPES[shape.get("dtype", shape.get("torch_dtype", "bfloat16"))], f"{name} has {model.dtype}"
    config = AutoConfig.for_model(**{**SIZES, **shape})
    check_distribution(name, model.state_dict(), AutoModelForCausalLM.from_config(config).state_dict())
    gee("score", "--model", name, "--input", "in.jsonl", "--output", "out.jsonl")
    worst = 0.0
    tokenizer = AutoTokenizer.from_pretrained(path(name))
    for (prompt, _), line in zip(TEXTS, json_lines(path("out.jsonl"))):
        logp, entropy = predictions(model.float().eval(), line["prompt_tokens"], line["answer_tokens"], 1.0)
        for found, expected in ((line["logprob"], logp), (line["entropy"], entropy)):
            worst = max(worst, (torch.tensor(found) - expected).abs().max().item())
        assert tokenizer(prompt)["input_ids"] == line["prompt_tokens"], f"{name}: the tokens of {prompt!r}"
    check(f"{name}: log probabilities and entropies", worst, 2e-3)


try:
    with open(path("in.jsonl"), "w") as file:
        for prompt, answer in TEXTS:
            file.write(json.dumps({"prompt": prompt, "answer": answer}) + "\n")
    for name, shape in SHAPES.items():
        check_shape(name, shape)
finally:
    shutil.rmtree(FOLDER)
