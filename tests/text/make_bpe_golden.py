"""Makes bpe_llama3/, bpe_qwen2/ and bpe_smollm/ (each a small tokenizer.json in the manner of its family) and
bpe_golden.json: 2,000 texts, and for each tokenizer a hash of the ids and the decoded text that Hugging Face's
tokenizers 0.23.3 gives.

    python tests/text/make_bpe_golden.py tests/text

`python tests/text/make_bpe_golden.py tests/text N` prints what text N gives instead.
"""

import json
import os
import random
import sys
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

SPACES = " \t\n\r\x0b\x0c\x85\xa0\u1680\u180e\u2003\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\x1c\x1f"
# Letters and numbers of many scripts; some newer than Unicode 14, some that NFC changes.
RANGES = [
    (0x21, 0x7E), (0xA1, 0x17F), (0x300, 0x33F), (0x370, 0x3FF), (0x400, 0x45F), (0x5D0, 0x5EA), (0x620, 0x669),
    (0x900, 0x96F), (0xE01, 0xE59), (0x1100, 0x11FF), (0x1C88, 0x1C8B), (0x1E00, 0x1EFF), (0x2000, 0x2BFF),
    (0x3040, 0x30FF), (0x3400, 0x3450), (0x4E00, 0x4EFF), (0xA7C8, 0xA7DD), (0xAC00, 0xACFF), (0xE000, 0xE003),
    (0xF900, 0xF9FF), (0xFF10, 0xFF5A), (0x105BE, 0x105F5), (0x10D3E, 0x10D50), (0x11DDE, 0x11DEB), (0x11F50, 0x11F5B),
    (0x16FF0, 0x16FF8), (0x1D400, 0x1D7FF), (0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF), (0x1F600, 0x1F64F),
    (0x2EBEE, 0x2EC00), (0x2F800, 0x2F820), (0x31348, 0x31360), (0x323AA, 0x323B4), (0xE0100, 0xE0110),
    (0x10FFF0, 0x10FFFF),
]
WORDS = (
    "the of and to in nurse engineer said that she he they went home because it's don't I'M WE'RE you've '\u017f 'LL 'd "
    "hello world naive naïve café e\u0301 A\u030a \u1e9b\u0323 ﬁ straße Ελλάδα привет мир こんにちは 世界 你好 한국어 "
    "\u1112\u1161\u11ab שלום مرحبا नमस्ते 👩‍👩‍👧 🇩🇪 👍🏽 😀 3.14 2024-01-31 1,000,000 ١٢٣ ⅷ ½ x² http://a.b/c?d=e%20 foo@bar.com "
    "#tag --- ... !? {\"k\": [1,2]} \\boxed{42} if(x==1){return;} zzyx zzyxq _word_ word words mask"
).split()
ADDED = ["<|begin_of_text|>", "<|end|>", "<|endoftext|>", "<mask>", "<pad>", "word", "añb", "<|end", "  ", "<|e", "[X]", "[X]Y"]


def make_text(rng):
    parts = []
    for _ in range(rng.randint(1, 9)):
        kind = rng.random()
        if kind < 0.40:
            parts.append(rng.choice(WORDS))
        elif kind < 0.60:
            parts.append("".join(rng.choice(SPACES) if rng.random() < 0.5 else " " for _ in range(rng.randint(1, 4))))
        elif kind < 0.72:
            low, high = rng.choice(RANGES)
            parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 4))))
        elif kind < 0.82:
            parts.append(rng.choice(ADDED))
        elif kind < 0.90:
            parts.append(str(rng.randint(0, 10 ** rng.randint(1, 9))))
        else:
            parts.append(" " + rng.choice(WORDS))
    return "".join(parts).replace("\0", "")


def make_long(rng):
    """One word of hundreds of letters."""
    return "".join(rng.choice("etaoinshrdluété世界ж") if rng.random() < 0.7 else "the" for _ in range(rng.randint(60, 600)))


