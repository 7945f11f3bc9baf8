"""The settings of a model: what is read may be set, what nothing reads is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from config.errors import AppError
from models_registry.deployment import KNOWN, settings_check

INFERENCE = Path(__file__).resolve().parents[2] / "inference"

LOCAL: dict[str, tuple[list[Any], list[Any]]] = {
    "slots": ([1, 32, 1024], [0, -1, 1025, 1.5, True, "8", None]),
    "context_length": ([16, 8192, 1_000_000], [0, 15, 1 << 40, "8192", False]),
    "threads": ([1, 64], [0, 5000, 2.0]),
    "device": (["auto", "cpu", "cuda", "cuda:0", "cuda:11"], ["", "CUDA", "cuda:", "cuda:x", "cuda:0\n", 0]),
    "dtype": (["auto", "float32", "bfloat16", "float16", "int8"], ["int4", "", None, ["int8"]]),
    "kv_tokens": ([16, 1 << 20], [0, -1, 1e6]),
    "kv_dtype": (["auto", "float32", "bfloat16", "float16"], ["int8", "", 16]),
    "step_tokens": ([1, 512], [0, 10**7, "512"]),
    "packed": ([True, False], [0, 1, "false", None]),
    "keep_alive": ([0, 0.5, 3600], [-1, 10**9, float("nan"), float("inf"), "300", True]),
    "queue_limit": ([0, 100], [-1, 1.0, None, True]),
    "memory_limit_bytes": ([1 << 30], [0, -1, 1e9, "8GB"]),
    "stall_limit": ([0.5, 10, 600], [0, -1, float("nan"), "10"]),
    "spin_limit": ([0.5, 120], [0, 10**9, False]),
}
OTHERS: list[tuple[str, str, list[Any], list[Any]]] = [
    ("openai", "slots", [1, 4096], [0, 4097]),
    ("openai", "silence_limit", [1, 600], [0, 0.5]),
    ("openai", "queue_limit", [0], [-1]),
    ("openai", "keep_alive", [60], [-1]),
    ("echo", "memory_bytes", [0, 1 << 40], [-1, 1.0]),
    ("echo", "load_ms", [0, 3000], [-1, 10**9]),
    ("echo", "load_fault", [True, "memory"], [1]),
    ("echo", "inline", [True], [1]),
    ("echo", "keep_alive", [1], ["1"]),
    ("echo", "queue_limit", [3], [-3]),
]
SERVERS: dict[str, tuple[list[Any], list[Any]]] = {
    "start_limit": ([1, 600], [0, -1, "600"]),
    "gpu_layers": ([0, 99], [-1, 1.5, "all"]),
    "gpu_memory_utilization": ([0.5, 0.9], [0, 1, "0.9", True]),
    "tensor_parallel": ([1, 8], [0, 2.0, "8"]),
    "pipeline_parallel": ([1, 2], [0, None]),
    "kv_bytes": ([1 << 30], [0, 1e9]),
}
OTHERS += [
    ("llama_cpp", "kv_dtype", ["auto", "int8"], ["fp8", 8]),
    ("llama_cpp", "flags", [{}, {"batch-size": 512, "mlock": True}], [{"model": "/x"}, {"mlock": 1}, [], 3]),
    ("vllm", "kv_dtype", ["auto", "fp8"], ["int8"]),
    ("vllm", "flags", [{"block-size": 16, "enforce-eager": True, "distributed-executor-backend": "ray"}],
     [{"trust-remote-code": True}, {"chat-template": "/x"}, {"load-format": "pt"}, {"block-size": "16 --x"},
      {"quantization": "a b"}, {"worker-cls": "os.system"}]),
    ("sglang", "flags", [{"reasoning-parser": "qwen3"}], [{"trust-remote-code": True}, {"host": "0.0.0.0"}]),
    *((engine, name, good, bad) for name, (good, bad) in SERVERS.items()
      for engine in ("llama_cpp", "vllm", "sglang") if name in KNOWN[engine]),
]  # fmt: skip
CASES = [("transformers", name, good, bad) for name, (good, bad) in LOCAL.items()] + OTHERS


@pytest.mark.parametrize(("engine", "name", "good", "bad"), CASES)
def test_a_value_in_range_is_taken_and_any_other_is_refused(
    engine: str, name: str, good: list[Any], bad: list[Any]
) -> None:
    for value in good:
        assert settings_check(engine, {name: value}) == {name: value}
    for value in bad:
        with pytest.raises(AppError) as refused:
            settings_check(engine, {name: value})
        assert refused.value.code == "invalid" and name in refused.value.extra["fields"]["settings"][0], value


def test_every_setting_of_a_local_model_is_looked_at_here() -> None:
    assert set(LOCAL) == set(KNOWN["transformers"])


@pytest.mark.parametrize(
    ("engine", "name"),
    [("openai", "dtype"), ("openai", "stall_limit"), ("echo", "device"), ("transformers", "memory_bytes")],
)
def test_a_setting_of_another_engine_is_refused(engine: str, name: str) -> None:
    with pytest.raises(AppError) as refused:
        settings_check(engine, {name: 1})
    assert refused.value.extra["fields"] == {"settings": [f"Unknown setting: {name}."]}


def test_the_settings_of_other_servers_are_described() -> None:
    """In docs/scaling.md, but for those that every model has."""
    text = (INFERENCE.parent / "docs" / "scaling.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", text))
    for engine in ("llama_cpp", "vllm", "sglang"):
        assert set(KNOWN[engine]) - {"keep_alive", "queue_limit"} <= named


def test_what_the_model_service_reads_may_be_set_and_nothing_else() -> None:
    """Held against the text of its code, so that no setting is offered that does nothing."""
    read = set()
    for path in INFERENCE.rglob("*.py"):
        if "tests" not in path.parts:
            text = path.read_text(encoding="utf-8")
            read |= set(re.findall(r"""settings(?:\.get\(|\[)["'](\w+)["']""", text))
    assert {name for known in KNOWN.values() for name in known} == read
