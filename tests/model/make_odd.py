#!/usr/bin/env python3
"""Writes tests/model/odd: one tiny set of tensors, and folders and GGUF files that use them in ways users have met.

Run once with torch, transformers 5.24, safetensors and gguf installed:

    python tests/model/make_odd.py

Writes into odd/:
    tensors.safetensors   every tensor that a case names
    *.bin                 some of them as PyTorch's own files
    *.gguf                the cases that are GGUF files
    cases.json            the tokens, and for each case its config, its files (lists of tensors), and either the log
                          probabilities of the answer's tokens, or a part of the message with which it is refused

Log probabilities are transformers' own for the very folder, in float64 from the loaded weights on. Where transformers
would compute with random weights (a wrapper's prefix) or refuses what has one meaning only (a size written 16.0), `like`
names the case whose numbers count.
"""

import json
import os
import shutil
import tempfile

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.models.llama import modeling_llama
from transformers.models.qwen2 import modeling_qwen2

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "odd")
C, F, H, K, D, V, LAYERS = 16, 24, 4, 2, 4, 31, 2
PROMPT = [3, 17, 9, 28, 5, 11]
ANSWER = [8, 30, 2, 19, 19, 7, 1, 26, 14, 0, 23, 12, 6, 29, 10, 4, 22, 15, 27, 13, 20, 18, 25, 16]


