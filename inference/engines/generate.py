"""Models that cannot be packed, each answer by transformers' own `generate()` on a thread.

The tokens are chosen by the packed engine's sampler and put together by its transcript, so params, seeds,
stop strings and going on from a prefix mean the same; there is no prefix reuse and no sharing of a step.
Not run on a GPU, and not on several: a spread model was never here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import torch
import transformers
from transformers.generation.logits_process import LogitsProcessor, LogitsProcessorList
from transformers.generation.stopping_criteria import StoppingCriteria, StoppingCriteriaList

from inference.engines.checkpoint import Checkpoint
from inference.engines.faults import typed
from inference.engines.packed.request import Opener, Phase, Sequence
from inference.engines.packed.sampler import sample
from inference.engines.prompt import ChatTemplate, Prompt
from inference.errors import InferenceError, unloaded
from inference.protocol import LAST_EVENTS, Event, GenerateRequest

log = logging.getLogger(__name__)

DEFAULT_SLOTS = 4


def must_generate(checkpoint: Checkpoint) -> str:
    """Why a model is not packed however its attention is made, else ""."""
    if checkpoint.spread:
        return "It is too large for one card and lies on several; vLLM is the better engine for it."
    if checkpoint.quantized:
        return f"Its weights are stored as {checkpoint.quantized}, which has kernels of its own."
    if checkpoint.model.config.is_encoder_decoder:
        return "It is an encoder and a decoder."
    return ""


class GenerateEngine:
    """`reason` says to people why the model is not packed. `slots` answers run at a time, others wait.

    A forward pass is one model's at a time: rotary embeddings that depend on the length keep a state.
    """

    def __init__(self, checkpoint: Checkpoint, reason: str, slots: int = DEFAULT_SLOTS) -> None:
        self.reason, self.slots = reason, slots
        self.limit = checkpoint.context_length
        self._model, self._tokenizer = checkpoint.model, checkpoint.tokenizer
        self._template = ChatTemplate(checkpoint.tokenizer)
        vocabulary = int(checkpoint.model.config.get_text_config().vocab_size)
        self._opener = Opener(checkpoint.tokenizer, checkpoint.ends, vocabulary, self.limit)
        self._start = _start_token(checkpoint)
        # The folder's own defaults (a repetition penalty, say) would be applied on top of what was asked for.
        self._model.generation_config = cast(Any, transformers.GenerationConfig)()
        lock = threading.Lock()
        self._hooks = [
            self._model.register_forward_pre_hook(lambda *_: cast(Any, lock.acquire)() and None),
            self._model.register_forward_hook(lambda *_: lock.release(), always_call=True),
        ]
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="answer")
        self._runs: set[_Run] = set()
        self._closed = False

    # Engine

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        prompt = await asyncio.to_thread(self._template.encode, request)
        loop, inbox = asyncio.get_running_loop(), asyncio.Queue[Event]()

        def tell(event: Event) -> None:
            loop.call_soon_threadsafe(inbox.put_nowait, event)

        # Aside: a grammar may take a second to compile.
        run = await asyncio.to_thread(self._run, request, prompt, tell)
        yield {"kind": "prompt", "reasoning_open": prompt.reasoning_open, "tool_format": prompt.tool_format}
        yield {"kind": "status", "phase": "prefill"}
        if self._closed:
            raise unloaded()
        self._runs.add(run)
        done = loop.run_in_executor(self._pool, run.run)
        try:
            while True:
                event = await inbox.get()
                if event["kind"] == "failed":
                    raise InferenceError.from_event(event)
                yield event
                if event["kind"] in LAST_EVENTS:
                    return
        finally:
            run.sequence.cancelled = True
            await asyncio.wait([done])  # the slot is free only then
            self._runs.discard(run)

    async def abort(self, request_id: str) -> None:
        """Closing the iterator sets the flag that each step looks at."""

    def stats(self) -> dict[str, Any]:
        """No `steps`: a whole prompt is one step here, and the watchdog would take a long one for a hang."""
        running = sum(run.runs for run in list(self._runs))
        return {"running": running, "waiting": len(self._runs) - running}

    async def unload(self) -> None:
        self._closed = True
        for run in list(self._runs):
            run.closed = True
        await asyncio.to_thread(self._pool.shutdown)
        for hook in self._hooks:
            hook.remove()
        self._model = None

    # Inside

    def _run(self, request: GenerateRequest, prompt: Prompt, tell: Callable[[Event], None]) -> _Run:
        sequence = self._opener.open(request, prompt, tell)
        return _Run(self._model, self._tokenizer, sequence, self._start)


class _Run:
    """One answer on its thread: `generate()` asks it for each token, and whether to stop."""

    def __init__(self, model: Any, tokenizer: Any, sequence: Sequence, start: int | None) -> None:
        self.sequence = sequence
        self.closed = False
        self.runs = False
        self._model, self._tokenizer, self._start = model, tokenizer, start

    def run(self) -> None:
        """Never raises: whatever happens is the answer's last event."""
        sequence = self.sequence
        try:
            self.runs = True
            if len(sequence.transcript.ids) >= sequence.most:
                sequence.finish("length")
            elif not self.is_over():
                sequence.tell_progress()
                self._generate()
        except Exception as error:
            if not isinstance(error, InferenceError):
                log.exception("an answer failed")
            sequence.fail(typed(error))
        finally:
            self.runs = False
            if sequence.phase is not Phase.ENDED:
                sequence.fail(unloaded())

    def _generate(self) -> None:
        sequence, prompt = self.sequence, self.sequence.prompt_tokens
        device = self._model.device
        if self._start is None:
            inputs = {"input_ids": torch.tensor([sequence.tokens], device=device)}
        else:
            answer = [self._start, *sequence.tokens[prompt:]]
            inputs = {
                "input_ids": torch.tensor([sequence.tokens[:prompt]], device=device),
                "decoder_input_ids": torch.tensor([answer], device=device),
            }
        # Ends are seen by the sequence, for which some requests do not count them.
        config = cast(Any, transformers.GenerationConfig)(
            max_new_tokens=sequence.most - len(sequence.transcript.ids),
            do_sample=False,
            pad_token_id=0,
            decoder_start_token_id=self._start,
        )
        with torch.inference_mode():
            self._model.generate(
                **inputs,
                attention_mask=torch.ones_like(inputs["input_ids"]),
                generation_config=config,
                logits_processor=LogitsProcessorList([_Choose(self)]),
                stopping_criteria=StoppingCriteriaList([_Stop(self)]),
            )

    def choose(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores [1, vocabulary] float32 to the same shape with all but the chosen token ruled out."""
        sequence = self.sequence
        sequence.prepare_row()
        choice = sample(scores, [sequence.row])[0]
        scores = scores.fill_(-torch.inf)
        scores[0, max(0, choice.token)] = 0
        if not self.is_over():
            sequence.take(choice, self._spell)
        return scores

    def is_over(self) -> bool:
        return self.closed or self.sequence.cancelled or self.sequence.phase is Phase.ENDED

    def _spell(self, token: int) -> str:
        return str(self._tokenizer.decode([token], clean_up_tokenization_spaces=False))


class _Choose(LogitsProcessor):
    def __init__(self, run: _Run) -> None:
        self._run = run

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return self._run.choose(scores)


class _Stop(StoppingCriteria):
    def __init__(self, run: _Run) -> None:
        self._run = run

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full((len(input_ids),), self._run.is_over(), dtype=torch.bool, device=input_ids.device)


def _start_token(checkpoint: Checkpoint) -> int | None:
    """What a decoder beside an encoder begins with; None for a model that is a decoder alone."""
    config = checkpoint.model.config
    if not config.is_encoder_decoder:
        return None
    found = checkpoint.model.generation_config.decoder_start_token_id
    found = getattr(config, "decoder_start_token_id", None) if found is None else found
    return int(found or 0)
