"""What scripts/bench_peers.sh runs: the parts of `gee-cl bench` in PyTorch (transformers, PEFT) or llama.cpp, and the table.

    peers.py measure torch-f32|torch-bf16|llama MODEL.gguf OUT.json [RUNS]
    peers.py table FOLDER          Markdown from the files that the rounds left: gee-cl.N.json, torch-f32.N.json, ...

Sizes are those of src/bench/run.h. Tokens are random, and an end token ends nothing. Each part is run once to warm up,
then RUNS times; a file has all seconds.
"""

import glob
import inspect
import json
import os
import random
import statistics
import sys
import time

PREFILL, PROMPT, NEW = 256, 32, 32
GRADIENT_PROMPT, GRADIENT_ANSWERS, GRADIENT_TOKENS = 36, 4, 120
STEP_PROMPT, STEP_ANSWERS, STEP_TOKENS = 64, 8, 32
BATCHES = (1, 8, 64)
PRODUCTS = ((1, 1536, 576), (64, 1536, 576), (256, 1536, 576), (256, 576, 1536), (64, 49152, 576))  # rows, out, in
RANK = 8


def timed(run, runs):
    """Seconds of each run. A run that measures itself returns its own."""
    run()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        own = run()
        seconds.append(own if own is not None else time.perf_counter() - start)
    return seconds


# ---- PyTorch ----


def load_torch(path, bits16):
    """The file's weights, widened to float32 or rounded to bfloat16."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    import transformers

    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    dtype = torch.bfloat16 if bits16 else torch.float32
    folder, name = os.path.split(os.path.abspath(path))
    # transformers 5 may keep a GGUF file's weights packed; before, it could not.
    plain = {"quantization_config": transformers.GgufConfig(dequantize=True)} if hasattr(transformers, "GgufConfig") else {}
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=dtype, **plain).eval()
    assert all(p.dtype == dtype for p in model.parameters())
    return model


def with_lora(model):
    """The model with LoRA on all linear layers, and what trains it."""
    import torch
    from peft import LoraConfig, get_peft_model

    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=targets, task_type="CAUSAL_LM"))
    return model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)


def sample_torch(model, asked, count):
    """`count` tokens behind each row of `asked`, with a KV cache, at temperature 1; an end token ends nothing."""
    import torch

    with torch.no_grad():
        return model.generate(
            input_ids=asked, attention_mask=torch.ones_like(asked), do_sample=True, temperature=1.0, top_k=0,
            top_p=1.0, min_new_tokens=count, max_new_tokens=count, pad_token_id=0,
        )[:, asked.shape[1] :]  # fmt: skip


def entropies_torch(model, sequences, prompt):
    """Mean entropy of each sequence's answer, from the distributions that its tokens are predicted from."""
    import torch

    logits = model(sequences[:, :-1], use_cache=False, logits_to_keep=sequences.shape[1] - prompt).logits
    logp = torch.log_softmax(logits.float(), -1)
    return -(logp.exp() * logp).sum(-1).mean(-1)


