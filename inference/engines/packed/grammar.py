"""Answers in a form: a JSON schema as a mask on the logits, by llguidance.

JSON is written on one line with ", " and ": ", as most of it in training data is. A model that would write on
past its room is led to the end in time (`closing.py`), so that the answer parses however small the model is.
"""

from __future__ import annotations

import json
import math
import threading
from decimal import Decimal
from typing import Any, cast

import torch

from inference.engines.packed.closing import Closing, Words
from inference.errors import InferenceError
from inference.protocol import GenerateRequest

Tensor = torch.Tensor
_LONGEST_SCHEMA = 50_000  # characters; compiling takes up to a second for as many
_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_MULTIPLES = 100_000  # all multipleOf of a schema multiplied; llguidance builds a state for each remainder
_FUEL = 50_000  # of one step, which others wait for: some 4 ms
_END_OF_REASONING = b"</think>"
_KEPT_AS = "_hearth_words"
_lock = threading.Lock()


def mask_for(
    tokenizer: Any,
    ends: frozenset[int],
    request: GenerateRequest,
    most: int | None = None,
    reasoning_open: bool = False,
) -> Grammar | None:
    """The mask that `response_format` asks for, before the first token; None: none is asked for.

    `most` is how many tokens the answer may have, those of a prefix included. With `reasoning_open` the form
    holds from </think> on. May take seconds (the first call for a tokenizer reads its vocabulary): not for
    the event loop. Raises invalid_request, also for a schema with keywords that llguidance does not know.
    """
    schema = _schema(request.params.get("response_format"))
    if schema is None:
        return None
    words = _words(tokenizer, ends)
    from llguidance import LLMatcher, LLParserLimits

    try:
        if _multiples(schema) > _MULTIPLES:
            raise _refused("multipleOf has too many digits.")
        text = json.dumps(schema)
        if len(text) > _LONGEST_SCHEMA:
            raise _refused(f"The schema is longer than {_LONGEST_SCHEMA} characters.")
        grammar = LLMatcher.grammar_from_json_schema(text, overrides=cast(Any, _STYLE))
        matcher = LLMatcher(
            words.tokenizer, grammar, log_level=0, limits=LLParserLimits(step_lexer_fuel=_FUEL)
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise _refused(f"The schema is no JSON schema: {error}") from error
    closing = Closing(matcher, words, most)
    # Here, aside, and not while others wait: a pattern that explodes does so on its way.
    closing.way()
    if problem := matcher.get_error() or closing.error:
        raise _refused(f"The schema cannot be followed: {_brief(problem)}")
    return Grammar(matcher, words, closing, reasoning_open)


class Grammar:
    """A `Mask` of one answer."""

    def __init__(self, matcher: Any, words: Words, closing: Closing, reasoning_open: bool) -> None:
        self._matcher, self._words, self._closing = matcher, words, closing
        self._bits = b""  # what was allowed last
        self._reasoning: bytes | None = b"" if reasoning_open else None

    def __call__(self, logits_row: Tensor) -> None:
        """Rules out what the form does not allow next. Raises engine_error when llguidance gives up."""
        if self._reasoning is not None:
            return
        self._bits = bits = self._matcher.compute_bitmask()
        if self._matcher.is_error():
            raise self._given_up()
        if (token := self._closing.token(bits)) is not None:
            kept = logits_row[token].clone().nan_to_num(0.0, 0.0, 0.0)
            logits_row.fill_(-torch.inf)
            logits_row[token] = kept
            return
        allowed = self._words.allowed(bits).to(logits_row.device)
        known = min(len(allowed), len(logits_row))
        logits_row[:known].masked_fill_(~allowed[:known], -torch.inf)
        logits_row[known:] = -torch.inf

    def took(self, token: int) -> None:
        """Raises cannot_continue for a token that the form does not allow: of a prefix in another form."""
        if self._reasoning is not None:
            self._closing.count += 1
            self._reasoning = (self._reasoning + self._words.pieces[token])[-100:]
            if _END_OF_REASONING in self._reasoning:
                self._reasoning = None
            return
        if not self._matcher.consume_token(token):
            if self._bits and self._bits[token >> 3] >> (token & 7) & 1:
                raise self._given_up()
            message = "The text to go on from does not have the form that is asked for."
            raise InferenceError("cannot_continue", message)
        self._closing.took(token)

    def _given_up(self) -> InferenceError:
        return InferenceError("engine_error", f"The form: {_brief(self._matcher.get_error())}")


def _schema(form: Any) -> Any:
    """The JSON schema of an OpenAI `response_format`; None for none."""
    if form is None or form == {"type": "text"}:
        return None
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "json_object":
        return {"type": "object"}
    wrapped = form.get("json_schema") if kind == "json_schema" else None
    if isinstance(wrapped, dict) and isinstance(wrapped.get("schema"), dict):
        return wrapped["schema"]
    raise _refused(
        'It is {"type": "json_object"} or {"type": "json_schema", "json_schema": {"schema": ...}}.'
    )


def _multiples(schema: Any) -> int:
    """The product of the digits, without the point, of all multipleOf in `schema`."""
    if isinstance(schema, list):
        return math.prod(_multiples(each) for each in schema)
    if not isinstance(schema, dict):
        return 1
    product = math.prod(_multiples(each) for each in schema.values())
    step = schema.get("multipleOf")
    if isinstance(step, int | float):
        digits = Decimal(step if isinstance(step, int) else str(step)).as_tuple().digits
        product *= max(1, int("0" + "".join(map(str, digits))))
    return product


def _words(tokenizer: Any, ends: frozenset[int]) -> Words:
    # Kept at the tokenizer itself, so that it goes with it; one at a time, because making it takes a second.
    with _lock:
        kept = vars(tokenizer).setdefault(_KEPT_AS, {})
        if ends not in kept:
            backend = getattr(tokenizer, "backend_tokenizer", None)
            if backend is None or not ends:
                raise _refused("This model's tokenizer cannot be held to a form.")
            from llguidance import LLTokenizer

            try:
                kept[ends] = Words(LLTokenizer(backend.to_str(), eos_token=sorted(ends)), ends)
            except ValueError as error:
                raise _refused(f"This model's tokenizer cannot be held to a form: {error}") from error
        return cast(Words, kept[ends])


def _refused(message: str) -> InferenceError:
    return InferenceError(
        "invalid_request", f"response_format: {message}", extra={"field": "response_format"}
    )


def _brief(message: str) -> str:
    """Without the parser's state, which llguidance adds below."""
    return message.split("\n<state>")[0][:300]
