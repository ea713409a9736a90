"""Makes src/text/unicode_categories.c and unicode_tables.c: what Hugging Face's tokenizers 0.23.3 knows of Unicode, asked for
every code point.

    python tests/text/make_unicode.py src/text && clang-format -i src/text/unicode_*.c

Its regular expressions (Oniguruma) have Unicode 16, its Digits (Rust) Unicode 17, its Punctuation an older version, and its
normal forms (unicode-normalization-alignments) Unicode 9. `regex` tells which characters later versions normalise.
"""

import sys

import regex
from tokenizers import Regex, normalizers, pre_tokenizers

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn".split()
SCRIPTS = "Arabic Cyrillic Devanagari Greek Han Hangul Hebrew Hiragana Katakana Latin Thai".split()
CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
ALL = "".join(map(chr, CODES))


def members(pattern):
    """The code points that the class matches."""
    split = pre_tokenizers.Split(Regex(pattern + "+"), "removed", invert=True)
    return {ord(c) for piece, _ in split.pre_tokenize_str(ALL) for c in piece}


def cut_out(pre_tokenizer, codes):
    """The code points that become pieces of their own."""
    return {c for c in codes if len(pre_tokenizer.pre_tokenize_str("a" + chr(c) + "a")) == 3}


def later_normal():
    """Code points that take part in normal forms, but not yet in the version of tokenizers: it leaves them alone."""
    nfd, nfkd = normalizers.NFD(), normalizers.NFKD()
    found = set()
    for c in map(ord, regex.findall(r"\P{ccc=0}", ALL)):
        # A mark moves around one of another class, unless it counts as a letter.
        orders = ["a" + chr(c) + "\u0334b", "a\u0345" + chr(c) + "b", "a" + chr(c) + "\u0316\u0334"]
        if nfd.normalize_str(orders[0]) == orders[0] and nfd.normalize_str(orders[1]) == orders[1]:
            if nfd.normalize_str(orders[2]) == "a" + chr(c) + "\u0334\u0316" and regex.match(r"\P{Cn}", chr(c)):
                found.add(c)
    found |= {c for c in map(ord, regex.findall(r"\P{dt=none}", ALL)) if nfkd.normalize_str(chr(c)) == chr(c)}
    found.update(  # the first characters of later compositions, which no library here lists by property
        [0x105D2, 0x105DA, 0x11382, 0x11384, 0x1138B, 0x11390, 0x113C2, 0x11935, 0x1611E, 0x16129, 0x16D63, 0x16D67]
    )
    return found & set(CODES)


def ranges(codes):
    out = []
    for c in sorted(codes):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def list_of(codes):
    return "{" + ", ".join("{0x%X, 0x%X}" % pair for pair in map(tuple, ranges(codes))) + "}"


def table(name, codes):
    """A table under a name of its own."""
    return f"static const UnicodeRange {name}[] = {list_of(codes)};\nconst UnicodeTable UNICODE_{name.upper()} = {{{name}, {len(ranges(codes))}}};\n"


HEADER = "// Made by tests/text/make_unicode.py: what Hugging Face's tokenizers 0.23.3 knows of Unicode.\n#include \"unicode.h\"\n"


def write(path, parts):
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([HEADER, *parts]) + "\n")


def main(folder):
    category = {}
    for index, name in enumerate(CATEGORIES):
        category.update(dict.fromkeys(members(r"\p{%s}" % name), index))
    assert len(category) == len(CODES)
    category.update(dict.fromkeys(range(0xD800, 0xE000), CATEGORIES.index("Cn")))
    runs = ["0x%x" % (c << 8 | category[c]) for c in range(0x110000) if c == 0 or category[c] != category[c - 1]]
    of = lambda *names: {c for c in CODES if CATEGORIES[category[c]] in names}
    letters, numbers = of("Lu", "Ll", "Lt", "Lm", "Lo"), of("Nd", "Nl", "No")
    write(folder + "/unicode_categories.c", [
        "const uint32_t UNICODE_RUNS[] = {" + ", ".join(runs) + "};",
        f"const size_t UNICODE_RUN_COUNT = {len(runs)};",
    ])
    tables = [
        table("other_alphabetic", members("[[:alpha:]]") - letters - of("Nl")),
        table("other_lowercase", members("[[:lower:]]") - of("Ll")),
        table("other_uppercase", members("[[:upper:]]") - of("Lu")),
        table("later_numbers", cut_out(pre_tokenizers.Digits(individual_digits=True), CODES) - numbers),
        table("punctuation", cut_out(pre_tokenizers.Punctuation("isolated"), CODES)),
        table("later_normal", later_normal()),
    ]
    scripts = {name.lower(): members(r"\p{%s}" % name) for name in SCRIPTS}
    tables += [f"static const UnicodeRange {name}[] = {list_of(codes)};" for name, codes in scripts.items()]
    rows = ", ".join('{"%s", {%s, %d}}' % (name, name, len(ranges(codes))) for name, codes in scripts.items())
    write(folder + "/unicode_tables.c", [*tables, f"const UnicodeScript UNICODE_SCRIPTS[] = {{{rows}, {{NULL, {{NULL, 0}}}}}};"])


main(sys.argv[1])
