"""Writes the prompt files for tests/io/test_prompt_files.c in tests/io/data/prompts, and expected.json with what others read.

Run it where pyarrow, pandas and datasets are installed:  python tests/io/make_prompt_files.py
The right values come from Python's json and csv, from pandas, pyarrow and datasets; CASES says for each file from which. The
script fails where two of them differ. What is refused here is in REFUSED, with a part of the message.
"""
import csv
import datetime
import decimal
import gzip
import io
import json
import os
import pathlib
import struct
import tempfile
import uuid

os.environ["HF_HUB_OFFLINE"] = "1"
import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from make_parquet import Long, thrift

datasets.disable_progress_bars()
FOLDER = pathlib.Path(__file__).parent / "data" / "prompts"
HE, SHE = "He works as a nurse.", "She works as a pilot, \"always\"."
ROWS = [{"label": 1, "prompt": HE}, {"label": 2, "prompt": SHE}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Who is he?"},
    {"role": "assistant", "content": "A nurse."},
    {"role": "user", "content": "And she?"},
]
SHARE = [{"from": "human", "value": HE}, {"from": "gpt", "value": "So he does."}]


# ---- what others read: each function returns the cells of a column ----


def by_datasets(kind, **options):
    def read(path, column):
        with tempfile.TemporaryDirectory() as cache:
            rows = datasets.load_dataset(kind, data_files=str(path), cache_dir=cache, split="train", **options)
            return list(rows[column])

    return read


def by_json_lines(path, column):
    return [json.loads(line)[column] for line in path.read_text("utf-8-sig").splitlines() if line.strip()]


def by_json(path, column):
    value = json.loads(path.read_text("utf-8-sig"))
    return [row if column is None else row[column] for row in value]


def by_inner_list(name):
    return lambda path, column: [row[column] for row in json.loads(path.read_text())[name]]


def by_json_values(path, column):
    """One value after the other, on any number of lines."""
    text, at, out = path.read_text(), 0, []
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = json.JSONDecoder().raw_decode(text, at)
        out.append(value[column])
    return out


def by_csv(separator):
    def read(path, column):
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [row[column] for row in csv.DictReader(file, delimiter=separator)]
        frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
        assert frame[column].tolist() == rows, (path, frame)
        return rows

    return read


def by_lines(path, column):
    """Universal newlines."""
    return [line.rstrip("\n") for line in open(path, encoding="utf-8-sig")]


def by_arrow(path, column):
    return pq.read_table(path, columns=[column])[column].to_pylist()


def by_gzip(inner):
    def read(path, column):
        with tempfile.NamedTemporaryFile() as file:
            file.write(gzip.decompress(path.read_bytes()))
            file.flush()
            return inner(pathlib.Path(file.name), column)

    return read


def same(path, column):
    """Nobody else reads it as a table: what was written."""
    return [HE, SHE]


# ---- cells as rows of messages ----

ROLES = {"human": "user", "gpt": "assistant"}


def text_of(content):
    """Parts as chat templates join them."""
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else part["text"] for part in content)


def messages(cell):
    """A row as [role, content] pairs, a plain text as it is; None if nothing is left."""
    if cell is None or cell != cell:
        return None
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            value = json.loads(cell)
            cell = value if isinstance(value[0], dict) and {"role", "from"} & set(value[0]) else cell
        except ValueError:
            pass
    if isinstance(cell, str):
        return cell if cell.strip() else None
    if all(isinstance(item, str) for item in cell):
        return [["user" if i % 2 == 0 else "assistant", text] for i, text in enumerate(cell)] or None
    pairs = [(m.get("role") or m["from"], m["content"] if "content" in m else m["value"]) for m in cell if m]
    return [[ROLES.get(role, role), text_of(content)] for role, content in pairs if content is not None] or None


# ---- Parquet ----


def parquet(table, **options):
    def write(path):
        pq.write_table(table, path, **options)

    return write