def norm_forward(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def rotary_forward(self, x, position_ids):
    angles = position_ids[..., None].double() * self.inv_freq.double()
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos() * self.attention_scaling, angles.sin() * self.attention_scaling


for module, prefix in ((modeling_llama, "Llama"), (modeling_qwen2, "Qwen2")):
    getattr(module, prefix + "RMSNorm").forward = norm_forward
    getattr(module, prefix + "RotaryEmbedding").forward = rotary_forward


def make_tensors():
    generator = torch.Generator().manual_seed(7)
    out = {}

    def add(name, *shape):
        values = torch.randn(*shape, generator=generator) * (0.2 if "norm" in name else 0.5)
        out[name] = 1 + values if "norm" in name else values

    for name in ("model.embed_tokens.weight", "lm_head.weight", "other.head"):
        add(name, V, C)
    add("model.norm.weight", C)
    add("other.norm", C)
    shapes = {"self_attn.q_proj": (H * D, C), "self_attn.k_proj": (K * D, C), "self_attn.v_proj": (K * D, C),
              "self_attn.o_proj": (C, H * D), "mlp.gate_proj": (F, C), "mlp.up_proj": (F, C), "mlp.down_proj": (C, F)}
    for layer in range(LAYERS):
        add(f"model.layers.{layer}.input_layernorm.weight", C)
        add(f"model.layers.{layer}.post_attention_layernorm.weight", C)
        for name, shape in shapes.items():
            add(f"model.layers.{layer}.{name}.weight", *shape)
            add(f"model.layers.{layer}.{name}.bias", shape[0])
    out["other.inv_freq"] = torch.ones(D // 2)
    return out


TENSORS = make_tensors()
BASE = [name for name in TENSORS if name.endswith("weight")]


def own(*biases):
    """{name in the file: name in tensors.safetensors} of a plain model, with the biases of these matrices."""
    names = BASE + [n for n in TENSORS if n.endswith("bias") and n.split(".")[-2].removesuffix("_proj") in biases]
    return {name: name for name in names}


PLAIN = own()
NO_HEAD = {n: s for n, s in PLAIN.items() if n != "lm_head.weight"}
QWEN2 = own("q", "k", "v")


def renamed(change):
    return {change(name): source for name, source in PLAIN.items()}


def halves(names):
    items = list(names.items())
    return dict(items[:9]), dict(items[9:])


def config(family="llama", **changes):
    out = dict(model_type=family, hidden_size=C, intermediate_size=F, num_hidden_layers=LAYERS, num_attention_heads=H,
               num_key_value_heads=K, vocab_size=V, max_position_embeddings=64, hidden_act="silu", rms_norm_eps=1e-5,
               rope_theta=10000.0, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2)
    out.update(changes)
    return {key: value for key, value in out.items() if value is not ...}  # ...: absent


SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARDS = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
CASES = []


def case(name, names=PLAIN, refused=None, like=None, files=None, index=None, copies=None, family="llama", **changes):
    """`files`: {file: names} if it is not model.safetensors alone. `index`: the weight_map. `copies`: {file: its source
    in odd/}."""
    CASES.append(dict(name=name, config=config(family, **changes), files={SINGLE: names} if files is None else files,
                      index=index, copies=copies, refused=refused, like=like))


def qwen2(name, names=QWEN2, **rest):
    case(name, names, family="qwen2", **rest)


def weight_map(first, second, **also):
    return {**{n: SHARDS[0] for n in first}, **{n: SHARDS[1] for n in second}, **also}


def which_weights():
    first, second = halves(PLAIN)
    old = halves({**PLAIN, "lm_head.weight": "other.head", "model.norm.weight": "other.norm"})
    both = dict(zip(SHARDS, (first, second)))
    case("plain")
    case("shards", files=both, index=weight_map(first, second))
    case("a single file beside an index of old shards", files={SINGLE: PLAIN, **dict(zip(SHARDS, old))},
         index=weight_map(*old))
    case("an index that omits a tensor of its shard", files=both,
         index={n: f for n, f in weight_map(first, second).items() if n != "model.norm.weight"})
    twice = {**second, "model.norm.weight": "other.norm"}
    first_with = {**first, "model.norm.weight": "model.norm.weight"}
    case("a tensor in two shards", files=dict(zip(SHARDS, (first_with, twice))), index=weight_map(first_with, twice),
         refused='tensor "model.norm.weight" appears twice, in ')
    case("an index that names a missing shard", files={SHARDS[0]: first}, index=weight_map(first, second),
         refused=SHARDS[1] + ": cannot open")
    lacking = {n: s for n, s in first.items() if n != "lm_head.weight"}
    case("an index that lists what its shard lacks", files=dict(zip(SHARDS, (lacking, second))),
         index=weight_map(first, second), refused='tensor "lm_head.weight" is not in its shard')
    case("PyTorch's file alone", files={}, copies={"pytorch_model.bin": "tensors.bin"})
    case("PyTorch's file beside safetensors", copies={"pytorch_model.bin": "other.bin"})
    case("PyTorch's files in parts", files={"pytorch_model.bin.index.json": PLAIN},
         refused="pytorch_model.bin.index.json: PyTorch's files in parts")
    case("a variant alone", files={"model.fp16.safetensors": PLAIN}, refused="the folder has no model.safetensors")
    case("an extra tensor", {**PLAIN, "score.weight": "other.norm"}, refused="tensor score.weight does not belong")
    case("buffers of old transformers", {**PLAIN, "model.layers.0.self_attn.rotary_emb.inv_freq": "other.inv_freq",
                                         "model.rotary_emb.inv_freq": "other.inv_freq"})
    case("a file named by transformers_weights", transformers_weights="other.safetensors",
         refused='"transformers_weights" is not supported')


def heads():
    head, embedding = "lm_head.weight", "model.embed_tokens.weight"
    case("tied with another head", tie_word_embeddings=True)
    case("tied with a copy", {**PLAIN, head: embedding}, tie_word_embeddings=True)
    case("tied without a head", NO_HEAD, tie_word_embeddings=True)
    case("tied with the head alone", {n: s for n, s in PLAIN.items() if n != embedding}, tie_word_embeddings=True)
    case("tie absent, head there", tie_word_embeddings=...)
    case("tie absent, no head", NO_HEAD, tie_word_embeddings=..., refused="tensor lm_head.weight is missing, and")
    case("not tied, no head", NO_HEAD, refused="tensor lm_head.weight is missing, and")
    qwen2("qwen2: tied with another head", tie_word_embeddings=True)
    qwen2("qwen2: tie absent, no head", {n: s for n, s in QWEN2.items() if n != head}, tie_word_embeddings=...,
          refused="tensor lm_head.weight is missing, and")


def name_forms():
    case("without model.", renamed(lambda n: n.removeprefix("model.")))
    case("model. twice", renamed(lambda n: "model." + n))
    case("torch.compile's prefix", renamed(lambda n: "_orig_mod." + n), like="plain")
    case("DataParallel's prefix", renamed(lambda n: "module." + n), like="plain")
    case("both prefixes, without model.", renamed(lambda n: "module._orig_mod." + n.removeprefix("model.")),
         like="plain")
    case("compiled layers", renamed(lambda n: n.replace(".self_attn.", "._orig_mod.self_attn.")), like="plain")
    case("FSDP and checkpointing",
         renamed(lambda n: n.replace("layers.", "_fsdp_wrapped_module.layers.").replace(
             ".mlp.", "._checkpoint_wrapped_module.mlp.")), like="plain")
    case("with and without a prefix", {**PLAIN, "norm.weight": "other.norm"},
         refused='tensor "model.norm.weight" appears twice')
    case("a prefix that is not known", renamed(lambda n: "transformer." + n),
         refused="tensor model.embed_tokens.weight is missing")


def biases():
    attention, mlp = ("q", "k", "v", "o"), ("gate", "up", "down")
    case("attention_bias", own(*attention), attention_bias=True)
    case("mlp_bias", own(*mlp), mlp_bias=True)
    case("both biases", own(*attention, *mlp), attention_bias=True, mlp_bias=True)
    case("attention_bias without the output's", own("q", "k", "v"), attention_bias=True,
         refused="self_attn.o_proj.bias is missing")
    case("biases that config.json does not name", own(*attention), refused="bias does not belong")
    qwen2("qwen2")
    qwen2("qwen2: attention_bias true", attention_bias=True)
    qwen2("qwen2: attention_bias false", attention_bias=False)


def rotary():
    llama3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=16)
    without = {k: v for k, v in llama3.items() if k != "original_max_position_embeddings"}
    yarn = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)
    plain = dict(rope_type="default", rope_theta=500.0)
    case("linear", rope_scaling=dict(rope_type="linear", factor=4.0))
    case("linear by the old key", rope_scaling=dict(type="linear", factor=2.5))
    case("a factor without a type", rope_scaling=dict(factor=4.0))
    case("type and rope_type", rope_scaling=dict(type="linear", factor=4.0, rope_type="default"))
    case("dynamic", rope_scaling=dict(type="dynamic", factor=4.0))
    case("llama3", rope_scaling=llama3)
    case("llama3 without its original positions", rope_scaling=without)
    case("llama3, original positions at the top", rope_scaling=llama3, original_max_position_embeddings=40)
    case("yarn", rope_scaling=yarn)
    case("yarn in rope_parameters", rope_theta=..., rope_parameters=dict(yarn, rope_theta=300.0))
    case("yarn with an attention factor", rope_scaling=dict(yarn, attention_factor=1.3, beta_fast=4, beta_slow=2))
    case("yarn with mscale, not truncated",
         rope_scaling=dict(yarn, mscale=0.7, mscale_all_dim=1.2, truncate=False))
    case("yarn whose ends are one, not truncated", rope_scaling=dict(yarn, beta_fast=2, beta_slow=2, truncate=False))
    case("yarn whose ends are one", rope_scaling=dict(yarn, beta_fast=2, beta_slow=2))
    case("yarn whose ends are in the other order", rope_scaling=dict(yarn, beta_fast=1, beta_slow=2),
         refused="beta_fast is 1, but must be from its beta_slow of 2")
    case("llama3 whose ends are one", rope_scaling=dict(llama3, high_freq_factor=1.0),
         refused="high_freq_factor is 1, but must be above its low_freq_factor of 1")
    case("yarn, truncate null", rope_scaling=dict(yarn, truncate=None))
    case("yarn, truncate 0", rope_scaling=dict(yarn, truncate=0), refused='"truncate" must be true or false')
    case("yarn without a factor", rope_scaling=dict(yarn, factor=None))
    case("rope_scaling beside rope_parameters", rope_scaling=llama3, rope_parameters=plain)
    case("default beside a scaled rope_parameters", rope_scaling=dict(rope_type="default"), rope_parameters=llama3)
    case("an empty rope_scaling beside rope_parameters", rope_scaling={}, rope_parameters=plain)
    case("theta at the top and in rope_parameters", rope_theta=100.0, rope_parameters=plain)
    case("theta in rope_scaling", rope_theta=100.0, rope_scaling=plain)
    case("theta absent", rope_theta=...)
    qwen2("qwen2: yarn", rope_scaling=yarn)
    long = dict(type="longrope", short_factor=[1.0, 1.0], long_factor=[2.0, 2.0])
    case("longrope", rope_scaling=long, refused='rope type "longrope" is not supported')
    case("proportional", rope_scaling=dict(rope_type="proportional"), refused='rope type "proportional"')
    case("a part of the head rotates", partial_rotary_factor=0.5, refused="partial_rotary_factor 0.5")
    case("a part of the head rotates (rope_parameters)", rope_parameters=dict(plain, partial_rotary_factor=0.5),
         refused="partial_rotary_factor 0.5")
    case("an embedding per kind of layer", rope_parameters={"full_attention": dict(rope_type="linear", factor=4.0)},
         refused='of its own for "full_attention"')
    case("linear without its factor", rope_scaling=dict(type="linear"), refused='"factor" is missing')


