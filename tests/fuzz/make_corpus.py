#!/usr/bin/env python3
"""Writes the initial inputs of fuzz targets for which no test data can be used as it is: inputs in two parts, small
tokenizers, templates, states of a run. Findings that were mended stand beside them in corpus/<target>/ and are kept.

Run from the repository's root: tests/fuzz/make_corpus.py
"""
import json
import pathlib
import struct

CORPUS = pathlib.Path("tests/fuzz/corpus")
GOLDEN = pathlib.Path("tests/golden")
CUT = b"\n----\n"


def put(target, name, *parts):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(CUT.join(p if isinstance(p, bytes) else p.encode() for p in parts))


def safetensors(tensors):
    """Float32 tensors of zeros: {name: shape}."""
    header, at = {}, 0
    for name, shape in tensors.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


def fnv1a(data):
    """src/util/hash.c"""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def gguf_string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


# Number, elements and bytes of a block of GGUF's types.
GGUF_TYPES = {
    "F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24),
    "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84), "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176),
    "Q6_K": (14, 256, 210), "IQ2_XXS": (16, 256, 66), "IQ2_XS": (17, 256, 74), "IQ3_XXS": (18, 256, 98),
    "IQ1_S": (19, 256, 50), "IQ4_NL": (20, 32, 18), "IQ3_S": (21, 256, 110), "IQ2_S": (22, 256, 82), "IQ4_XS": (23, 256, 136),
    "IQ1_M": (29, 256, 56), "BF16": (30, 1, 2), "TQ1_0": (34, 256, 54), "TQ2_0": (35, 256, 66), "MXFP4": (39, 32, 17),
}


