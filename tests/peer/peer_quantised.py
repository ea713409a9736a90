"""Quantised weights beside gguf and transformers: files in Q8_0 and in Q4_K with Q6_K (as Q4_K_M has them), kept as they are
(model.dtype = stored), and weights that model.quantise makes. The log probabilities and entropies of given answers, and the gradients
of every LoRA tensor in a second step of training, against transformers on the values that gguf decodes, in float64."""

import json
import os
import shutil

import gguf
import numpy as np
import torch
from common import FOLDER, MODEL, check, gee, json_lines, path, predictions
from gguf import GGMLQuantizationType as Q
from gguf import quants
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

ROWS = [
    ("The history of bread", " begins with wild grain, ground between stones."),
    ("He works as a nurse. What does he do?", " He looks after people who are ill."),
    ("2 + 2 =", " 4"),
    ("Name a colour.", " Blue, like the sky on a clear day in spring."),
]
CONFIG = """
[model]
path = {model}
dtype = {dtype}
quantise = {quantise}
[data]
train = rows.jsonl
answer_column = answer
chat = off
held_out = 0
[lora]
rank = 4
alpha = 8
targets = all
[train]
objective = sft
max_steps = 2
effective_batch = 4
micro_batch_size = 3
learning_rate = 1e-3
[output]
save_root = runs
run_name = {name}
save_steps = 1
save_initial = true
"""
# The small Llama's shape: rows of 256 and 512, which blocks of K-quants divide.
WIDTH, FFN, LAYERS, HEADS, KV_HEADS, POSITIONS = 256, 512, 4, 4, 2, 512
# bitsandbytes' list (functional.py, get_4bit_type).
NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
                0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0],
               np.float32)  # fmt: skip


# ---- files ----