def oddities():
    case("num_key_value_heads null", {n: s for n, s in PLAIN.items()}, num_key_value_heads=None,
         refused="self_attn.k_proj.weight has shape [8, 16], but the config says [16, 16]")
    qwen2("qwen2: num_key_value_heads absent", num_key_value_heads=...,
          refused="key/value heads (\"num_key_value_heads\") is 32, expected 1 to 4")
    case("head_dim null", head_dim=None)
    case("whole numbers written as floats", hidden_size=16.0, vocab_size=31.0, rope_theta=10000, like="plain")
    case("dtype and torch_dtype", dtype="float32", torch_dtype="bfloat16")
    case("swish", hidden_act="swish")
    case("not causal", is_causal=False, refused='"is_causal" is false')
    qwen2("qwen2: not causal", is_causal=False, refused='"is_causal" is false')
    case("causal null", is_causal=None, refused='"is_causal" must be true or absent')
    case("causal 0", is_causal=0, refused='"is_causal" must be true or absent')
    case("causal", is_causal=True)
    case("layers that differ", per_layer_config={"0": dict(sliding_window=4)},
         refused='"per_layer_config" is set, which is not supported')
    case("layers that share keys", kv_sharing_modes=["store", "reuse"], refused='"kv_sharing_modes" is set')
    qwen2("qwen2: a config inside", text_config=dict(hidden_size=8), refused='"text_config" is set')
    case("an encoder beside", is_encoder_decoder=True, refused='"is_encoder_decoder": true is not supported')
    case("no encoder beside", is_encoder_decoder=False)
    case("fused modules", fusion_config=dict(x=True), refused='"fusion_config" is set')
    case("other names of keys", attribute_map=dict(rms_norm_eps="eps"), eps=1.0, refused='"attribute_map" is set')
    # transformers reads a text without the window and generates one with it
    case("a window that Llama does not have", sliding_window=4, refused='"sliding_window" is 4, shorter than')
    case("a chunk that Llama does not have", attention_chunk_size=8, refused='"attention_chunk_size" is 8')
    case("a window as long as the context", sliding_window=64)
    case("a window beside layer_types", sliding_window=4, layer_types=["full_attention"] * 2)
    qwen2("qwen2: a chunk that is not read", attention_chunk_size=8)
    qwen2("qwen2: a window that is off", sliding_window=4, use_sliding_window=False, max_window_layers=0)
    qwen2("qwen2: a window that is on", sliding_window=4, use_sliding_window=True,
          refused='"use_sliding_window": true is not supported')
    case("layer_types", layer_types=["full_attention"] * 2)
    case("layer_types with a window", layer_types=["full_attention", "sliding_attention"], sliding_window=4,
         refused='"layer_types" has "sliding_attention"')
    case("quantization_config", quantization_config=dict(quant_method="gptq", bits=4),
         refused='"quantization_config" (gptq) is not supported')
    case("quantization_config null", quantization_config=None)
    case("code of its own", auto_map={"AutoModelForCausalLM": "modeling_x.X"}, refused='"auto_map" names code')
    case("a larger vocabulary than the embedding", vocab_size=32, refused="has shape [31, 16], but the config says")
    case("a smaller vocabulary than the embedding", vocab_size=30, refused="has shape [31, 16], but the config says")


