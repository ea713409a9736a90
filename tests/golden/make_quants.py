#!/usr/bin/env python3
"""Writes what tests/util/test_dequant.c and tests/model read about GGUF's quantised types, with ggml's own Python library.

    python tests/golden/make_quants.py           needs what make_golden.py needs

Writes beside itself:
    quants.gguf       a tiny Llama in which each readable quantised type has a matrix; its logits, as PyTorch computes
                      them in float64 from the values that gguf decodes, are in quants_gguf.safetensors
    llama-0000N-of-00003.gguf   llama.gguf in three parts, as gguf's writer splits it
and further:
    tests/util/data/quants.txt    for each type, a checksum of many blocks of random bytes, decoded
    tests/util/data/quantised.txt checksums of what gguf makes of numbers (Q8_0) and of what QLoRA's paper says (NF4), and
                                  the errors of gguf's Q4_0 and Q4_1, which those of our Q4_K must be below
    src/util/dequant_grids.h      the grids of IQ1, IQ2 and IQ3, packed

The blocks are random bytes, so every code and every sign is met; only their scales are chosen in quants.gguf.
"""

import os

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from gguf import quants
from transformers import LlamaConfig, LlamaForCausalLM

from make_golden import HERE, VOCAB, fill, forward_golden, gguf_name, permute, save, state

ROOT = os.path.join(HERE, "..", "..")
SMALL = [Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.IQ4_NL, Q.MXFP4]
LARGE = [Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.IQ1_S, Q.IQ1_M, Q.IQ2_XXS, Q.IQ2_XS, Q.IQ2_S, Q.IQ3_XXS, Q.IQ3_S,
         Q.IQ4_XS, Q.TQ1_0, Q.TQ2_0]
# Where in a block the scale is, and the offset with its ratio to the scale that centres the values.
SCALE = {Q.Q4_1: (0, 2, -7.5), Q.Q5_1: (0, 2, -15.5), Q.Q2_K: (80, 82, 1.5), Q.Q3_K: (108,), Q.Q4_K: (0, 2, 7.5),
         Q.Q5_K: (0, 2, 15.5), Q.Q6_K: (208,), Q.TQ1_0: (52,), Q.TQ2_0: (64,)}


# ---- checksums ----

def random_bytes(count, seed):
    """Bytes that tests/util/test_dequant.c makes in the same way."""
    x = np.arange(count, dtype=np.uint32) + np.uint32(seed * 0x9E3779B9 & 0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return ((x ^ (x >> np.uint32(16))) & np.uint32(255)).astype(np.uint8)


def checksum(values):
    """The bits of each float32 times its place, summed in 64 bits. Every NaN counts as the same."""
    bits = values.astype("<f4").view("<u4").astype(np.uint64).ravel()
    bits[np.isnan(values).ravel()] = 0x7FC00000
    return int((bits * (2 * np.arange(bits.size, dtype=np.uint64) + np.uint64(1))).sum(dtype=np.uint64))


def make_checksums():
    lines = []
    for number, kind in enumerate(SMALL + LARGE):
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = 4096 if elements < 256 else 1024
        data = random_bytes(blocks * size, number).reshape(blocks, size)
        with np.errstate(all="ignore"):
            values = quants.dequantize(data, kind)
        lines.append(f"{kind.name} {number} {blocks} {checksum(values):016x}\n")
    with open(os.path.join(ROOT, "tests", "util", "data", "quants.txt"), "w") as file:
        file.writelines(lines)


# ---- numbers quantised ----

# bitsandbytes' list (functional.py, get_4bit_type), which rounds what QLoRA's paper defines to float32.
NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
                0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0],
               np.float32)  # fmt: skip


def random_numbers(count):
    """Numbers that tests/util/test_quantise.c makes in the same way: sums of four bytes, by blocks of 256 in steps of
    2^-20 to 2^7. Of the first block all are 0, and the second has halves of an integer scale, which must be rounded."""
    data = random_bytes(4 * count, 99).astype(np.int32).reshape(-1, 4)
    values = (data.sum(1) - 510).astype(np.float32).reshape(-1, 256)
    values *= np.exp2(np.arange(len(values)) % 28 - 20).astype(np.float32)[:, None]
    values[0] = 0
    values[1] = (data[256:512, 0] - 127) * np.float32(0.5)
    values[1, ::32] = 127
    return values


def nf4(values):
    blocks = values.reshape(-1, 64)
    scale = np.abs(blocks).max(1, keepdims=True)
    inverse = np.where(scale == 0, np.float32(0), np.float32(1) / np.where(scale == 0, 1, scale)).astype(np.float32)
    middles = ((NF4[1:].astype(np.float64) + NF4[:-1]) / 2).astype(np.float32)
    codes = (blocks * inverse)[:, :, None] > middles
    codes = codes.sum(2)
    assert np.abs(NF4[codes] - blocks * inverse).max() <= 0.16  # half of the widest gap
    packed = np.concatenate([scale.view(np.uint8), (codes[:, :32] | codes[:, 32:] << 4).astype(np.uint8)], 1)
    return packed, scale * NF4[codes]


def make_quantised():
    values = random_numbers(256 * 1024)
    packed, decoded = nf4(values)
    sums = [(1 + 2 * np.arange(b.size, dtype=np.uint64)) * b.ravel().astype(np.uint64)
            for b in (quants.quantize(values, Q.Q8_0), packed)]  # fmt: skip
    lines = [f"{name} {int(s.sum(dtype=np.uint64)):016x}\n" for name, s in zip(("Q8_0", "NF4"), sums)]
    lines.append(f"NF4 {checksum(decoded):016x}\n")
    normal = values[32:]
    for kind in (Q.Q4_0, Q.Q4_1):
        lost = quants.dequantize(quants.quantize(normal, kind), kind).astype(np.float64) - normal
        error = np.sqrt((lost**2).sum(1) / (normal.astype(np.float64) ** 2).sum(1)).mean()
        lines.append(f"{kind.name} {error:.6f}\n")
    with open(os.path.join(ROOT, "tests", "util", "data", "quantised.txt"), "w") as file:
        file.writelines(lines)


