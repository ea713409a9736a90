"""Prints the identity of a folder's weights, as arch/files.h describes it, computed by hashlib from the files' bytes.

    python tests/arch/make_sha256.py tests/golden/llama tests/golden/qwen2 tests/golden/qwen2_untied
"""

import glob
import hashlib
import json
import struct
import sys


def lines_of(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        shape = "x".join(map(str, ([1] + entry["shape"])[-2:]))
        yield f"{name} {entry['dtype']} {shape} {hashlib.sha256(data[begin:end]).hexdigest()}\n"


def identity(folder):
    lines = sorted(line for path in glob.glob(f"{folder}/model*.safetensors") for line in lines_of(path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


for folder in sys.argv[1:]:
    print(folder, identity(folder))