# ---- GGUF ----

GGUF_NAMES = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
              "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
              "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
ENDS = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name):
    base, ending = name.rsplit(".", 1)
    if base in ENDS:
        return f"{ENDS[base]}.{ending}"
    _, _, layer, rest = base.split(".", 3)
    return f"blk.{layer}.{GGUF_NAMES[rest]}.{ending}"


def permute(values, heads):
    """As convert_hf_to_gguf.py does with weights and biases of Llama's q and k."""
    pairs = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return pairs.swapaxes(1, 2).reshape(values.shape)


def write_gguf(path, arch, names, values, extra, skip):
    writer = gguf.GGUFWriter(path, arch)
    sizes = {"block_count": LAYERS, "context_length": 64, "embedding_length": C, "feed_forward_length": F,
             "attention.head_count": H, "attention.head_count_kv": K, "rope.dimension_count": D,
             "rope.freq_base": 10000.0, "attention.layer_norm_rms_epsilon": 1e-5}
    kinds = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string, bool: writer.add_bool}
    for key, value in {**sizes, **values}.items():
        if key != skip:
            kinds[type(value)](f"{arch}.{key}", value)
    for name, source in names.items():
        data = TENSORS[source].numpy()
        if arch == "llama" and (".q_proj" in name or ".k_proj" in name):
            data = permute(data, H if ".q_proj" in name else K)
        writer.add_tensor(gguf_name(name), np.ascontiguousarray(data))
    for name, data in extra.items():
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_case(name, values=None, names=PLAIN, refused=None, arch="llama", extra=None, skip=None, like="plain"):
    """`values`: metadata, without the architecture; `like`: the case that computes the same."""
    file = name.removeprefix("gguf: ").replace(" ", "_") + ".gguf"
    write_gguf(os.path.join(HERE, file), arch, names, values or {}, extra or {}, skip)
    CASES.append(dict(name=name, gguf=file, refused=refused, like=None if refused else like))


