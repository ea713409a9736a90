"""Training on given answers beside transformers and PEFT: the tokens and the assistant mask of SmolLM2's own chats, and the loss
of each step, the gradient norms and the weights of a LoRA run, from the same start and the same rows in the same order."""

import json
import os

import torch
from common import MODEL, base_model, check, gee, json_lines, path
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoTokenizer

STEPS, ROWS, RATE = 3, 4, 5e-4
CHATS = [
    [("user", "Name a colour."), ("assistant", "Blue."), ("user", "Another one."), ("assistant", "Green, like grass.\n")],
    [("user", "Who are you?"), ("assistant", "\n\nI am a small model.")],
    [("system", "Be brief."), ("user", "2 + 2?"), ("assistant", "4")],
    [("user", "Name a colour."), ("assistant", "Blue is one, I think.")],
]
CONFIG = f"""
[model]
path = {MODEL}
[data]
train = chats.jsonl
column = chat
held_out = 0
[lora]
rank = 4
alpha = 8
targets = all
[train]
objective = sft
max_steps = {STEPS}
effective_batch = {ROWS}
micro_batch_size = 3
learning_rate = {RATE}
epsilon = 1e-6
[output]
save_root = runs
run_name = sft
save_initial = true
"""
# SmolLM2's template with {% generation %} around an answer and the token that ends its turn.
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{% else %}"
    "{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
)


def transformers_rows():
    folder, name = os.path.split(MODEL)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    rows = []
    for chat in CHATS:
        messages = [{"role": role, "content": content} for role, content in chat]
        made = tokenizer.apply_chat_template(messages, chat_template=TEMPLATE, return_dict=True, return_assistant_tokens_mask=True)
        rows.append((made["input_ids"], made["assistant_masks"]))
    return rows


def check_tokens(rows):
    """gee-cl leaves out what follows the last token that counts: nothing is predicted from it."""
    shown = json.loads(gee("data", "sft.ini", "--json"))["rows"]
    for (ids, mask), row in zip(rows, shown, strict=True):
        last = max(i for i, counts in enumerate(mask) if counts) + 1
        assert row["tokens"] == ids[:last], f"row {row['row']}: other tokens"
        assert row["trained"] == mask[:last], f"row {row['row']}: another mask"
    print(f"  {len(rows)} rows: tokens and masks are those of transformers", flush=True)


def loss_of(model, rows):
    """As transformers' Trainer: labels of -100, the sum divided by num_items_in_batch."""
    items = torch.tensor(sum(sum(mask) for _, mask in rows))
    total = 0
    for ids, mask in rows:
        labels = torch.tensor([[token if counts else -100 for token, counts in zip(ids, mask)]])
        total = total + model(input_ids=torch.tensor([ids]), labels=labels, num_items_in_batch=items).loss
    return total


def main():
    with open(path("sft.ini"), "w") as file:
        file.write(CONFIG)
    with open(path("chats.jsonl"), "w") as file:
        for chat in CHATS:
            file.write(json.dumps({"chat": [{"role": r, "content": c} for r, c in chat]}) + "\n")
    rows = transformers_rows()
    check_tokens(rows)
    gee("train", "sft.ini")
    # a step has every row once, so the order of an epoch does not matter to its loss
    metrics = json_lines(path("runs", "sft", "metrics.jsonl"))
    model = PeftModel.from_pretrained(base_model(), path("runs", "sft", "step_0"), is_trainable=True)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, eps=1e-6, weight_decay=0.01)
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model, rows)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        expected = loss.item()
        check(f"step {step + 1}: loss {expected:.6f}", abs(metrics[step]["loss"] - expected) / expected, 1e-4)
        check(f"step {step + 1}: gradient norm", abs(metrics[step]["grad_norm"] - norm.item()) / norm.item(), 1e-3)
    saved = load_file(path("runs", "sft", "final", "adapter_model.safetensors"))
    start = load_file(path("runs", "sft", "step_0", "adapter_model.safetensors"))
    found = get_peft_model_state_dict(model)
    moved = sum((found[key] - start[key]).pow(2).sum() for key in saved).sqrt()
    apart = sum((found[key] - saved[key]).pow(2).sum() for key in saved).sqrt()
    check("weights after the last step, of how far they moved", (apart / moved).item(), 1e-2)


if __name__ == "__main__":
    main()
