"""A model folder run by SGLang's server (https://docs.sglang.ai): the program named in HEARTH_SGLANG (such as
``/opt/sglang/bin/python -m sglang.launch_server``) or `sglang` on the PATH.

Written from its documentation, and tested with a scripted server that stands in for it
(inference/tests/fake_sglang.py). The real one was not run: it needs a GPU.
"""

from __future__ import annotations

import os
import re
import secrets
import socket as sockets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from inference.engines import openai_wire, server_dialogue
from inference.engines.server_child import GONE, ServerEngine, died
from inference.engines.server_dialogue import Prompt
from inference.engines.server_process import program
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec
from inference.server_flags import flags_of

_REMEDY = "Install SGLang in an environment of its own, and name its program in HEARTH_SGLANG."


class SglangEngine(ServerEngine):
    """settings: slots, context_length, dtype, kv_dtype, gpu_memory_utilization, tensor_parallel,
    pipeline_parallel, flags (reasoning-parser and tool-call-parser among them).

    It hears on a loopback port with a random key, since it knows no Unix sockets, and is spoken to in chat
    completions: it goes on from a final assistant message, as far as the template keeps that."""

    title = "SGLang"
    milestones = (
        (re.compile(r"Load weight begin"), 0.2),
        (re.compile(r"checkpoint shards:\s+(\d+)%"), 0.4),
        (re.compile(r"Load weight end"), 0.6),
        (re.compile(r"KV Cache is allocated|Capture cuda graph begin"), 0.8),
        (re.compile(r"Uvicorn running|The server is fired up"), 0.95),
    )

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self._model = Path(str(spec.source.get("path", "")))
        self._key = secrets.token_hex(32)  # one that begins with a dash would be a flag

    def command(self, socket: Path) -> list[str]:
        binary = program(os.environ.get("HEARTH_SGLANG"), "sglang", _REMEDY)
        if not (self._model / "config.json").is_file():
            raise InferenceError("load_failed", f"{self._model} is no model folder: it has no config.json.")
        self.dialogue = server_dialogue.of_folder(self._model)
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        settings = self.spec.settings
        command = binary if len(binary) > 1 else [*binary, "serve"]
        command = [*command, "--model-path", str(self._model), "--served-model-name", "model"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--api-key", self._key]
        # The tokens of the prompt that were there already are told with the usage.
        command += ["--enable-cache-report"]
        for flag, value in (
            ("--context-length", settings.get("context_length")),
            ("--max-running-requests", settings.get("slots")),
            ("--dtype", settings.get("dtype")),
            ("--kv-cache-dtype", settings.get("kv_dtype")),
            ("--mem-fraction-static", settings.get("gpu_memory_utilization")),
            ("--tp-size", settings.get("tensor_parallel")),
            ("--pp-size", settings.get("pipeline_parallel")),
        ):
            command += [flag, str(value)] if value not in (None, "auto") else []
        return [*command, *flags_of("sglang", settings.get("flags"))]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}

    async def inspect(self) -> dict[str, Any]:
        models = (await self.ask("/v1/models")).get("data") or [{}]
        return {
            "device": self.device,
            "dtype": self.spec.settings.get("dtype"),
            "context_length": int(models[0].get("max_model_len") or 4096),
        }

    async def encode(self, request: GenerateRequest) -> Prompt:
        raise NotImplementedError("the chat endpoint renders the prompt")

    async def tokens(self, pieces: list[str]) -> list[int]:
        raise NotImplementedError("the chat endpoint renders the prompt")

    def extend(self, body: dict[str, Any], request: GenerateRequest) -> None:
        """Completions are not asked for."""

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        if self._session is None or self.exited.is_set():
            raise self.why or died(self.title)
        began, self._running = time.perf_counter(), self._running + 1
        flags = self.spec.settings.get("flags") or {}
        reader = openai_wire.Reader(request.prefix, splits="reasoning-parser" in flags)
        body = openai_wire.body("model", request)
        if (thinking := request.params.get("thinking")) is not None:
            body["chat_template_kwargs"] = {"enable_thinking": bool(thinking), "thinking": bool(thinking)}
        parsed = "tool-call-parser" in flags
        format = server_dialogue.written_format(self.dialogue, request)
        try:
            yield {"kind": "prompt", "reasoning_open": False, "tool_format": "hermes" if parsed else format}
            yield {"kind": "status", "phase": "prefill"}
            async for event in self.stream("/v1/chat/completions", body, reader):
                yield event
        except GONE as error:
            raise await self.gone(error) from error
        finally:
            self._running -= 1
        if text := reader.close():
            yield {"kind": "raw", "text": text}
        yield reader.usage_event(began)
        yield {"kind": "finished", "reason": "length" if reader.reason == "length" else "stop"}

    def _connect(self, socket: Path) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            read_bufsize=1 << 18,
            trust_env=False,
        )


def _free_port() -> int:
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