def hadoop(path):
    """LZ4 as the codec 5 is defined: Hadoop's blocks, here two in a page. Written byte by byte: pyarrow only reads it."""
    codec = pa.Codec("lz4_raw")
    values = b"".join(struct.pack("<I", len(s)) + s for s in (HE.encode(), SHE.encode()))
    body = b""
    for part in (values[:20], values[20:]):
        packed = codec.compress(part, asbytes=True)
        body += struct.pack(">II", len(part), len(packed)) + packed
    about = thrift((1, 2), (2, 0), (3, 3), (4, 3))
    page = thrift((1, 0), (2, len(values)), (3, len(body)), (5, about))[1] + body
    size = Long(len(page))
    meta = thrift((1, 6), (2, [0]), (3, [b"prompt"]), (4, 5), (5, Long(2)), (6, size), (7, size), (9, Long(4)))
    group = thrift((1, [thrift((2, Long(0)), (3, meta))]), (2, size), (3, Long(2)))
    schema = [thrift((4, b"schema"), (5, 1)), thrift((1, 6), (3, 0), (4, b"prompt"), (6, 0))]
    footer = thrift((1, 1), (2, schema), (3, Long(2)), (4, [group]))[1]
    path.write_bytes(b"PAR1" + page + footer + struct.pack("<I", len(footer)) + b"PAR1")


def old_lz4(path):
    """A raw block under the codec 5, as Arrow wrote it before 0.15.1."""
    pq.write_table(pa.table({"prompt": [HE, SHE]}), path, compression="lz4", use_dictionary=False, write_statistics=False)
    raw = path.read_bytes()
    # ColumnMetaData: type (field 1), encodings (2), path (3), then codec (4), an i32 in zigzag.
    at = raw.rindex(b"\x18\x06prompt\x15\x0e") if raw.count(b"\x18\x06prompt\x15\x0e") else raw.rindex(b"\x06prompt\x15\x0e") - 1
    at += len(b"\x18\x06prompt\x15")
    path.write_bytes(raw[:at] + b"\x0a" + raw[at + 1 :])


