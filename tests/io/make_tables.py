"""Writes the files for tests/io/test_table.c in tests/io/data/table, and expected.json with what Python reads from them.

Run it where pyarrow and pandas are installed:  python tests/io/make_tables.py [SHARED]
The files are committed, so the tests need neither. SHARED (../shared by default) has the benchmark files; their rows are
counted and hashed as Python's json, csv and pyarrow read them.
"""
import csv
import datetime
import decimal
import io
import json
import math
import pathlib
import random
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = pathlib.Path(__file__).parent / "data" / "table"
ROOT = pathlib.Path(__file__).parents[2]


# ---- cells as JSON: text as a string, other types tagged; integers and doubles as strings, which are exact ----


def cell(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, int):
        return {"integer": str(value)}
    if isinstance(value, float):
        return {"number": value.hex()}
    if value and all(m is None or isinstance(m, dict) for m in value) and any(value):
        return {"chat": [[m["role"], m["content"]] for m in value if m and None not in (m["role"], m["content"])]}
    return [cell(item) for item in value]


# ---- Parquet ----

ROWS = 40
MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])


def sometimes(make, gap):
    """ROWS values of make(i), every gap-th of them null."""
    return [None if i % gap == gap - 1 else make(i) for i in range(ROWS)]


def chat(i):
    turns = [{"role": "system", "content": f"Rule {i}"}, None, {"role": "user", "content": f"Ask {i}"}]
    return [turns[:0], turns[:1], turns, [{"role": "user", "content": None}], None][i % 5]


def typed_table():
    spread = [0, 1, -1, 2**31 - 1, -(2**31), 127, -128, 255]
    wide = spread + [2**63 - 1, -(2**63), 2**53 + 1, 2**32]
    reals = [0.5, -0.0, 1e300, math.inf, -math.inf, 5e-324, 1 / 3]
    return pa.table({
        "boolean": pa.array(sometimes(lambda i: i % 3 == 0, 7), pa.bool_()),
        "int8": pa.array([i * 6 - 128 for i in range(ROWS)], pa.int8()),
        "uint8": pa.array([255 - i for i in range(ROWS)], pa.uint8()),
        "int16": pa.array(sometimes(lambda i: i * 1000 - 32768, 5), pa.int16()),
        "uint16": pa.array([65535 - i for i in range(ROWS)], pa.uint16()),
        "int32": pa.array(sometimes(lambda i: spread[i % len(spread)], 11), pa.int32()),
        "uint32": pa.array(sometimes(lambda i: 2**32 - 1 - i, 6), pa.uint32()),
        "int64": pa.array(sometimes(lambda i: wide[i % len(wide)], 9), pa.int64()),
        "uint64": pa.array([2**63 - 1 - i for i in range(ROWS)], pa.uint64()),
        "float": pa.array(sometimes(lambda i: i / 7, 8), pa.float32()),
        "double": pa.array(sometimes(lambda i: reals[i % len(reals)], 10), pa.float64()),
        "text": pa.array(sometimes(lambda i: "\u00e9\U0001f642" * (i % 4) + str(i), 7), pa.string()),
        "large_text": pa.array([f"row {i}" for i in range(ROWS)], pa.large_string()),
        "nothing": pa.array([None] * ROWS, pa.null()),
        "texts": pa.array(sometimes(lambda i: ["a", None, "", "b" * i][: i % 5], 6), pa.list_(pa.string())),
        "integers": pa.array(sometimes(lambda i: [i, None, -(2**62)][: i % 4], 7), pa.list_(pa.int64())),
        "numbers": pa.array(sometimes(lambda i: [i / 2, -1.5][: i % 3], 7), pa.list_(pa.float64())),
        "booleans": pa.array(sometimes(lambda i: [True, False, None][: i % 4], 7), pa.list_(pa.bool_())),
        "chat": pa.array([chat(i) for i in range(ROWS)], pa.list_(MESSAGE)),
        "outer": pa.array(sometimes(lambda i: {"id": i, "deep": {"words": ["x"] * (i % 3)}}, 4),
                          pa.struct([("id", pa.int32()), ("deep", pa.struct([("words", pa.list_(pa.string()))]))])),
    })


