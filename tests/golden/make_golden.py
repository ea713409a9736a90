#!/usr/bin/env python3
"""Writes the golden files of tests/model: tiny models, and what PyTorch (float64), PEFT and AdamW compute with them.

Run once with torch, transformers, peft, safetensors and gguf installed:

    python tests/golden/make_golden.py

Writes beside itself:
    llama/            untied Llama with Llama 3 rope scaling: config.json, model.safetensors (F32), golden.safetensors
    qwen2/            tied Qwen2 with biases, the same files
    qwen2_untied/     untied Qwen2, BF16, two shards; golden logits and entropies only
    llama.gguf        Q8_0, Q4_0, Q4_1, F16 and F32 tensors, rope_freqs; qwen2.gguf: F16; golden in *_gguf.safetensors
    samples.json      the fixed prompts and answers, groups and loss

Every number is computed in float64 and stored as float32. transformers computes norms and rotary angles in float32
whatever the model's type, so those two are replaced here by the same formulas in float64.
"""

import json
import os
import shutil

import gguf
import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM
from transformers.models.llama import modeling_llama
from transformers.models.qwen2 import modeling_qwen2

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB = 67
STEPS, LR, WEIGHT_DECAY = 5, 1e-3, 0.01


def norm_forward(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def rotary_forward(self, x, position_ids):
    angles = position_ids[..., None].double() * self.inv_freq.double()
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


for module, prefix in ((modeling_llama, "Llama"), (modeling_qwen2, "Qwen2")):
    getattr(module, prefix + "RMSNorm").forward = norm_forward
    getattr(module, prefix + "RotaryEmbedding").forward = rotary_forward

SAMPLES = {
    "prompts": [[3, 17, 42, 5, 61], [9, 17, 30], [11]],
    "answers": [
        {"prompt": 0, "tokens": [8, 44, 2, 19], "group": 0},
        {"prompt": 0, "tokens": [8, 21, 33, 60, 7, 1], "group": 1},
        {"prompt": 0, "tokens": [50], "group": 0},
        {"prompt": 1, "tokens": [12, 12, 40], "group": 1},
        {"prompt": 2, "tokens": [25, 66, 0, 13, 3], "group": 1},
    ],
    "lambda_weight": 3.0,
    "em_weight": 0.5,
    "tau": 0.5,
    "learning_rate": LR,
    "weight_decay": WEIGHT_DECAY,
    "steps": STEPS,
    "lora_rank": 4,
    "lora_alpha": 6.0,
}


def predictions(model):
    """Logits [predictions, V] in order of answer and token, and the target ids."""
    logits, targets = [], []
    for answer in SAMPLES["answers"]:
        prompt = SAMPLES["prompts"][answer["prompt"]]
        ids = torch.tensor([prompt + answer["tokens"]])
        logits.append(model(input_ids=ids).logits[0, len(prompt) - 1 : -1])
        targets += answer["tokens"]
    return torch.cat(logits), torch.tensor(targets)


def entropies(logits, tau):
    logp = torch.log_softmax(logits / tau, dim=-1)
    return -(logp.exp() * logp).sum(-1), logp


def gee_loss(model):
    """em_weight · mean H + λ · (H_0 − H_1)², as in docs/DESIGN.md, section 1."""
    H, _ = entropies(predictions(model)[0], SAMPLES["tau"])
    means = torch.stack([h.mean() for h in H.split([len(a["tokens"]) for a in SAMPLES["answers"]])])
    groups = torch.tensor([a["group"] for a in SAMPLES["answers"]])
    gap = means[groups == 0].mean() - means[groups == 1].mean()
    return SAMPLES["em_weight"] * means.mean() + SAMPLES["lambda_weight"] * gap**2


def fill(model, seed):
    """Weights large enough that entropies differ and gradients are not just noise; exact in float32."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            scale = 0.6 if "embed" in name or "lm_head" in name else 0.2
            values = torch.randn(p.shape, generator=generator, dtype=torch.float64) * scale
            p.copy_((1 + values if "norm" in name else values).float().double())
    return model


def forward_golden(model):
    with torch.no_grad():
        logits, targets = predictions(model)
        out = {"logits": logits}
        for label, tau in (("1", 1.0), ("05", 0.5)):
            H, logp = entropies(logits, tau)
            out["entropy_" + label] = H
            out["logprob_" + label] = logp.gather(1, targets[:, None])[:, 0]
    return out


def train_golden(model, prefix, named):
    """The gradient of the loss, and the values after STEPS of AdamW; `named` maps a name to its parameter."""
    out = {}
    parameters = dict(named)
    optimizer = torch.optim.AdamW(parameters.values(), lr=LR, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.999), eps=1e-8)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = gee_loss(model)
        loss.backward()
        losses.append(loss.detach())
        if step == 0:
            out.update({f"{prefix}grad.{name}": p.grad.clone() for name, p in parameters.items()})
        optimizer.step()
    out.update({f"{prefix}after.{name}": p.detach().clone() for name, p in parameters.items()})
    out[prefix + "losses"] = torch.stack(losses)
    return out


def lora_golden(model, seed):
    config = LoraConfig(r=SAMPLES["lora_rank"], lora_alpha=SAMPLES["lora_alpha"], lora_dropout=0.0,
                        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
                        task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config).double()
    generator = torch.Generator().manual_seed(seed)
    named = {}
    for name, p in adapted.named_parameters():
        if "lora_" not in name:
            continue
        with torch.no_grad():
            p.copy_((torch.randn(p.shape, generator=generator, dtype=torch.float64) * 0.2).float().double())
        named[name.replace(".default", "")] = p
    out = {"lora.start." + name: p.detach().clone() for name, p in named.items()}
    out.update({"lora." + key: value for key, value in forward_golden(adapted).items() if key != "logits"})
    out.update(train_golden(adapted, "lora.", named))
    return out


def save(folder, name, tensors):
    """float32; the names that a tied model shares are stored once."""
    path = os.path.join(HERE, folder, name)
    save_file({key: value.detach().float().contiguous().clone() for key, value in tensors.items()}, path)


def state(model):
    """The tensors in a file of the model; a tied head is not stored, because it is the embedding."""
    tied = model.config.tie_word_embeddings
    return {k: v for k, v in model.state_dict().items() if not (tied and k == "lm_head.weight")}


def fresh(folder):
    path = os.path.join(HERE, folder)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def make_llama():
    path = fresh("llama")
    config = LlamaConfig(vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5,
                         tie_word_embeddings=False, bos_token_id=1, eos_token_id=[2, 5],
                         rope_parameters={"rope_type": "llama3", "rope_theta": 100.0, "factor": 4.0,
                                          "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                          "original_max_position_embeddings": 32})
    model = fill(LlamaForCausalLM(config).double(), 1)
    start = {k: v.clone() for k, v in state(model).items()}
    config.dtype = torch.float32
    config.save_pretrained(path)
    save("llama", "model.safetensors", start)
    golden = forward_golden(model)
    golden.update({k: v for k, v in train_golden(model, "full.", model.named_parameters()).items() if "after" not in k})
    model.load_state_dict(start)
    golden.update(lora_golden(model, 2))
    save("llama", "golden.safetensors", golden)


QWEN2 = dict(vocab_size=VOCAB, hidden_size=48, intermediate_size=56, num_hidden_layers=2, num_attention_heads=3,
             num_key_value_heads=1, max_position_embeddings=128, rms_norm_eps=1e-6)


def qwen2_json(tied, dtype):
    """As transformers 4 writes it: rope_theta at the top level."""
    return dict(QWEN2, architectures=["Qwen2ForCausalLM"], model_type="qwen2", hidden_act="silu", rope_theta=1000.0,
                use_sliding_window=False, tie_word_embeddings=tied, torch_dtype=dtype, bos_token_id=1, eos_token_id=2)


def make_qwen2():
    path = fresh("qwen2")
    config = Qwen2Config(**QWEN2, tie_word_embeddings=True,
                         rope_parameters={"rope_type": "default", "rope_theta": 1000.0})
    # With this seed no element of the gradient is so close to zero that float32 changes its sign. Adam's first step is
    # ±lr whatever the size, so such an element would be off by twice its change (in PyTorch's float32 too).
    model = fill(Qwen2ForCausalLM(config).double(), 20)
    start = {k: v.clone() for k, v in state(model).items()}
    write_json(os.path.join(path, "config.json"), qwen2_json(True, "float32"))
    write_json(os.path.join(path, "generation_config.json"), {"bos_token_id": 1, "eos_token_id": [2, 4],
                                                              "temperature": 0.7, "do_sample": True})
    save("qwen2", "model.safetensors", start)
    golden = forward_golden(model)
    golden.update(train_golden(model, "full.", model.named_parameters()))
    save("qwen2", "golden.safetensors", golden)


def make_qwen2_untied():
    path = fresh("qwen2_untied")
    config = Qwen2Config(**dict(QWEN2, num_hidden_layers=1), tie_word_embeddings=False,
                         rope_parameters={"rope_type": "default", "rope_theta": 1000.0})
    model = fill(Qwen2ForCausalLM(config).double(), 4)
    half = {k: v.to(torch.bfloat16) for k, v in state(model).items()}
    model.load_state_dict({k: v.double() for k, v in half.items()})
    names = sorted(half)
    shards = (names[: len(names) // 2], names[len(names) // 2 :])
    where = {}
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05d}-of-00002.safetensors"
        save_file({k: half[k].contiguous() for k in shard}, os.path.join(path, file))
        where.update({k: file for k in shard})
    write_json(os.path.join(path, "model.safetensors.index.json"),
               {"metadata": {"total_size": sum(v.numel() * 2 for v in half.values())}, "weight_map": where})
    write_json(os.path.join(path, "config.json"), dict(qwen2_json(False, "bfloat16"), num_hidden_layers=1))
    save("qwen2_untied", "golden.safetensors", forward_golden(model))


GGUF_NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
              "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
              "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
GGUF_TOP = {"model.embed_tokens.weight": "token_embd.weight", "lm_head.weight": "output.weight",
            "model.norm.weight": "output_norm.weight"}
Q = gguf.GGMLQuantizationType
LLAMA_TYPES = {"q_proj": Q.Q8_0, "k_proj": Q.F16, "v_proj": Q.Q4_0, "o_proj": Q.Q4_1, "gate_proj": Q.Q4_0,
               "up_proj": Q.Q8_0, "down_proj": Q.Q4_1, "embed_tokens": Q.Q8_0, "lm_head": Q.BF16}


def gguf_name(name):
    if name in GGUF_TOP:
        return GGUF_TOP[name]
    _, _, layer, *middle, kind = name.split(".")
    return f"blk.{layer}.{GGUF_NAMES['.'.join(middle)]}.{kind}"


def permute(w, heads):
    """llama.cpp's order of the rows of a head: the two rows of a rotated pair next to each other."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def write_gguf(model, path, architecture, types, permuted, rope_freqs=None):
    """Writes the model, then loads the numbers that the file really has back into it."""
    config = model.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    if rope_freqs is not None:
        writer.add_tensor("rope_freqs.weight", rope_freqs)
    held = {}
    for name, tensor in state(model).items():
        data = tensor.float().numpy()
        kind = next((t for key, t in types.items() if key in name and name.endswith("weight")), Q.F32)
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        turn = next((h for key, h in heads.items() if permuted and key in name), None)
        stored = gguf.quants.quantize(permute(data, turn) if turn else data, kind)
        writer.add_tensor(gguf_name(name), stored, raw_dtype=kind)
        # A quantisation block is part of one row, so the order of rows does not matter.
        held[name] = torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(data, kind), kind).copy()).double()
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model.load_state_dict(held, strict=False)
    model.tie_weights()
    return model