def ggufs():
    attention, mlp = ("q", "k", "v", "o"), ("gate", "up", "down")
    gguf_case("gguf: factor without a type", {"rope.scaling.factor": 4.0}, like="linear")
    gguf_case("gguf: factor by the old key", {"rope.scale_linear": 4.0}, like="linear")
    gguf_case("gguf: none with a factor", {"rope.scaling.type": "none", "rope.scaling.factor": 4.0})
    gguf_case("gguf: yarn", {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
                             "rope.scaling.original_context_length": 16}, like="yarn")
    gguf_case("gguf: biases", names=own(*attention, *mlp), like="both biases")
    gguf_case("gguf: qwen2 with yarn", {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
                                        "rope.scaling.original_context_length": 16}, QWEN2, arch="qwen2",
              like="qwen2: yarn")
    few = {n: s for n, s in PLAIN.items() if n == "model.embed_tokens.weight"}  # metadata is read first
    for name, values, message in (
            ("longrope", {"rope.scaling.type": "longrope"}, 'rope scaling "longrope" is not supported'),
            ("yarn betas", {"rope.scaling.type": "yarn", "rope.scaling.yarn_beta_fast": 8.0},
             "llama.rope.scaling.yarn_beta_fast is 8"),
            ("attention factor", {"rope.scaling.attn_factor": 1.5}, "llama.rope.scaling.attn_factor is 1.5"),
            ("window", {"attention.sliding_window": 8}, "llama.attention.sliding_window is 8"),
            ("rotates in part", {"rope.dimension_count": 2}, "rotated part 2 differ"),
            ("experts", {"expert_count": 8}, "llama.expert_count is 8"),
            ("not causal", {"attention.causal": False}, "llama.attention.causal is false")):
        gguf_case("gguf: " + name, values, few, message)
    gguf_case("gguf: no epsilon", names=few, skip="attention.layer_norm_rms_epsilon",
              refused="layer_norm_rms_epsilon is missing")
    gguf_case("gguf: divisors beside a factor", {"rope.scaling.factor": 4.0}, few,
              'beside rope scaling "linear"', extra={"rope_freqs.weight": np.ones(D // 2, dtype=np.float32)})


# ---- the right values ----

def write_folder(folder, entry):
    json.dump(entry["config"], open(os.path.join(folder, "config.json"), "w"))
    for file, names in entry["files"].items():
        tensors = {name: TENSORS[source].clone() for name, source in names.items()}
        save_file(tensors, os.path.join(folder, file), metadata={"format": "pt"})
    for file, source in (entry["copies"] or {}).items():
        shutil.copy(os.path.join(HERE, source), os.path.join(folder, file))
    if entry["index"] is not None:
        json.dump({"metadata": {}, "weight_map": entry["index"]}, open(os.path.join(folder, INDEX), "w"))


def log_probabilities(entry):
    folder = tempfile.mkdtemp()
    write_folder(folder, entry)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").double()
    shutil.rmtree(folder)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([PROMPT + ANSWER])).logits[0, len(PROMPT) - 1: -1]
    logp = torch.log_softmax(logits, dim=-1)
    return [round(x, 9) for x in logp.gather(1, torch.tensor(ANSWER)[:, None])[:, 0].tolist()]


def place(lists, names):
    """The index of this list of tensors in `lists`, which has each once; a name of itself is written short."""
    short = [name if name == source else [name, source] for name, source in names.items()]
    if short not in lists:
        lists.append(short)
    return lists.index(short)


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    os.makedirs(HERE)
    save_file(TENSORS, os.path.join(HERE, "tensors.safetensors"))
    torch.save({name: TENSORS[name] for name in BASE}, os.path.join(HERE, "tensors.bin"))
    torch.save({"lm_head.weight": TENSORS["other.head"]}, os.path.join(HERE, "other.bin"))
    for part in (which_weights, heads, name_forms, biases, rotary, oddities, ggufs):
        part()
    for entry in CASES:
        if entry["refused"] is None and entry["like"] is None:
            entry["logprob"] = log_probabilities(entry)
    by_name = {entry["name"]: entry for entry in CASES}
    assert len(by_name) == len(CASES)
    lists = []
    for entry in CASES:
        if entry["like"] is not None:
            entry["logprob"] = by_name[entry["like"]]["logprob"]
        for key in ("like", "refused", "index", "copies"):
            if entry.get(key) is None:
                entry.pop(key, None)
        if "files" in entry:
            entry["files"] = {file: place(lists, names) for file, names in entry["files"].items()}
    parts = {"prompt": PROMPT, "answer": ANSWER, "lists": lists}
    with open(os.path.join(HERE, "cases.json"), "w") as out:
        out.write(json.dumps(parts)[:-1] + ', "cases": [\n')
        out.write(",\n".join(json.dumps(entry) for entry in CASES) + "\n]}\n")


main()
