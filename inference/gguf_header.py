"""The head of a GGUF file that a stranger wrote, read within limits. Standard library only, as `bounded`.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The long arrays (the vocabulary) are walked over
and not kept: only their length is. No guard against a file that changes while it is read.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.bounded import MOST_TENSORS, Refused

#: Bytes of one head; a vocabulary of 260,000 tokens with its merges takes 12 MB.
LONGEST_HEAD = 64 << 20
#: Items of all arrays together, and characters of one string that is kept.
MOST_ITEMS = 4_000_000
LONGEST_TEXT = 1 << 20
_MOST_KEYS = 4_096
# An array that is longer is a vocabulary, not a setting.
_KEPT_ITEMS = 512
_VERSIONS = (2, 3)
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
#: By the number that stands in the file: name, numbers in a block, bytes of a block.
TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8),
    28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip
_SIZES = {name: (numbers, size) for name, numbers, size in TYPES.values()}


@dataclass(frozen=True)
class Entry:
    """`shape` as torch has it: rows first. `type` is a name of `TYPES`; `offset` counts from where the data
    begins."""

    name: str
    type: str
    shape: tuple[int, ...]
    offset: int

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return stored_bytes(self.type, self.numbers)


@dataclass(frozen=True)
class Header:
    """`metadata` without arrays of more than 512 items: their length stands under ``<key>.length``."""

    metadata: dict[str, Any]
    tensors: list[Entry]


def stored_bytes(type: str, numbers: int) -> int:
    """Bytes of so many numbers in a type of `TYPES`; a type that is not known counts one byte a number."""
    block, size = _SIZES.get(type, (1, 1))
    return -(-numbers // block) * size


def read_header(path: Path, keep: frozenset[str] = frozenset()) -> Header:
    """`keep`: keys whose arrays are wanted whole. Raises Refused, also when the file is cut short."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return header(file.read, size, path.name, keep)
    except OSError:
        raise Refused("%(name)s cannot be read.", name=path.name) from None


def header(read: Callable[[int], bytes], size: int, name: str, keep: frozenset[str] = frozenset()) -> Header:
    """The same through `read(bytes)`, which gives the file from its begin; `size` is that of the whole file.
    Raises Refused, and what `read` raises."""
    try:
        return _Reader(read, min(size, LONGEST_HEAD), keep).header(size)
    except (ValueError, struct.error, UnicodeDecodeError, MemoryError, OverflowError):
        raise Refused("%(name)s is not a whole GGUF file.", name=name) from None


def config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What the head says of the model under the names of a config.json. A figure per layer counts by its
    largest."""
    family = str(metadata.get("general.architecture") or "")
    names = {
        "block_count": "num_hidden_layers", "embedding_length": "hidden_size",
        "attention.head_count": "num_attention_heads", "attention.head_count_kv": "num_key_value_heads",
        "attention.key_length": "head_dim", "attention.value_length": "v_head_dim",
        "attention.sliding_window": "sliding_window", "attention.kv_lora_rank": "kv_lora_rank",
        "rope.dimension_count": "qk_rope_head_dim", "context_length": "max_position_embeddings",
        "expert_count": "num_experts", "vocab_size": "vocab_size",
    }  # fmt: skip
    found: dict[str, Any] = {"model_type": family}
    for theirs, ours in names.items():
        value = metadata.get(f"{family}.{theirs}")
        if isinstance(value, list):
            value = max((v for v in value if type(v) is int), default=None)
        if type(value) is int:
            found[ours] = value
    if "kv_lora_rank" in found:
        # A head's key is what the rotation leaves alone and what it turns.
        key = metadata.get(f"{family}.attention.key_length_mla") or found.get("head_dim", 0)
        value = metadata.get(f"{family}.attention.value_length_mla") or found.get("v_head_dim", 0)
        found["qk_nope_head_dim"] = max(0, int(key) - found.get("qk_rope_head_dim", 0))
        found["v_head_dim"] = int(value)
    if tokens := metadata.get("tokenizer.ggml.tokens.length"):
        found.setdefault("vocab_size", tokens)
    return found


class _Reader:
    """`limit`: bytes of the head at most; `keep`: keys whose arrays are kept whole."""

    def __init__(self, read: Callable[[int], bytes], limit: int, keep: frozenset[str]) -> None:
        self._read, self._limit, self._keep = read, limit, keep
        self._buffer, self._at, self._taken = b"", 0, 0
        self._items = 0

    def header(self, size: int) -> Header:
        if self._bytes(4) != b"GGUF" or self._number("I") not in _VERSIONS:
            raise ValueError("no GGUF of a version that is known")
        tensors, keys = self._number("Q"), self._number("Q")
        if tensors > MOST_TENSORS or keys > _MOST_KEYS:
            raise ValueError("too many")
        metadata: dict[str, Any] = {}
        for _ in range(keys):
            key = self._string()
            value = self._value(self._number("I"), key in self._keep)
            if isinstance(value, _Long):
                metadata[f"{key}.length"] = value.count
            else:
                metadata[key] = value
        entries = [self._entry() for _ in range(tensors)]
        if any(entry.offset + entry.bytes > size - self._used for entry in entries):
            raise ValueError("shorter than its tensors")
        return Header(metadata, entries)

    @property
    def _used(self) -> int:
        return self._taken - (len(self._buffer) - self._at)

    def _entry(self) -> Entry:
        name, sides = self._string(), self._number("I")
        if sides > 8:
            raise ValueError("shape")
        shape = tuple(self._number("Q") for _ in range(sides))
        kind, offset = self._number("I"), self._number("Q")
        if kind not in TYPES or any(side >= 1 << 48 for side in shape):
            raise ValueError("tensor")
        return Entry(name, TYPES[kind][0], shape[::-1], offset)

    def _value(self, kind: int, whole: bool = False) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._array(whole)
        return self._number(_NUMBERS[kind]) if kind in _NUMBERS else self._fail()

    def _array(self, whole: bool) -> Any:
        kind, count = self._number("I"), self._number("Q")
        self._items += count
        if self._items > MOST_ITEMS:
            raise ValueError("too many items")
        if (whole or count <= _KEPT_ITEMS) and kind != _ARRAY:
            return [self._value(kind) for _ in range(count)]
        if kind == _STRING:
            for _ in range(count):
                self._bytes(self._number("Q"))
        elif kind in _NUMBERS:
            self._bytes(count * struct.calcsize(f"<{_NUMBERS[kind]}"))
        else:
            self._fail()
        return _Long(count)

    def _string(self) -> str:
        length = self._number("Q")
        if length > LONGEST_TEXT:
            raise ValueError("a string that is too long")
        return self._bytes(length).decode("utf-8", "replace")

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack(f"<{form}", self._bytes(struct.calcsize(f"<{form}")))
        return value

    def _bytes(self, count: int) -> bytes:
        """The next `count`, read in large pieces: there are a million small ones."""
        while len(self._buffer) - self._at < count:
            want = min(max(count, 1 << 18), self._limit - self._taken)
            piece = self._read(want) if want > 0 else b""
            if not piece:
                raise ValueError("the head is too long, or cut short")
            self._buffer, self._at = self._buffer[self._at :] + piece, 0
            self._taken += len(piece)
        taken = self._buffer[self._at : self._at + count]
        self._at += count
        return taken

    def _fail(self) -> Any:
        raise ValueError("a type that is not known")


@dataclass(frozen=True)
class _Long:
    count: int