def copy_fields(writer, reader, kept):
    for key, field in reader.fields.items():
        if key.startswith(kept):
            kind = field.types[0]
            writer.add_key_value(key, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_q8_0(name):
    """SmolLM2 with every matrix in Q8_0, as gguf's quantiser makes it."""
    reader, writer = gguf.GGUFReader(MODEL), gguf.GGUFWriter(path(name), "llama")
    copy_fields(writer, reader, ("llama.", "tokenizer."))
    for tensor in reader.tensors:
        values = quants.dequantize(tensor.data, tensor.tensor_type)
        if values.ndim == 2:
            writer.add_tensor(tensor.name, quants.quantize(values, Q.Q8_0), raw_dtype=Q.Q8_0)
        else:
            writer.add_tensor(tensor.name, values)
    finish(writer)


def random_blocks(shape, kind, rng, deviation):
    """Blocks of random codes and six-bit scales, whose values have about this standard deviation."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (shape[0] * shape[1] // elements, size), dtype=np.uint8)

    def scale(value):
        at, offset = {Q.Q4_K: (0, 2), Q.Q6_K: (208, None)}[kind]
        blocks[:, at : at + 2] = np.array([value], "<f2").view(np.uint8)
        if offset is not None:  # so that the mean is about 0
            blocks[:, offset : offset + 2] = np.array([7.5 * value], "<f2").view(np.uint8)

    scale(1)
    scale(deviation / quants.dequantize(blocks, kind).std())
    return blocks.reshape(shape[0], -1)


def kind_of(name, layer):
    """llama.cpp's mixture: Q6_K for the head, and in some layers for values and down projections."""
    more = layer is not None and (layer < LAYERS // 8 or layer >= 7 * LAYERS // 8 or layer % 3 == 2)
    return Q.Q6_K if name == "output" or (more and name in ("attn_v", "ffn_down")) else Q.Q4_K


def write_small(name, quantised):
    """A small random Llama with SmolLM2's tokenizer: in Q4_K and Q6_K, or in F32."""
    rng = np.random.default_rng(5)
    reader, writer = gguf.GGUFReader(MODEL), gguf.GGUFWriter(path(name), "llama")
    copy_fields(writer, reader, ("tokenizer.",))
    words, head = len(reader.fields["tokenizer.ggml.tokens"].data), WIDTH // HEADS
    writer.add_block_count(LAYERS)
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(words)

    def matrix(name, rows, cols, deviation, layer=None):
        full = f"blk.{layer}.{name}.weight" if layer is not None else f"{name}.weight"
        kind = kind_of(name, layer)
        if quantised:
            writer.add_tensor(full, random_blocks((rows, cols), kind, rng, deviation), raw_dtype=kind)
        else:
            writer.add_tensor(full, (rng.standard_normal((rows, cols)) * deviation).astype(np.float32))

    def norm(name):
        writer.add_tensor(f"{name}.weight", (1 + 0.1 * rng.standard_normal(WIDTH)).astype(np.float32))

    matrix("token_embd", words, WIDTH, 0.5)
    for layer in range(LAYERS):
        norm(f"blk.{layer}.attn_norm")
        norm(f"blk.{layer}.ffn_norm")
        for part, rows, cols in (("attn_q", WIDTH, WIDTH), ("attn_k", KV_HEADS * head, WIDTH), ("attn_v", KV_HEADS * head, WIDTH),
                                 ("attn_output", WIDTH, WIDTH), ("ffn_gate", FFN, WIDTH), ("ffn_up", FFN, WIDTH),
                                 ("ffn_down", WIDTH, FFN)):  # fmt: skip
            matrix(part, rows, cols, 0.08, layer)
    norm("output_norm")
    matrix("output", words, WIDTH, 0.1)
    finish(writer)


# ---- what the peer makes of them ----

def load(name):
    """transformers reads a quantised file through gguf's decoders."""
    model = AutoModelForCausalLM.from_pretrained(FOLDER, gguf_file=name, dtype=torch.float32).eval()
    model.get_input_embeddings().padding_idx = None  # see common.py
    return model


def q8_0(values):
    return quants.dequantize(quants.quantize(values, Q.Q8_0), Q.Q8_0)


def nf4(values):
    blocks = values.reshape(-1, 64)
    scale = np.abs(blocks).max(1, keepdims=True)
    codes = np.abs((blocks / scale)[:, :, None] - NF4).argmin(2)
    return (scale * NF4[codes]).reshape(values.shape)


def quantise_linears(model, rule):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "_proj" in name:
                parameter.copy_(torch.from_numpy(rule(parameter.numpy())))


# ---- comparisons ----

def check_scores(run, model):
    gee("score", "--model", run["model"], "--dtype", run["dtype"], "--quantise", run["quantise"], "--input", "rows.jsonl",
        "--output", "scores.jsonl")  # fmt: skip
    worst, apart, count = 0.0, 0.0, 0
    with torch.no_grad():
        for line in json_lines(path("scores.jsonl")):
            logprob, entropy = predictions(model, line["prompt_tokens"], line["answer_tokens"], 1.0)
            worst = max(worst, (logprob - torch.tensor(line["logprob"])).abs().max().item())
            apart = max(apart, (entropy - torch.tensor(line["entropy"])).abs().max().item())
            count += len(line["answer_tokens"])
    check(f"log probabilities of {count} tokens, nats", worst, 1e-4)
    check("their entropies, nats", apart, 1e-4)


def gradients(name, step):
    """The clipped gradients that gee-cl took `step` with, from AdamW's first moment: m = 0.9 · m_before + 0.1 · g."""
    moments, before = (load_file(path("runs", name, f"step_{s}", "optimizer.safetensors")) for s in (step, step - 1))
    names = [key for key in moments if key.startswith("exp_avg.")]
    return {n.removeprefix("exp_avg."): (moments[n].double() - 0.9 * before[n].double()) / 0.1 for n in names}


def check_gradients(run, model):
    """Those of the second step, when B is no longer 0, at the weights that gee-cl had."""
    with open(path("train.ini"), "w") as file:
        file.write(CONFIG.format(**run))
    rows = json.loads(gee("data", "train.ini", "--json"))["rows"]
    gee("train", "train.ini")
    model = PeftModel.from_pretrained(model, path("runs", run["name"], "step_1"), is_trainable=True).double()
    items = sum(sum(row["trained"]) for row in rows)
    for row in rows:  # not transformers' own loss, which rounds the logits to float32
        tokens = torch.tensor(row["tokens"])
        logp = torch.log_softmax(model(input_ids=tokens[None]).logits[0, :-1], dim=-1)
        trained = torch.tensor(row["trained"][1:]).bool()
        (-logp[trained, tokens[1:][trained]].sum() / items).backward()
    named = {n.replace(".default.", "."): p for n, p in model.named_parameters() if p.requires_grad}
    torch.nn.utils.clip_grad_norm_(named.values(), 1.0)
    found, worst, where = gradients(run["name"], 2), 0.0, ""
    assert set(found) == set(named), "gee-cl trains other tensors than PEFT"
    for name, parameter in named.items():
        norm = parameter.grad.norm().item()
        assert norm > 0, f"{name} has no gradient"
        error = (found[name] - parameter.grad).norm().item() / norm
        if not error <= worst:
            worst, where = error, name
    check(f"the worst of {len(named)} gradients ({where}), relative L2", worst, 1e-4)


def check_run(name, file, dtype="stored", quantise="none", rule=None):
    run = dict(name=name, model=path(file), dtype=dtype, quantise=quantise)
    print(name, flush=True)
    model = load(file)
    if rule is not None:
        quantise_linears(model, rule)
    model = model.double()
    check_scores(run, model)
    check_gradients(run, model)


def main():
    with open(path("rows.jsonl"), "w") as file:
        for prompt, answer in ROWS:
            file.write(json.dumps({"prompt": prompt, "answer": answer}) + "\n")
    write_small("q4_k_m.gguf", True)
    check_run("q4_k_m", "q4_k_m.gguf")
    write_small("f32.gguf", False)
    check_run("to_q8_0", "f32.gguf", "f32", "q8_0", q8_0)
    check_run("to_nf4", "f32.gguf", "stored", "nf4", nf4)
    os.remove(path("f32.gguf"))
    write_q8_0("q8_0.gguf")
    check_run("q8_0", "q8_0.gguf")


try:
    main()
finally:
    shutil.rmtree(FOLDER)
