"""Writes the Parquet files in tests/io/data with pyarrow, and expected.json with their contents.

Run it where pyarrow is installed:  python tests/io/make_parquet.py
The files are committed, so the tests do not need pyarrow.
"""
import json
import pathlib
import struct

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = pathlib.Path(__file__).parent / "data"
ROWS = 60


def sentence(i):
    """Row i: shared beginnings (for the delta encoding), characters of 1 to 4 bytes, repeats, nulls, an empty text."""
    if i % 7 == 3:
        return None
    if i == 11:
        return ""
    return f"Question {i // 4}: what does a \u0153uvre of {i % 5} \u6f22\u5b57 \U0001f642 cost" + "?" * (i % 3)


def chat(i):
    """Row i: a null list, an empty list, or one to three messages, some of them null or without content."""
    if i % 9 == 4:
        return None
    if i % 9 == 5:
        return []
    turns = [{"role": "system", "content": f"Rule {i % 2}", "weight": 1}] if i % 2 else []
    turns.append({"role": "user", "content": f"Ask {i}", "weight": i})
    if i % 4 == 2:
        turns.append(None)
    if i % 4 == 3:
        turns.append({"role": "assistant", "content": None, "weight": None})
    return turns


MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string()), ("weight", pa.int64())])


def table():
    return pa.table(
        {
            "id": pa.array(range(ROWS), pa.int64()),
            "text": pa.array([sentence(i) for i in range(ROWS)], pa.string()),
            "chat": pa.array([chat(i) for i in range(ROWS)], pa.list_(MESSAGE)),
            "outer": pa.array([{"inner": f"deep {i}"} if i % 3 else None for i in range(ROWS)],
                              pa.struct([("inner", pa.string())])),
        }
    )


# The options of each file. Together they cover every codec, both page versions, dictionary and plain, both delta
# encodings, several row groups and pages, checksums, and the older list form.
FILES = {
    "none_v1_dictionary": dict(compression="none", data_page_version="1.0"),
    "none_v2_plain": dict(compression="none", data_page_version="2.0", use_dictionary=False),
    "snappy_v1_groups": dict(compression="snappy", data_page_version="1.0", row_group_size=17),
    "snappy_v2_checksum": dict(compression="snappy", data_page_version="2.0", write_page_checksum=True),
    "gzip_v1_plain_pages": dict(compression="gzip", data_page_version="1.0", use_dictionary=False, data_page_size=64,
                                write_batch_size=8),
    "gzip_v2": dict(compression="gzip", data_page_version="2.0"),
    "zstd_v1": dict(compression="zstd", data_page_version="1.0"),
    "zstd_v2_groups": dict(compression="zstd", data_page_version="2.0", row_group_size=7),
    "zstd_v1_delta_length": dict(compression="zstd", data_page_version="1.0", use_dictionary=False,
                                 column_encoding={"text": "DELTA_LENGTH_BYTE_ARRAY"}),
    "snappy_v2_delta_strings": dict(compression="snappy", data_page_version="2.0", use_dictionary=False,
                                    column_encoding={"text": "DELTA_BYTE_ARRAY"}),
    "snappy_v1_old_lists": dict(compression="snappy", data_page_version="1.0", use_compliant_nested_type=False),
    "brotli": dict(compression="brotli"),
    "lz4": dict(compression="lz4"),
}


# ---- the older list forms, which pyarrow reads but cannot write: built byte by byte, uncompressed and PLAIN ----


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


class Long(int):
    """An integer of Thrift type i64 rather than i32."""


def thrift_item(value):
    """(Thrift type, bytes) of an int, Long, bytes, list of values of one type, or ("struct", its bytes)."""
    if isinstance(value, Long):
        return 6, varint(value << 1)
    if isinstance(value, int):
        return 5, varint(value << 1)
    if isinstance(value, bytes):
        return 8, varint(len(value)) + value
    if isinstance(value, list):
        items = [thrift_item(v) for v in value]
        assert len(items) < 15
        return 9, bytes([len(items) << 4 | items[0][0]]) + b"".join(text for _, text in items)
    return 12, value[1]


def thrift(*fields):
    """A struct of (id, value) in the compact protocol."""
    out, last = b"", 0
    for number, value in fields:
        kind, text = thrift_item(value)
        out += bytes([(number - last) << 4 | kind]) + text
        last = number
    return ("struct", out + b"\0")


def levels(values):
    runs = b"".join(bytes([2, v]) for v in values)  # each is a run of length 1
    return struct.pack("<I", len(runs)) + runs