UNUSED = pa.table({
    "id": pa.array([uuid.UUID(int=1).bytes, uuid.UUID(int=2).bytes], pa.uuid()),
    "price": pa.array([decimal.Decimal("1.25"), None], pa.decimal128(30, 2)),
    "day": pa.array([datetime.date(2024, 2, 29), None], pa.date32()),
    "stamp": pa.array([datetime.datetime(2024, 2, 29), None], pa.timestamp("ns", "UTC")),
    "nothing": pa.array([None, None], pa.null()),
    "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    "nested": pa.array([[[1, 2], []], None], pa.list_(pa.list_(pa.int32()))),
    "half": pa.array([1.5, None], pa.float16()),
    "bytes": pa.array([b"\xff", None], pa.binary()),
    "prompt": pa.array([HE, SHE], pa.large_string()),
    "tags": pa.array([["a"], None], pa.large_list(pa.large_string())),
})
MESSAGE = pa.struct([("content", pa.string()), ("role", pa.string()), ("name", pa.null())])
TURN = pa.struct([("from", pa.string()), ("value", pa.string()), ("weight", pa.float64())])
CHATS = pa.table({"messages": pa.array([CHAT, CHAT[1:2], [], None], pa.list_(MESSAGE)), "id": [1, 2, 3, 4]})
PART = pa.struct([("index", pa.null()), ("text", pa.string()), ("type", pa.string())])
PART_ROWS = [
    [{"role": "system", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
     {"role": "user", "content": [{"type": "text", "text": "Who?"}]}],
    None,
    [{"role": "user", "content": []}, None, {"role": "assistant", "content": None}, {"role": "user", "content": [{"text": "She?"}]}],
    [],
    [{"role": "user", "content": [{"type": "input_text", "text": HE}, {"type": "text", "text": ""}]}],
]
PARTS = pa.table({"messages": pa.array(PART_ROWS, pa.list_(pa.struct([("content", pa.list_(PART)), ("role", pa.string())])))})
IMAGES = pa.table({"messages": pa.array([[{"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "Who?"}]}]])})
SHARES = pa.table({"conversations": pa.array([SHARE, SHARE[:1]], pa.large_list(TURN))})


# ---- the files that are read: name, column asked for, what it holds (text, bytes or a function), who reads it ----


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


CSV = "prompt,label\r\n" + "".join(f'"{row["prompt"].replace(chr(34), chr(34) * 2)}",{row["label"]}\r\n' for row in ROWS)
CASES = [
    # the kind by content and name together
    ("upper.JSONL", "prompt", LINES, by_datasets("json")),
    ("json_lines", "prompt", LINES, by_datasets("json")),
    ("json_lines.txt", "prompt", LINES, by_datasets("json")),
    ("json_lines.dat", "prompt", "\n" + LINES, by_json_lines),
    ("UPPER.CSV", "prompt", CSV, by_csv(",")),
    ("excel.csv", "prompt", "\ufeff" + CSV.replace(",", ";", 1).replace('",', '";'), by_csv(";")),
    ("tabs.csv", "prompt", f"label\tprompt\n1\t{HE}\n2\tShe flies\n", by_csv("\t")),
    ("table.tsv", "prompt", f"label\tprompt\n1\t{HE}\n2\tShe flies\n", by_csv("\t")),
    ("csv.txt", "prompt", CSV, by_csv(",")),
    ("one_column.csv", "prompt", f"prompt\n{HE}\nShe flies\n", by_csv(",")),
    ("csv", "prompt", CSV, by_csv(",")),
    ("text.txt", None, f"{HE}\r\n\r\n{SHE}\n  \n", by_lines),
    ("mac.txt", None, f"\ufeff{HE}\r{SHE}\r", by_lines),
    ("text.txt.dev", "text", "1 [The developer] argued, with him.\n", by_datasets("text")),
    # CSV
    ("breaks.csv", "prompt", 'label,prompt,\r1,"two\nlines, ""quoted""",\r\r2,x,\r', by_csv(",")),
    ("twins.csv", "prompt", "a,a,prompt\n1,2,He\n", lambda path, column: ["He"]),
    ("blank_cells.csv", "prompt", "prompt,label\n,1\nHe,2\n\" \",3\n\n", by_csv(",")),
    # JSON
    ("pretty.jsonl", "prompt", "".join(json.dumps(row, indent=2) + "\n" for row in ROWS), by_json_values),
    ("list.jsonl", "prompt", json.dumps(ROWS), by_json),
    ("list", "prompt", json.dumps(ROWS, indent=1), by_json),
    ("texts.json", None, json.dumps([HE, SHE]), by_json),
    ("chats.json", None, json.dumps([CHAT, CHAT[1:2]]), by_json),
    ("data.json", "prompt", json.dumps({"version": "1.0", "data": ROWS}, indent=1), by_datasets("json", field="data")),
    ("one_row.json", "messages", json.dumps({"messages": CHAT}), by_json_lines),
    ("twins.jsonl", "prompt", '{"prompt": "first", "n": {"prompt": 1}, "prompt": "last"}\n', by_json_lines),
    ("nan.jsonl", "prompt", '{"prompt": "He", "score": NaN}\n{"prompt": NaN, "score": -Infinity}\n'
     '{"prompt": null, "score": Infinity}\n', by_json_lines),
    ("numbers.jsonl", "prompt", '{"n": 1e999, "prompt": "He", "m": 123456789012345678901234567890}\n', by_json_lines),
    ("escapes.jsonl", "prompt", '{"prompt": "\\ud83d\\ude42 \\u00e9\\/\\b"}\r\n\r\n{"prompt": "\u00e9\u2028x"}', lambda path, column: [
        json.loads(line)[column] for line in path.read_text().split("\n") if line.strip()]),
    # chats
    ("chat.jsonl", "messages", lines({"messages": CHAT}, {"messages": CHAT + [{"role": "assistant", "content": "A pilot."}]}),
     by_datasets("json")),
    ("share_gpt.jsonl", "conversations", lines({"conversations": SHARE}, {"conversations": SHARE[:1]}), by_datasets("json")),
    ("parts.jsonl", "messages", lines({"messages": [{"role": "user", "content": [{"type": "text", "text": "He "},
     {"type": "text", "text": "works."}]}]}), by_datasets("json")),
    ("string_parts.jsonl", "messages", lines({"messages": [{"role": "user", "content": ["He ", "works."]}]}), by_json_lines),
    ("turns.jsonl", "data", lines({"data": ["Who?", "He.", "And?"]}, {"data": ["She?"]}, {"data": []}), by_json_lines),
    ("chat_text.jsonl", "messages", lines({"messages": json.dumps(CHAT)}, {"messages": " " + json.dumps(SHARE, indent=1)}), by_json_lines),
    ("chat_text.csv", "messages", "id,messages\n1,\"" + json.dumps(CHAT).replace('"', '""') + "\"\n", by_csv(",")),
    ("brackets.jsonl", "prompt", lines({"prompt": "[1, 2] is a list"}, {"prompt": '[{"a": 1}]'}, {"prompt": "{}"}), by_json_lines),
    ("no_content.jsonl", "messages", lines({"messages": [{"role": "user", "content": "He?"}, {"role": "assistant", "content": None}]}),
     by_json_lines),
    # packed
    ("packed.jsonl.gz", "prompt", gzip.compress(LINES.encode(), mtime=0), by_datasets("json")),
    ("packed.csv.gz", "prompt", gzip.compress(CSV[:40].encode(), mtime=0) + gzip.compress(CSV[40:].encode(), mtime=0), by_gzip(by_csv(","))),
    ("packed.jsonl.zst", "prompt", pa.Codec("zstd").compress(LINES.encode(), asbytes=True), same),
    ("packed.txt.gz", None, gzip.compress(f"{HE}\n{SHE}\n".encode(), mtime=0), by_gzip(by_lines)),
    ("packed.json.zst", "prompt", pa.Codec("zstd").compress(json.dumps(ROWS).encode(), asbytes=True), same),
    ("packed_without_ending", "prompt", gzip.compress(LINES.encode(), mtime=0), by_gzip(by_json_lines)),
    # Parquet
    ("unused.parquet", "prompt", parquet(UNUSED), by_arrow),
    ("dictionary.parquet", "prompt", parquet(pa.table({"prompt": pa.array([HE, SHE, HE, None]).dictionary_encode()})), by_arrow),
    ("nothing.parquet", "prompt", parquet(pa.table({"prompt": pa.array([None, None], pa.null())})), by_arrow),
    ("chats.parquet", "messages", parquet(CHATS, compression="brotli"), by_datasets("parquet")),
    ("share_gpt.parquet", "conversations", parquet(SHARES, compression="lz4"), by_arrow),
    ("parts.parquet", "messages", parquet(PARTS, data_page_size=20, write_batch_size=1, row_group_size=3), by_arrow),
    ("turns.parquet", "turns", parquet(pa.table({"turns": [["Who?", "He."], ["She?"], None]})), by_arrow),
    ("chat_text.parquet", "messages", parquet(pa.table({"messages": pa.array([json.dumps(CHAT)], pa.json_())})), by_arrow),
    ("hadoop.parquet", "prompt", hadoop, by_arrow),
    ("old_lz4.parquet", "prompt", old_lz4, by_arrow),
    ("not_named_parquet.bin", "prompt", parquet(pa.table({"prompt": [HE, SHE]})), by_arrow),
    ("packed.parquet.gz", "prompt", lambda path: path.write_bytes(gzip.compress((FOLDER / "nothing.parquet").read_bytes(), mtime=0)),
     lambda path, column: [None, None]),
]

# ---- the files that are refused: name, column, what it holds, a part of the message ----


def write_excel(path):
    path.write_bytes(b"PK\3\4" + bytes(30))


def write_arrow(path):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, pa.schema([("prompt", pa.string())])) as writer:
        writer.write_table(pa.table({"prompt": [HE]}))


def write_stream(path):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, pa.schema([("prompt", pa.string())])) as writer:
        writer.write_table(pa.table({"prompt": [HE]}))


IMAGE = {"role": "user", "content": [{"type": "image", "url": "x"}, {"type": "text", "text": "Who?"}]}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f"}}]}
REFUSED = [
    ("notes", "prompt", f"{HE}\n{SHE}\n", "of a kind that is not recognised; give a .parquet"),
    ("notes.py", None, f"print('{HE}')\n", "not recognised"),
    ("book.xlsx", "prompt", write_excel, "an Excel sheet (.xlsx)"),
    ("data.arrow", "prompt", write_arrow, "an Arrow or Feather file"),
    ("data-00000-of-00001.arrow", "prompt", write_stream, "an Arrow stream"),
    ("utf16.csv", "prompt", CSV.encode("utf-16"), "is UTF-16; save it as UTF-8"),
    ("windows.csv", "prompt", "prompt,label\nHe,1\nAndr\u00e9 works,2\n".encode("cp1252"), "line 3: not UTF-8: byte 4 of the text is 0xE9"),
    ("windows.jsonl", "prompt", '{"prompt": "He"}\n{"prompt": "Andr\u00e9"}\n'.encode("cp1252"), "line 2: not UTF-8"),
    ("windows.txt", None, "He\nAndr\u00e9\n".encode("latin-1"), "line 2: not UTF-8"),
    ("column.txt", "question", f"{HE}\n", "has no columns, so no column \"question\""),
    ("no_header.csv", "prompt", f"{HE},1\nShe,2\n", "no column \"prompt\"; there are: He works as a nurse., 1"),
    ("nul.jsonl", "prompt", b'{"prompt": "He \0 works"}\n', "line 1: contains a NUL byte"),
    ("escaped_nul.jsonl", "prompt", '{"prompt": "He \\u0000 works"}\n', "line 1: contains a NUL byte, as \\u0000"),
    ("surrogate.jsonl", "prompt", '{"prompt": "He"}\n{"prompt": "cut \\ud83d"}\n', "line 2: not valid JSON: \\ud83d is half of a character"),
    ("comma.json", "prompt", '[{"prompt": "He"},]', "a value is missing"),
    ("broken.jsonl", "prompt", '{"prompt": "He"}\n{"prompt": "She"\n{"prompt": "It"}\n', "line 2: not valid JSON"),
    ("two_lists.json", "prompt", json.dumps({"train": ROWS, "test": ROWS}), "no member \"prompt\"; there are: train, test"),
    ("python.csv", "messages", "messages\n\"" + str(CHAT[:1]).replace('"', '""') + "\"\n", "a chat as Python prints it"),
    ("python.jsonl", "prompt", "{'prompt': 'He'}\n", "line 1: not valid JSON"),
    ("image.jsonl", "messages", lines({"messages": [IMAGE]}), "a part of type \"image\"; only text can be read"),
    ("tools.jsonl", "messages", lines({"messages": CHAT + [CALL]}), "\"tool_calls\"; chats with tools are not supported"),
    ("role.jsonl", "messages", lines({"messages": CHAT + [{"role": "tool", "content": "5"}]}), "the role \"tool\", which is not known"),
    ("wrapped.jsonl", "prompt", lines({"prompt": json.dumps({"messages": CHAT})}), "write the list \"messages\" alone"),
    ("single.jsonl", "prompt", lines({"prompt": json.dumps(CHAT[0])}), "a single message as JSON text"),
    ("cut.jsonl.gz", "prompt", gzip.compress(LINES.encode() * 50, mtime=0)[:-9], "packed with gzip and damaged or cut off"),
    ("cut.jsonl.zst", "prompt", pa.Codec("zstd").compress(LINES.encode(), asbytes=True)[:-3], "packed with zstd and damaged or cut off"),
    ("twice.jsonl.gz", "prompt", gzip.compress(gzip.compress(LINES.encode(), mtime=0), mtime=0), "packed with gzip twice"),
    ("prompts.md", None, f"{HE}\n", "not recognised"),
    ("columns.json", "prompt", json.dumps({"prompt": [HE, SHE], "label": [1, 2]}), "is one object whose \"prompt\" is a list of values"),
    ("pandas.json", "prompt", json.dumps({"prompt": {"0": HE, "1": SHE}}), "\"prompt\" must be a string"),
    ("sequence.jsonl", "messages", lines({"messages": {"role": ["user"], "content": [HE]}}), "\"messages\" must be a string"),
    ("pointer.txt", None, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "a pointer of Git LFS"),
    ("page.txt", None, "<!DOCTYPE html>\n<html></html>\n", "a web page; download the file itself"),
    ("images.parquet", "messages", parquet(IMAGES), "a part of type \"image\"; only text can be read"),
    ("objects.parquet", "prompt", parquet(pa.table({"prompt": [{"role": "user", "content": HE}]})), "holds nested values"),
]


def write(name, content):
    path = FOLDER / name
    if callable(content):
        content(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    read, refused = [], []
    for name, column, content, reader in CASES:
        cells = reader(write(name, content), column)
        rows = [messages(cell) for cell in cells]
        read.append({"file": name, "column": column, "rows": [row for row in rows if row is not None],
                     "empty": 0 if reader is by_lines else rows.count(None)})
    for name, column, content, part in REFUSED:
        write(name, content)
        refused.append({"file": name, "column": column, "message": part})
    text = json.dumps({"read": read, "refused": refused}, indent=1)
    (FOLDER / "expected.json").write_text(text + "\n")
    print(len(read), "read,", len(refused), "refused")


if __name__ == "__main__":
    main()