def value_at(row, column):
    for name in column.split("."):
        row = None if row is None else row[name]
    return row


DELTA = {name: "DELTA_BINARY_PACKED" for name in ("int8", "int16", "int32", "int64", "uint32", "uint64")}
TYPED = {
    "typed_dictionary": dict(compression="snappy", data_page_version="1.0"),
    "typed_plain": dict(compression="none", data_page_version="1.0", use_dictionary=False),
    "typed_v2": dict(compression="zstd", data_page_version="2.0", use_dictionary=False, row_group_size=9),
    "typed_delta": dict(compression="gzip", data_page_version="2.0", use_dictionary=False, column_encoding=DELTA,
                        data_page_size=64, write_batch_size=8),
}


def write_typed(expected):
    table = typed_table()
    columns = [name for name in table.column_names if name != "outer"] + ["outer.id", "outer.deep.words"]
    for name, options in TYPED.items():
        path = FOLDER / f"{name}.parquet"
        pq.write_table(table, path, **options)
        file = pq.ParquetFile(path)
        rows = file.read().to_pylist()
        expected[path.name] = {
            "groups": [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)],
            "columns": {c: [cell(value_at(row, c)) for row in rows] for c in columns},
        }


def write_refused():
    day = datetime.datetime(2024, 2, 29, 12, 30, 15)
    pq.write_table(pa.table({
        "date": pa.array([day.date()], pa.date32()),
        "time": pa.array([day.time()], pa.time64("us")),
        "stamp": pa.array([day], pa.timestamp("us")),
        "stamp_ns": pa.array([day], pa.timestamp("ns")),
        "price": pa.array([decimal.Decimal("1.25")], pa.decimal128(9, 2)),
        "fixed": pa.array([b"abc"], pa.binary(3)),
        "half": pa.array([1.5], pa.float16()),
        "table": pa.array([[[1]]], pa.list_(pa.list_(pa.int64()))),
        "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        "dates": pa.array([[day.date()]], pa.list_(pa.date32())),
        "structs": pa.array([[{"a": 1, "b": 2}]]),
        "beyond": pa.array([2**63], pa.uint64()),
        "split": pa.array([1.5], pa.float64()),
    }), FOLDER / "refused.parquet", use_dictionary=False, column_encoding={"split": "BYTE_STREAM_SPLIT"})
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["twin", "twin"]), FOLDER / "twins.parquet")


def write_groups():
    """100 row groups of 1,000 rows of 100 bytes: 10 MB in a small file."""
    groups, rows = 100, 1000
    table = pa.table({"id": range(groups * rows), "text": [f"{i // rows:03d}" + "x" * 97 for i in range(groups * rows)]})
    pq.write_table(table, FOLDER / "groups.parquet", row_group_size=rows, compression="zstd", use_dictionary=False,
                   column_encoding={"id": "DELTA_BINARY_PACKED"}, write_statistics=False)


# ---- CSV ----

CSV_CASES = [
    "a,b\n1,2\n", "a,b\r\n1,2\r\n3,4", "a,b\r1,2\r", "\ufeffa,b\n1,2\n", "a,b\n\"1\",\"x, y\"\n", "a\n\"\"\"\"\n",
    "a,b\n\"line 1\nline 2\",2\n", "a,b\n\"x\r\ny\",\"\"\n", "a,b\n5\" pipe,7\n", "a,b\nx\"y\"z,7\n", "\n\na,b\n\n1,2\n\n\n",
    ",b\n0,x\n", "a,a\n1,2\n", "a,b\n1\n", "a,b\n1,2,3\n", "a,b\n1,2,\n", "a,b\n1,\"2\n", "a,b\n1,\"2\"3\n", "a\n\"\"\n",
    "a,b\n,\n", "a,b", "a", "", "\n", "\r\n\r\n", "\"a\"\"b\",c\n1,2\n", "a,b\n \"1\",2\n", "a,b\n\"1\" ,2\n", "a;b\n1;2\n",
    "a,b\n1,2\n\"", "a,b\n\u00e9\U0001f642,\"\u6f22,\u5b57\"\n", "a,b\n1,2\r\n\r3,4\n", "a,\"b\nc\"\n1,2\n",
]


