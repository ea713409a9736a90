#!/usr/bin/env python3
"""Writes data/torch/: files of torch.save that are read, with their numbers as safetensors beside them, and some that must be
refused. Run with torch and safetensors installed: tests/io/make_torch.py
"""
import collections
import pathlib
import pickle
import shutil
import struct
import zipfile

import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parent / "data" / "torch"


def plain():
    draw = torch.Generator().manual_seed(3)
    r = lambda *shape: torch.randn(*shape, generator=draw)
    base = r(4, 6)
    return {"f32": base, "f16": r(3).half(), "bf16": r(2, 5).bfloat16(), "row": base[1], "part": base[2:], "column": base[:, 1],
            "transposed": base.t(), "permuted": r(2, 3, 4).permute(2, 0, 1), "every_second": r(6)[::2], "empty": r(0, 3),
            "one": r(1, 1, 1), "number": torch.tensor(2.5), "parameter": torch.nn.Parameter(r(2)), "ж": r(1)}  # fmt: skip


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def rewrite(source, name, change, **options):
    """Copies an archive; change(entry, bytes) gives the new bytes of an entry."""
    with zipfile.ZipFile(OUT / source) as old, zipfile.ZipFile(OUT / name, "w", **options) as new:
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename, old.read(info)))


def pickled(value, protocol=2):
    return lambda name, data: pickle.dumps(value, protocol) if name.endswith("data.pkl") else data


def wide(source, name):
    """Every size and place in the directory stands in a 64-bit field, as in an archive of more than 4 GB."""
    data = bytearray((OUT / source).read_bytes())
    end = data.rindex(b"PK\5\6")
    start, count = struct.unpack_from("<I", data, end + 16)[0], struct.unpack_from("<H", data, end + 10)[0]
    at, directory = start, b""
    for _ in range(count):
        head = bytearray(data[at : at + 46])
        packed, unpacked, names, extras, comment = struct.unpack_from("<IIHHH", head, 20)
        local = struct.unpack_from("<I", head, 42)[0]
        struct.pack_into("<II", head, 20, 0xFFFFFFFF, 0xFFFFFFFF)
        struct.pack_into("<H", head, 30, 4 + 6 + 4 + 24)
        struct.pack_into("<I", head, 42, 0xFFFFFFFF)
        other = struct.pack("<HH6s", 0x4246, 6, b"filler")
        directory += head + data[at + 46 : at + 46 + names] + other + struct.pack("<HHQQQ", 1, 24, unpacked, packed, local)
        at += 46 + names + extras + comment
    end64 = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(directory), start)
    locator = struct.pack("<IIQI", 0x07064B50, 0, start + len(directory), 1)
    last = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 7) + b"comment"
    (OUT / name).write_bytes(bytes(data[:start]) + directory + end64 + locator + last)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    tensors = plain()
    torch.save(tensors, OUT / "plain.bin")
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}, OUT / "plain.safetensors")
    ordered = collections.OrderedDict(tensors)
    ordered._metadata = {"": {"version": 2}}
    torch.save(ordered, OUT / "ordered.bin")
    wide("plain.bin", "wide.bin")

    torch.save({"a": torch.zeros(2).double()}, OUT / "no_double.bin")
    torch.save({"a": torch.zeros(2, dtype=torch.int64)}, OUT / "no_integers.bin")
    torch.save({"a": torch.eye(2).to_sparse()}, OUT / "no_sparse.bin")
    torch.save({"a": torch.zeros(1).expand(1000)}, OUT / "no_expanded.bin")
    torch.save([torch.zeros(2)], OUT / "no_list.bin")
    torch.save({"model": {"a": torch.zeros(2)}}, OUT / "no_nested.bin")
    torch.save({"a": torch.zeros(2), "step": 3}, OUT / "no_number.bin")
    torch.save({3: torch.zeros(2)}, OUT / "no_number_key.bin")
    torch.save(torch.zeros(2), OUT / "no_dict.bin")
    torch.save({"a": torch.zeros(2)}, OUT / "no_old_format.bin", _use_new_zipfile_serialization=False)
    torch.save({"a": torch.zeros(2)}, OUT / "small.bin")
    rewrite("small.bin", "no_deflate.bin", lambda name, data: data, compression=zipfile.ZIP_DEFLATED)
    rewrite("small.bin", "no_big_endian.bin", lambda name, data: b"big" if name.endswith("byteorder") else data)
    rewrite("small.bin", "no_short_storage.bin", lambda name, data: data[:4] if name.endswith("data/0") else data)
    rewrite("small.bin", "no_system.bin", pickled({"a": Evil(__import__("os").system, "true")}))
    rewrite("small.bin", "no_eval.bin", pickled({"a": Evil(eval, "1")}))
    rewrite("small.bin", "no_protocol_4.bin", pickled({"a": 1}, 4))
    with zipfile.ZipFile(OUT / "no_pickle.bin", "w") as archive:
        archive.writestr("a/data/0", b"1234")
    with zipfile.ZipFile(OUT / "no_two_pickles.bin", "w") as archive:
        archive.writestr("a/data.pkl", b"}.")
        archive.writestr("b/data.pkl", b"}.")


main()