def measure_torch(path, bits16, runs):
    import torch
    import transformers

    model = load_torch(path, bits16)
    dtype = next(model.parameters()).dtype
    vocabulary = model.config.vocab_size
    cache_name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"

    def tokens(*shape):
        return torch.randint(vocabulary, shape)

    @torch.no_grad()
    def decode(batch):
        """From the first tokens to the last, with a KV cache, drawing at temperature 1."""
        cache = {cache_name: transformers.DynamicCache()}
        output = model(tokens(1, PROMPT).expand(batch, -1), use_cache=True, logits_to_keep=1, **cache)
        start = time.perf_counter()
        for _ in range(NEW - 1):
            drawn = torch.multinomial(torch.softmax(output.logits[:, -1].float(), -1), 1)
            output = model(drawn, use_cache=True, **cache)
        torch.multinomial(torch.softmax(output.logits[:, -1].float(), -1), 1)
        return time.perf_counter() - start

    @torch.no_grad()
    def prefill():
        model(tokens(1, PREFILL), use_cache=True, logits_to_keep=1)

    @torch.no_grad()
    def product(rows, out, into, weights):
        x = torch.randn(rows, into, dtype=dtype)
        start = time.perf_counter()
        for weight in weights:
            torch.nn.functional.linear(x, weight)
        return (time.perf_counter() - start) / len(weights)

    results = {}
    for rows, out, into in PRODUCTS if runs > 1 else ():
        weights = [torch.randn(out, into, dtype=dtype) for _ in range(2 if out * into > 10_000_000 else 30)]
        results[f"product {rows} x {into} x {out}"] = timed(lambda r=rows, o=out, i=into, w=weights: product(r, o, i, w), runs)
    for batch in BATCHES:
        results[f"decode, {batch}"] = timed(lambda b=batch: decode(b), runs)
    results["prefill"] = timed(prefill, runs)

    model, optimizer = with_lora(model)

    def gradient():
        prompt = tokens(1, GRADIENT_PROMPT).expand(GRADIENT_ANSWERS, -1)
        model.zero_grad()
        sequences = torch.cat([prompt, tokens(GRADIENT_ANSWERS, GRADIENT_TOKENS)], 1)
        entropies_torch(model, sequences, GRADIENT_PROMPT).mean().backward()

    def step():
        """Half of the answers for each of two prompts; every answer is read under both."""
        prompts = tokens(2, STEP_PROMPT)
        asked = prompts.repeat_interleave(STEP_ANSWERS // 2, 0)
        answers = sample_torch(model, asked, STEP_TOKENS)
        read = torch.cat([torch.cat([prompt.expand(STEP_ANSWERS, -1), answers], 1) for prompt in prompts])
        optimizer.zero_grad()
        means = entropies_torch(model, read, STEP_PROMPT).view(2, -1).mean(1)
        ((means[0] - means[1]) ** 2).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    results["forward and backward"] = timed(gradient, runs)
    results["step"] = timed(step, runs)
    return results


# ---- llama.cpp ----


class Llama:
    """llama.cpp's own interface, as llama-cpp-python 0.3.36 has it: one prompt in `batch` sequences, which share it."""

    def __init__(self, path, batch):
        import llama_cpp

        self.lib, self.batch, threads = llama_cpp, batch, len(os.sched_getaffinity(0))
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        assert self.model, path
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = max(512, PROMPT + batch * NEW), 512, 512
        params.n_seq_max, params.n_threads, params.n_threads_batch, params.kv_unified = batch, threads, threads, True
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        assert self.context
        self.rows = llama_cpp.llama_batch_init(512, 0, batch)

    def run(self, rows):
        """rows: (token, position, sequences, whether its logits are wanted)"""
        for i, (token, position, sequences, wanted) in enumerate(rows):
            self.rows.token[i], self.rows.pos[i], self.rows.logits[i] = token, position, wanted
            self.rows.n_seq_id[i] = len(sequences)
            for j, sequence in enumerate(sequences):
                self.rows.seq_id[i][j] = sequence
        self.rows.n_tokens = len(rows)
        assert self.lib.llama_decode(self.context, self.rows) == 0

    def read_prompt(self, count):
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        self.run([(random.randrange(self.vocabulary), i, range(self.batch), i == count - 1) for i in range(count)])

    def decode(self):
        """From the first tokens to the last, each sequence drawing its own at temperature 1."""
        lib = self.lib
        sampler = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        lib.llama_sampler_chain_add(sampler, lib.llama_sampler_init_dist(1))
        self.read_prompt(PROMPT)
        drawn = [lib.llama_sampler_sample(sampler, self.context, -1) for _ in range(self.batch)]
        start = time.perf_counter()
        for t in range(NEW - 1):
            self.run([(token, PROMPT + t, [i], True) for i, token in enumerate(drawn)])
            drawn = [lib.llama_sampler_sample(sampler, self.context, i) for i in range(self.batch)]
        seconds = time.perf_counter() - start
        lib.llama_sampler_free(sampler)
        return seconds

    def prefill(self):
        self.read_prompt(PREFILL)

    def close(self):
        self.lib.llama_batch_free(self.rows)
        self.lib.llama_free(self.context)
        self.lib.llama_model_free(self.model)


def measure_llama(path, runs):
    results = {}
    for batch in BATCHES:
        llama = Llama(path, batch)
        results[f"decode, {batch}"] = timed(llama.decode, runs)
        if batch == 1:
            results["prefill"] = timed(llama.prefill, runs)
        llama.close()
    return results


# ---- the table ----

PEERS = {"torch-f32": "PyTorch, float32", "torch-bf16": "PyTorch, bfloat16", "llama": "llama.cpp, the same file"}


def of_gee_cl(path):
    """Median seconds of gee-cl bench's results, by the names above."""
    with open(path, encoding="utf-8") as file:
        bench = json.load(file)
    out = {}
    for r in bench["results"]:
        name = {"decode": f"decode, {r.get('batch')}", "gemm": f"product {r.get('rows')} x {r.get('in')} x {r.get('out')}"}
        if r.get("form") != "dx":
            out[name.get(r["part"], r["name"])] = r["seconds"]["median"]
    return out


def spread(values, digits):
    values = sorted(values)
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({values[0]:.{digits}f}–{values[-1]:.{digits}f})"


def rounds_of(folder, peer, read):
    return {int(path.split(".")[-2]): read(path) for path in glob.glob(os.path.join(folder, f"{peer}.*.json"))}


def of_peer(path):
    with open(path, encoding="utf-8") as file:
        return {name: statistics.median(seconds) for name, seconds in json.load(file).items()}


def table(folder):
    """For each part the seconds of gee-cl, and in brackets how many times as long the peer took in the same round."""
    own = rounds_of(folder, "gee-cl", of_gee_cl)
    peers = {peer: rounds_of(folder, peer, of_peer) for peer in PEERS}
    peers = {peer: rounds for peer, rounds in peers.items() if rounds}
    names = list(dict.fromkeys(name for rounds in peers.values() for r in rounds.values() for name in r))
    print(f"{len(own)} rounds. Seconds of gee-cl, and how many times as long the others took: median (minimum–maximum).\n")
    print("| | gee-cl, s | " + " | ".join(PEERS[peer] for peer in peers) + " |")
    print("|---" * (2 + len(peers)) + "|")
    for name in names:
        if not all(name in r for r in own.values()):
            continue
        cells = [spread([r[name] for r in own.values()], 4)]
        for rounds in peers.values():
            ratios = [rounds[i][name] / own[i][name] for i in rounds if i in own and name in rounds[i]]
            cells.append(spread(ratios, 2) + " ×" if ratios else "–")
        print(f"| {name} | " + " | ".join(cells) + " |")


def main():
    if sys.argv[1] == "table":
        return table(sys.argv[2])
    peer, model, out = sys.argv[2:5]
    runs = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    results = measure_llama(model, runs) if peer == "llama" else measure_torch(model, peer == "torch-bf16", runs)
    with open(out, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
