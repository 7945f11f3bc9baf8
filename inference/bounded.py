"""JSON and safetensors headers that a stranger wrote, read within limits. Standard library only: the web
process, the model service and a model's process read them alike.

What a text will take as Python objects is bounded before it is parsed, by counting the signs that begin a
value: a text of 30 MB can else become gigabytes. No guard against a file that changes while it is read.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Bytes of one JSON file. Configurations are small; an index names each tensor (DeepSeek-V3's: 9 MB).
LONGEST_JSON = 32 << 20
#: Values in one JSON text, keys included: about 100 bytes each as objects.
MOST_VALUES = 1_000_000
#: Bytes of a safetensors header; the format allows 100 MB, and a shard with 50,000 tensors has 7 MB.
LONGEST_HEADER = 16 << 20
#: Tensors in one file.
MOST_TENSORS = 100_000
#: Bits of one number, for the dtypes whose tensors are stored number after number.
_BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64,
    "U32": 32, "U16": 16, "U8": 8, "BOOL": 8, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
}  # fmt: skip
_DTYPE = re.compile(r"[A-Z][A-Z0-9_]{0,15}")
_BAD = (OSError, ValueError, RecursionError, MemoryError, struct.error)


class Refused(Exception):
    """`text` is an English sentence with %(…)s places, `values` fill them: who shows it can translate it."""

    def __init__(self, text: str, **values: object) -> None:
        super().__init__(text % values if values else text)
        self.text = text
        self.values = values


@dataclass(frozen=True)
class Tensor:
    dtype: str
    shape: tuple[int, ...]
    begin: int  # bytes, counted from the end of the header
    end: int

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


def parse(data: bytes) -> Any:
    """The JSON value in `data`. Raises ValueError, RecursionError: it is none, is nested too deep, has too
    many values, or a key twice (two readers could see two different files)."""
    if sum(map(data.count, (b",", b":", b"[", b"{"))) > MOST_VALUES:
        raise ValueError("too many values")
    return json.loads(data.decode("utf-8"), object_pairs_hook=_once)


def read_json(path: Path) -> Any:
    """The JSON value in a file. Raises Refused."""
    try:
        if not path.is_file() or path.stat().st_size > LONGEST_JSON:  # a pipe would be waited on for ever
            raise ValueError("no plain file, or too long")
        return parse(path.read_bytes())
    except _BAD:
        raise Refused("%(name)s cannot be read.", name=path.name) from None


def read_header(path: Path, *, whole: bool = True) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises Refused; with `whole` also when their bytes are not there."""
    try:
        if not path.is_file():
            raise OSError("no plain file")
        size = path.stat().st_size
        with path.open("rb") as file:
            return header(file.read, size, path.name, whole=whole)
    except OSError:
        raise Refused("%(name)s cannot be read.", name=path.name) from None


def header(read: Callable[[int], bytes], size: int, name: str, *, whole: bool = True) -> dict[str, Tensor]:
    """The same through `read(bytes)`, which gives the file from its begin (also one that lies elsewhere).

    `size` is that of the whole file. A header is a u64 (little endian), its length, and then JSON
    (https://huggingface.co/docs/safetensors). Raises Refused, and what `read` raises.
    """
    try:
        (length,) = struct.unpack("<Q", read(8))
        if length > size - 8:
            raise ValueError("shorter than its header")
        if length > LONGEST_HEADER:
            raise Refused("The header of %(name)s is too long.", name=name)
        text = read(length)
        if text.count(b'"data_offsets"') > MOST_TENSORS:
            raise Refused("%(name)s holds too many tensors.", name=name)
        found = parse(text)
        if not isinstance(found, dict):
            raise ValueError("no object")
        found.pop("__metadata__", None)
        tensors = {key: _tensor(entry) for key, entry in found.items()}
        if whole:
            _check_places(tensors, size - 8 - length)
    except _BAD:
        raise Refused("%(name)s is not a whole safetensors file.", name=name) from None
    return tensors


def _tensor(entry: Any) -> Tensor:
    if not isinstance(entry, dict):
        raise ValueError("no object")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets", [0, 0])
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise ValueError("dtype")
    if not (isinstance(shape, list) and len(shape) <= 16 and all(map(_is_count, shape))):
        raise ValueError("shape")
    if not (isinstance(offsets, list) and len(offsets) == 2 and all(map(_is_count, offsets))):
        raise ValueError("data_offsets")
    return Tensor(dtype, tuple(shape), offsets[0], offsets[1])


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _check_places(tensors: dict[str, Tensor], room: int) -> None:
    """Inside the file, as long as their shapes say, and none over another."""
    last = 0
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.begin, tensor.end)):
        if not last <= tensor.begin <= tensor.end <= room:
            raise ValueError("data_offsets")
        bits = _BITS.get(tensor.dtype)
        if bits is not None and (tensor.end - tensor.begin) * 8 != tensor.numbers * bits:
            raise ValueError("the bytes are not those of the shape")
        last = tensor.end


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found