def make_bytes(rng):
    """Bytes, some of them invalid UTF-8, and a few zeros."""
    data = bytearray(make_text(rng).encode())
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(data))
        if rng.random() < 0.4 and at < len(data):
            del data[at]
        else:
            data[at:at] = rng.choice([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf0\x9f", b"\xe2\x82", b"\0", b"\x80\xbf", b"\xf4\x90"])
    return bytes(data)


def train(pre_tokenizer, corpus, alphabet, vocab, normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=vocab, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def special(text, **flags):
    return AddedToken(text, special=True, normalized=False, **flags)


def plain(text, **flags):
    return AddedToken(text, special=False, **flags)


def edited(tokenizer, edit):
    data = json.loads(tokenizer.to_str())
    edit(data)
    return Tokenizer.from_str(json.dumps(data)), data


def make_llama3(corpus, alphabet):
    split = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
    tokenizer = train(
        pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        corpus, alphabet, 800,
    )

    def edit(data):  # a token that no merge leads to, which ignore_merges finds anyway
        data["model"]["ignore_merges"] = True
        data["model"]["vocab"]["zzyx"] = len(data["model"]["vocab"])

    tokenizer, _ = edited(tokenizer, edit)
    tokenizer.add_tokens([special("<|begin_of_text|>"), special("<|end|>"), plain("<|end", normalized=False)])
    begin = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", begin)]),
    ])
    return edited(tokenizer, lambda data: None)


def make_qwen2(corpus, alphabet):
    split = pre_tokenizers.Split(Regex(QWEN2), "isolated")
    tokenizer = train(
        pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        corpus, alphabet, 800, normalizers.NFC(),
    )
    tokenizer.add_tokens([
        special("<|endoftext|>"), plain("añb", normalized=True), plain("[X]", normalized=True), plain("[X]Y", normalized=False),
    ])

    def edit(data):  # the older way to write merges
        data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]

    return edited(tokenizer, edit)


def make_smollm(corpus):
    steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    tokenizer = train(pre_tokenizers.Sequence(steps), corpus, [], 700)
    tokenizer.add_tokens([
        special("<|endoftext|>"), special("<mask>", lstrip=True), special("<pad>", rstrip=True),
        plain("word", single_word=True, normalized=False), plain("  ", normalized=False),
    ])
    return edited(tokenizer, lambda data: None)


def fnv(*chunks):
    value = 0xCBF29CE484222325
    for chunk in chunks:
        for byte in chunk:
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def result(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return ids, tokenizer.decode(ids, skip_special_tokens=False)


def digest(tokenizer, text):
    ids, decoded = result(tokenizer, text)
    return "%012x" % (fnv(b"".join(i.to_bytes(4, "little") for i in ids), decoded.encode()) % 2**48)


def main(folder):
    rng = random.Random(15)
    english = [line for line in open(folder + "/../../docs/DESIGN.md", encoding="utf-8")]
    corpus = english + [make_text(rng).replace("zzyx", "") for _ in range(3000)]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizers = {"llama3": make_llama3(corpus, alphabet), "qwen2": make_qwen2(corpus, alphabet), "smollm": make_smollm(corpus)}
    texts = [make_text(rng) for _ in range(1880)] + [make_long(rng) for _ in range(20)]
    raw = [make_bytes(rng) for _ in range(100)]
    everything = texts + [data.decode("utf-8", "replace") for data in raw]
    if len(sys.argv) > 2:
        text = everything[int(sys.argv[2])]
        print(ascii(text), unicodedata.is_normalized("NFC", text))
        for name, (tokenizer, _) in tokenizers.items():
            print(name, [(i, tokenizer.id_to_token(i)) for i in result(tokenizer, text)[0]])
        return
    for name, (_, data) in tokenizers.items():
        os.makedirs(f"{folder}/bpe_{name}", exist_ok=True)
        with open(f"{folder}/bpe_{name}/tokenizer.json", "w", encoding="utf-8") as file:
            json.dump(data, file, ensure_ascii=False, separators=(",", ":"))
            file.write("\n")
    golden = {"texts": texts, "bytes": [data.hex() for data in raw]}
    for name, (tokenizer, _) in tokenizers.items():
        golden[name] = [digest(tokenizer, text) for text in everything]
    with open(folder + "/bpe_golden.json", "w", encoding="utf-8") as file:
        json.dump(golden, file, ensure_ascii=False, indent=0)
        file.write("\n")


main(sys.argv[1])