# ---- the grids ----

def make_grids():
    parts = ["// The grids of dequant_grid.c, from ggml's Python library by tests/golden/make_quants.py. An entry is a group "
             "of\n// values by their codes, the first in the lowest bits: eight codes of two bits, or four of four.\n"
             "#pragma once\n\n#include <stdint.h>\n"]
    for name, kind, codes in (("iq2_xxs_grid", quants.IQ2_XXS, 3), ("iq2_xs_grid", quants.IQ2_XS, 3),
                              ("iq2_s_grid", quants.IQ2_S, 3), ("iq3_xxs_grid", quants.IQ3_XXS, 8),
                              ("iq3_s_grid", quants.IQ3_S, 8), ("iq1_grid", quants.IQ1_S, 3)):
        entries = np.frombuffer(bytes.fromhex(kind.grid_hex.decode()), "<u2")
        bits = 16 // kind.grid_shape[1]
        assert len(entries) == kind.grid_shape[0]
        assert all(((entries >> shift) & ((1 << bits) - 1)).max() < codes for shift in range(0, 16, bits))
        parts.append(f"static const uint16_t {name}[{len(entries)}] = {{" + ", ".join(f"0x{x:04x}" for x in entries) + "};\n")
    path = os.path.join(ROOT, "src", "util", "dequant_grids.h")
    with open(path, "w") as file:
        file.write("\n".join(parts))
    os.system(f"clang-format -i {path}")


# ---- a model ----

def put_half(blocks, at, value):
    blocks[:, at:at + 2] = np.array([value], "<f2").view(np.uint8)


def set_scale(blocks, kind, scale):
    """Gives every block the scale, so that no value is wild."""
    if kind == Q.MXFP4:
        blocks[:, 0] = 127 + int(np.round(np.log2(scale)))
    elif kind == Q.IQ1_M:  # in the upper four bits of four words
        bits = int(np.array([scale], "<f2").view("<u2")[0])
        for i in range(4):
            blocks[:, 49 + 2 * i] = (blocks[:, 49 + 2 * i] & 15) | ((bits >> 4 * i & 15) << 4)
    else:
        at, *offset = SCALE.get(kind, (0,))
        put_half(blocks, at, scale)
        if offset:
            put_half(blocks, offset[0], scale * offset[1])


def random_matrix(shape, kind, rng, deviation):
    """Blocks of random bytes whose values have about this standard deviation."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (shape[0] * shape[1] // elements, size), dtype=np.uint8)
    set_scale(blocks, kind, 1.0)
    found = quants.dequantize(blocks, kind).std()
    set_scale(blocks, kind, deviation / found)
    return blocks.reshape(shape[0], -1)


def types_of(config):
    """A type for each matrix: rows of 32 have the small blocks, rows of 256 the large ones."""
    small, large = iter(SMALL), iter(LARGE)
    types = {"model.embed_tokens.weight": Q.Q6_K, "lm_head.weight": Q.Q6_K}
    for layer in range(config.num_hidden_layers):
        stem = f"model.layers.{layer}."
        for name in ("self_attn.o_proj", "mlp.down_proj"):
            types[f"{stem}{name}.weight"] = next(small, Q.Q4_0)
        for name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj"):
            types[f"{stem}{name}.weight"] = next(large, Q.Q4_K)
    assert set(types.values()) >= set(SMALL + LARGE)
    return types


def write_header(writer, config):
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_model():
    config = LlamaConfig(vocab_size=VOCAB, hidden_size=256, intermediate_size=32, num_hidden_layers=4, head_dim=16,
                         num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=128, rms_norm_eps=1e-5,
                         tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 10000.0})
    model = fill(LlamaForCausalLM(config).double(), 7)
    rng = np.random.default_rng(7)
    types = types_of(config)
    writer = gguf.GGUFWriter(os.path.join(HERE, "quants.gguf"), "llama")
    write_header(writer, config)
    held = {}
    for name, tensor in state(model).items():
        kind = types.get(name)
        if kind is None:
            writer.add_tensor(gguf_name(name), tensor.float().numpy())
            continue
        stored = random_matrix(tuple(tensor.shape), kind, rng, 0.4 if "embed" in name else 0.1)
        values = torch.from_numpy(quants.dequantize(stored, kind).copy()).double()
        assert values.isfinite().all() and values.shape == tensor.shape
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        turn = next((h for key, h in heads.items() if key in name), None)
        writer.add_tensor(gguf_name(name), permute(stored, turn) if turn else stored, raw_dtype=kind)
        held[name] = values
    finish(writer)
    model.load_state_dict(held, strict=False)
    save(".", "quants_gguf.safetensors", forward_golden(model))


def make_parts():
    reader = gguf.GGUFReader(os.path.join(HERE, "llama.gguf"))
    writer = gguf.GGUFWriter(os.path.join(HERE, "llama.gguf"), "llama", split_max_tensors=5)
    for key, field in reader.fields.items():
        if not key.startswith(("GGUF.", "general.architecture")):
            writer.add_key_value(key, field.contents(), field.types[0])
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    finish(writer)


if __name__ == "__main__":
    torch.set_num_threads(1)
    make_grids()
    make_checksums()
    make_quantised()
    make_model()
    make_parts()
