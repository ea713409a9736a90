"""Makes regex.json: classes with sums of their members, and random patterns with a hash of what becomes of some texts when every
match is replaced by U+F8FF, both by Hugging Face's tokenizers 0.23.3 (Oniguruma).

    python tests/text/make_regex.py tests/text
"""

import json
import random
import sys

from tokenizers import Regex, normalizers, pre_tokenizers

ALL = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and c != 0xF8FF)
CATEGORIES = "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Co Cn Any".split()
NAMES = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit".split()
SCRIPTS = "Arabic Cyrillic Devanagari Greek Han Hangul Hebrew Hiragana Katakana Latin Thai".split()
CLASSES = [r"\p{%s}" % name for name in CATEGORIES + NAMES + SCRIPTS + ["Uppercase_Letter", "White_Space", "Alphabetic", "^Lu"]]
CLASSES += ["[[:%s:]]" % name for name in NAMES] + list(map("".join, (r"\P{L}", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\h", r"\H", r"\N", r"\O", ".", r"\R")))
CLASSES += [r"[\w]", r"[^\w]", r"[\W]", r"[\p{Word}]", r"[[:^alpha:]]", r"[^\s\p{L}\p{N}]", r"[\p{L}&&[^a-e]]", r"[\p{Lu}\p{M}&&[^\p{Han}]]", r"[^\p{L}&&[^a-e]]", "[a[bc]d-f]"]
CLASSES += ["(?i:%s)" % c for c in "'aksz0[sk]"[:6]] + ["(?i:[sdmtk])"]


class Patterns:
    def __init__(self, rng):
        self.rng = rng

    def one_of(self, *items):
        return self.rng.choice(items)

    def cls(self, depth=0):
        if self.rng.random() < 0.3:
            return self.one_of(r"\p{L}", r"\p{N}", r"\s", r"\S", r"\w", r"\W", r"\d", r"\p{Lu}", r"\h", r"\P{L}", ".")
        simple = ["a", "b", "A", "a-c", r"\s", r"\p{L}", "1", "0-9", r"\n", "é", " ", "'", "[:alpha:]", "[:^digit:]"] + ["[ab]", "[^a]"] * (depth < 2)
        items = "".join(self.rng.choice(simple) for _ in range(self.rng.randint(1, 3)))
        if self.rng.random() < 0.2:
            items += "&&" + self.one_of("[^a]", r"\w", "a-z", "[ab1]")
        return "[" + "^" * (self.rng.random() < 0.3) + items + "]"

    def atom(self, depth):
        kind = self.rng.random()
        if kind < 0.4:
            return self.one_of("a", "b", "A", " ", "1", "'", "s", "é", r"\n")
        if kind < 0.65:
            return self.cls()
        if kind < 0.75 or depth > 3:
            return self.one_of("^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z", r"\R", ".", "a")
        return self.one_of("(?:%s)", "(?:%s)", "(?:%s)", "(%s)", "(?>%s)", "(?=%s)", "(?!%s)", "(?<=%s)", "(?<!%s)", "(?i:%s)", "(?m:%s)", "(?<n>%s)") % self.choice(depth + 1)

    def repeated(self, depth):
        atom = self.atom(depth)
        if self.rng.random() < 0.55 or atom[0] in "^$" or atom in (r"\A", r"\z", r"\Z", r"\b", r"\B"):
            return atom
        return atom + self.one_of("?", "*", "+", "??", "*?", "+?", "?+", "*+", "++", "{2}", "{1,2}", "{0,1}", "{1,}", "{,2}", "{1,2}?", "{1,2}+", "{2,}?", "{1,3}+")

    def choice(self, depth=0):
        sequence = lambda: "".join(self.repeated(depth) for _ in range(self.rng.randint(1, 3)))
        return "|".join(sequence() for _ in range(self.one_of(1, 1, 1, 2, 2, 3)))


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def replaced(pattern, texts):
    normalizer = normalizers.Replace(Regex(pattern), "\uf8ff")
    return "%08x" % (fnv("\0".join(normalizer.normalize_str(text) for text in texts).encode()) % 2**32)


def members(pattern):
    """Count, sum and sum of squares of the code points that the class matches."""
    split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    codes = [ord(c) for piece, _ in split.pre_tokenize_str(ALL) for c in piece]
    return "%d %d %d" % (len(codes), sum(codes), sum(c * c for c in codes) % 2**64)


def main(folder):
    rng = random.Random(9)
    texts = ["ab\naB 1's\r\n a\n"] + ["".join(rng.choice("abAB 1\n'sé\u017f\r²\u0301中") for _ in range(rng.randint(1, 14))) for _ in range(40)]
    patterns, made = {}, Patterns(rng)
    while len(patterns) < 1500:
        pattern = made.choice()
        try:
            patterns[pattern] = replaced(pattern, texts)
        except BaseException as error:  # Oniguruma refuses it, or gives up
            if isinstance(error, KeyboardInterrupt):
                raise
    classes = {c: members(c) for c in CLASSES}
    with open(folder + "/regex.json", "w", encoding="utf-8") as file:
        rows = lambda items: ",\n".join(json.dumps(k, ensure_ascii=False) + ":" + json.dumps(v) for k, v in items)
        file.write('{"texts":' + json.dumps(texts) + ',\n"classes":{\n' + rows(classes.items()) + '},\n"patterns":{\n' + rows(patterns.items()) + "}}\n")


main(sys.argv[1])
