"""Whether a model can be packed, found out by trying: the library has hundreds of decoders, and what matters
is how one calls its attention, not what it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import torch

from inference.engines.packed import runner
from inference.engines.packed.cache import KVCache, LayerShape
from inference.engines.packed.scheduler import Chunk

#: RoPE whose frequencies depend on the longest row: in a pack, on somebody else's.
_LENGTH_DEPENDENT = ("dynamic", "longrope")
#: Largest difference between packed and unpacked logits, in units of their largest magnitude.
_TOLERANCE = {torch.float32: 1e-3}
_ROUGH_TOLERANCE = 0.1


@dataclass(frozen=True)
class Verdict:
    """`reason` says why not, for people; `layers` are the shapes of its KV if it can."""

    reason: str = ""
    layers: tuple[LayerShape, ...] = ()

    @property
    def packs(self) -> bool:
        return not self.reason


def examine(model: Any, device: str) -> Verdict:
    """Tries `model` on the packed attention, and leaves it as it was."""
    config = model.config.get_text_config()
    if model.config.is_encoder_decoder:
        return Verdict("it is an encoder-decoder model")
    if kind := _length_dependent_rope(config):
        return Verdict(f"its position encoding ({kind} RoPE) depends on the length of the row")
    before = model.config._attn_implementation
    try:
        alone = [_alone(model, ids, device) for ids in _samples(config)]
        layers = _probe(model, config, device)
        if (difference := _differ(model, layers, config, device, alone)) is not None:
            raise _Refused(f"packed, its logits differ from its own by {difference:.2g} of their size")
    except Exception as error:
        return Verdict(str(error) if isinstance(error, _Refused) else f"{type(error).__name__}: {error}")
    finally:
        model.set_attn_implementation(before)
    return Verdict(layers=layers)


class _Refused(Exception):
    pass


def _length_dependent_rope(config: Any) -> str:
    parameters = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    sets = [parameters, *(value for value in parameters.values() if isinstance(value, Mapping))]
    kinds = {str(s.get("rope_type") or s.get("type") or "") for s in sets}
    return next((kind for kind in _LENGTH_DEPENDENT if kind in kinds), "")


def _samples(config: Any) -> list[list[int]]:
    """Two short prompts; their tokens mean nothing."""
    size = int(config.vocab_size)
    return [[(7 * i + 5) % size for i in range(9)], [(11 * i + 3) % size for i in range(6)]]


@torch.inference_mode()
def _alone(model: Any, ids: list[int], device: str) -> torch.Tensor:
    logits = model(input_ids=torch.tensor([ids], device=device), use_cache=False).logits
    return cast(torch.Tensor, logits[0, -1].float())


@torch.inference_mode()
def _probe(model: Any, config: Any, device: str) -> tuple[LayerShape, ...]:
    """The KV shapes, from one forward whose attention only looks at what it gets."""
    shapes: dict[int, LayerShape] = {}

    def look(module: Any, query: Any, key: Any, value: Any, **kwargs: Any) -> torch.Tensor:
        given = {name for name, value in kwargs.items() if value is not None and value is not False}
        odd = given - runner.SERVED - runner.NEUTRAL
        if odd:
            raise _Refused(f"its attention takes {', '.join(sorted(odd))}")
        if not getattr(module, "is_causal", True):
            raise _Refused("its attention is not causal")
        index = getattr(module, "layer_idx", None)
        if index is None or index in shapes:
            raise _Refused("its layers share their attention")
        shapes[index] = LayerShape(key.shape[1], key.shape[3], value.shape[3])
        return cast(torch.Tensor, query.new_zeros(1, query.shape[2], query.shape[1], value.shape[3]))

    model.set_attn_implementation(runner.ATTENTION)
    runner.current.probe = look
    try:
        ids = torch.tensor([_samples(config)[0]], device=device)
        positions = torch.arange(ids.shape[1], device=device)[None]
        kept = torch.tensor([0], device=device)
        model(input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=kept)
    finally:
        runner.current.probe = None
    layers = int(config.num_hidden_layers)
    if sorted(shapes) != list(range(layers)):
        raise _Refused(f"{layers - len(shapes)} of its {layers} layers are no attention of the library")
    return tuple(shapes[index] for index in range(layers))


def _differ(
    model: Any, layers: tuple[LayerShape, ...], config: Any, device: str, alone: list[torch.Tensor]
) -> float | None:
    """How far the logits of two prompts in one pack, one of them in two chunks and the end as a decode, are
    from what each gives alone; None when it is as near as rounding."""
    cache = KVCache(layers, 256, model.dtype, device)
    run = runner.ModelRunner(model, cache, device)
    first, second = (
        SimpleNamespace(tokens=ids, region=cache.place(ids, len(ids))) for ids in _samples(config)
    )
    a, b = cast(Any, first), cast(Any, second)
    run.forward([Chunk(a, 0, 5), Chunk(b, 0, 3)])
    run.forward([Chunk(a, 5, 3), Chunk(b, 3, 2)])
    packed = run.forward([Chunk(a, 8, 1), Chunk(b, 5, 1)])
    scale = max(float(logits.abs().max()) for logits in alone) or 1.0
    worst = max(float((p - s).abs().max()) for p, s in zip(packed, alone, strict=True)) / scale
    return None if worst <= _TOLERANCE.get(model.dtype, _ROUGH_TOLERANCE) else worst
