"""Makes forms.json: small tokenizers in the forms of public models (the same normalizer, pre_tokenizer, kind of model, decoder and
post_processor, a vocabulary trained here), hostile texts, and for each form a hash per text of the ids and the decoded text that
Hugging Face's tokenizers 0.23.3 gives.

    python tests/text/make_forms.py tests/text          # about a minute
    python tests/text/make_forms.py tests/text FORM N   # what text N gives in that form
"""

import json
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + TAIL
QWEN2 = CL100K.replace("{1,3}", "")
QWEN35 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
POSSESSIVE = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
UPPER, LOWER, FRONT = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", r"[^\r\n\p{L}\p{N}]?"
O200K_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = rf"{FRONT}{UPPER}*{LOWER}+{CONTRACTIONS}?|{FRONT}{UPPER}+{LOWER}*{CONTRACTIONS}?|\p{{N}}{{1,3}}|{O200K_TAIL}"
TEKKEN = rf"{FRONT}{UPPER}*{LOWER}+|{FRONT}{UPPER}+{LOWER}*|\p{{N}}|{O200K_TAIL}"
NOT_HAN = [r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"]
KIMI = rf"[\p{{Han}}]+|{FRONT}{NOT_HAN[0]}*{NOT_HAN[1]}+{CONTRACTIONS}?|{FRONT}{NOT_HAN[0]}+{NOT_HAN[1]}*{CONTRACTIONS}?|\p{{N}}{{1,3}}|{TAIL}"
DEEPSEEK3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
EXAONE = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"
AYA = r"\d{1,3}(?=(?:\d{3})*\b)"
SUPER = r"(?=(\d{3})+(?!\d))"


# ---- texts ----

SCRIPTS = (
    "Grüße naïve café Ελλάδα σίσυφος привет Ёлка мир שלום עברית مرحبا ١٢٣ كتابٌ नमस्ते क्षत्रिय १२३ বাংলা தமிழ் తెలుగు ಕನ್ನಡ മലയാളം සිංහල "
    "ไทยสวัสดี ๓๔ ລາວ မြန်မာ ភាសាខ្មែរ አማርኛ ქართული Հայերեն 你好世界 漢字かなカナ ﾊﾝｶｸ 한국어 \u1112\u1161\u11ab\u1100\u1173\u11af ᠮᠣᠩᠭᠣᠯ བོད་ཡིག ᏣᎳᎩ ⵜⴰⵎⴰⵣⵉⵖⵜ 𐐀𐐨 𞤀𞤣 "
    "İstanbul ıi I'M I'\u017f it'S WE'RE you'VE he'LL they'D can'T 'ſ 'S'T ’s ｉｔ＇ｓ don‘t ǅ ǆ ß ẞ SS ﬁ ﬀ K Å Ω µ Μ"
).split()
ODD = [
    "e\u0301", "\u00e9", "A\u030a", "\u212b", "q\u0307\u0323", "q\u0323\u0307", "\u1e9b\u0323", "\ufb01", "\uac00", "\u1100\u1161", "\u0958", "\u0f43", "\u2126",
    "\u2adc", "\ufb1d", "\U0001d15e", "\U00011935\U00011930", "\U000105d2\u0307", "\u09fe\u0301", "\u0345\u0300", "x\u0345", "\u1ab0\u0316", "\u07fd\u0300",
    "👩‍👩‍👧", "🇩🇪", "👍🏽", "🏴\U000e0067\U000e007f", "😀", "\ufeff", "\u200b", "\u200d", "\u200e", "\u00ad", "\u2060", "\u180e", "\u0000", "\x07", "\x1b[0m",
    "\x7f", "\x85", "\x1c\x1f", "\u2028", "\u2029", "\u3000", "\u1680", "\u202f", "\r", "\n", "\r\n", "\n\r", "\t", "\x0b\x0c", "\ue000", "\U000f0000", "\U0010ffff",
    "\ufffe", "\u0378", "\u0e3b", "\U0001fbff", "\U00011de0", "\U00016ff4", "\U00010d40", "\U0001e5f1", "²³¹", "½", "Ⅷ", "ⅷ", "①", "٣", "१", "𝟘𝟙", "ⓐ", "ª", "_", "＿", "‿",
    "\ufffd", "▁", "▁▁", "Ġ", "Ċ", "<0x0A>", "<0x41>", "<unk>", "</s>", "<|im_start|>", "a<|im_end|>b", "<s>x", "x</s>", "[INST]", " <mask> ", "word", "words word", "<|end", "\\n",
]
WORDS = (
    "the of and to in nurse engineer said that she he they went home because it's 3.14 2024-01-31 1,000,000 1234567890 12 http://a.b/c?d=e%20 foo@bar.com "
    "#tag --- ... !? {\"k\": [1,2]} if(x==1){return;} camelCase HTTPServer snake_case C++ $9.99 50% <div> a/b \\boxed{42} ```py x=y;// z\\ (a,b) [x] 'q' \"r\""
).split()
BLANKS = [" ", "  ", "   ", "    ", " " * 17, " " * 300, "\n\n", " \n ", "\n  \n", "\t\t", "  \r\n", "\u00a0", "\u2003 ", ""]


def make_text(rng):
    parts = []
    for _ in range(rng.randint(1, 8)):
        parts.append(rng.choice(rng.choice([SCRIPTS, ODD, ODD, WORDS, WORDS, BLANKS])))
        if rng.random() < 0.4:
            parts.append(" ")
        if rng.random() < 0.1:
            low = rng.choice([0x20, 0x80, 0x300, 0x900, 0x1100, 0x2000, 0x3000, 0xA700, 0x10000, 0x11300, 0x16D00, 0x1E000, 0x1F300, 0xE0100])
            parts.append("".join(chr(rng.randint(low, low + 0xFF)) for _ in range(rng.randint(1, 4))))
    return "".join(parts)


def make_texts(rng):
    texts = ["", " ", "\n", "\ufeff", "\u0000", "\U0010ffff", "a", "▁", " a", "a ", "  a  ", "\r\n", " " * 500, "\n" * 300]
    texts += SCRIPTS + ODD
    texts += ["".join(rng.choice("etaoinshrdluéж世") for _ in range(n)) for n in (70, 200, 600)]
    texts += ["1" * 40, "ab" * 150, "💥" * 40, "e\u0301" * 60, "\u1112\u1161\u11ab" * 30, "a" + "\u0301" * 80]
    while len(texts) < 400:
        texts.append(make_text(rng))
    return texts[:400]


# ---- forms ----


def special(text, **flags):
    return AddedToken(text, special=True, normalized=False, **flags)


def plain(text, **flags):
    return AddedToken(text, special=False, **flags)


ADDED = [special("<|im_start|>"), special("<|im_end|>"), plain("word", single_word=True, normalized=False), special("<mask>", lstrip=True), plain("[INST]", normalized=True)]


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(prefix=False, regex=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def digits(individual=True):
    return pre_tokenizers.Digits(individual_digits=individual)


class Maker:
    def __init__(self, rng):
        english = open(__file__.rsplit("/", 1)[0] + "/../../README.md", encoding="utf-8").read().split("\n")
        self.corpus = english[:300] + [make_text(rng).replace("\0", "") for _ in range(600)]

    def finish(self, tokenizer, added, post, edit):
        tokenizer.add_tokens(ADDED if added is None else added)
        if post is not None:
            tokenizer.post_processor = post(tokenizer)
        data = json.loads(tokenizer.to_str())
        if edit is not None:
            edit(data)
        return data

    def bytes(self, *steps, norm=None, added=None, post=None, edit=None, vocab=420, prefix=False):
        """Byte-level BPE."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(list(steps)) if len(steps) > 1 else steps[0]
        if norm is not None:
            tokenizer.normalizer = norm
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.train_from_iterator(
            self.corpus, trainers.BpeTrainer(vocab_size=vocab, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
        )
        return self.finish(tokenizer, added, post, edit)

    def pieces(self, norm, pre, strip, added=None, post=None, edit=None, fallback=True, decoder=None, fuse=True):
        """BPE of characters, as SentencePiece's."""
        special_tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] * fallback
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse, byte_fallback=fallback))
        if norm is not None:
            tokenizer.normalizer = norm
        if pre is not None:
            tokenizer.pre_tokenizer = pre
        else:
            tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")  # for training alone
        trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=special_tokens, limit_alphabet=120, show_progress=False)
        tokenizer.train_from_iterator(self.corpus, trainer)
        parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()] + [decoders.Strip(" ", 1, 0)] * strip
        tokenizer.decoder = decoder if decoder is not None else decoders.Sequence(parts)
        data = self.finish(tokenizer, added, post, edit)
        data["added_tokens"] = [t for t in data["added_tokens"] if not t["content"].startswith("<0x")]
        if pre is None:
            data["pre_tokenizer"] = None
        return data