def random_csv(draw):
    """Half of the texts are random characters under a header; half are rows of cells, most of them well-formed."""
    if draw.random() < 0.5:
        return "x,y\n" + "".join(draw.choice('aab,,,""\n\n\r 1\u00e9') for _ in range(draw.randrange(1, 40)))
    cells = ["a", "", '"a"', '""', '"a""b"', '"x,y"', '"l\nm"', '"l\r\nm"', '"\r"', '""""', " b ", '5"', "\u00e9", '"q"x', '"']
    text = '"x",y' + draw.choice(["\n", "\r\n", "\r"])
    for _ in range(draw.randrange(1, 6)):
        few = len(cells) - (2 if draw.random() < 0.95 else 0)
        text += ",".join(cells[draw.randrange(few)] for _ in range(2 if draw.random() < 0.98 else 3))
        text += draw.choice(["\n", "\n", "\r\n", "\r", "\n\n"])
    return text if draw.random() < 0.5 else text.rstrip("\r\n")


def read_csv(text, separator):
    """Rows as Python's csv module reads them; None if RFC 4180 or this project refuses them."""
    source = io.StringIO(text.removeprefix("\ufeff"), newline="")
    try:
        rows = [row for row in csv.reader(source, delimiter=separator, strict=True) if row]
    except csv.Error:
        return None
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        return None
    return rows


def check_pandas(text, separator, rows):
    """Checks that pandas reads the same where it reads the text at all. It renames columns of the same name, skips lines
    of spaces, and loses an empty first cell after a blank line that ends in a carriage return alone."""
    if "\r" + separator in text:
        return
    if any(cell.strip() == "" for row in rows for cell in row if len(row) == 1) or len(set(rows[0])) < len(rows[0]):
        return
    try:
        frame = pd.read_csv(io.StringIO(text.removeprefix("\ufeff")), sep=separator, dtype=str, keep_default_na=False,
                            index_col=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError):
        return
    assert frame.values.tolist() == rows[1:], (text, frame.values.tolist(), rows)