def make_gguf():
    scaling = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    config = LlamaConfig(vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_hidden_layers=1,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5,
                         tie_word_embeddings=False, rope_parameters=scaling)
    model = fill(LlamaForCausalLM(config).double(), 5)
    plain = 1.0 / (10000.0 ** (np.arange(0, 16, 2) / 16.0))
    divisors = (plain / model.model.rotary_emb.inv_freq.double().numpy()).astype(np.float32)
    model = write_gguf(model, os.path.join(HERE, "llama.gguf"), "llama", LLAMA_TYPES, True, divisors)
    save(".", "llama_gguf.safetensors", forward_golden(model))
    config = Qwen2Config(**dict(QWEN2, num_hidden_layers=1), tie_word_embeddings=True,
                         rope_parameters={"rope_type": "default", "rope_theta": 1000.0})
    model = fill(Qwen2ForCausalLM(config).double(), 6)
    model = write_gguf(model, os.path.join(HERE, "qwen2.gguf"), "qwen2", {"weight": Q.F16}, False)
    save(".", "qwen2_gguf.safetensors", forward_golden(model))


def main():
    torch.set_num_threads(1)
    write_json(os.path.join(HERE, "samples.json"), SAMPLES)
    make_llama()
    make_qwen2()
    make_qwen2_untied()
    make_gguf()


if __name__ == "__main__":
    main()
