"""What int8 weights cost in quality, beside float32: the quality case of benchmarks/engine.py.

In this process, with the model's own forward pass: perplexity on this repository's documents, and greedy
answers to 20 prompts.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import torch
from engine_client import Prompts
from transformers import DynamicCache

WINDOW, WINDOWS = 1024, 8
CHATS, PROMPT, NEW = 20, 200, 128


async def quality(args: argparse.Namespace, prompts: Prompts) -> dict[str, Any]:
    """Windows of 1,024 tokens; in each every token but the first counts. Greedy agreement is told three
    ways: the share of float32's tokens that the model would have chosen at their place, the share before
    the first difference of two free answers, and the number of answers that are the same to the end."""
    count = min(WINDOWS, len(prompts.ids) // WINDOW)
    text = torch.tensor(prompts.ids[: count * WINDOW]).view(count, WINDOW)
    chats = torch.tensor([prompts.render(chat) for chat in prompts.new(CHATS, PROMPT)])
    reference = _load(args.model, "float32")
    answers = _greedy(reference, chats)
    base = _perplexity(reference, text)
    del reference
    found: dict[str, Any] = {"text_tokens": text.numel(), "float32": {"perplexity": base}}
    for name in args.engines:
        if (weights := name.removeprefix("ours-")) == "float32":
            continue
        model = _load(args.model, weights)
        perplexity, free = _perplexity(model, text), _greedy(model, chats)
        same = (free == answers).long().cumprod(1)  # up to the first difference
        found[weights] = {
            "perplexity": perplexity,
            "perplexity_change": perplexity / base - 1,
            "agreement_at_float32s_tokens": _agreement(model, chats, answers),
            "agreement_before_first_difference": same.float().mean().item(),
            "answers_the_same": int(same[:, -1].sum()),
            "answers": CHATS,
        }
        del model
    return found


def _load(folder: Path, weights: str) -> Any:
    from inference.engines.checkpoint import load
    from inference.engines.packed.weights import prepare
    from inference.protocol import ModelSpec

    spec = ModelSpec("quality", "quality", "transformers", {"kind": "folder", "path": str(folder)},
                     {"dtype": weights})  # fmt: skip
    model = load(spec, lambda progress: None).model
    if weights != "float32":
        prepare(model, weights)
    return model


@torch.inference_mode()
def _perplexity(model: Any, text: torch.Tensor) -> float:
    """`text`: token ids [windows, tokens]."""
    lost = 0.0
    for window in text:
        logits = model(window[None]).logits[0, :-1].float()
        lost += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
    return math.exp(lost / text[:, 1:].numel())


@torch.inference_mode()
def _greedy(model: Any, chats: torch.Tensor) -> torch.Tensor:
    """Token ids [chats, NEW]: each the likeliest after those before; the end token is one like others."""
    cache = DynamicCache(config=model.config)
    step = model(chats, cache=cache, use_cache=True, logits_to_keep=1)
    chosen = [step.logits[:, -1].argmax(-1, keepdim=True)]
    while len(chosen) < NEW:
        step = model(chosen[-1], cache=cache, use_cache=True)
        chosen.append(step.logits[:, -1].argmax(-1, keepdim=True))
    return torch.cat(chosen, 1)


@torch.inference_mode()
def _agreement(model: Any, chats: torch.Tensor, answers: torch.Tensor) -> float:
    hits = 0
    for chat, answer in zip(chats, answers, strict=True):
        logits = model(torch.cat([chat, answer])[None], logits_to_keep=NEW + 1).logits[0, :-1]
        hits += int((logits.argmax(-1) == answer).sum())
    return hits / answers.numel()
