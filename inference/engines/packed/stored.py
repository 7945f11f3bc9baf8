"""Weights that stay in 16 bits, in the mapped file, until they are laid out: no load holds a whole model in
float32. What is computed with them meanwhile is what float32 weights of the same numbers would give.

The library makes the model in float32 all the same: what it computes itself (RoPE, scales) is not rounded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F

from inference.engines.packed import native
from inference.engines.packed.sizes import EMBEDDINGS, LINEARS

_HALF = {"BF16": torch.bfloat16, "F16": torch.float16}


class Table(nn.Module):
    """An embedding whose float32 numbers are all numbers of 16 bits: half the memory, the same result."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.table = weight  # no parameter: the library asks a model's first one for its type

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.table).float()


class Linear(nn.Module):
    """Stands where an nn.Linear stands, until its product is laid out. Takes and gives float32."""

    def __init__(self, weight: Tensor, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias
        self.out_features, self.in_features = weight.shape

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([F.linear(x, piece.float()) for piece in native.pieces(self.weight)], -1)
        return y if self.bias is None else y + self.bias


def kept(types: Mapping[str, str]) -> dict[str, torch.dtype]:
    """Patterns of the tensors that can stay as they are stored, and in what. `types`: name to "BF16", "F32".
    A linear that is stored in several types is left to the library."""
    plan = {}
    for part in (*sorted(LINEARS), *EMBEDDINGS):
        pattern = rf"\b{part}\.weight$"
        found = {kind for name, kind in types.items() if re.search(pattern, name)}
        if len(found) == 1 and (dtype := _HALF.get(found.pop())) is not None:
            plan[pattern] = dtype
    return plan


@contextmanager
def loading(plan: Mapping[str, torch.dtype]) -> Iterator[None]:
    """The library loads what `plan` names as it is stored, and one parameter after the other. One load at a
    time in a process."""
    owner: Any = transformers.PreTrainedModel
    original, variable = owner._get_dtype_plan, "HF_DEACTIVATE_ASYNC_LOAD"
    before = os.environ.get(variable)
    owner._get_dtype_plan = lambda self, dtype: {**original(self, dtype), **plan}
    os.environ[variable] = "1"  # else its threads read everything before the first is put in its place
    try:
        yield
    finally:
        owner._get_dtype_plan = original
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def hold(model: nn.Module) -> None:
    """After such a load: linears and tables in 16 bits become ours, all else float32."""
    short = [
        (module, [p for p in module.parameters(recurse=False) if p.dtype in _HALF.values()])
        for module in model.modules()
    ]
    for module, found in short:  # first, for a table may be shared with what can keep it
        if type(module) not in (nn.Linear, nn.Embedding):
            for parameter in found:
                parameter.data = parameter.data.float()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            weight = getattr(child, "weight", None)
            if not isinstance(weight, Tensor) or weight.dtype not in _HALF.values():
                continue
            if type(child) is nn.Linear:
                if child.bias is not None:
                    child.bias.data = child.bias.data.float()
                setattr(parent, name, Linear(weight.detach(), child.bias))
            elif type(child) is nn.Embedding:
                setattr(parent, name, Table(weight.detach()))
