"""A library model's modules replaced by faster ones that compute the same, once, after loading.

Only on a processor: on a GPU the library's own modules stay. What is not known by name and form stays too; a
module of ours is tried against the one it replaces. The model's forward is not touched, so `generate()` and
the packed engine use the same modules.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeGuard

import torch
from torch import nn

from inference.engines import kept
from inference.engines.packed import linears, native, sizes, stored
from inference.engines.packed.elementwise import replace_rotary, rms_norm

_HEADS = ("q_proj", "k_proj", "v_proj")


def prepare(model: nn.Module, weights: str) -> None:
    """Replaces modules in place. weights: "float32", "bfloat16", "float16" (nothing to gain) or "int8".

    int8 needs a model loaded in float32, whose other parts stay so. Afterwards the replaced linears have no
    `weight`, and the model cannot be trained or saved.
    """
    if weights not in ("float32", "bfloat16", "int8") or any(
        p.device.type != "cpu" for p in model.parameters()
    ):
        return
    native.open_kernels(kept.folder())
    if weights == "bfloat16" and not linears.bfloat16_works():
        return
    model.requires_grad_(False)
    with torch.no_grad():
        _Replacement(model, weights).run()
        replace_rotary(model)


def _is_known(module: nn.Module, name: str, dtype: torch.dtype) -> TypeGuard[nn.Linear]:
    if name not in sizes.LINEARS:
        return False
    if type(module) is stored.Linear:
        return dtype == torch.float32
    return type(module) is nn.Linear and module.weight.dtype == dtype


class _Replacement:
    def __init__(self, model: Any, weights: str) -> None:
        self._model, self._weights = model, weights
        self._dtype = torch.bfloat16 if weights == "bfloat16" else torch.float32
        self._plain: nn.Module | None = None  # the output layer, where it shares the embedding's table
        self._gated: dict[type[nn.Module], bool] = {}

    def run(self) -> None:
        self._embedding()
        self._children(self._model)

    def _embedding(self) -> None:
        """Released checkpoints are bfloat16: then the table is kept so, and the output layer has its own."""
        table, output = self._model.get_input_embeddings(), self._model.get_output_embeddings()
        if type(table) is stored.Table:  # out of the file, which is then let go
            self._model.set_input_embeddings(stored.Table(table.table.clone()))
            return
        weight = getattr(table, "weight", None)
        if weight is None or weight.dtype != torch.float32:
            return
        if type(table) is nn.Embedding and linears.is_exact(weight):
            self._model.set_input_embeddings(stored.Table(weight.bfloat16()))
        elif output is not None and output.weight is weight and self._weights != "int8":
            self._plain = output

    def _children(self, parent: nn.Module) -> None:
        children = dict(parent.named_children())
        linears_: dict[str, Any] = {name: c for name, c in children.items() if self._is_known(name, c)}
        heads = [linears_[name] for name in _HEADS if name in linears_]
        if len(heads) == 3 and len({(head.in_features, head.bias is None) for head in heads}) == 1:
            for name, part in zip(_HEADS, linears.parts(heads, self._weights), strict=True):
                setattr(parent, name, part)
                del linears_[name]
        others = []
        for name, child in children.items():
            if name in linears_:
                setattr(parent, name, linears.Linear(linears.product([child], self._weights)))
            elif self._is_gated(child):
                setattr(parent, name, self._mlp(child))
            elif (norm := rms_norm(child)) is not None:
                setattr(parent, name, norm)
            else:
                others.append(child)
        if isinstance(parent, nn.ModuleList):  # the layers: packing uses one thread
            with ThreadPoolExecutor(torch.get_num_threads()) as threads:
                list(threads.map(self._children, others))
        else:
            for child in others:
                self._children(child)

    def _is_known(self, name: str, child: nn.Module) -> bool:
        return _is_known(child, name, self._dtype) and child is not self._plain

    def _is_gated(self, child: Any) -> bool:
        """Whether it computes down(act(gate(x)) * up(x)); asked once for each class."""
        kind = type(child)
        names = [name for name, part in child.named_children() if self._is_known(name, part)]
        if not kind.__name__.endswith("MLP") or sorted(names) != ["down_proj", "gate_proj", "up_proj"]:
            return False
        if kind not in self._gated:
            x = torch.randn(3, child.gate_proj.in_features, generator=torch.Generator().manual_seed(1))
            x = x.to(self._dtype)
            try:
                y = child.down_proj(child.act_fn(child.gate_proj(x)) * child.up_proj(x))
                self._gated[kind] = torch.equal(child(x), y)
            except (AttributeError, RuntimeError, TypeError):
                self._gated[kind] = False
        return self._gated[kind]

    def _mlp(self, child: Any) -> nn.Module:
        gate_up = linears.product([child.gate_proj, child.up_proj], self._weights)
        return linears.GatedMLP(gate_up, linears.product([child.down_proj], self._weights), child.act_fn)
