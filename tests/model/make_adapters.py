#!/usr/bin/env python3
"""Writes the adapters that tests/model/test_adapters.c reads: adapters/<form>/, as PEFT saves them or as others rename them,
on the tiny models of tests/golden; and adapters.json, with the log probabilities that PEFT gives the samples.

Run with torch, transformers and peft (0.21 wrote what is here): tests/model/make_adapters.py
"""
import json
import pathlib
import shutil
import tempfile
import warnings

import peft
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parent / "golden"
SAMPLES = json.loads((GOLDEN / "samples.json").read_text())
UNSLOTH = (r"(?:.*?(?:language|text).*?(?:self_attn|attention|mlp).*?(?:q_proj|down_proj).*?)|"
           r"(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|attention|mlp)\.(?:(?:q_proj|down_proj)))")
warnings.simplefilter("ignore")


def load_base(name):
    return AutoModelForCausalLM.from_pretrained(GOLDEN / name, dtype=torch.float32, attn_implementation="eager").eval()


@torch.no_grad()
def logprobs(model):
    out = []
    for answer in SAMPLES["answers"]:
        prompt, tokens = SAMPLES["prompts"][answer["prompt"]], answer["tokens"]
        logits = model(input_ids=torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1]
        out += torch.log_softmax(logits.double(), -1)[range(len(tokens)), tokens].tolist()
    return out


def train(model, scale=0.1):
    """Stands for training: every trained number is moved."""
    draw = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += torch.randn(parameter.shape, generator=draw) * scale
    return model


