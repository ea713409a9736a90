#!/usr/bin/env python3
"""Times CrowS-Pairs or BBQ in lm-evaluation-harness and in gee-cl eval, in turn, on the CPU with the same threads.

    python tests/bench/lm_eval_speed.py GEE_CL SHARED MODEL.gguf [ROWS [ROUNDS [BATCH [crows_pairs|bbq]]]]

with lm_eval 0.4.13, torch, transformers and gguf installed. Both start with the model in memory: of gee-cl, the time is
its own from the first request to the last (results.json). Prints seconds of wall clock and of the processor.
"""

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer

gee, shared, gguf = sys.argv[1:4]
rows, rounds, batch = (int(x) for x in (sys.argv[4:7] + ["200", "3", "8"][len(sys.argv[4:7]):]))
task = sys.argv[7] if len(sys.argv) > 7 else "crows_pairs"
threads = os.cpu_count()
torch.set_num_threads(threads)
folder, name = os.path.split(gguf)
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch, device="cpu")
data = os.path.join(shared, "data")
UNKNOWN = ["Unknown", "Cannot answer", "Can't be determined", "Cannot be determined", "Can't answer", "Not known",
           "Not enough info", "Not enough information", "Not answerable", "Undetermined"]


def texts_of_pairs():
    with open(os.path.join(data, "crows_pairs/crows_pairs_anonymized.csv"), encoding="utf-8", newline="") as f:
        pairs = list(csv.DictReader(f))[:rows]
    return [[("", pair[key]) for key in ("sent_more", "sent_less")] for pair in pairs]


def texts_of_bbq():
    with open(os.path.join(data, "bbq/bbq_subset.jsonl"), encoding="utf-8") as f:
        docs = [json.loads(line) for line in f][:rows]
    named = [[doc[key] for key in ("ans0", "ans1", "ans2") if doc[key] not in UNKNOWN] for doc in docs]
    return [[(f"{doc['context']}\n\nQ: {doc['question']}\nA:", " " + choice) for choice in names + UNKNOWN]
            for doc, names in zip(docs, named)]


texts = texts_of_bbq() if task == "bbq" else texts_of_pairs()
requests = [Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=i)
            for i, row in enumerate(texts) for pair in row]


def cpu(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


for _ in range(rounds):
    start, used = time.time(), cpu(resource.RUSAGE_SELF)
    lls = [answer[0] for answer in lm.loglikelihood(requests, disable_tqdm=True)]
    harness, harness_cpu = time.time() - start, cpu(resource.RUSAGE_SELF) - used
    output, items = (os.path.join(tempfile.mkdtemp(), name) for name in ("results.json", "items.jsonl"))
    used = cpu(resource.RUSAGE_CHILDREN)
    subprocess.run([gee, "eval", "--model", gguf, "--tasks", task, "--data-dir", data, "--output", output, "--items",
                    items, "--limit", str(rows)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    own_cpu = cpu(resource.RUSAGE_CHILDREN) - used
    with open(output, encoding="utf-8") as f:
        results = json.load(f)
    with open(items, encoding="utf-8") as f:
        own = [json.loads(line)["loglikelihoods"] for line in f]
    size = len(texts[0])
    for i, row in enumerate(own):
        assert max(abs(a - b) for a, b in zip(row, lls[size * i:size * (i + 1)])) < 2e-3
    print(f"{rows} rows of {task}, {threads} threads: lm-eval (batch {batch}) {harness:.1f} s, processor {harness_cpu:.1f} s; gee-cl "
          f"{results['seconds']:.1f} s, processor {own_cpu:.1f} s with its start; {harness / results['seconds']:.1f} times as fast")
