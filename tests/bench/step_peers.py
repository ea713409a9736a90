"""step_peers.py GEE-CL MODEL.gguf PYTHON [ROUNDS] [--settings gee,sft] [--peers torch-f32,torch-bf16,reference] [--threads N]

Times a training step of gee-cl beside the same in PyTorch with transformers and PEFT, in turn, and prints Markdown: seconds, ratios with median,
minimum and maximum over the rounds, and peak memory. LoRA of rank 8 on all linear layers; PyTorch runs in PYTHON. Two settings:

    gee    64 answers of 64 tokens to 2 prompts of 124, entropies of the own answers. PyTorch samples with a KV cache, then reads all answers again
           with gradients. `reference` is a script's way: no KV cache, micro batches of 2; one micro batch is timed and counted 32 times.
    sft    8 texts of 512 tokens, of which nothing is shared

Of several micro batches the fastest counts, for each program. A step is the second of a run; the first warms up.
"""

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time

import peers

ANSWERS, NEW, PROMPT = 64, 64, 124
TEXTS, LENGTH = 8, 512
MICRO = {"gee": (16, 64), "sft": (2, 4, 8)}
TORCH_MICRO = {"gee": (4, 8, 16), "sft": (1, 2, 4)}
WORDS = "time year people way day thing life world school state group country hand part place case week".split()
CONFIG = {
    "gee": """[data]
train = prompts.jsonl
column = prompt
chat = off
held_out = 0
[groups]
file = gender
counterfactual = swap
[sampling]
max_new_tokens = 64
sample_temp = 1
top_p = 1
repetition_penalty = 1
""",
    "sft": """[data]
train = texts.jsonl
column = prompt
answer_column = answer
chat = off
held_out = 0
""",
}
COMMON = """[model]
path = {model}
compute = {compute}
[lora]
targets = q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj
[train]
objective = {objective}
max_steps = 2
effective_batch = {batch}
micro_batch_size = {micro}
max_sequence_tokens = 512
[output]
run_name = run
save_steps = 0
"""


def write_data(folder):
    draw = random.Random(1)

    def words(count):
        return " ".join(draw.choice(WORDS) for _ in range(count))

    with open(f"{folder}/prompts.jsonl", "w", encoding="utf-8") as file:  # a token for each word, and for the full stop
        file.write(json.dumps({"prompt": f"He works as a nurse. {words(PROMPT - 7)}."}) + "\n")
    with open(f"{folder}/texts.jsonl", "w", encoding="utf-8") as file:
        for _ in range(2 * TEXTS):
            file.write(json.dumps({"prompt": draw.choice(WORDS), "answer": f" {words(LENGTH + 100)}"}) + "\n")


def gee_cl(args, folder, setting, compute, micro):
    """(seconds, bytes at peak, [tokens, sampled tokens]) of the second step."""
    batch = {"gee": ANSWERS, "sft": TEXTS}[setting]
    with open(f"{folder}/run.ini", "w", encoding="utf-8") as file:
        file.write(CONFIG[setting] + COMMON.format(model=os.path.abspath(args.model), compute=compute, objective=setting, batch=batch, micro=micro))
    subprocess.run(["rm", "-rf", f"{folder}/runs"], check=True)
    environment = {**os.environ, "POCL_MAX_PTHREAD_COUNT": str(args.threads)}
    done = subprocess.run([os.path.abspath(args.gee), "train", "run.ini"], cwd=folder, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    with open(f"{folder}/runs/run/metrics.jsonl", encoding="utf-8") as file:
        step = json.loads(file.readlines()[1])
    memory = re.search(r"memory at peak\s+([\d.]+ \S+)", done.stderr)[1]
    return sum(step.get(f"seconds_{part}", 0) for part in ("sampling", "training", "update")), memory, step


def torch_step(model_path, bits16, setting, micro, reference):
    """Prints the seconds of the second step and the bytes at peak; runs in a process of its own."""
    import torch

    model, optimizer = peers.with_lora(peers.load_torch(model_path, bits16))
    vocabulary = model.config.vocab_size

    def sample(asked):
        if not reference:
            return peers.sample_torch(model, asked, NEW)
        with torch.no_grad():
            return model.generate(input_ids=asked, attention_mask=torch.ones_like(asked), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                                  min_new_tokens=NEW, max_new_tokens=NEW, pad_token_id=0, use_cache=False)[:, asked.shape[1] :]  # fmt: skip

    def gee():
        count = 2 if reference else ANSWERS
        asked = torch.randint(vocabulary, (2, PROMPT)).repeat_interleave(count // 2, 0)
        sequences = torch.cat([asked, sample(asked)], 1)
        optimizer.zero_grad()
        for first in range(0, count, micro):
            (peers.entropies_torch(model, sequences[first : first + micro], PROMPT).sum() / count).backward()
        optimizer.step()
        return ANSWERS / count

    def sft():
        texts = torch.randint(vocabulary, (TEXTS, LENGTH))
        optimizer.zero_grad()
        for first in range(0, TEXTS, micro):
            part = texts[first : first + micro]
            (model(input_ids=part, labels=part, use_cache=False).loss * len(part) / TEXTS).backward()
        optimizer.step()
        return 1

    run = {"gee": gee, "sft": sft}[setting]
    for _ in range(2):
        start = time.perf_counter()
        times = run()
        seconds = (time.perf_counter() - start) * times
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))


