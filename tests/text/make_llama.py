"""Makes pre.gguf, spm.gguf, spm_bare.gguf (metadata alone, with vocabularies of forms.json) and llama.json: for each name of
tokenizer.ggml.pre, and for the two SentencePiece files, a hash of the ids that llama.cpp gives the texts of forms.json. Where
the model's own tokenizer normalizes text, as llama.cpp does not, it is given normalized text.

    python tests/text/make_llama.py tests/text files   # with gguf and tokenizers
    python tests/text/make_llama.py tests/text ids     # with llama-cpp-python 0.3.36
"""

import json
import os
import struct
import sys
import tempfile

NORMALIZED = ["mpt", "olmo", "command-r", "qwen2", "qwen35"]
NAMES = NORMALIZED + (
    "gpt-2 phi-2 jais trillion smollm starcoder refact codeshell minerva-7b default falcon llama-bpe llama3 llama-v3 falcon3 lfm2 dbrx "
    "smaug-bpe chatglm-bpe glm4 deepseek-r1-qwen megrez stablelm2 hunyuan tekken gpt-4o llama4 bloom poro-chat gpt3-finnish viking "
    "deepseek-llm deepseek-coder deepseek-v3 hunyuan-dense superbpe seed-coder bailingmoe"
).split()
PRE = b"tokenizer.ggml.pre"


def vocabulary(form):
    tokens = dict(form["model"]["vocab"])
    types = {}
    for token in form["added_tokens"]:
        tokens[token["content"]] = token["id"]
        types[token["id"]] = 3 if token["special"] else 4
    names = sorted(tokens, key=tokens.get)
    return names, [types.get(i, 1) for i in range(len(names))]


def writer(path, names, types, model, bos, eos):
    import gguf

    w = gguf.GGUFWriter(path, "llama")
    w.add_block_count(1)
    w.add_context_length(128)
    w.add_embedding_length(32)
    w.add_feed_forward_length(64)
    w.add_head_count(2)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_vocab_size(len(names))
    w.add_tokenizer_model(model)
    w.add_tokenizer_pre("default")
    w.add_token_list([name.encode() for name in names])
    w.add_token_types(types)
    w.add_bos_token_id(names.index(bos))
    w.add_eos_token_id(names.index(eos))
    return w


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()


def write_bytes(path, form):
    names, types = vocabulary(form)
    w = writer(path, names, types, "gpt2", "<|im_start|>", "<|im_end|>")
    w.add_token_merges([" ".join(merge) for merge in form["model"]["merges"]])
    finish(w)


def write_pieces(path, form, bare):
    names, types = vocabulary(form)
    scores, ids = [-1000.0 - i for i in range(len(names))], {name: i for i, name in enumerate(names)}
    for rank, merge in reversed(list(enumerate(form["model"]["merges"]))):
        scores[ids["".join(merge)]] = -float(rank) - 1
    for i, name in enumerate(names):
        if len(name) == 6 and name.startswith("<0x"):
            types[i], scores[i] = 6, 0.0
    for name, kind in (("<unk>", 2), ("<s>", 3), ("</s>", 3)):
        types[ids[name]], scores[ids[name]] = kind, 0.0  # of one score, as in Llama 2
    w = writer(path, names, types, "llama", "<s>", "</s>")
    w.add_token_scores(scores)
    w.add_unk_token_id(ids["<unk>"])
    if bare:
        w.add_add_space_prefix(False)
        w.add_add_bos_token(False)
        w.add_add_eos_token(True)
    finish(w)


def with_pre(data, name):
    """The file with another name of the pre-tokenizer."""
    at = data.index(PRE) + len(PRE) + 4
    (size,) = struct.unpack_from("<Q", data, at)
    return data[:at] + struct.pack("<Q", len(name)) + name.encode() + data[at + 8 + size :]


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def hash_of(data, texts):
    from llama_cpp import Llama

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.gguf")
        open(path, "wb").write(data)
        model = Llama(path, vocab_only=True, verbose=False)
        ids = [model.tokenize(text.encode(), add_bos=True, special=True) for text in texts]
    return "%08x" % (fnv(b"".join(struct.pack("<%di" % len(row), *row) for row in ids)) % 2**32)


def main(folder, what):
    forms = json.load(open(folder + "/forms.json", encoding="utf-8"))
    texts = [t for t in (bytes.fromhex(text).decode() for text in forms["texts"]) if t]
    path = folder + "/llama.json"
    if what == "files":
        from tokenizers import normalizers

        write_bytes(folder + "/pre.gguf", forms["forms"]["llama-3"])
        write_pieces(folder + "/spm.gguf", forms["forms"]["llama-2"], False)
        write_pieces(folder + "/spm_bare.gguf", forms["forms"]["llama-2"], True)
        json.dump([normalizers.NFC().normalize_str(text) for text in texts], open("/tmp/normalized.json", "w"))
        return
    normalized = json.load(open("/tmp/normalized.json"))
    pre = open(folder + "/pre.gguf", "rb").read()
    out = {"pre": {name: hash_of(with_pre(pre, name), normalized if name in NORMALIZED else texts) for name in NAMES}}
    out["files"] = {name: hash_of(open(f"{folder}/{name}", "rb").read(), texts) for name in ("spm.gguf", "spm_bare.gguf")}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(out, file, indent=0)
        file.write("\n")


main(*sys.argv[1:])
