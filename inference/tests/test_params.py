"""Sampling params: what is taken, and what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from inference.engines.packed.params import SamplingParams
from inference.errors import InferenceError
from inference.protocol import GenerateRequest

NAN, INF = float("nan"), float("inf")


def params_of(params: dict[str, Any], vocabulary: int = 100) -> SamplingParams:
    return SamplingParams.of(GenerateRequest("request 1", [], params), vocabulary)


def test_without_params_the_defaults_hold_and_the_seed_is_the_requests_id() -> None:
    assert params_of({}) == SamplingParams(seed="request 1")


def test_null_is_the_default() -> None:
    names = ["temperature", "top_k", "top_p", "seed", "stop", "logit_bias", "logprobs", "max_tokens"]
    assert params_of(dict.fromkeys(names)) == params_of({})


def test_params_of_others_are_left_to_them() -> None:
    assert params_of({"thinking": True, "response_format": {"type": "json_object"}, "echo": 5}) == params_of(
        {}
    )


def test_everything_that_is_given_is_taken() -> None:
    params = params_of(
        {
            "temperature": 1, "top_k": 40, "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 1.2,
            "presence_penalty": -1, "seed": 7, "stop": ["a", "b"], "logit_bias": {"3": 5, 4: -1.5},
            "logprobs": 5, "max_tokens": 12, "ignore_eos": True,
        }
    )  # fmt: skip
    assert params == SamplingParams(
        1.0, 40, 0.9, 0.1, 1.2, -1.0, "7", ("a", "b"), {3: 5.0, 4: -1.5}, 5, 12, True
    )


def test_one_stop_string_is_a_list_of_one() -> None:
    assert params_of({"stop": "END"}).stop == ("END",)


@pytest.mark.parametrize(("given", "taken"), [(True, 0), (False, None), (0, 0), (20, 20)])
def test_logprobs_is_a_switch_or_a_count(given: Any, taken: int | None) -> None:
    assert params_of({"logprobs": given}).logprobs == taken


def test_a_bias_beyond_a_hundred_counts_as_a_hundred() -> None:
    given = {"1": 1e300, "2": -INF, "3": 10**400}
    assert params_of({"logit_bias": given}).logit_bias == {1: 100.0, 2: -100.0, 3: 100.0}


WRONG: dict[str, list[Any]] = {
    "temperature": [-0.1, 5.1, NAN, INF, "1", True, [1], 10**400],
    "top_p": [-0.1, 1.1, NAN, -INF, "x", {}],
    "min_p": [-1, 2, NAN, False],
    "repetition_penalty": [0, 11, NAN, INF, "1.1"],
    "presence_penalty": [-3, 3, NAN, []],
    "top_k": [-1, 1.5, 40.0, "40", True, 10**9, NAN],
    "max_tokens": [0, -5, 1.0, "10", True, 10**30],
    "seed": [1.5, True, [1], 2**64, "x" * 257, NAN],
    "stop": ["", ["a", ""], [1], ["x"] * 17, 5, {"a": 1}, [None]],
    "logprobs": [-1, 21, 1.0, "5", [3], NAN],
    "logit_bias": [
        [1], "x", {"100": 1}, {"-1": 1}, {-1: 1}, {100: 1}, {"1": "2"}, {"1": None}, {"1": True}, {"1": NAN},
        {"a": 1}, {"": 1}, {" 1": 1}, {"٣": 1}, {1.0: 1}, {True: 1}, {"9" * 5000: 1},
    ],
    "ignore_eos": [1, "yes", []],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_rubbish_is_refused_by_the_fields_name(name: str, value: Any) -> None:
    with pytest.raises(InferenceError) as caught:
        params_of({"max_tokens": 5, name: value})
    assert caught.value.code == "invalid_request"
    assert not caught.value.retryable
    assert caught.value.extra == {"field": name}
    assert name in caught.value.message
