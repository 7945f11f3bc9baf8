"""A model folder run by transformers: packed where the model allows it, else by its own `generate()`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import psutil
import torch

from inference.engines import checkpoint as checkpoints
from inference.engines import gguf_folder
from inference.engines.base import Report
from inference.engines.checkpoint import Checkpoint
from inference.engines.device import is_out_of_memory
from inference.engines.generate import GenerateEngine, must_generate
from inference.engines.model_thread import ModelThread
from inference.engines.packed import support, weights
from inference.engines.packed.engine import PackedEngine
from inference.errors import InferenceError, unloaded
from inference.protocol import Event, GenerateRequest, ModelSpec


class TransformersEngine:
    """settings: device, dtype (int8: where that is faster), threads, context_length, packed (false: always
    `generate()`), and those of PackedEngine. Safetensors only, no code of the folder."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._engine: PackedEngine | GenerateEngine | None = None
        self._thread = ModelThread()
        self._dtype = ""

    async def load(self, report: Report) -> dict[str, Any]:
        loop = asyncio.get_running_loop()

        def tell(progress: float) -> None:
            loop.call_soon_threadsafe(report, progress)

        return await asyncio.wrap_future(self._thread.submit(lambda: self._load(tell)))

    def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        if self._engine is None:
            raise unloaded()
        return self._engine.generate(request)

    async def abort(self, request_id: str) -> None:
        if self._engine is not None:
            await self._engine.abort(request_id)

    def stats(self) -> dict[str, Any]:
        return self._engine.stats() if self._engine is not None else {"running": 0}

    async def unload(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.unload()
        self._thread.close()

    def _load(self, report: Report) -> dict[str, Any]:
        settings = self._spec.settings
        loaded = checkpoints.load(self._folder(report), report)
        try:
            self._engine, reason = self._choose(loaded, settings)
        except Exception as error:
            if is_out_of_memory(error):
                raise InferenceError("out_of_memory", "The model does not fit into memory.") from error
            raise
        return {
            "device": loaded.device,
            "dtype": self._dtype,
            "context_length": self._engine.limit,
            "memory_bytes": _memory_bytes(loaded.device),
            "capabilities": loaded.capabilities,
            "slots": self._engine.slots,
            "packed": not reason,
            "reason": reason,
        }

    def _folder(self, report: Report) -> ModelSpec:
        """The spec with a folder as its source: a GGUF file is made one."""
        if self._spec.source.get("kind") != "gguf":
            return self._spec
        file = Path(str(self._spec.source.get("path", "")))
        return replace(self._spec, source={"kind": "folder", "path": str(gguf_folder.prepared(file, report))})

    def _choose(
        self, loaded: Checkpoint, settings: dict[str, Any]
    ) -> tuple[PackedEngine | GenerateEngine, str]:
        """The engine, and why the model is not packed ("" when it is)."""
        self._dtype = loaded.dtype
        reason = must_generate(loaded) or ("The settings say so." if settings.get("packed") is False else "")
        # Before the weights are rounded: rounding is chaotic, and would hide what the examination looks for.
        verdict = support.Verdict(reason) if reason else support.examine(loaded.model, loaded.device)
        if loaded.device == "cpu" and not loaded.quantized:
            weights.prepare(loaded.model, self._dtype)
        if verdict.packs:
            return PackedEngine(loaded, verdict.layers, settings, self._thread), ""
        reason = reason or f"It cannot be packed: {verdict.reason}."
        slots = {"slots": int(settings["slots"])} if settings.get("slots") else cast(dict[str, int], {})
        return GenerateEngine(loaded, reason, **slots), reason


def _memory_bytes(device: str) -> int:
    """What this process holds by now: weights and what belongs to them, not the KV cache, which fills later
    (on a card it is there from the begin)."""
    if device.startswith("cuda"):
        return int(torch.cuda.memory_reserved(device))
    return int(psutil.Process().memory_full_info().uss)
