"""The sampling params of one request, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inference.errors import InferenceError
from inference.protocol import GenerateRequest

STOPS, LOGPROBS, BIAS = 16, 20, 100.0
_FLOATS: dict[str, tuple[float, float]] = {
    "temperature": (0, 5),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "repetition_penalty": (0.1, 10),
    "presence_penalty": (-2, 2),
}
_INTEGERS = {"top_k": (0, 1_000_000), "max_tokens": (1, 1_000_000)}


@dataclass(frozen=True)
class SamplingParams:
    """How the tokens of one answer are chosen.

    The ranges are those that the web side allows (`conversations.params`): OpenAI's where OpenAI has the
    param, with temperature up to 5, and transformers' for the rest. 0 is "off" for top_k, min_p and
    presence_penalty, 1 for top_p and repetition_penalty; temperature 0 is greedy, top_p 0 leaves only the
    most likely tokens.
    """

    temperature: float = 0.7
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    seed: str = ""
    stop: tuple[str, ...] = ()
    logit_bias: Mapping[int, float] = field(default_factory=dict)  # token id -> -100..100
    logprobs: int | None = None  # None: none; n >= 0: of the chosen token and of the n most likely ones
    max_tokens: int | None = None
    ignore_eos: bool = False  # for load tests: answers of a known length

    @classmethod
    def of(cls, request: GenerateRequest, vocabulary: int) -> SamplingParams:
        """The params of `request` for a model of `vocabulary` token ids; null is the default, other names
        (thinking, response_format, ...) are left to those whom they concern.

        Raises InferenceError invalid_request with ``extra {"field": name}``.
        """
        given = {name: value for name, value in request.params.items() if value is not None}
        values: dict[str, Any] = {}
        for name, (low, high) in _FLOATS.items():
            if name in given:
                values[name] = float(_number(name, given[name], low, high))
        for name, (least, most) in _INTEGERS.items():
            if name in given:
                values[name] = _integer(name, given[name], least, most)
        return cls(
            **values,
            seed=_seed(given.get("seed", request.id)),
            stop=_stop(given.get("stop", ())),
            logit_bias=_logit_bias(given.get("logit_bias", {}), vocabulary),
            logprobs=_logprobs(given.get("logprobs", False)),
            ignore_eos=_flag("ignore_eos", given.get("ignore_eos", False)),
        )


def _refused(name: str, wanted: str) -> InferenceError:
    return InferenceError("invalid_request", f"{name} is {wanted}.", extra={"field": name})


def _number(name: str, value: Any, low: float, high: float) -> float:
    # The comparison is false for NaN, so that it is refused, too.
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise _refused(name, f"a number from {low} to {high}")


def _integer(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise _refused(name, f"a whole number from {least} to {most}")


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _refused(name, "true or false")


def _seed(value: Any) -> str:
    if isinstance(value, str) and len(value) <= 256:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64:
        return str(value)
    raise _refused("seed", "a whole number of 64 bits or a text of at most 256 characters")


def _stop(value: Any) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else value
    if (
        isinstance(stops, list | tuple)
        and len(stops) <= STOPS
        and all(isinstance(s, str) and s for s in stops)
    ):
        return tuple(stops)
    raise _refused("stop", f"a text or a list of at most {STOPS} texts, none of them empty")


def _logprobs(value: Any) -> int | None:
    if isinstance(value, bool):
        return 0 if value else None
    return _integer("logprobs", value, 0, LOGPROBS)


def _logit_bias(value: Any, vocabulary: int) -> dict[int, float]:
    """JSON has only strings as keys, so ids come as strings, too. Values beyond +-100 count as that."""
    wanted = f"an object of numbers by token id, each id below {vocabulary}"
    if not isinstance(value, Mapping):
        raise _refused("logit_bias", wanted)
    biases = {}
    for key, bias in value.items():
        if isinstance(key, str) and re.fullmatch("[0-9]{1,9}", key):
            key = int(key)
        known = isinstance(key, int) and not isinstance(key, bool) and 0 <= key < vocabulary
        number = isinstance(bias, int | float) and not isinstance(bias, bool)
        if not known or not number or bias != bias:  # NaN is not itself
            raise _refused("logit_bias", wanted)
        biases[int(key)] = float(max(-BIAS, min(BIAS, bias)))
    return biases
