"""The settings of a deployment: how a model is run. An unknown one is an error, never ignored."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _

from inference.server_flags import wrong_flag
from models_registry.sources import invalid

Check = Callable[[Any], bool]


def _whole(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _one_of(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _device(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"auto|cpu|cuda(:\d{1,2})?", value) is not None


def _seconds(low: float, high: float) -> Check:
    return lambda value: type(value) in (int, float) and low <= value <= high


# What the model service asks of any model that it runs in a process of its own.
_PROCESS: dict[str, Check] = {
    "keep_alive": _seconds(0, 31_536_000),
    "queue_limit": _whole(0, 1_000_000),
    "memory_limit_bytes": _whole(1, 1 << 50),
    "stall_limit": _seconds(0.1, 86_400),
    "spin_limit": _seconds(0.1, 86_400),
}
_LOCAL: dict[str, Check] = {
    **_PROCESS,
    "slots": _whole(1, 1024),
    "context_length": _whole(16, 16_777_216),
    "threads": _whole(1, 1024),
    "device": _device,
    "dtype": _one_of("auto", "float32", "bfloat16", "float16", "int8"),
    "kv_tokens": _whole(16, 1 << 40),
    "kv_dtype": _one_of("auto", "float32", "bfloat16", "float16"),
    "step_tokens": _whole(1, 1_000_000),
    "packed": lambda value: isinstance(value, bool),
}
_REMOTE: dict[str, Check] = {
    "slots": _whole(1, 4096),
    "context_length": _LOCAL["context_length"],
    "silence_limit": _whole(1, 86_400),
    "queue_limit": _PROCESS["queue_limit"],
    "keep_alive": _PROCESS["keep_alive"],
}
_ECHO: dict[str, Check] = {
    **_PROCESS,
    "slots": _whole(1, 4096),
    "context_length": _LOCAL["context_length"],
    "inline": lambda value: isinstance(value, bool),
    "load_ms": _whole(0, 600_000),
    "memory_bytes": _whole(0, 1 << 50),
    "load_fault": lambda value: isinstance(value, str | bool),
}
# Servers of others that run as children of the model service.
_CHILD: dict[str, Check] = {
    "keep_alive": _PROCESS["keep_alive"],
    "queue_limit": _PROCESS["queue_limit"],
    "stall_limit": _PROCESS["stall_limit"],
    "start_limit": _seconds(1, 86_400),
    "slots": _LOCAL["slots"],
    "context_length": _LOCAL["context_length"],
    "device": _device,
}
_LLAMA_CPP: dict[str, Check] = {
    **_CHILD,
    "threads": _LOCAL["threads"],
    "kv_tokens": _LOCAL["kv_tokens"],
    "gpu_layers": _whole(0, 10_000),
    "kv_dtype": _one_of("auto", "float32", "bfloat16", "float16", "int8"),
    "flags": lambda value: wrong_flag("llama_cpp", value) is None,
}
_CLUSTER: dict[str, Check] = {
    **_CHILD,
    "dtype": _one_of("auto", "float32", "bfloat16", "float16"),
    "kv_dtype": _one_of("auto", "fp8", "fp8_e5m2", "fp8_e4m3"),
    "gpu_memory_utilization": _seconds(0.05, 0.99),
    "tensor_parallel": _whole(1, 1024),
    "pipeline_parallel": _whole(1, 1024),
}
_VLLM: dict[str, Check] = {
    **_CLUSTER,
    "threads": _LOCAL["threads"],
    "kv_bytes": _whole(1 << 20, 1 << 50),
    "flags": lambda value: wrong_flag("vllm", value) is None,
}
_SGLANG: dict[str, Check] = {**_CLUSTER, "flags": lambda value: wrong_flag("sglang", value) is None}
#: What each engine reads, by name.
KNOWN = {
    "transformers": _LOCAL,
    "llama_cpp": _LLAMA_CPP,
    "vllm": _VLLM,
    "sglang": _SGLANG,
    "openai": _REMOTE,
    "echo": _ECHO,
}


def settings_check(engine: str, settings: Any) -> dict[str, Any]:
    """The settings, when each is known to the engine and in range. Raises AppError("invalid")."""
    if not isinstance(settings, dict):
        raise invalid("settings", _("An object is expected."))
    known = KNOWN[engine]
    for name, value in settings.items():
        if name not in known:
            raise invalid("settings", _("Unknown setting: %(name)s.") % {"name": str(name)[:64]})
        if not known[name](value):
            raise invalid("settings", _("%(name)s is out of range.") % {"name": name})
    return settings
