"""Random schedules for the packed engine's loop, and what the library itself answers to the same prompts."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

from inference.engines import checkpoint
from inference.engines.packed import support
from inference.engines.packed.cache import KVCache, LayerShape
from inference.engines.packed.loop import EngineLoop
from inference.engines.packed.params import SamplingParams
from inference.engines.packed.request import Sequence
from inference.engines.packed.runner import ModelRunner
from inference.engines.packed.sampler import SamplerRow
from inference.engines.packed.scheduler import Scheduler
from inference.engines.packed.weights import prepare
from inference.engines.transcript import Transcript
from inference.protocol import Event, ModelSpec

#: Where the library's own best two tokens are nearer than this, either may be taken.
GAP = 1e-4
ANSWER = 24


@dataclass(frozen=True)
class Reference:
    tokens: list[int]
    gaps: list[float]


@dataclass
class Loaded:
    """A model on the packed attention, and the prompts whose right answers are known."""

    model: Any
    tokenizer: Any
    layers: tuple[LayerShape, ...]
    prompts: list[list[int]]
    references: list[Reference] = field(default_factory=list)

    def loop(self, *, tokens: int = 4096, budget: int = 64, slots: int = 32, **options: Any) -> EngineLoop:
        memory = KVCache(self.layers, tokens, options.get("kv_dtype", self.model.dtype))
        scheduler = Scheduler(memory, budget=budget, slots=slots)
        return EngineLoop(scheduler, ModelRunner(self.model, memory, "cpu"), str)

    def sequence(
        self, prompt: list[int], max_tokens: int, *, prefix: str = "", limit: int = 512, **params: Any
    ) -> Any:
        chosen = SamplingParams(max_tokens=max_tokens, **{"temperature": 0.0, "ignore_eos": True, **params})
        events: list[Event] = []
        transcript = Transcript(self.tokenizer, frozenset(), prefix)
        made: Any = Sequence(
            id="s", user=str(len(prompt) % 3), prompt=list(prompt), params=chosen, ends=frozenset(),
            transcript=transcript, row=SamplerRow(chosen, prompt), limit=limit, tell=events.append,
        )  # fmt: skip
        made.events = events
        return made


@cache
def load(folder: Path, dtype: str = "float32") -> Loaded:
    """Raises AssertionError with the reason when the model does not take the packed path."""
    spec = ModelSpec("m", "m", "transformers", {"kind": "folder", "path": str(folder)}, {"dtype": dtype})
    loaded = checkpoint.load(spec, lambda progress: None)
    rng = random.Random(7)
    size = int(loaded.model.config.get_text_config().vocab_size)
    prompts = [[rng.randrange(size) for _ in range(rng.choice((1, 2, 7, 20, 33, 64, 100)))] for _ in range(8)]
    # Some begin like another one, as turns of a conversation do.
    prompts += [prompts[i % 8] + [rng.randrange(size) for _ in range(1 + 5 * i)] for i in range(8)]
    references = [] if dtype == "int8" else [_reference(loaded.model, prompt) for prompt in prompts]
    verdict = support.examine(loaded.model, "cpu")
    assert verdict.packs, verdict.reason
    prepare(loaded.model, dtype)
    made = Loaded(loaded.model, loaded.tokenizer, verdict.layers, prompts, references)
    if not references:
        made.references = [alone(made, prompt) for prompt in prompts]
    return made


def _reference(model: Any, prompt: list[int]) -> Reference:
    """What `generate()` says, and how far apart its best two scores were at each token."""
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=ANSWER, do_sample=False,
            eos_token_id=None, pad_token_id=0, output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
    best = [logits[0].float().topk(2).values for logits in out.logits]
    return Reference(out.sequences[0, len(prompt) :].tolist(), [float(top[0] - top[1]) for top in best])


def alone(loaded: Loaded, prompt: list[int]) -> Reference:
    """What the engine says when nobody else is there. int8 has no other reference."""
    gaps: list[float] = []
    loop = loaded.loop(budget=512)
    sequence = loaded.sequence(prompt, ANSWER, logprobs=2)
    loop.scheduler.add(sequence)
    run(loop)
    for event in sequence.events:
        if event["kind"] == "logprobs":
            first, second = event["tokens"][0]["top"]
            gaps.append(first["logprob"] - second["logprob"])
    return Reference(list(sequence.transcript.ids), gaps)


def run(loop: EngineLoop, most: int = 5000) -> None:
    while not loop.scheduler.is_idle:
        loop.step()
        most -= 1
        assert most, "the loop does not come to an end"


def random_schedule(loaded: Loaded, seed: int) -> tuple[int, int]:
    """Any mix of batch, chunk size, arrival, lack of memory and cancellation. Returns how many tokens were
    compared, and at how many ties the other one was taken. Raises AssertionError at a real difference."""
    rng = random.Random(seed)
    tokens, budget = rng.choice((512, 1024, 4096)), rng.choice((17, 32, 64, 200))
    loop = loaded.loop(tokens=tokens, budget=budget, slots=rng.choice((1, 3, 8, 32)))
    arrivals = []
    for _ in range(rng.randrange(2, 12)):
        which, length = rng.randrange(len(loaded.prompts)), rng.randrange(1, ANSWER + 1)
        sequence = loaded.sequence(loaded.prompts[which], length)
        arrivals.append((rng.randrange(30), which, sequence))
    arrivals.sort(key=lambda arrival: arrival[0])
    waiting, step = list(arrivals), 0
    while waiting or not loop.scheduler.is_idle:
        while waiting and waiting[0][0] <= step:
            loop.scheduler.add(waiting.pop(0)[2])
        if rng.random() < 0.03:
            rng.choice(arrivals)[2].cancelled = True
        loop.step()
        step += 1
        assert step < 5000
    compared = ties = 0
    for _, which, sequence in arrivals:
        assert sequence.events[-1]["kind"] == "finished", sequence.events[-1]
        made, reference = sequence.transcript.ids, loaded.references[which]
        if not sequence.cancelled:
            assert len(made) == sequence.most
        for token, right, gap in zip(made, reference.tokens, reference.gaps, strict=False):
            compared += 1
            if token != right:
                assert gap < GAP, f"seed {seed}: token {token} for {right} at a gap of {gap}"
                ties += 1
                break  # what follows another token is another text
    assert loop.scheduler._cache.busy_tokens == 0
    return compared, ties
