"""Makes configs.json: what AutoTokenizer of transformers 5.24 makes of tokenizer_config.json, special_tokens_map.json and
added_tokens.json beside a small tokenizer.json: the ids of a text (with add_special_tokens), BOS and EOS, for each case.

    python tests/text/make_configs.py tests/text
"""

import json
import os
import sys
import tempfile

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

transformers.logging.set_verbosity_error()
TEXT = "a<x> b<|endoftext|><pad> c[NEW]d e<s> hello"


def byte_level(prefix=False, digits=False):
    t = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), level]) if digits else level
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(
        ["hello world <x> pad"] * 50,
        trainers.BpeTrainer(vocab_size=300, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), special_tokens=["<|endoftext|>"], show_progress=False),
    )
    return json.loads(t.to_str())


def with_bos():
    t = Tokenizer.from_str(json.dumps(byte_level()))
    t.post_processor = processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    return json.loads(t.to_str())


def pieces(scheme):
    names = ["<unk>", "<s>", "</s>"]
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=False)
    t.train_from_iterator(
        ["hello world a b c d e"] * 50,
        trainers.BpeTrainer(vocab_size=310, special_tokens=names + [f"<0x{i:02X}>" for i in range(256)], show_progress=False),
    )
    strip = [decoders.Strip(" ", 1, 0)] * (scheme != "never")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()] + strip)
    data = json.loads(t.to_str())
    data["added_tokens"] = [x for x in data["added_tokens"] if x["content"] in names]
    return data


TOKENIZERS = {
    "bytes": byte_level(), "bytes prefix": byte_level(True), "digits": byte_level(digits=True), "bos": with_bos(), "first": pieces("first"), "never": pieces("never"),
}


def token(text, **flags):
    return {"content": text, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True} | flags


def typed(text, **flags):
    return token(text, **flags) | {"__type": "AddedToken"}


END = "<|endoftext|>"
# name: tokenizer_config.json, other files
COMMON = {
    "nothing": ({}, {}),
    "added_tokens_decoder": ({"added_tokens_decoder": {"0": token(END), "270": token("<x>"), "271": token("[NEW]", special=False, normalized=True)}}, {}),
    "added_tokens_decoder, ids not in order": ({"added_tokens_decoder": {"271": token("<x>"), "270": token("[NEW]", lstrip=True)}}, {}),
    "added_tokens_decoder, other ids": ({"added_tokens_decoder": {"305": token("<x>"), "400": token("[NEW]")}}, {}),
    "added_tokens_decoder, other flags": ({"added_tokens_decoder": {"0": token(END, lstrip=True, special=False)}, "eos_token": END}, {}),
    "added_tokens_decoder of a piece": ({"added_tokens_decoder": {"268": token("hello", single_word=True)}}, {}),
    "pad_token": ({"pad_token": "<pad>"}, {}),
    "pad_token as a token": ({"pad_token": typed("<pad>", lstrip=True, rstrip=True)}, {}),
    "extra_special_tokens": ({"extra_special_tokens": ["[NEW]", "<x>"]}, {}),
    "extra_special_tokens by name": ({"extra_special_tokens": {"boi_token": "[NEW]", "eoi_token": "<x>"}}, {}),
    "additional_special_tokens": ({"additional_special_tokens": ["[NEW]", "<x>"]}, {}),
    "additional and extra": ({"additional_special_tokens": ["[NEW]"], "extra_special_tokens": ["<x>"]}, {}),
    "a token of its own": ({"image_token": "[NEW]"}, {}),
    "added_tokens.json": ({}, {"added_tokens.json": {"<x>": 270, "[NEW]": 271}}),
    "added_tokens.json, not in order": ({"pad_token": "<x>"}, {"added_tokens.json": {"<x>": 271, "[NEW]": 270}}),
    "special_tokens_map.json": ({"bos_token": "h"}, {"special_tokens_map.json": {"bos_token": "<x>", "pad_token": token("<pad>"), "additional_special_tokens": ["[NEW]"]}}),
    "special_tokens_map.json beside added_tokens_decoder": ({"bos_token": "h", "added_tokens_decoder": {}}, {"special_tokens_map.json": {"bos_token": "<x>", "pad_token": "<pad>"}}),
    "eos_token in the vocabulary": ({"eos_token": "hello"}, {}),
    "no token": ({"eos_token": None, "bos_token": None}, {}),
    "every name": ({"sep_token": "<x>", "cls_token": "[NEW]", "mask_token": "<pad>"}, {}),
    "one token, two names": ({"pad_token": "<x>", "sep_token": "<x>"}, {}),
    "split_special_tokens": ({"split_special_tokens": True}, {}),
    "clean_up_tokenization_spaces": ({"clean_up_tokenization_spaces": True}, {}),
    "add_bos_token": ({"bos_token": END, "eos_token": END, "add_bos_token": True, "add_eos_token": True}, {}),
    "a broken token": ({"pad_token": 5}, {}),
}


