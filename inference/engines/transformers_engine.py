"""A model folder run by transformers' own `generate()`, one thread per answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from transformers.generation.logits_process import LogitsProcessor, LogitsProcessorList
from transformers.generation.stopping_criteria import StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from inference.engines import sampling
from inference.engines.base import Report
from inference.engines.messages import Shield, developer_as_system, system_into_user
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, Messages, ModelSpec

_HEAL = 4  # tokens at the end of a prefix that are made again: the text may end inside one
_CANDIDATES = 1000


class TransformersEngine:
    """settings: device, dtype, threads, context_length. Safetensors only, no code of the folder."""

    def __init__(self, spec: ModelSpec) -> None:
        self._path, self._settings = Path(str(spec.source.get("path", ""))), spec.settings
        self._model: Any = None
        self._tokenizer: Any = None
        self._device, self._limit, self._running = "cpu", 0, 0

    async def load(self, report: Report) -> dict[str, Any]:
        loop = asyncio.get_running_loop()

        def tell(progress: float) -> None:
            loop.call_soon_threadsafe(report, progress)

        return await asyncio.to_thread(self._load, tell)

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        loop, out = asyncio.get_running_loop(), asyncio.Queue[Event]()
        began, first = time.perf_counter(), 0.0
        rendered, prompt = await asyncio.to_thread(self._prompt, request)
        run = _Run(self, request, prompt, lambda event: loop.call_soon_threadsafe(out.put_nowait, event))
        yield {"kind": "prompt", "reasoning_open": rendered.rstrip().endswith("<think>")}
        yield {"kind": "status", "phase": "prefill"}
        self._running += 1
        done = loop.run_in_executor(None, run.run)
        try:
            while (event := await out.get())["kind"] == "raw":
                first = first or time.perf_counter()
                yield event
            await done
        finally:
            run.stop.set()
            await asyncio.wait([done])
            self._running -= 1
        if event["kind"] == "failed":
            raise InferenceError.from_event(event)
        spent = time.perf_counter() - began
        yield {
            "kind": "usage",
            "prompt_tokens": len(prompt),
            "reused_tokens": 0,
            "completion_tokens": len(run.ids),
            "ttft_ms": round(((first or time.perf_counter()) - began) * 1000, 1),
            "tokens_per_second": round((len(run.ids) - run.kept) / spent, 1),
        }
        yield event

    async def abort(self, request_id: str) -> None:
        """Closing the iterator sets the flag that each step looks at."""

    def stats(self) -> dict[str, Any]:
        return {"running": self._running}

    async def unload(self) -> None:
        self._model = self._tokenizer = None

    def _load(self, report: Report) -> dict[str, Any]:
        if not (self._path / "config.json").is_file() or not list(self._path.glob("*.safetensors")):
            raise InferenceError("load_failed", f"{self._path} is no model folder with safetensors weights.")
        if threads := int(self._settings.get("threads") or 0):
            torch.set_num_threads(threads)
        safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            report(0.05)
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(self._path, **safe)
            report(0.2)
            self._device = str(
                self._settings.get("device") or ("cuda" if torch.cuda.is_available() else "cpu")
            )
            dtype = getattr(torch, str(self._settings.get("dtype") or self._dtype()))
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(
                self._path, dtype=dtype, use_safetensors=True, **safe
            )
            report(0.9)
            self._model = model.to(self._device).eval()
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise InferenceError("out_of_memory", "The model does not fit into memory.") from error
        except (ValueError, OSError, KeyError, RuntimeError, ImportError) as error:
            raise InferenceError("load_failed", str(error)) from error
        known = getattr(self._model.config.get_text_config(), "max_position_embeddings", None) or 4096
        self._limit = min(int(self._settings.get("context_length") or known), known)
        report(1.0)
        template = str(self._tokenizer.chat_template or "")
        return {
            "device": self._device,
            "dtype": str(dtype).removeprefix("torch."),
            "context_length": self._limit,
            "memory_bytes": sum(p.numel() * p.element_size() for p in self._model.parameters()),
            "capabilities": {"continues": True, "reasoning": "<think>" in template, "tools": False},
        }

    def _dtype(self) -> str:
        # On CPU float32: going on from a text has to give what one pass would have given.
        if self._device == "cpu":
            return "float32"
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"

    def _prompt(self, request: GenerateRequest) -> tuple[str, list[int]]:
        tokenizer = self._tokenizer
        names = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
        shield = Shield(names, request.messages)
        rendered = self._render(shield.messages(request.messages), request.params)
        pieces = shield.pieces(rendered)
        ids = [i for piece in pieces for i in tokenizer(piece, add_special_tokens=False)["input_ids"]]
        if len(ids) + 1 > self._limit:
            extra = {"tokens": len(ids), "limit": self._limit}
            message = f"The conversation has {len(ids)} tokens, the model takes {self._limit}."
            raise InferenceError("context_too_long", message, extra=extra)
        return rendered, ids

    def _render(self, messages: Messages, params: dict[str, Any]) -> str:
        template = str(self._tokenizer.chat_template or "")
        options = {} if params.get("thinking") is None else {"enable_thinking": bool(params["thinking"])}
        if "developer" not in template:
            messages = developer_as_system(messages)
        refusal: Exception | None = None
        for shape in (messages, system_into_user(messages)):
            try:
                return str(
                    self._tokenizer.apply_chat_template(
                        shape, tokenize=False, add_generation_prompt=True, **options
                    )
                )
            except Exception as error:  # a template raises what it likes
                refusal = refusal or error
        raise InferenceError(
            "invalid_request", f"The model's chat template refuses these messages: {refusal}"
        )


class _Run(LogitsProcessor, BaseStreamer):
    """One answer on its thread: chooses each token, hands its text out, and looks whether to stop."""

    def __init__(
        self, engine: TransformersEngine, request: GenerateRequest, prompt: list[int], put: Any
    ) -> None:
        self.stop = threading.Event()
        self._engine, self._params, self._put, self._prompt = engine, request.params, put, prompt
        self._tokenizer, self._model = engine._tokenizer, engine._model
        seed = request.params.get("seed")
        self._seed = str(request.id if seed is None else seed)
        ends = self._model.generation_config.eos_token_id
        ends = self._tokenizer.eos_token_id if ends is None else ends
        self._ends = {ends} if isinstance(ends, int) else set(ends or ())
        self.ids, self._again = self._split(request.prefix)
        self.kept, self._start = len(self.ids), self._decode(self.ids)
        self._sent = self._start + self._again  # what the reader has
        stops = request.params.get("stop") or []
        self._stops = [stops] if isinstance(stops, str) else list(stops)
        self._matched = self._skipped = False

    def run(self) -> None:
        try:
            reason = self._generate()
            self._flush(final=True)
            self._put({"kind": "finished", "reason": "stop" if self._matched else reason})
        except InferenceError as error:
            self._put(error.to_event())
        except (torch.OutOfMemoryError, MemoryError):
            self._put(InferenceError("out_of_memory", "The answer does not fit into memory.").to_event())
        except Exception as error:
            self._put(InferenceError("engine_error", f"{type(error).__name__}: {error}").to_event())

    def _generate(self) -> str:
        room = self._engine._limit - len(self._prompt)
        asked = self._params.get("max_tokens")
        room = min(room, int(asked)) if asked else room
        if room <= self.kept:
            return "length"
        ids = torch.tensor([self._prompt + self.ids], device=self._engine._device)
        config = cast(Any, transformers.GenerationConfig)(
            max_new_tokens=room - self.kept, do_sample=False, eos_token_id=sorted(self._ends) or None,
            pad_token_id=min(self._ends, default=0),
            repetition_penalty=float(self._params.get("repetition_penalty") or 1.0),
        )  # fmt: skip
        with torch.inference_mode():
            self._model.generate(
                ids, attention_mask=torch.ones_like(ids), generation_config=config, streamer=self,
                logits_processor=LogitsProcessorList([self]),
                stopping_criteria=StoppingCriteriaList([_Stop(self)]),
            )  # fmt: skip
        return "stop" if self.ids and self.ids[-1] in self._ends else "length"

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        text = self._decode(self.ids)
        whole = text.rstrip("\ufffd")
        # By the text so far, not by the count of tokens: a prefix may be cut into tokens in another way.
        tail = len(self.ids) - self._tokens_of_whole(whole)
        ranked = sampling.scores(scores[0], self._params, self._seed, f"{len(whole)}.{tail}")
        target = self._start + self._again
        token = int(ranked.argmax())
        if len(whole) < len(target):
            token = self._consistent(ranked, target, whole)
        chosen = torch.full_like(scores, -torch.inf)
        chosen[0, token] = 0
        return chosen

    def _tokens_of_whole(self, whole: str) -> int:
        count = len(self.ids)
        while count and len(self._decode(self.ids[:count])) > len(whole):
            count -= 1
        return count

    def _consistent(self, ranked: torch.Tensor, target: str, whole: str) -> int:
        """The best token with which the text still becomes `target`: what was chosen the first time."""
        best = ranked.topk(min(_CANDIDATES, ranked.numel())).indices.tolist()
        best += self._encode(target[len(whole) :])[:1]
        for token in best:
            if token in self._ends:
                continue
            text = self._decode([*self.ids, token]).rstrip("\ufffd")
            if target.startswith(text) or text.startswith(target):
                return int(token)
        raise InferenceError("cannot_continue", "The text to go on from is not made of this model's tokens.")

    def put(self, value: torch.Tensor) -> None:
        if not self._skipped:
            self._skipped = True  # generate() hands the prompt over first
            return
        self.ids += value.reshape(-1).tolist()
        self._flush(final=False)

    def end(self) -> None:
        """The last event is put by `run`."""

    def _flush(self, final: bool) -> None:
        """Hand out what is whole: no half character, and nothing that may be the begin of a stop string."""
        if self._matched:
            return
        text = self._decode([i for i in self.ids if i not in self._ends])
        if not final:
            text = text.rstrip("\ufffd")
        at = min((p for s in self._stops if s and (p := text.find(s)) >= 0), default=-1)
        if at >= 0:
            text, self._matched = text[:at], True
        elif not final:
            text = text[: len(text) - _held(text, self._stops)]
        if len(text) > len(self._sent):
            self._put({"kind": "raw", "text": text[len(self._sent) :]})
            self._sent = text

    def _split(self, prefix: str) -> tuple[list[int], str]:
        """Token ids that surely stand at the begin of `prefix`, and the text of it after them."""
        ids = self._encode(prefix)[:-_HEAL]
        while ids and not prefix.startswith(self._decode(ids)):
            ids.pop()
        return ids, prefix[len(self._decode(ids)) :]

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, clean_up_tokenization_spaces=False)) if ids else ""


class _Stop(StoppingCriteria):
    def __init__(self, run: _Run) -> None:
        self._run = run

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        stop = self._run.stop.is_set() or self._run._matched
        return torch.full((input_ids.shape[0],), stop, dtype=torch.bool, device=input_ids.device)


def _held(text: str, stops: list[str]) -> int:
    """How many characters at the end of `text` may be the begin of one of `stops`."""
    return max((n for s in stops for n in range(1, len(s)) if text.endswith(s[:n])), default=0)
