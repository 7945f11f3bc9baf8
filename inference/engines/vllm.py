"""A model folder run by vLLM's server (https://docs.vllm.ai), on a GPU, several, several hosts, or a CPU: the
program named in HEARTH_VLLM or found on the PATH."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from inference.engines import server_dialogue
from inference.engines.server_child import ServerEngine
from inference.engines.server_dialogue import Prompt, refuses
from inference.engines.server_process import program
from inference.errors import InferenceError
from inference.protocol import GenerateRequest, ModelSpec
from inference.server_flags import flags_of

_SLOTS = 256
_KV_BYTES = 4 << 30
_TAIL = 16  # tokens at the end of a prompt that tell whether the answer begins inside thoughts
_REMEDY = "Install vLLM in an environment of its own, and name its program in HEARTH_VLLM."
_WIDTHS = {"auto", "float32", "bfloat16", "float16"}


class VllmEngine(ServerEngine):
    """settings: slots, context_length, dtype, kv_dtype (auto | fp8), gpu_memory_utilization,
    tensor_parallel, pipeline_parallel, kv_bytes (CPU), threads (CPU), flags. No code of the folder runs."""

    title = "vLLM"
    milestones = (
        (re.compile(r"Initializing a V1 LLM engine|Starting to load model|Loading model"), 0.2),
        (re.compile(r"checkpoint shards:\s+(\d+)%"), 0.4),
        (re.compile(r"Loading weights took"), 0.6),
        (re.compile(r"GPU KV cache size|CPU KV cache size|Warming up model|Capturing"), 0.7),
        (re.compile(r"init engine|Application startup|Starting vLLM"), 0.95),
    )

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self._model = Path(str(spec.source.get("path", "")))

    def command(self, socket: Path) -> list[str]:
        binary = program(os.environ.get("HEARTH_VLLM"), "vllm", _REMEDY)
        if not (self._model / "config.json").is_file():
            raise InferenceError("load_failed", f"{self._model} is no model folder: it has no config.json.")
        self.dialogue = server_dialogue.of_folder(self._model)
        settings = self.spec.settings
        dtype = str(settings.get("dtype") or "auto")
        command = [*binary, "serve", str(self._model), "--served-model-name", "model", "--uds", str(socket)]
        command += ["--dtype", dtype if dtype in _WIDTHS else "auto", "--max-num-seqs", str(self._slots)]
        # The prompt's tokens that were there already are told with the usage.
        command += ["--enable-prompt-tokens-details", "--no-enable-log-requests"]
        for flag, value in (
            ("--max-model-len", settings.get("context_length")),
            ("--gpu-memory-utilization", settings.get("gpu_memory_utilization")),
            ("--tensor-parallel-size", settings.get("tensor_parallel")),
            ("--pipeline-parallel-size", settings.get("pipeline_parallel")),
        ):
            command += [flag, str(value)] if value is not None else []
        if settings.get("kv_dtype") not in (None, "auto"):
            command += ["--kv-cache-dtype", str(settings.get("kv_dtype"))]
        return [*command, *flags_of("vllm", settings.get("flags"))]

    def environment(self) -> dict[str, str]:
        settings = self.spec.settings
        found = {
            **super().environment(),
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
        }
        found["VLLM_DO_NOT_TRACK"] = "1"
        # A virtual environment's own programs (ninja, ray) are called by name.
        binary = program(os.environ.get("HEARTH_VLLM"), "vllm", _REMEDY)[0]
        found["PATH"] = os.pathsep.join([str(Path(binary).parent), os.environ.get("PATH", "")])
        # Of the CPU's memory, in whole GiB; a GPU's share is the setting gpu_memory_utilization.
        kv = int(settings.get("kv_bytes") or _KV_BYTES)
        found["VLLM_CPU_KVCACHE_SPACE"] = str(-(-kv // (1 << 30)))
        if threads := settings.get("threads"):
            found["OMP_NUM_THREADS"] = str(threads)
        return found

    async def inspect(self) -> dict[str, Any]:
        models = (await self.ask("/v1/models")).get("data") or [{}]
        return {
            "device": self.device,
            "dtype": self.spec.settings.get("dtype"),
            "context_length": int(models[0].get("max_model_len") or 4096),
            "slots": self._slots,
        }

    async def encode(self, request: GenerateRequest) -> Prompt:
        shaped = self.dialogue.shaped(request)
        refusal: InferenceError | None = None
        for body in shaped.bodies():
            try:
                told = await self.ask("/tokenize", {"model": "model", **body})
            except InferenceError as error:
                if not refuses(error):
                    raise
                refusal = refusal or error
                continue
            ids = [int(token) for token in told.get("tokens") or ()]
            if shaped.shield.is_used:
                # Only where content names a control token: the text is cut at the marks and encoded anew.
                ids = await self.tokens(shaped.shield.pieces(await self._text(ids)))
            thinks = "<think>" in self.dialogue.template
            opened = thinks and (await self._text(ids[-_TAIL:])).rstrip().endswith("<think>")
            return Prompt(ids, opened, shaped.tool_format)
        message = f"The model's chat template refuses these messages: {refusal.message if refusal else ''}"
        raise InferenceError("invalid_request", message)

    async def tokens(self, pieces: list[str]) -> list[int]:
        ids: list[int] = []
        for piece in pieces:
            asked = {"model": "model", "prompt": piece, "add_special_tokens": False}
            ids += [int(token) for token in (await self.ask("/tokenize", asked)).get("tokens") or ()]
        return ids

    def extend(self, body: dict[str, Any], request: GenerateRequest) -> None:
        # Markers of calls are control tokens in some vocabularies, and are looked for in the text.
        body |= {"skip_special_tokens": False, "spaces_between_special_tokens": False}
        if penalty := request.params.get("repetition_penalty"):
            body["repetition_penalty"] = penalty
        if request.params.get("ignore_eos"):
            body["ignore_eos"] = True

    async def _text(self, ids: list[int]) -> str:
        return str((await self.ask("/detokenize", {"model": "model", "tokens": ids})).get("prompt") or "")

    @property
    def _slots(self) -> int:
        return int(self.spec.settings.get("slots") or _SLOTS)
