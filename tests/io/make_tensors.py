"""Writes tests/io/data/peer.gguf and peer.safetensors with the formats' own Python libraries, and peer.f32: the tensors of
the GGUF file as that library dequantises them, one after the other.

Run it where gguf, safetensors and numpy are installed:  python tests/io/make_tensors.py
The files are committed, so the tests do not need Python. All numbers are random.
"""
import pathlib

import gguf
import numpy as np
import safetensors.numpy
from gguf import GGMLQuantizationType as T

FOLDER = pathlib.Path(__file__).parent / "data"
SHAPE = (3, 64)  # rows, columns


def make_gguf(rng):
    writer = gguf.GGUFWriter(FOLDER / "peer.gguf", "test")
    writer.add_uint8("n.u8", 200)
    writer.add_int8("n.i8", -100)
    writer.add_uint16("n.u16", 60000)
    writer.add_int16("n.i16", -30000)
    writer.add_uint32("n.u32", 4000000000)
    writer.add_int32("n.i32", -2000000000)
    writer.add_uint64("n.u64", 2**53 + 1)
    writer.add_int64("n.i64", -(2**53) - 1)
    writer.add_float32("n.f32", 0.1)
    writer.add_float64("n.f64", 0.1)
    writer.add_bool("n.bool", True)
    writer.add_uint64("n.huge", 2**64 - 1)
    writer.add_string("s.text", "gr\u00fc\u00df dich")
    writer.add_array("a.strings", ["", "one", "\u6f22\u5b57"])
    writer.add_array("a.ints", [1, -2, 3])
    writer.add_array("a.floats", [0.5, 1.5])
    writer.add_array("a.nested", [[1, 2], [3]])
    flat = []
    for kind in (T.F32, T.F16, T.BF16, T.Q8_0, T.Q4_0, T.Q4_1):
        values = (rng.standard_normal(SHAPE) * 3).astype(np.float32)
        stored = gguf.quants.quantize(values, kind)
        flat.append(gguf.quants.dequantize(stored, kind).astype(np.float32).ravel())
        writer.add_tensor(f"t.{kind.name}", stored, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    np.concatenate(flat).astype("<f4").tofile(FOLDER / "peer.f32")


def make_safetensors():
    safetensors.numpy.save_file(
        {
            "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
            "half": np.array([1.5, -2.0, 65504.0], dtype=np.float16),
            "scalar": np.array(7.0, dtype=np.float32),
            "nothing": np.zeros((0, 4), dtype=np.float32),
        },
        FOLDER / "peer.safetensors",
        metadata={"format": "np"},
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    make_gguf(np.random.default_rng(15))
    make_safetensors()
