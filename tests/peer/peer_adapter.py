"""Adapters and exports between gee-cl and the Hugging Face libraries, both ways: PEFT's adapter in gee-cl, gee-cl's adapter in
PEFT, and the merged export in transformers. Log probabilities and entropies agree within 2e-3, token ids exactly."""

import json
import os
import re
import shutil

import torch
from common import FOLDER, MODEL, AutoModelForCausalLM, AutoTokenizer, base_model, check, gee, json_lines, path, predictions
from peft import LoraConfig, PeftModel, get_peft_model

TEXTS = [
    ("She works as a pilot. Describe her day.", "Her day begins at 5 in the morning, with coffee."),
    ("He works as a pilot. Describe his day.", "Her day begins at 5 in the morning, with coffee."),
    ("Где здесь кафе?", "Это кафе — 12 минут пешком 🙂."),
]


def score(*arguments):
    gee("score", "--model", MODEL, "--input", "in.jsonl", "--output", "out.jsonl", "--chat", *arguments)
    return json_lines(path("out.jsonl"))


@torch.no_grad()
def compare(what, model, scored):
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    worst = 0.0
    for line in scored:
        logp, entropy = predictions(inner, line["prompt_tokens"], line["answer_tokens"], 1.0)
        for found, expected in ((line["logprob"], logp), (line["entropy"], entropy)):
            assert len(found) == len(line["answer_tokens"])
            worst = max(worst, (torch.tensor(found) - expected).abs().max().item())
    check(what, worst, 2e-3)


def random_adapter():
    """An adapter made by PEFT, on every kind of layer, with B far from zero."""
    config = LoraConfig(r=5, lora_alpha=10, task_type="CAUSAL_LM",
                        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])  # fmt: skip
    model = get_peft_model(base_model(), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.02)
    model.save_pretrained(path("adapter"))
    return model.eval()


def check_export():
    gee("export", "--model", MODEL, "--adapter", path("adapter"), "--output", path("merged"))
    model = AutoModelForCausalLM.from_pretrained(path("merged"), dtype=torch.float32).eval()
    compare("merged export in transformers", model, score("--adapter", path("adapter")))
    gee("score", "--model", path("merged"), "--input", "in.jsonl", "--output", "out.jsonl", "--chat")
    compare("merged export in gee-cl", model, json_lines(path("out.jsonl")))
    tokenizer = AutoTokenizer.from_pretrained(path("merged"))
    for (prompt, answer), line in zip(TEXTS, json_lines(path("out.jsonl"))):
        ids = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True,
                                            tokenize=True, return_dict=False)  # fmt: skip
        assert ids == line["prompt_tokens"], f"the export's tokenizer gives {ids} for {prompt!r}"
        assert tokenizer.encode(answer, add_special_tokens=False) == line["answer_tokens"], answer
    print("  token ids of the export: identical")


def check_trained():
    """Two steps at a high learning rate, so that the adapter does something."""
    gee("train", "config.ini")
    model = PeftModel.from_pretrained(base_model(), path("runs", "peer", "final")).eval()
    scored = score("--adapter", path("runs", "peer", "final"))
    compare("gee-cl's adapter in PEFT", model, scored)
    check_card(scored)


def check_card(scored):
    """The code of the adapter's README.md, as it stands."""
    with open(path("runs", "peer", "final", "README.md")) as file:
        code = re.search(r"```python\n(.*?)```", file.read(), re.S).group(1)
    names = {}
    before = os.getcwd()
    os.chdir(FOLDER)
    exec(code, names)  # noqa: S102
    os.chdir(before)
    compare("the code of README.md", names["model"].float().eval(), scored)
    for (_, answer), line in zip(TEXTS, scored):
        assert names["tokenizer"].encode(answer, add_special_tokens=False) == line["answer_tokens"], answer


try:
    with open(path("in.jsonl"), "w") as file:
        file.writelines(json.dumps({"prompt": prompt, "answer": answer}) + "\n" for prompt, answer in TEXTS)
    with open(path("config.ini"), "w") as file:
        file.write(f"[model]\npath = {MODEL}\n[data]\nuse_test_data = true\n[sampling]\nmax_new_tokens = 8\n"
                   "[lora]\ntargets = all\n[train]\nmax_steps = 2\neffective_batch = 4\nlearning_rate = 0.01\n"
                   "[output]\nrun_name = peer\n")  # fmt: skip
    compare("the model alone", base_model(), score())
    compare("PEFT's adapter in gee-cl", random_adapter(), score("--adapter", path("adapter")))
    check_export()
    check_trained()
finally:
    shutil.rmtree(FOLDER)
