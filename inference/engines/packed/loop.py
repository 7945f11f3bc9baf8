"""The engine loop: each step carries every running answer one token further."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch

from inference.engines.faults import typed
from inference.engines.packed.request import Sequence
from inference.engines.packed.runner import ModelRunner
from inference.engines.packed.sampler import sample
from inference.engines.packed.scheduler import Chunk, Scheduler
from inference.errors import InferenceError

log = logging.getLogger(__name__)


class EngineLoop:
    """Only one thread may call it. `spell` gives the text of a token id, for logprobs."""

    def __init__(self, scheduler: Scheduler, runner: ModelRunner, spell: Callable[[int], str]) -> None:
        self.scheduler, self.steps, self.tokens = scheduler, 0, 0
        self._runner, self._spell = runner, spell

    def step(self) -> None:
        """Never raises: what goes wrong ends the sequence it goes wrong with, or in doubt all of them."""
        try:
            self._step()
        except Exception as error:
            log.exception("a step failed")
            self.fail_all(typed(error))

    def fail_all(self, error: InferenceError) -> None:
        for sequence in self.scheduler.everyone():
            self.scheduler.poisoned(sequence)
            sequence.fail(error)
        self.scheduler.release()

    def _step(self) -> None:
        began = time.perf_counter()
        self.scheduler.release()
        chunks = self.scheduler.next()
        if not chunks:
            return
        done, logits = self._forward(chunks)
        sampling = [chunk.sequence for chunk in done if chunk.samples]
        for chunk in done:
            chunk.sequence.computed_to(chunk.begin + chunk.count)
        self._sample(sampling, logits)
        self.scheduler.release()
        self.steps += 1
        self.scheduler.took(time.perf_counter() - began, chunks)

    def _forward(self, chunks: list[Chunk]) -> tuple[list[Chunk], torch.Tensor]:
        """The chunks that went through, and the logits of those that sample."""
        try:
            return chunks, self._runner.forward(chunks)
        except Exception as error:
            if len(chunks) > 1:
                log.warning("a step failed, its sequences go on one by one", exc_info=True)
                return self._one_by_one(chunks)
            self.scheduler.poisoned(chunks[0].sequence)
            chunks[0].sequence.fail(typed(error))
            return [], torch.empty(0)

    def _one_by_one(self, chunks: list[Chunk]) -> tuple[list[Chunk], torch.Tensor]:
        """Whoever makes the model fail is found, and the others never learn of it: the same positions are
        written again with the same values."""
        done: list[Chunk] = []
        logits: list[torch.Tensor] = []
        for chunk in chunks:
            went, row = self._forward([chunk])
            done += went
            if went and chunk.samples:
                logits.append(row)
        return done, torch.cat(logits) if logits else torch.empty(0)

    def _sample(self, sequences: list[Sequence], logits: torch.Tensor) -> None:
        if not sequences:
            return
        for sequence in sequences:
            sequence.prepare_row()
        choices = sample(logits, [sequence.row for sequence in sequences], alone=True)
        for sequence, choice in zip(sequences, choices, strict=True):
            if choice.error is not None:
                self.scheduler.poisoned(sequence)
            sequence.take(choice, self._spell)
        self.tokens += len(sequences)