def gguf(pairs, types=()):
    """Metadata {key: text, number, list of texts or list of numbers}, and a tensor of one block of each type."""
    out = b"GGUF" + struct.pack("<IQQ", 3, len(types), len(pairs))
    for key, value in pairs.items():
        out += gguf_string(key)
        if isinstance(value, str):
            out += struct.pack("<I", 8) + gguf_string(value)
        elif isinstance(value, int):
            out += struct.pack("<II", 4, value)
        elif isinstance(value[0], str):
            out += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(gguf_string, value))
        elif isinstance(value[0], float):
            out += struct.pack("<IIQ", 9, 6, len(value)) + struct.pack(f"<{len(value)}f", *value)
        else:
            out += struct.pack("<IIQ", 9, 5, len(value)) + struct.pack(f"<{len(value)}i", *value)
    data = b""
    for name in types:
        number, elements, size = GGUF_TYPES[name]
        out += gguf_string(name) + struct.pack("<IQIQ", 1, elements, number, len(data))
        data += bytes((37 * i + number) % 256 for i in range(size)).ljust((size + 31) // 32 * 32, b"\0")
    return out.ljust((len(out) + 31) // 32 * 32, b"\0") + data if types else out


def tokenizer(**changes):
    """A small tokenizer.json with every supported part."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    root = {
        "added_tokens": [{"id": 6, "content": "<s>", "special": True, "lstrip": True},
                         {"id": 7, "content": "<|im_start|>", "special": True}],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "\u0120": 3, "l": 4, "ll": 5},
                  "merges": ["a b", ["l", "l"]]},
    }
    root.update(changes)
    return json.dumps(root)


def tokenizers():
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    config = json.dumps({"bos_token": "<s>", "eos_token": {"content": "a"}, "chat_template": "{{ messages }}"})
    put("tokenizer_hf", "plain", tokenizer())
    put("tokenizer_hf", "config", tokenizer(), config)
    put("tokenizer_hf", "normalised", tokenizer(normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}]}))
    split = {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}| ?\\p{L}+|\\s+"}, "behavior": "Isolated", "invert": False}
    put("tokenizer_hf", "split", tokenizer(pre_tokenizer={"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, split, byte_level]}))
    put("tokenizer_hf", "template", tokenizer(post_processor={"type": "TemplateProcessing", "single": [
        {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [6], "tokens": ["<s>"]}}}))
    cuts = [{"type": "Punctuation", "behavior": "MergedWithPrevious"}, {"type": "WhitespaceSplit"}, {"type": "FixedLength", "length": 3},
            {"type": "Split", "pattern": {"String": "a"}, "behavior": "MergedWithNext", "invert": True}, byte_level, {"type": "Digits"}]
    put("tokenizer_hf", "cuts", tokenizer(pre_tokenizer={"type": "Sequence", "pretokenizers": cuts}))
    changes = [{"type": "NFKD"}, {"type": "Lowercase"}, {"type": "Prepend", "prepend": "\u2581"},
               {"type": "Replace", "pattern": {"Regex": " +"}, "content": "\u2581"}, {"type": "Strip", "strip_left": True, "strip_right": True}]
    decoder = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    model = {"type": "BPE", "vocab": {"<unk>": 0, "\u2581": 1, "a": 2, "\u2581a": 3, "<0x0A>": 4, "<0xE6>": 5}, "merges": ["\u2581 a"],
             "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
    put("tokenizer_hf", "pieces", tokenizer(model=model, decoder=decoder, pre_tokenizer=None,
                                            normalizer={"type": "Sequence", "normalizers": changes}))
    put("tokenizer_hf", "metaspace", tokenizer(
        model=model, decoder={"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"},
        pre_tokenizer={"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}))
    put("tokenizer_hf", "tokens", tokenizer(), json.dumps({
        "added_tokens_decoder": {"6": {"content": "<s>", "special": True}, "8": {"content": "Hello", "single_word": True}},
        "pad_token": "<pad>", "extra_special_tokens": ["world"], "image_token": "<i>", "tokenizer_class": "GPT2Tokenizer"}))
    ggml = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": ["<s>", "a", "b", "ab", "\u0120", "<|im_start|>"],
        "tokenizer.ggml.token_type": [3, 1, 1, 1, 1, 4],
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 5,
    }
    put("tokenizer_gguf", "sentencepiece", gguf({
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["<s>", "\u2581", "a", "\u2581a"] + [f"<0x{i:02X}>" for i in range(256)],
        "tokenizer.ggml.scores": [0.0, -3.0, -2.0, -1.0] + [0.0] * 256, "tokenizer.ggml.token_type": [3, 1, 1, 1] + [6] * 256}))
    for pattern, text in {
        "gpt2": ("'s|'t| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", "It's 12 na\u00efve  words"),
        "classes": ("[\\p{L}&&[^a-e]]|[[:upper:]\\d]++|(?i:[sk]|'ll)|\\h{1,3}?", "ABC def 0x1F 'LL"),
        "looks": ("(?<=a|bc)\\b(?=.)|^(?>x+)$|(?<!\\s)\\R", "abcx\r\nxx\n"),
    }.items():
        put("regex", pattern, *text)
    for pre in ("default", "smollm", "gpt-2", "llama-bpe", "qwen2"):
        put("tokenizer_gguf", pre, gguf({**ggml, "tokenizer.ggml.pre": pre}))
    put("tokenizer_gguf", "merge_of_unused", gguf({**ggml, "tokenizer.ggml.token_type": [3, 1, 1, 5, 1, 4]}))
    chatml = "{% for message in messages %}{{'<|im_start|>' + message['role']}}{% endfor %}"
    put("tokenizer_gguf", "template", gguf({**ggml, "tokenizer.chat_template": chatml}))


def models():
    put("gguf", "types", gguf({"general.architecture": "llama"}, GGUF_TYPES))
    for name in ("adapter", "mmproj"):
        put("gguf", name, gguf({"general.architecture": "llama", "general.type": name}, ["F32"]))
    split = {"split.count": 2, "split.tensors.count": 2}
    first, second = {**split, "split.no": 0, "general.architecture": "llama"}, {**split, "split.no": 1}
    put("gguf_parts", "two", gguf(first, ["Q6_K"]), gguf(second, ["F32"]))
    put("gguf_parts", "same_metadata", gguf(first, ["Q6_K"]), gguf({**first, "split.no": 1}, ["F32"]))
    put("gguf_parts", "same_tensor", gguf(first, ["F32"]), gguf(second, ["F32"]))
    put("gguf_parts", "aligned", gguf({**first, "general.alignment": 64}, ["F32"]), gguf(second, ["F16"]))
    put("gguf_parts", "none_in_first", gguf({**first, "split.tensors.count": 1}), gguf({**second, "split.tensors.count": 1}, ["F32"]))


def texts():
    for name, text in {
        "words": "She said to her mother that he lost his hat. A Black woman asks: which old man?",
        "chinese": "她的爸爸mother说：女医生นางสาว其他人、他们和王子",
        "capitals": "HERS and HIS; Mary's brother, Mr. and Ms. Smith. An actress\u2019s role",
        "types": "What is the capital of France? Solve $x^2 = 4$. How many? 3 \u00d7 4",
        "scripts": "na\u00efve \u6f22\u5b57 \ud55c\uad6d\uc5b4 \U0001f642\U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301 \u1e9b\u0323",
        "blanks": "  a\t\tb\r\n\n c  \u3000 ",
        "numbers": "1234567 12,345.67 don't WE'LL",
        "specials": "<|im_start|>user<|endoftext|><|eot_id|>",
    }.items():
        put("encode", name, text)
        put("words", name, text)
    put("encode", "broken", b"\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80 a\xe6\xbc")
    put("encode", "long", "ab" * 300)


def chats():
    golden = json.load(open("tests/text/chat_golden.json", encoding="utf8"))
    lines = "system You are terse.\nuser Hi\nassistant  B \nuser A\ntool x"
    for i, template in enumerate(golden["templates"].values() if isinstance(golden["templates"], dict)
                                 else golden["templates"]):
        text = template["template"] if isinstance(template, dict) else template
        put("chat", f"template_{i}", text, lines)


def configs():
    for folder in ("llama", "qwen2"):
        config = (GOLDEN / folder / "config.json").read_bytes()
        put("model_config", folder, config, b'{"eos_token_id": [2, 5], "bos_token_id": 1}')
    llama = json.loads((GOLDEN / "llama" / "config.json").read_bytes())
    ropes = {"yarn": {"rope_type": "yarn", "factor": 4.0, "beta_fast": 16, "mscale": 0.7, "mscale_all_dim": 1.2,
                      "truncate": False, "original_max_position_embeddings": 32},
             "linear": {"type": "linear", "factor": 2.5}}
    for name, rope in ropes.items():
        put("model_config", name, json.dumps({**llama, "rope_scaling": rope, "layer_types": ["full_attention"] * 2}))
    names = {"embed_tokens": [3, 2], "_orig_mod.model.lm_head": [3, 2], "model.model.norm": [2],
             "module.layers.1._checkpoint_wrapped_module.mlp.up_proj": [2, 2], "lm_head": [2]}
    put("weight_names", "wrapped", safetensors({name + ".weight": shape for name, shape in names.items()}))
    put("weight_names", "head", safetensors({"lm_head.weight": [3, 2], "norm.weight": [2]}))
    adapter = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "lora_dropout": 0.1, "target_modules": ["q_proj"],
               "bias": "none", "modules_to_save": None, "rank_pattern": {}}
    weights = {}
    for layer in range(2):
        stem = f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_"
        weights[stem + "A.weight"] = [2, 64]
        weights[stem + "B.weight"] = [64, 2]
    put("adapter", "q_proj", json.dumps(adapter), safetensors(weights))
    put("adapter", "all", json.dumps({**adapter, "target_modules": "all-linear", "use_dora": False}))
    put("adapter", "patterns", json.dumps({**adapter, "target_modules": r".*\.(q|k)_proj(?!x)", "use_rslora": True,
                                           "rank_pattern": {"1.self_attn.q_proj": 3, r"\w+_proj": 1}, "bias": "all",
                                           "alpha_pattern": {"k_proj": 2.5}, "exclude_modules": r"[^.]+\.layers\.0\..*"}))
    put("adapter", "layers", json.dumps({**adapter, "layers_to_transform": [1], "layers_pattern": ["layers", "h"],
                                         "modules_to_save": ["lm_head", "norm"], "init_lora_weights": "eva"}))
    for path in pathlib.Path("configs").glob("*.ini"):
        put("config", path.stem, path.read_bytes(), b"train.max_steps=3")
    put("config", "task_weights", "[task_weights]\nmath = 2\nopen = 0.5\n", "loss.pairing=own")
    group = {
        "attribute": "gender", "groups": ["female", "male"], "lists": {"after": ["to", "the"]},
        "swaps": [["she", "he"], {"words": ["her", "his"], "from": "female", "next_not_in": "after"}, ["her", "him"]],
        "names": [["Mary", "John"]], "words": {"female": ["pregnant"]},
        "language": "en", "neutral": ["other", "其他"], "doubtful": ["they"],
        "articles": {"plain": "a", "vowel": "an", "vowel_pattern": "^[aeiou]"},
        "templates": {"default": [["A woman asks: {prompt}", "A man asks: {prompt}"]]},
    }
    put("groups", "own", json.dumps(group), "She gave her hat to Mary, and a apple to him.")
    group["lists"] = {"verbs": ["makes", "*ly", "#", "."], "and": ["and"]}
    group["joins"] = "and"
    group["swaps"] = [["she", "he"], {"words": ["actress", "actor"], "from": "female"},
                      {"words": ["her", "his"], "from": "female", "previous_in": ["verbs", "and"], "keep": True},
                      {"words": ["girl", "boy"], "next_not_in": "and", "second_in": "verbs"}]
    put("groups", "rows", json.dumps(group), "It makes her, or a girl and boy 7, cry. Actors and an actress.")
    put("groups", "age", pathlib.Path("configs/groups/age.json").read_bytes(), b"The old man and the young woman.")
    put("types", "built_in", pathlib.Path("configs/types.json").read_bytes(), b"Solve 3 + 4 = x, how many?")
    put("types", "small", '{"default": "open", "types": [{"name": "math", "patterns": ["(a+)+$", "[0-9]"]}]}', "aaaa 1")


def runs():
    state = {"format": "gee-cl training state 3", "step": 1, "data_cursor": 4, "first_gap": "0x1p-3", "steps_under_target": 0,
             "extended_from": 0, "settings": {"train.learning_rate": "0.002", "train.max_steps": "6"},
             "rounding": {"train.micro_batch_size": "2"}}
    extended = {**state, "extended_from": 3, "settings": {**state["settings"], "train.max_steps": "4"}}
    lines = "".join(json.dumps({"step": i, "loss": 0.5}) + "\n" for i in range(1, 6)) + '{"step": 6, "lo'
    put("resume", "state", json.dumps(state), lines)
    put("resume", "extended", json.dumps(extended), lines)
    put("resume", "base", json.dumps({"format": "gee-cl adapter base 1", "base_model_name_or_path": "model",
                                      "weights_sha256": "none", "tokenizer_sha256": "none"}) + "\n")
    key, binary = b"gee-cl compiled kernels\nnone\ndevice\n\nsource", b"bin"
    put("program_cache", "whole", b"GEECLPR1" + struct.pack("<QQQ", len(key), len(binary), fnv1a(binary)) + key + binary)
    put("program_cache", "other", b"GEECLPR1" + struct.pack("<QQQ", 4, 3, 9) + b"key1bin")
    # struct {1: i32 4, 2: list of 1 struct {}, 3: binary "ab", 4: true}
    put("thrift", "fields", bytes([0x15, 8, 0x19, 0x1C, 0, 0x18, 2, 97, 98, 0x11, 0]))
    put("json", "all", '{"a": [1, -2.5e3, true, null, "\\u00e9\\ud83d\\ude00"], "b": {"c": {}}, "d": "\\n"}')
    outputs = [{"elements": 2, "norm": 5, "values": [3, 4]}, {"elements": 65, "norm": 8, "values": [1] * 64}]
    record = {"format": "gee-cl selftest", "version": 1, "program": "p", "device": {"name": "n", "driver": "d"},
              "operations": [{"operation": "linear", "outputs": outputs}, {"operation": "bias", "outputs": []}]}  # fmt: skip
    put("selftest_record", "two", json.dumps(record))
    put("json", "integer", '{"a": 7}')
    put("records", "json_list", '[{"text": "a"}, {"text": [{"role": "user", "content": "b"}]}]')


def varint(value):
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def field(number, data):
    """A number or bytes as a protobuf field."""
    if isinstance(data, int):
        return varint(number << 3) + varint(data)
    return varint(number << 3 | 2) + varint(len(data)) + data


def trackers():
    """Messages of an event file and of W&B's log: before, at and behind the step that a run resumes with."""
    value = field(1, b"loss") + b"\x15" + struct.pack("<f", 0.5)
    events = [field(3, b"brain.Event:2"), field(7, field(1, 1))]
    events += [field(2, step) + field(5, field(1, value)) for step in (1, 2, 3, 4)]
    put("trackers", "events", b"\2" + b"".join(bytes([len(event)]) + event for event in events))

    def row(step):
        items = {"_step": step - 1, "_runtime": 1.5, "step": step, "loss": 0.5}
        return [field(1, key.encode()) + field(16, str(number).encode()) for key, number in items.items()]

    records = [field(21, field(1, field(1, b"gee-cl 1"))), field(17, field(1, b"abcd1234")), field(12, field(2, b"*"))]
    for step in (1, 2, 3):
        records.append(field(2, b"".join(field(1, item) for item in row(step)) + field(2, field(1, step - 1))))
        records.append(field(3, b"".join(field(1, item) for item in row(step))))
    records += [field(5, field(1, field(1, b"train") + field(16, b"{}"))), field(18, b"")]
    put("trackers", "log", b"\3" + b"".join(bytes([len(record)]) + record for record in records))
    put("trackers", "log_begin", b"\1:W&B\xe1\xbe\0")


trackers()
tokenizers()
models()
texts()
chats()
configs()
runs()
