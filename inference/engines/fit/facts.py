"""What a model's files say of it: its configuration, and name, dtype and shape of each tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference import gguf_header
from inference.bounded import Refused, read_header, read_json
from inference.errors import InferenceError

#: Bytes of one number; what is not here counts one.
_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2,
}  # fmt: skip
_MOST_TENSORS = 500_000


@dataclass(frozen=True)
class Stored:
    """One tensor as it is stored. `dtype`: "BF16", "F32" ...; of a GGUF file also "Q4_K" and the like."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        width = _BYTES.get(self.dtype)
        return gguf_header.stored_bytes(self.dtype, self.numbers) if width is None else self.numbers * width


@dataclass(frozen=True)
class Facts:
    """`config` has the names of a config.json. `stray`: bytes of files whose head says nothing."""

    config: Mapping[str, Any] = field(default_factory=dict)
    tensors: tuple[Stored, ...] = ()
    gguf: bool = False
    stray: int = 0

    @classmethod
    def of(cls, source: Mapping[str, Any]) -> Facts:
        """From the folder or the GGUF file that a model's source names; a file that cannot be read counts its
        size. Raises InferenceError("model_not_found")."""
        if not source.get("path"):
            raise InferenceError("model_not_found", "The files of this model are not here.")
        path = Path(str(source["path"]))
        if source.get("kind") == "gguf" or path.suffix.lower() == ".gguf":
            return of_gguf(path)
        return of_folder(path)

    @classmethod
    def given(cls, said: Mapping[str, Any]) -> Facts:
        """From ``{"config", "tensors": [{"name", "dtype", "shape"}]}``, for files that are not here. `config`
        may be a GGUF file's own metadata. Raises InferenceError("invalid_request")."""
        config, tensors = said.get("config") or {}, said.get("tensors") or []
        if not isinstance(config, Mapping) or not isinstance(tensors, list) or len(tensors) > _MOST_TENSORS:
            raise InferenceError("invalid_request", "facts are a config and a list of tensors.")
        stored = tuple(_stored(tensors))
        gguf = "general.architecture" in config or any(_is_of_gguf(tensor) for tensor in stored)
        if "general.architecture" in config:
            config = gguf_header.config(config)
        return cls(config, stored, gguf)


def of_folder(folder: Path) -> Facts:
    if not folder.is_dir():
        raise InferenceError("model_not_found", f"There is no folder {folder}.")
    try:
        config = dict(read_json(folder / "config.json"))
    except (Refused, ValueError, TypeError):
        config = {}
    tensors: list[Stored] = []
    stray = 0
    for file in sorted(folder.glob("*.safetensors")):
        try:
            found = read_header(file, whole=False)
        except Refused:
            stray += file.stat().st_size if file.is_file() else 0
        else:
            tensors += [Stored(name, tensor.dtype, tensor.shape) for name, tensor in found.items()]
    return Facts(config, tuple(tensors), stray=stray)


def of_gguf(file: Path) -> Facts:
    if not file.is_file():
        raise InferenceError("model_not_found", f"There is no file {file}.")
    try:
        head = gguf_header.read_header(file)
    except Refused:
        return Facts(gguf=True, stray=file.stat().st_size)
    tensors = tuple(Stored(entry.name, entry.type, entry.shape) for entry in head.tensors)
    return Facts(gguf_header.config(head.metadata), tensors, gguf=True)


def _is_of_gguf(tensor: Stored) -> bool:
    return tensor.dtype.startswith(("Q", "IQ", "TQ", "MXFP"))


def _stored(tensors: Iterable[Any]) -> Iterable[Stored]:
    for tensor in tensors:
        try:
            shape = tuple(int(side) for side in tensor["shape"])
            stored = Stored(str(tensor["name"]), str(tensor["dtype"]), shape)
        except (KeyError, TypeError, ValueError) as error:
            raise InferenceError("invalid_request", "A tensor has a name, a dtype and a shape.") from error
        if any(not 0 <= side < 1 << 48 for side in shape) or len(shape) > 16:
            raise InferenceError("invalid_request", "A tensor's shape is a few numbers of at least 0.")
        yield stored