def make(base, save={}, initial=None, **options):
    """Saves an adapter into a temporary folder."""
    torch.manual_seed(1)
    config = LoraConfig(**{**dict(r=2, lora_alpha=3, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"), **options})
    model = get_peft_model(load_base(base), config)
    folder = pathlib.Path(tempfile.mkdtemp())
    if initial:  # what PEFT's documentation says about PiSSA
        model.peft_config["default"].init_lora_weights = True
        model.save_pretrained(folder / "initial")
        save = dict(path_initial_model_for_weight_conversion=str(folder / "initial"))
    train(model).save_pretrained(folder, **save)
    if initial:
        shutil.rmtree(folder / "initial")
    return folder


def edit_config(folder, **changes):
    path = folder / "adapter_config.json"
    config = {**json.loads(path.read_text()), **changes}
    for key, value in config.items():  # PEFT has sets, whose order is another each time
        config[key] = sorted(value) if isinstance(value, list) and key in ("target_modules", "exclude_modules") else value
    path.write_text(json.dumps(config, indent=1) + "\n")


def edit_tensors(folder, change, save=save_file):
    path = folder / "adapter_model.safetensors"
    tensors = dict(change(name, tensor) for name, tensor in load_file(path).items())
    if save is save_file:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    else:
        path.unlink()
        save(tensors, folder / "adapter_model.bin")


def renamed(rule):
    return lambda folder: edit_tensors(folder, lambda name, tensor: (rule(name), tensor))


def typed(dtype):
    return lambda folder: edit_tensors(folder, lambda name, tensor: (name, tensor.to(dtype)))


def both_files(folder):
    """The .bin has other values; PEFT takes the .safetensors."""
    tensors = {name: tensor + 1 for name, tensor in load_file(folder / "adapter_model.safetensors").items()}
    torch.save(tensors, folder / "adapter_model.bin")


def as_bin(change, wrap=dict):
    return lambda folder: edit_tensors(folder, change, lambda tensors, path: torch.save(wrap(tensors), path))


def with_metadata(tensors):
    import collections

    state = collections.OrderedDict((name, torch.nn.Parameter(tensor)) for name, tensor in tensors.items())
    state._metadata = {"": {"version": 1}}
    return state


def in_one_storage(tensors):
    joined = torch.cat([tensor.flatten() for tensor in tensors.values()])
    sizes = [tensor.numel() for tensor in tensors.values()]
    return {name: part.view(tensor.shape) for (name, tensor), part in zip(tensors.items(), joined.split(sizes))}


same = lambda name, tensor: (name, tensor)
transposed = lambda name, tensor: (name, tensor.t().contiguous().t())
A, Q = "llama", "qwen2"  # untied; tied, with biases
LAYER = "model.layers.1.self_attn.q_proj"
# name: (base, options of make, what is changed after it). Where PEFT cannot read what was changed, `None` stands in front
# of the change, and the numbers are those of the adapter before it.
FORMS = {
    "plain": (A, {}),
    "rslora": (A, dict(use_rslora=True, r=3)),
    "alpha_float": (A, {}, lambda f: edit_config(f, lora_alpha=2.5)),
    "rank_pattern": (A, dict(rank_pattern={"v_proj": 3})),
    "rank_pattern_order": (A, dict(rank_pattern={r"layers.1.self_attn.\w+": 1, "q_proj": 3, "self_attn.*": 2})),
    "alpha_pattern": (A, dict(alpha_pattern={f"^{LAYER}": 7.5, "self_attn.v_proj": 1}, r=1)),
    "patterns_rslora": (A, dict(alpha_pattern={"v_proj": 9}, rank_pattern={"(q|k)_proj": 3}, use_rslora=True)),
    "pattern_of_suffix": (A, dict(rank_pattern={"proj": 3, "j": 1, "v_proj": 1})),
    "regex": (A, dict(target_modules=r".*\.(q_proj|v_proj)")),
    "regex_whole": (A, dict(target_modules=r"model\.layers\.1\.(self_attn|mlp)\.(q|down)_proj")),
    "regex_unsloth": (A, dict(target_modules=UNSLOTH)),
    "regex_lookahead": (A, dict(target_modules=r"(?!.*layers\.0).*_proj(?<!up_proj)")),
    "full_paths": (A, dict(target_modules=[LAYER, "model.layers.0.mlp.down_proj"])),
    "partial_paths": (A, dict(target_modules=["1.mlp.gate_proj", "self_attn.k_proj"])),
    "all_linear": (A, dict(target_modules="all-linear", r=1)),
    "all_linear_word": (A, dict(target_modules="all-linear", r=1), lambda f: edit_config(f, target_modules="All-Linear")),
    "unmatched_target": (A, dict(target_modules=["q_proj", "c_attn", "query_key_value"])),
    "exclude_list": (A, dict(exclude_modules=["layers.0.self_attn.q_proj"])),
    "exclude_regex": (A, dict(exclude_modules=r".*\.0\..*v_proj")),
    "layer_number": (A, dict(layers_to_transform=1)),
    "layer_list": (A, dict(layers_to_transform=[0, 7], layers_pattern="layers")),
    "layer_patterns": (A, dict(layers_to_transform=[1], layers_pattern=["h", "layers"])),
    "layer_and_whole_name": (A, dict(layers_to_transform=[1], target_modules=["model.layers.0.self_attn.o_proj", "v_proj"])),
    "saved_embeddings": (A, dict(save=dict(save_embedding_layers=True))),
    "saved_embeddings_tied": (Q, dict(save=dict(save_embedding_layers=True)),
                              lambda f: edit_tensors(f, lambda n, t: (n, t + 0.1 if "lora" not in n else t))),
    "trained_embeddings": (A, dict(modules_to_save=["embed_tokens", "lm_head"])),
    "trained_embeddings_tied": (Q, dict(modules_to_save=["embed_tokens", "lm_head"])),
    "trained_embedding_tied": (Q, dict(modules_to_save=["embed_tokens"])),
    "trained_head_tied": (Q, dict(modules_to_save=["lm_head"])),
    "kept_tied": (Q, dict(modules_to_save=["embed_tokens"], ensure_weight_tying=True)),
    "trained_norms": (A, dict(modules_to_save=["norm"])),
    "trained_matrix": (A, dict(modules_to_save=["1.self_attn.v_proj"])),
    "trained_matrix_with_bias": (Q, dict(modules_to_save=["k_proj"])),
    "bias_all": (Q, dict(bias="all")),
    "bias_of_adapted": (Q, dict(bias="lora_only")),
    "bias_without_biases": (A, dict(bias="all")),
    "dora": (A, dict(use_dora=True)),
    "dora_rslora": (Q, dict(use_dora=True, use_rslora=True, rank_pattern={"v_proj": 1}, target_modules=["v_proj", "up_proj"])),
    "dora_named_weight": (A, dict(use_dora=True, r=1), renamed(lambda n: n + ".weight" if n.endswith("vector") else n)),
    "head": (A, dict(target_modules=["q_proj", "lm_head"])),
    "head_dora": (A, dict(target_modules=["lm_head"], use_dora=True)),
    "head_tied": (Q, dict(target_modules=["q_proj", "lm_head"], save=dict(save_embedding_layers=False))),
    "embedding": (A, dict(target_modules=["embed_tokens"], rank_pattern={"embed_tokens": 3})),
    "embedding_tied": (Q, dict(target_modules=["embed_tokens", "k_proj"], save=dict(save_embedding_layers=False))),
    "embedding_and_head_tied": (Q, dict(target_modules=["embed_tokens", "lm_head"])),
    "tokens": (A, dict(trainable_token_indices=[17, 8, 44])),
    "tokens_of_both": (A, dict(trainable_token_indices={"embed_tokens": [17, 42], "lm_head": [8]})),
    "tokens_tied": (Q, dict(trainable_token_indices=[17, 8, 44])),
    "tokens_equal_tied": (Q, dict(trainable_token_indices={"model.embed_tokens": [17, 8], "lm_head": [17, 8]})),
    "tokens_of_head_tied": (Q, dict(trainable_token_indices={"lm_head": [17, 8]})),
    "tokens_differ_tied": (Q, dict(trainable_token_indices={"embed_tokens": [17], "lm_head": [17, 8]})),
    "f16": (A, {}, typed(torch.float16)),
    "bf16": (A, {}, typed(torch.bfloat16)),
    "fan_in_fan_out": (A, dict(fan_in_fan_out=True)),
    "init_gaussian": (A, dict(init_lora_weights="gaussian")),
    "init_false": (A, dict(init_lora_weights=False)),
    "init_eva": (A, dict(init_lora_weights="eva", rank_pattern={LAYER: 1})),
    "init_orthogonal": (A, dict(init_lora_weights="orthogonal")),
    "init_mica": (A, dict(init_lora_weights="mica")),
    "pissa_converted": (A, dict(init_lora_weights="pissa", initial=True)),
    "olora_converted": (A, dict(init_lora_weights="olora", initial=True)),
    "future_keys_off": (A, {}, lambda f: edit_config(f, peft_version="9.9", use_new=False, new_config=None, new_list=[],
                                                     runtime_config={"ephemeral_gpu_offload": False})),
    "bin": (A, {}, as_bin(same)),
    "bin_parameters": (A, {}, as_bin(same, with_metadata)),
    "bin_not_in_order": (A, {}, as_bin(transposed)),
    "bin_one_storage": (A, {}, as_bin(same, in_one_storage)),
    "bin_f16": (A, {}, as_bin(lambda n, t: (n, t.half()))),
    "bin_and_safetensors": (A, {}, both_files),
    "named_default": (A, {}, renamed(lambda n: n.replace(".weight", ".default.weight"))),
    "named_by_compile": (A, {}, None, renamed(lambda n: n.replace("base_model.model.", "base_model.model._orig_mod."))),
    "named_by_fsdp": (A, {}, None, renamed(lambda n: n.replace(".self_attn", "._fsdp_wrapped_module.self_attn"))),
    "named_by_ddp": (A, {}, None, renamed(lambda n: "module." + n)),
    "named_by_transformers": (A, {}, None, renamed(lambda n: n.removeprefix("base_model.model."))),
}


def main():
    target = HERE / "adapters"
    shutil.rmtree(target, ignore_errors=True)
    expected = {"peft": peft.__version__, "base": {}, "forms": {}}
    for base in (A, Q):
        expected["base"][base] = logprobs(load_base(base))
    for name, (base, options, *changes) in FORMS.items():
        folder = make(base, **options)
        unread = len(changes) > 0 and changes[0] is None
        if unread:
            numbers = logprobs(PeftModel.from_pretrained(load_base(base), folder).eval())
        for change in changes:
            if change is not None:
                change(folder)
        if not unread:
            numbers = logprobs(PeftModel.from_pretrained(load_base(base), folder).eval())
        moved = max(abs(a - b) for a, b in zip(numbers, expected["base"][base]))
        assert moved > 0.05, f"{name} changes nothing: {moved}"
        (folder / "README.md").unlink(missing_ok=True)
        edit_config(folder, base_model_name_or_path=base)
        shutil.copytree(folder, target / name)
        shutil.rmtree(folder)
        expected["forms"][name] = {"base": base, "logprob": [round(number, 7) for number in numbers]}
        print(f"{name:24} {moved:.2f}")
    (HERE / "adapters.json").write_text(json.dumps(expected, indent=1) + "\n")


main()
