"""One answer inside the engine: its tokens, where its KV lies, and what it tells its reader."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from inference.engines.packed import grammar
from inference.engines.packed.cache import Region
from inference.engines.packed.params import SamplingParams
from inference.engines.packed.sampler import Choice, SamplerRow
from inference.engines.prompt import Prompt
from inference.engines.transcript import Transcript
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest

Tell = Callable[[Event], None]


class Phase(StrEnum):
    WAITING = "waiting"  # for room in the KV cache; also after it was pre-empted
    RUNNING = "running"
    ENDED = "ended"


class Sequence:
    """Prompt and answer of one request. The engine's thread changes it; `cancelled` anybody may set."""

    def __init__(
        self,
        *,
        id: str,
        user: str,
        prompt: list[int],
        params: SamplingParams,
        ends: frozenset[int],
        transcript: Transcript,
        row: SamplerRow,
        limit: int,
        tell: Tell,
    ) -> None:
        self.id, self.user, self.params = id, user, params
        self.transcript, self.row = transcript, row
        self._ends = frozenset[int]() if params.ignore_eos else ends
        self.prompt_tokens = len(prompt)
        self.tokens = prompt + transcript.ids
        self.most = _most(params, len(prompt), limit)
        self.phase = Phase.WAITING
        self.region: Region | None = None
        self.reused: int | None = None
        self.cancelled = False
        self._tell = tell
        self._began, self._first = time.perf_counter(), 0.0

    @property
    def computed(self) -> int:
        """How many tokens have their KV."""
        return len(self.region.tokens) if self.region is not None else 0

    @property
    def missing(self) -> int:
        """Tokens that go through the model before the next one can be chosen: 1 while decoding."""
        return len(self.tokens) - self.computed

    @property
    def worst_case(self) -> int:
        """Tokens in all, if the answer becomes as long as it may."""
        return self.prompt_tokens + self.most

    def placed(self, region: Region) -> None:
        self.region, self.phase = region, Phase.RUNNING
        if self.reused is None:
            self.reused = min(len(region.tokens), self.prompt_tokens)
        self.tell_progress()

    def computed_to(self, end: int) -> None:
        """The KV of the tokens before `end` is written."""
        assert self.region is not None
        self.region.tokens += self.tokens[self.computed : end]
        if end < self.prompt_tokens:
            self.tell_progress()

    def prepare_row(self) -> None:
        """The next token is about to be chosen."""
        transcript = self.transcript
        self.row.place = transcript.place
        self.row.accepts = transcript.accepts if transcript.healing else None
        self.row.fallback = transcript.fallback() if transcript.healing else ()

    def tell_progress(self) -> None:
        done = min(self.computed, self.prompt_tokens)
        status = {"kind": "status", "phase": "prefill", "done": done, "total": self.prompt_tokens}
        self._tell({**status, "reused": self.reused or 0})

    def take(self, choice: Choice, spell: Callable[[int], str]) -> None:
        """The next token was chosen; ends the sequence when it was the last."""
        if choice.error is not None:
            self.fail(choice.error)
            return
        self._first = self._first or time.perf_counter()
        self.tokens.append(choice.token)
        self.row.took(choice.token)
        try:
            text = self.transcript.append(choice.token)
        except InferenceError as error:
            self.fail(error)
            return
        if choice.logprob is not None:
            self._tell({"kind": "logprobs", "tokens": [_logprobs(choice, spell)]})
        if text:
            self._tell({"kind": "raw", "text": text})
        if self.transcript.matched or choice.token in self._ends:
            self.finish("stop")
        elif len(self.transcript.ids) >= self.most:
            self.finish("length")

    def finish(self, reason: str) -> None:
        if text := self.transcript.finish():
            self._tell({"kind": "raw", "text": text})
        if self.transcript.matched and reason == "length":
            reason = "stop"  # what was held back held it
        now = time.perf_counter()
        made = len(self.transcript.ids) - self.transcript.kept
        usage: Event = {
            "kind": "usage",
            "prompt_tokens": self.prompt_tokens,
            "reused_tokens": self.reused or 0,
            "completion_tokens": len(self.transcript.ids),
            "ttft_ms": round(((self._first or now) - self._began) * 1000, 1),
            "tokens_per_second": round(made / max(now - self._began, 1e-6), 1),
        }
        self._tell(usage)
        self._end({"kind": "finished", "reason": reason})

    def fail(self, error: InferenceError) -> None:
        if self.phase is not Phase.ENDED:
            self._end(error.to_event())

    def _end(self, event: Event) -> None:
        self.phase = Phase.ENDED
        self._tell(event)


@dataclass(frozen=True)
class Opener:
    """Makes sequences of requests, for one loaded model. `limit`: tokens of prompt and answer together."""

    tokenizer: Any
    ends: frozenset[int]
    vocabulary: int
    limit: int

    def open(self, request: GenerateRequest, prompt: Prompt, tell: Tell) -> Sequence:
        """May take a second (a grammar is compiled, a long prefix encoded): not for an event loop.
        Raises invalid_request, context_too_long, cannot_continue."""
        if len(prompt.ids) + 1 > self.limit:
            extra = {"tokens": len(prompt.ids), "limit": self.limit}
            message = f"The conversation has {len(prompt.ids)} tokens, the model takes {self.limit}."
            raise InferenceError("context_too_long", message, extra=extra)
        params = SamplingParams.of(request, self.vocabulary)
        stops = (*params.stop, *prompt.stops)
        transcript = Transcript(self.tokenizer, self.ends, request.prefix, stops)
        most = _most(params, len(prompt.ids), self.limit)
        mask = grammar.mask_for(self.tokenizer, self.ends, request, most, prompt.reasoning_open)
        row = SamplerRow(params, prompt.ids, mask)
        for token in transcript.ids:
            row.took(token)
        return Sequence(
            id=request.id,
            user=request.user,
            prompt=prompt.ids,
            params=params,
            ends=self.ends,
            transcript=transcript,
            row=row,
            limit=self.limit,
            tell=tell,
        )


def _most(params: SamplingParams, prompt: int, limit: int) -> int:
    """How many tokens the answer to a prompt of `prompt` tokens may have."""
    room = limit - prompt
    return room if params.max_tokens is None else min(room, params.max_tokens)


def _logprobs(choice: Choice, spell: Callable[[int], str]) -> dict[str, Any]:
    top = [{"token": spell(token), "logprob": value} for token, value in choice.top]
    return {"token": spell(choice.token), "logprob": choice.logprob, "top": top}