def cases():
    for kind in ("PreTrainedTokenizerFast", "GPT2TokenizerFast"):
        for name, (config, files) in COMMON.items():
            yield f"{name}, {kind}", "bytes", "llama", kind, config, files
    for kind in ("PreTrainedTokenizerFast", "GPT2Tokenizer", "GPTNeoXTokenizerFast", "LlamaTokenizerFast", "Qwen2TokenizerFast", "UnknownTokenizer", None):
        for model in ("llama", "qwen2"):
            for tokenizer in ("bytes", "bytes prefix"):
                for prefix in (True, False, None):
                    yield f"{tokenizer}, add_prefix_space {prefix}, {model}, {kind}", tokenizer, model, kind, {} if prefix is None else {"add_prefix_space": prefix}, {}
    yield "qwen2 takes flags away", "bytes", "qwen2", "Qwen2Tokenizer", {"eos_token": END, "pad_token": "<x>", "added_tokens_decoder": {"0": token(END, lstrip=True), "270": token("<x>", rstrip=True, special=False)}}, {}
    yield "qwen2 takes the flags of its default away", "bytes", "qwen2", "Qwen2Tokenizer", {"added_tokens_decoder": {"0": token(END, lstrip=True)}}, {}
    yield "a template of tokenizer.json", "bos", "llama", "PreTrainedTokenizerFast", {"bos_token": END, "add_bos_token": False}, {}
    yield "the same, GPT-2", "bos", "llama", "GPT2Tokenizer", {"bos_token": END, "add_bos_token": False}, {}
    yield "digits", "digits", "llama", "PreTrainedTokenizerFast", {}, {}
    for scheme in ("first", "never"):
        for prefix in (True, False):
            for legacy in (True, False):
                yield f"Metaspace {scheme}, add_prefix_space {prefix}, legacy {legacy}", scheme, "llama", "LlamaTokenizer", {"add_prefix_space": prefix, "legacy": legacy}, {}
            yield f"Metaspace {scheme}, add_prefix_space {prefix}, tokenizer.json alone", scheme, "llama", "PreTrainedTokenizerFast", {"add_prefix_space": prefix}, {}


def run(tokenizer, model, kind, config, files):
    with tempfile.TemporaryDirectory() as folder:
        every = {"tokenizer.json": TOKENIZERS[tokenizer], "config.json": {"model_type": model}, "tokenizer_config.json": config | ({} if kind is None else {"tokenizer_class": kind})} | files
        for name, content in every.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                json.dump(content, file)
        every.pop("tokenizer.json")
        try:
            t = AutoTokenizer.from_pretrained(folder)
            ids = t(TEXT)["input_ids"]
        except Exception as error:  # what transformers refuses
            return every, {"error": str(error)[:80]}
        return every, {"ids": ids, "bos": -1 if t.bos_token_id is None else t.bos_token_id, "eos": -1 if t.eos_token_id is None else t.eos_token_id}


def main(folder):
    out = []
    for name, tokenizer, model, kind, config, files in cases():
        every, want = run(tokenizer, model, kind, config, files)
        out.append({"name": name, "tokenizer": tokenizer, "files": every} | want)
    with open(folder + "/configs.json", "w", encoding="utf-8") as file:
        dump = lambda x: json.dumps(x, ensure_ascii=False, separators=(",", ":"))
        file.write('{"text":' + dump(TEXT) + ',\n"tokenizers":' + dump(TOKENIZERS) + ',\n"cases":[\n' + ",\n".join(map(dump, out)) + "]}\n")


main(sys.argv[1])