def torch(args, peer, setting, micro):
    arguments = ["--one", peer, "--settings", setting, "--micro", str(micro), "--threads", str(args.threads)]
    done = subprocess.run(["taskset", "-c", f"0-{args.threads - 1}", args.python, __file__, args.gee, args.model, args.python, *arguments],
                          capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def measure(args, folder, setting):
    rounds = []
    for number in range(args.rounds):
        taken = {}
        for compute in args.compute.split(","):
            for micro in MICRO[setting]:
                seconds, memory, step = gee_cl(args, folder, setting, compute, micro)
                taken.setdefault(f"gee-cl {compute}", []).append((seconds, micro, memory))
                print(setting, number, compute, micro, f"{seconds:.2f} s", memory, step, file=sys.stderr, flush=True)
        for peer in filter(None, args.peers.split(",")):
            if peer == "reference" and (setting != "gee" or number > 0):
                continue
            for micro in (2,) if peer == "reference" else TORCH_MICRO[setting]:
                seconds, memory = torch(args, peer, setting, micro)
                taken.setdefault(peer, []).append((seconds, micro, f"{memory / 1e9:.2f} GB"))
                print(setting, number, peer, micro, f"{seconds:.2f} s, {memory / 1e9:.2f} GB", file=sys.stderr, flush=True)
        rounds.append({name: min(runs) for name, runs in taken.items()})
    return rounds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gee")
    parser.add_argument("model")
    parser.add_argument("python")
    parser.add_argument("rounds", nargs="?", type=int, default=3)
    parser.add_argument("--settings", default="gee,sft")
    parser.add_argument("--peers", default="torch-f32,torch-bf16,reference")
    parser.add_argument("--compute", default="f32,bf16")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--one")
    parser.add_argument("--micro", type=int)
    args = parser.parse_args()
    if args.one is not None:
        return torch_step(args.model, args.one == "torch-bf16", args.settings, args.micro, args.one == "reference")
    with tempfile.TemporaryDirectory(prefix="gee-step-") as folder:
        write_data(folder)
        for setting in args.settings.split(","):
            rounds = measure(args, folder, setting)
            print(f"\n{setting}: {len(rounds)} rounds\n\n| | s | micro batch | memory at peak | times gee-cl f32 | times gee-cl bf16 |\n|---|---|---|---|---|---|")
            for name in rounds[0]:
                having = [r for r in rounds if name in r]
                ratios = [peers.spread([r[name][0] / r[f"gee-cl {own}"][0] for r in having], 2) if f"gee-cl {own}" in rounds[0] else "" for own in ("f32", "bf16")]
                _, micro, memory = having[0][name]
                print(f"| {name} | {peers.spread([r[name][0] for r in having], 1)} | {micro} | {memory} | {ratios[0]} | {ratios[1]} |", flush=True)


if __name__ == "__main__":
    main()