def write_old_list(path, schema, leaves, rows):
    """leaves: (path, repetition levels, definition levels, strings) of each column of the schema."""
    out, chunks = b"PAR1", []
    for names, repetition, definition, strings in leaves:
        body = levels(repetition) + levels(definition)
        body += b"".join(struct.pack("<I", len(s)) + s for s in strings)
        about = thrift((1, len(repetition)), (2, 0), (3, 3), (4, 3))
        page = thrift((1, 0), (2, len(body)), (3, len(body)), (5, about))[1] + body
        size = Long(len(page))
        meta = thrift((1, 6), (2, [0, 3]), (3, names), (4, 0), (5, Long(len(repetition))), (6, size), (7, size),
                      (9, Long(len(out))))
        chunks.append(thrift((2, Long(0)), (3, meta)))
        out += page
    group = thrift((1, chunks), (2, Long(len(out))), (3, Long(rows)))
    footer = thrift((1, 1), (2, schema), (3, Long(rows)), (4, [group]))[1]
    path.write_bytes(out + footer + struct.pack("<I", len(footer)) + b"PAR1")


def write_old_lists():
    root = thrift((4, b"schema"), (5, 1))
    role, content = thrift((1, 6), (3, 0), (4, b"role")), thrift((1, 6), (3, 1), (4, b"content"))
    roles, texts = [b"system", b"user", b"user", b"user"], [b"Rule", b"Ask 0", b"Ask 3"]
    # Rows: two messages; null; an empty list; one message without content and one with.
    chat_list, array = thrift((3, 1), (4, b"chat"), (5, 1), (6, 3)), thrift((3, 2), (4, b"array"), (5, 2))
    repeats = [0, 1, 0, 0, 0, 1]
    write_old_list(
        FOLDER / "old_two_levels.parquet",
        [root, chat_list, array, role, content],
        [
            ([b"chat", b"array", b"role"], repeats, [2, 2, 0, 1, 2, 2], roles),
            ([b"chat", b"array", b"content"], repeats, [3, 3, 0, 1, 2, 3], texts),
        ],
        4,
    )
    # Rows: two messages; none; one message without content and one with.
    repeats = [0, 1, 0, 0, 1]
    write_old_list(
        FOLDER / "old_repeated.parquet",
        [root, thrift((3, 2), (4, b"chat"), (5, 2)), role, content],
        [
            ([b"chat", b"role"], repeats, [1, 1, 0, 1, 1], roles),
            ([b"chat", b"content"], repeats, [2, 2, 0, 1, 2], texts),
        ],
        3,
    )


def write_claims(path, values, groups):
    """A few hundred bytes that claim `groups` row groups of `values` equal strings each, all at the same offset."""
    run = varint(values << 1)
    dictionary = struct.pack("<I", 4) + b"text"
    head = thrift((1, 2), (2, len(dictionary)), (3, len(dictionary)), (7, thrift((1, 1), (2, 0))))[1] + dictionary
    body = struct.pack("<I", len(run) + 1) + run + b"\1" + b"\1" + run + b"\0"
    about = thrift((1, values), (2, 8), (3, 3), (4, 3))
    page = thrift((1, 0), (2, len(body)), (3, len(body)), (5, about))[1] + body
    size = Long(len(head) + len(page))
    meta = thrift((1, 6), (2, [0, 3]), (3, [b"text"]), (4, 0), (5, Long(values)), (6, size), (7, size),
                  (9, Long(4 + len(head))), (11, Long(4)))
    group = thrift((1, [thrift((2, Long(0)), (3, meta))]), (2, size), (3, Long(values)))
    schema = [thrift((4, b"schema"), (5, 1)), thrift((1, 6), (3, 1), (4, b"text"))]
    footer = thrift((1, 1), (2, schema), (3, Long(values * groups)), (4, [group] * groups))[1]
    path.write_bytes(b"PAR1" + head + page + footer + struct.pack("<I", len(footer)) + b"PAR1")


def main():
    FOLDER.mkdir(exist_ok=True)
    rows = table()
    for name, options in FILES.items():
        pq.write_table(rows, FOLDER / f"{name}.parquet", **options)
    write_old_lists()
    write_claims(FOLDER / "claims_fair.parquet", 1000, 1)
    write_claims(FOLDER / "claims_shared.parquet", 1000, 10)
    write_claims(FOLDER / "claims_many.parquet", 2**24, 2)
    pq.write_table(rows.slice(0, 0), FOLDER / "empty.parquet")
    expected = {
        "text": [t for t in map(sentence, range(ROWS)) if t],
        "chat": [
            kept
            for row in map(chat, range(ROWS))
            if (kept := [[m["role"], m["content"]] for m in row or [] if m and m["content"] is not None])
        ],
        "outer.inner": [f"deep {i}" for i in range(ROWS) if i % 3],
    }
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