def bos(name):
    return lambda t: processors.TemplateProcessing(single=f"{name} $A", special_tokens=[(name, t.token_to_id(name))])


def ignore_merges(data):
    data["model"]["ignore_merges"] = True


def make_forms(rng):
    m = Maker(rng)
    N, P, S = normalizers, pre_tokenizers, normalizers.Sequence
    spm = lambda: S([N.Prepend("▁"), N.Replace(" ", "▁")])
    replace = lambda: N.Replace(" ", "▁")
    meta = lambda scheme, cut=False: P.Metaspace(replacement="▁", prepend_scheme=scheme, split=cut)
    rstripped = [special("<|im_start|>", rstrip=True), special("<|im_end|>", rstrip=True), special("[INST]", lstrip=True, rstrip=True)]
    deepseek_llm = [split("[\r\n]"), split("\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳΑ-Ωα-ωА-я]+"), split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"), split(r"\s+$"), split("[一-龥ࠀ-一가-퟿]+")]
    forms = {
        "llama-2": lambda: m.pieces(spm(), None, 1, post=bos("<s>")),
        "llama-2 normalized tokens": lambda: m.pieces(spm(), None, 1, added=[plain("[INST]", normalized=True), special("<|im_end|>"), plain("word", normalized=True, single_word=True)]),
        "llama-2 metaspace": lambda: m.pieces(None, meta("first"), 1, post=bos("<s>")),
        "llama-2 never": lambda: m.pieces(None, meta("never"), 0),
        "code-llama": lambda: m.pieces(spm(), None, 1, added=[special("▁<PRE>"), special("▁<SUF>"), special("[INST]")]),
        "llama-3": lambda: m.bytes(split(CL100K), byte_level(), edit=ignore_merges, post=lambda t: processors.Sequence([processors.ByteLevel(trim_offsets=False), bos("<|im_start|>")(t)])),
        "llama-4": lambda: m.bytes(split(O200K), byte_level(), post=bos("<|im_start|>")),
        "mistral-1": lambda: m.pieces(spm(), None, 1, added=[special("[INST]"), special("<|im_end|>")], post=bos("<s>")),
        "mistral-3": lambda: m.pieces(None, meta("first"), 1, added=[special("[INST]"), plain("word", normalized=False)], post=bos("<s>")),
        "mistral-nemo": lambda: m.bytes(split(TEKKEN), byte_level(), edit=ignore_merges, post=bos("<|im_start|>")),
        "mixtral always": lambda: m.pieces(None, meta("always"), 1),
        "gemma": lambda: m.pieces(replace(), None, 0, post=bos("<s>")),
        "gemma-3": lambda: m.pieces(replace(), P.Split(" ", "merged_with_previous"), 0, added=[plain("\n\n", normalized=False), plain("  ", normalized=False), plain("▁▁▁", normalized=False), special("<|im_end|>")]),
        "phi-2": lambda: m.bytes(byte_level(regex=True), added=[plain(" " * n, normalized=True) for n in (31, 15, 7, 3, 2)] + [plain("\t\t", normalized=True), special("<|im_end|>")]),
        "phi-3": lambda: m.pieces(spm(), None, 1, added=rstripped),
        "phi-4": lambda: m.bytes(split(CL100K, "removed", True), byte_level()),
        "gpt-2": lambda: m.bytes(byte_level(regex=True), post=lambda t: processors.ByteLevel(trim_offsets=False)),
        "gpt-2 prefix": lambda: m.bytes(byte_level(prefix=True, regex=True)),
        "gpt-neox": lambda: m.bytes(byte_level(regex=True), norm=N.NFC()),
        "opt": lambda: m.bytes(byte_level(regex=True), post=bos("<|im_start|>")),
        "roberta": lambda: m.bytes(byte_level(regex=True), post=lambda t: processors.RobertaProcessing(("<|im_end|>", t.token_to_id("<|im_end|>")), ("<|im_start|>", t.token_to_id("<|im_start|>")))),
        "bloom": lambda: m.bytes(split(BLOOM), byte_level()),
        "falcon": lambda: m.bytes(P.Punctuation("contiguous"), byte_level(regex=True), digits(False), split("[0-9][0-9][0-9]")),
        "mpt": lambda: m.bytes(byte_level(regex=True), norm=N.NFC(), added=[plain(" " * n, normalized=True) for n in range(2, 25)]),
        "starcoder": lambda: m.bytes(digits(), byte_level(regex=True)),
        "qwen": lambda: m.bytes(split(QWEN2), byte_level(), norm=N.NFC()),
        "qwen-3.5": lambda: m.bytes(split(QWEN35), byte_level(), norm=N.NFC()),
        "deepseek-llm": lambda: m.bytes(*deepseek_llm, digits(), byte_level(), norm=S([])),
        "deepseek-coder": lambda: m.bytes(split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"), digits(), byte_level(), norm=S([])),
        "deepseek-v3": lambda: m.bytes(split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK3), byte_level(), norm=S([])),
        "glm-4": lambda: m.bytes(split(CL100K), byte_level()),
        "command-r": lambda: m.bytes(digits(), byte_level(regex=True), norm=N.NFC(), post=bos("<|im_start|>")),
        "aya": lambda: m.bytes(split(AYA), split(O200K), byte_level(), norm=N.NFC()),
        "olmo-2": lambda: m.bytes(split(CL100K), byte_level(), added=[special("<|im_end|>"), plain("<|end", normalized=False)]),
        "stablelm-2": lambda: m.bytes(split(QWEN2), byte_level(), norm=N.NFC(), added=[special("<|im_end|>", rstrip=True)]),
        "exaone": lambda: m.bytes(split(EXAONE), byte_level(), norm=N.NFC()),
        "internlm-2": lambda: m.pieces(spm(), None, 1, added=[plain("word", normalized=False), special("<|im_start|>")], post=bos("<s>")),
        "yi": lambda: m.pieces(S([N.Replace(" ", "▁")]), None, 0, added=[special("<|im_start|>"), special("<|im_end|>")]),
        "baichuan": lambda: m.pieces(spm(), None, 1, fuse=False, fallback=False),
        "minicpm": lambda: m.pieces(S([N.NFKC(), N.Replace(" ", "▁")]), meta("first"), 1),
        "gpt-oss": lambda: m.bytes(split(O200K), byte_level(), added=[special("<|im_start|>"), special("<|im_end|>")]),
        "kimi-k2": lambda: m.bytes(split(KIMI), byte_level()),
        "superbpe": lambda: m.bytes(split(r"\p{N}+"), split(SUPER), byte_level()),
        "bailing": lambda: m.bytes(split(POSSESSIVE), byte_level()),
        "nemotron": lambda: m.bytes(split(TEKKEN), byte_level(), norm=N.NFC()),
        "viking": lambda: m.bytes(split(r" ?[^(\s|.,!?…。，、।۔،)]+"), digits(), byte_level()),
        "metaspace split": lambda: m.pieces(None, meta("always", True), 0, decoder=decoders.Metaspace("▁", "always", True)),
        "lowercase nfkd": lambda: m.pieces(S([N.NFKD(), N.Lowercase(), N.Strip(True, True), N.Replace(Regex(r"\s+"), " "), N.Replace(" ", "▁")]), meta("always", True), 1),
        "whitespace": lambda: m.pieces(N.NFD(), P.Sequence([P.Whitespace(), P.Punctuation("merged_with_previous")]), 0, fallback=False),
        "whitespace split": lambda: m.pieces(N.NFKC(), P.Sequence([P.WhitespaceSplit(), digits(False), P.FixedLength(5)]), 0),
        "merged with next": lambda: m.bytes(split(r"[^\w\s]", "merged_with_next"), split(r"^.*$\n?", "merged_with_previous"), split(r"\h+|[[:upper:]]{1,2}+", "contiguous"), byte_level()),
    }
    return {name: make() for name, make in forms.items()}


# ---- results ----


def fnv(*chunks):
    value = 0xCBF29CE484222325
    for chunk in chunks:
        for byte in chunk:
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def result(tokenizer, text):
    ids = tokenizer.encode(text).ids
    return ids, tokenizer.decode(ids, skip_special_tokens=False)


def digest(tokenizer, text):
    ids, decoded = result(tokenizer, text)
    return "%08x" % (fnv(b"".join(i.to_bytes(4, "little") for i in ids), decoded.encode()) % 2**32)


def main(folder):
    path = folder + "/forms.json"
    if len(sys.argv) > 2:
        data = json.load(open(path, encoding="utf-8"))
        tokenizer, text = Tokenizer.from_str(json.dumps(data["forms"][sys.argv[2]])), bytes.fromhex(data["texts"][int(sys.argv[3])]).decode()
        ids, decoded = result(tokenizer, text)
        print(ascii(text), [(i, tokenizer.id_to_token(i)) for i in ids], ascii(decoded), sep="\n")
        return
    rng = random.Random(40)
    texts = make_texts(rng)
    forms = make_forms(rng)
    results = {}
    for name, data in forms.items():
        tokenizer = Tokenizer.from_str(json.dumps(data))
        results[name] = "".join(digest(tokenizer, text) for text in texts)
    with open(path, "w", encoding="utf-8") as file:
        rows = lambda items: ",\n".join(json.dumps(k, ensure_ascii=False) + ":" + json.dumps(v, ensure_ascii=False, separators=(",", ":")) for k, v in items)
        file.write('{"texts":' + json.dumps([text.encode().hex() for text in texts], separators=(",", ":")) + ',\n"forms":{\n' + rows(forms.items()) + '},\n"results":{\n' + rows(results.items()) + "}}\n")


if __name__ == "__main__":
    main(sys.argv[1])