def write_csv():
    with open(FOLDER / "quotes.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "chat", ""])
        writer.writerows([f"say \"{i}\", twice", "line\nbreak" * (i % 2), i * 7] for i in range(30))


def csv_cases():
    draw, cases = random.Random(8), []
    for text in CSV_CASES + [random_csv(draw) for _ in range(300)]:
        for separator in ",\t":
            case = text.replace(",", separator)
            rows = read_csv(case, separator)
            if rows is not None:
                check_pandas(case, separator, rows)
            cases.append({"name": "a.csv" if separator == "," else "a.tsv", "text": case, "rows": rows})
    return cases


# ---- JSON ----

NUMBERS = ["0", "-0", "1", "-1", "1.0", "1e3", "1E-2", "0.1", "9007199254740993", "-9007199254740993", "9223372036854775807",
           "-9223372036854775808", "9223372036854775808", "123456789012345678901234567890", "1.7976931348623157e308",
           "5e-324", "3.141592653589793", "1e400", "01", "-", "+1", ".5", "1.", "1.e2", "1e", "1e+", "--1", "0x10", "NaN",
           "Infinity", "-Infinity", "-NaN", "0." + "123456789" * 20, "1" * 64, "1_000", "00", "-01", "1.5.5", "1-2"]


def number_cases():
    cases = []
    for text in NUMBERS:
        try:
            value = json.loads(text, parse_constant=float)
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                value = float(value)
            if isinstance(value, float) and math.isinf(value) and "I" not in text:
                value = None  # too large for a number
        except ValueError:
            value = None
        cases.append({"text": text, "value": cell(value)})
    return cases


def json_rows():
    draw = random.Random(9)

    def value(depth):
        kind = draw.randrange(8 if depth < 3 else 6)
        simple = [None, True, draw.randrange(-(2**63), 2**63), draw.random() * 10 ** draw.randrange(-20, 20),
                  draw.choice(["", "[1, 2]", "-5", "a\\\"b", "\u00e9\n\t\U0001f642", "{\"x\": 7}"]), draw.randrange(10)]
        return simple[kind] if kind < 6 else [value(depth + 1) for _ in range(draw.randrange(4))]

    rows = [{"a": value(0), "b": value(0), "in": {"a": value(0), "deep": {"c": value(0)}}} for _ in range(300)]
    lines = "\n".join(json.dumps(row, ensure_ascii=i % 2 == 0) for i, row in enumerate(rows)) + "\n"
    (FOLDER / "rows.jsonl").write_text(lines)
    (FOLDER / "rows.json").write_text(json.dumps(rows, indent=1))
    columns = ["a", "b", "in.a", "in.deep.c"]
    prompts = [{"text": f"Ask [{i}]", "chat": [{"role": "user", "content": "\"},"}] * (i % 3), "n": i / 4} for i in range(9)]
    (FOLDER / "list.json").write_text(json.dumps(prompts, indent=1))
    return {c: [cell(value_at(row, c)) for row in rows] for c in columns}


# ---- the benchmark files ----


def fnv(data):
    """util/hash.h"""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def flat(value):
    """The text of a cell that the test hashes."""
    if isinstance(value, list):
        return b"[" + b"".join(map(flat, value)) + b"]"
    return ("null" if value is None else str(value)).encode() + b"\n"


def summary(shared, name, columns, rows):
    print(name, len(rows))
    text = b"".join(flat(value_at(row, c)) for row in rows for c in columns)
    return {"name": name, "columns": columns, "rows": len(rows), "hash": f"{fnv(text):016x}"}


def read_lines(path):
    lines = path.read_text().split("\n")
    return [{"text": line} for line in (lines[:-1] if lines[-1] == "" else lines)]


def read_named_csv(path, separator):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter=separator))


def benchmark_files(shared):
    data, out = shared / "data", []
    plain = {
        "bbq/bbq_subset.jsonl": ["example_id", "question_index", "category", "context", "question", "ans0", "ans2", "label",
                                 "answer_info.ans0", "additional_metadata.stereotyped_groups"],
        "gsm8k/test.jsonl": ["idx", "question", "answer"],
        "mmlu_stem/test.jsonl": ["question", "choices", "answer", "type"],
    }
    for name, columns in plain.items():
        out.append(summary(shared, name, columns, [json.loads(line) for line in open(data / name)]))
    name = "crows_pairs/crows_pairs_anonymized.csv"
    rows = read_named_csv(data / name, ",")
    out.append(summary(shared, name, list(rows[0]), rows))
    for name in ("templates", "all_sentences", "occupations-stats"):
        rows = read_named_csv(data / "winogender" / f"{name}.tsv", "\t")
        out.append(summary(shared, f"winogender/{name}.tsv", list(rows[0]), rows))
    for path in sorted((data / "winobias").iterdir()):
        out.append(summary(shared, f"winobias/{path.name}", ["text"], read_lines(path)))
    columns = ["data_source", "problem", "ability", "reward_model.ground_truth", "reward_model.style", "extra_info.index",
               "extra_info.split"]
    for name in ("pi1_r128", "pi1_r1280"):
        rows = pq.read_table(data / "one_shot" / f"{name}.parquet").to_pylist()
        out.append(summary(shared, f"one_shot/{name}.parquet", columns, rows))
    return out


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    typed = {}
    write_typed(typed)
    write_refused()
    write_groups()
    write_csv()
    shared = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared"
    expected = {"typed": typed, "csv": csv_cases(), "numbers": number_cases(), "json": json_rows(),
                "benchmarks": benchmark_files(shared)}
    (FOLDER / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
