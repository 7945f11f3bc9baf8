"""The one interface of all engines, and which engine runs where."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, runtime_checkable

from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec

Report = Callable[[float], None]
# What torch, the C++ library and the kernel say when an allocation fails; none of them has its own class.
NO_MEMORY = re.compile(
    r"out of memory|not enough memory|can.?t allocate memory|cannot allocate memory|bad_alloc"
    r"|can't start new thread",
    re.IGNORECASE,
)


class Engine(Protocol):
    """One model, run one way.

    `generate` yields dicts: first ``{"kind": "prompt", "reasoning_open": bool, "tool_format": str | None}``
    (see tool_formats.py), then ``{"kind": "raw", "text": ...}`` with whole characters, markers included, and
    ``status``, ``logprobs`` and ``usage`` as in the protocol, and last ``finished``; it raises InferenceError
    instead of yielding `failed`. Closing the iterator aborts within one step. One engine serves many
    generations at a time; how many is the caller's to limit.
    """

    async def load(self, report: Report) -> dict[str, Any]:
        """Make ready, telling the progress 0..1. Returns info: device, dtype, context_length,
        memory_bytes (what it holds by now: on the CPU without the KV cache, which fills later),
        capabilities, pid, and slots where it knows how many generations it does at a time.
        Raises InferenceError."""
        ...

    def generate(self, request: GenerateRequest) -> AsyncIterator[Event]: ...

    async def abort(self, request_id: str) -> None: ...

    def stats(self) -> dict[str, Any]:
        """`running`, and `steps` where each step is bounded: a count that stands still while something runs
        means that the engine hangs."""
        ...

    async def unload(self) -> None:
        """Free everything; running generations end with an error. May be called more than once."""
        ...


@runtime_checkable
class Mortal(Protocol):
    """An engine that can end by itself, as a process does; `exited` is set once it has, and `why` may say
    more than that."""

    exited: asyncio.Event
    why: InferenceError | None

    async def unload(self) -> None: ...


def as_failure(error: Exception, code: str, *, retryable: bool = False) -> InferenceError:
    """`error` as one of ours: `code`, unless it is one already or it was the memory that was not enough.
    `retryable`: whether memory that was not enough may be enough later."""
    if isinstance(error, InferenceError):
        return error
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or NO_MEMORY.search(text):
        return InferenceError("out_of_memory", "The memory is not enough.", retryable)
    return InferenceError(code, text)


def create_local(spec: ModelSpec) -> Engine:
    """The engine that runs in this very process (the child's, or the manager's when inline)."""
    if spec.engine == "echo":
        from inference.engines.echo import EchoEngine

        return EchoEngine(spec)
    if spec.engine == "openai":
        from inference.engines.openai import OpenAIEngine

        return OpenAIEngine(spec)
    if spec.engine == "transformers":
        from inference.engines.transformers_engine import TransformersEngine

        return TransformersEngine(spec)
    raise InferenceError("model_not_found", f"There is no engine {spec.engine!r}.")


def create(spec: ModelSpec) -> Engine:
    """The engine as the manager uses it: a remote endpoint needs no process of its own, a model does; those
    of other programs start theirs themselves."""
    if spec.engine == "openai" or spec.settings.get("inline"):
        return create_local(spec)
    if spec.engine == "llama_cpp":
        from inference.engines.llama_cpp import LlamaCppEngine

        return LlamaCppEngine(spec)
    if spec.engine == "vllm":
        from inference.engines.vllm import VllmEngine

        return VllmEngine(spec)
    if spec.engine == "sglang":
        from inference.engines.sglang import SglangEngine

        return SglangEngine(spec)
    if spec.engine not in ("echo", "transformers"):
        raise InferenceError("model_not_found", f"There is no engine {spec.engine!r}.")
    from inference.engines.process import ProcessEngine

    return ProcessEngine(spec)
