"""A GGUF file run by llama.cpp's own server (https://github.com/ggml-org/llama.cpp, tools/server): the user's
binary, named in HEARTH_LLAMA_SERVER or found on the PATH."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from inference import gguf_header
from inference.bounded import Refused
from inference.engines.server_child import ServerEngine
from inference.engines.server_dialogue import Dialogue, Prompt, refuses
from inference.engines.server_process import program
from inference.errors import InferenceError
from inference.protocol import GenerateRequest, ModelSpec
from inference.server_flags import flags_of

#: Answers at a time where the settings do not say, and tokens of each.
SLOTS, CONTEXT = 4, 8192
_WORDS, _KINDS = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
# Entries of the vocabulary that are no person's words: control, and defined by the model's maker.
_CONTROL = (3, 4)
# What a control token would write that our readers look for: without this the server leaves it out.
_MARKERS = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|python_tag|>", "<|eom_id|>",
    "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
)  # fmt: skip
_REMEDY = "Install llama.cpp, or build its llama-server, and name it in HEARTH_LLAMA_SERVER."


class LlamaCppEngine(ServerEngine):
    """settings: slots, context_length (tokens of one answer), kv_tokens (of all slots together), threads,
    gpu_layers, kv_dtype, flags. Its sampler is llama.cpp's: a seed gives the same answer again, but a resumed
    one goes on with other noise."""

    title = "llama-server"
    milestones = (
        (re.compile(r"load_tensors|loading tensors|loading model tensors"), 0.3),
        (re.compile(r"llama_model_loader|loading model"), 0.1),
        (re.compile(r"llama_kv_cache|llama_context"), 0.7),
        (re.compile(r"model loaded|initializing slots|listening"), 0.95),
    )

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self._file = Path(str(spec.source.get("path", "")))

    def command(self, socket: Path) -> list[str]:
        binary = program(os.environ.get("HEARTH_LLAMA_SERVER"), "llama-server", _REMEDY)
        try:
            head = gguf_header.read_header(self._file, keep=frozenset((_WORDS, _KINDS)))
        except Refused as error:
            raise InferenceError("load_failed", str(error)) from error
        self.dialogue = _dialogue(head.metadata)
        slots, total = self._sizes(gguf_header.config(head.metadata).get("max_position_embeddings") or 0)
        settings = self.spec.settings
        command = [
            *binary,
            "-m",
            str(self._file),
            "--host",
            str(socket),
            "--jinja",
            "--no-webui",
            "--no-slots",
        ]
        command += ["-np", str(slots), "-c", str(total), "--no-context-shift"]
        if threads := settings.get("threads"):
            command += ["-t", str(threads), "-tb", str(threads)]
        if (layers := settings.get("gpu_layers")) is not None:
            command += ["-ngl", str(layers)]
        if settings.get("device") == "cpu":
            command += ["-ngl", "0"]
        if kv_dtype := _KV_DTYPES.get(str(settings.get("kv_dtype") or "auto")):
            command += ["-ctk", kv_dtype, "-ctv", kv_dtype]
        return [*command, *flags_of("llama_cpp", settings.get("flags"))]

    async def inspect(self) -> dict[str, Any]:
        props = await self.ask("/props")
        template = props.get("chat_template")
        if isinstance(template, str) and template:
            self.dialogue = Dialogue(template, self.dialogue.names)
        slots = int(props.get("total_slots") or 1)
        each = int((props.get("default_generation_settings") or {}).get("n_ctx") or 0)
        dtype = props.get("model_ftype")
        return {
            "device": self.device,
            "dtype": dtype if isinstance(dtype, str) else None,
            "context_length": each or CONTEXT,
            "slots": slots,
        }

    async def encode(self, request: GenerateRequest) -> Prompt:
        shaped = self.dialogue.shaped(request)
        refusal: InferenceError | None = None
        for body in shaped.bodies():
            try:
                told = await self.ask("/apply-template", {**body, "reasoning_format": "none"})
            except InferenceError as error:
                if not refuses(error):
                    raise
                refusal = refusal or error
                continue
            pieces = shaped.shield.pieces(str(told.get("prompt") or ""))
            text = "".join(pieces)
            return Prompt(
                await self._tokens(pieces, begins=True),
                text.rstrip().endswith("<think>"),
                shaped.tool_format,
            )
        message = f"The model's chat template refuses these messages: {refusal.message if refusal else ''}"
        raise InferenceError("invalid_request", message)

    async def tokens(self, pieces: list[str]) -> list[int]:
        return await self._tokens(pieces, begins=False)

    def extend(self, body: dict[str, Any], request: GenerateRequest) -> None:
        # Its own defaults cut the tail of the distribution in three ways; ours cut nothing.
        for name, value in (("temperature", 0.7), ("top_k", 0), ("top_p", 1.0), ("min_p", 0.0)):
            body.setdefault(name, value)
        body["repeat_penalty"] = float(request.params.get("repetition_penalty") or 1.0)
        if request.params.get("ignore_eos"):
            body["ignore_eos"] = True
        body["preserved_tokens"] = list(_MARKERS)
        wanted = body.pop("response_format", None) or {}
        if wanted.get("type") == "json_schema":
            body["json_schema"] = (wanted.get("json_schema") or {}).get("schema") or {"type": "object"}
        elif wanted.get("type") == "json_object":
            body["json_schema"] = {"type": "object"}

    async def _tokens(self, pieces: list[str], begins: bool) -> list[int]:
        asked = {"content": pieces, "add_special": begins, "parse_special": True}
        return [int(token) for token in (await self.ask("/tokenize", asked)).get("tokens") or ()]

    def _sizes(self, known: int) -> tuple[int, int]:
        """How many answers at a time, and the tokens of all of them: each slot has its share."""
        settings = self.spec.settings
        longest = int(settings.get("context_length") or 0)
        each = min(longest or CONTEXT, known or longest or CONTEXT)
        total = int(settings.get("kv_tokens") or 0)
        slots = int(settings.get("slots") or (min(SLOTS, max(1, total // each)) if total else SLOTS))
        return slots, max(slots, min(total, slots * each) if total else slots * each)


_KV_DTYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "q8_0"}


def _dialogue(metadata: dict[str, Any]) -> Dialogue:
    template = metadata.get("tokenizer.chat_template")
    words, kinds = metadata.get(_WORDS), metadata.get(_KINDS)
    names: tuple[str, ...] = ()
    if isinstance(words, list) and isinstance(kinds, list):
        names = tuple(str(w) for w, kind in zip(words, kinds, strict=False) if kind in _CONTROL)
    return Dialogue(template if isinstance(template, str) else "", names)
