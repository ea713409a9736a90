"""growth.py GEE-CL MODEL [KIND...]: how a training step's time and memory grow with the prompts' length, the batch and the new tokens.

A model of 31 million random weights (gee-cl init) with the tokenizer of MODEL; paired answers, micro batches of 8. Prints Markdown. Seconds are of the
processor, (run of 3 steps - run of 1 step) / 2, so that a busy machine matters less; KIND is prompt, batch or new.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

SHAPE = dict(model_type="llama", hidden_size=384, intermediate_size=1024, num_hidden_layers=8, num_attention_heads=6, num_key_value_heads=2,
             vocab_size=49152, max_position_embeddings=8192, tie_word_embeddings=True, eos_token_id=2)  # fmt: skip
POINTS = {"prompt": (32, 128, 512, 2048), "batch": (8, 32, 128), "new": (8, 32, 128, 512)}
USUAL = {"prompt": 64, "batch": 8, "new": 16}
JOBS = "nurse pilot baker doctor lawyer painter farmer soldier singer teacher driver writer".split()
CONFIG = """[model]
path = model
dtype = f32
[data]
train = prompts.jsonl
column = prompt
chat = off
max_prompt_tokens = 8000
[groups]
file = gender
counterfactual = swap
[sampling]
max_new_tokens = {new}
[loss]
pairing = paired
[train]
max_steps = {steps}
effective_batch = {batch}
micro_batch_size = 8
[output]
save_root = runs-{steps}
run_name = run
save_steps = 0
"""


def run(gee, folder, point, steps):
    """(processor seconds, planned, at peak, activations) of a run of so many steps."""
    with open(f"{folder}/prompts.jsonl", "w") as file:
        for job in JOBS:  # 6 tokens, and 9 for each sentence that follows
            text = f"He works as a {job}." + " Then he goes home and reads a long book." * ((point["prompt"] - 6) // 9)
            file.write(json.dumps({"prompt": text}) + "\n")
    with open(f"{folder}/run.ini", "w") as file:
        file.write(CONFIG.format(steps=steps, **point))
    subprocess.run(["rm", "-rf", f"{folder}/runs-{steps}"], check=True)
    before = os.times()
    done = subprocess.run([gee, "train", "run.ini"], cwd=folder, capture_output=True, text=True)
    after = os.times()
    if done.returncode != 0:
        sys.exit(done.stderr)
    memory = [re.search(rf"{what}\s+([\d.]+ \S+)", done.stderr)[1] for what in ("memory planned", "memory at peak", "  activations")]
    return (after.children_user + after.children_system - before.children_user - before.children_system, *memory)


def main():
    gee, model, kinds = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:] or list(POINTS)
    with tempfile.TemporaryDirectory(prefix="gee-growth-") as folder:
        with open(f"{folder}/shape.json", "w") as file:
            json.dump(SHAPE, file)
        subprocess.run([gee, "init", "--config", "shape.json", "--tokenizer", model, "--output", "model"], cwd=folder, check=True)
        print("| prompt tokens | answers | new tokens | s a step | activations | memory planned | at peak |\n|---|---|---|---|---|---|---|")
        for kind in kinds:
            for value in POINTS[kind]:
                point = {**USUAL, kind: value}
                one, three = run(gee, folder, point, 1), run(gee, folder, point, 3)
                seconds = (three[0] - one[0]) / 2
                print(f"| {point['prompt']} | {point['batch']} | {point['new']} | {seconds:.2f} | {three[3]} | {three[1]} | {three[2]} |", flush=True)


main()
