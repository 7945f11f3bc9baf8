"""What a tool-call format is, and the JSON that most of them are made of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from inference.protocol import Tools

_BETWEEN = re.compile(r"[\s\[\],;]*")
_DECODER = json.JSONDecoder()


class Call(NamedTuple):
    name: str
    arguments: dict[str, Any]
    end: int  # where it ends in the body


@dataclass(frozen=True)
class ToolFormat:
    """Two markers, and what stands between them.

    `read(body, tools)` gives the calls that `body` begins with and stops, without an error, at the first
    thing that is none. So the calls of a body that was cut off are the first of the whole body's: an answer
    that goes on later knows which of them were told already.
    """

    open: str
    close: str  # empty: only the answer's end closes
    read: Callable[[str, Tools], list[Call]]
    starts: str  # the characters a body may begin with, so that the marker as a word holds nothing back
    bare: str = ""  # opens too, without a marker, where the answer begins with it


def json_calls(body: str, tools: Tools) -> list[Call]:
    """``{"name", "arguments"}`` objects, alone, in a list, or one after the other."""
    calls: list[Call] = []
    at = _skip(body, 0)
    while at < len(body):
        try:
            value, at = json_object(body, at)
            calls.append(Call(*_name_and_arguments(value), at))
        except ValueError:
            break
        at = _skip(body, at)
    return calls


def named_calls(body: str, head: re.Pattern[str], tail: re.Pattern[str]) -> list[Call]:
    """Calls whose arguments alone are JSON; the first group of `head` that matched is the name."""
    calls: list[Call] = []
    at = 0
    while found := head.match(body, at):
        try:
            arguments, end = json_object(body, found.end())
        except ValueError:
            break
        after = tail.match(body, end)
        if after is None:
            break
        at = after.end()
        calls.append(Call(str(found[found.lastindex or 1]), arguments, at))
    return calls


def json_object(text: str, at: int) -> tuple[dict[str, Any], int]:
    """The object that begins at `at`, and where it ends. Raises ValueError."""
    if text[at : at + 1] != "{":
        raise ValueError("no object")
    try:
        _, end = _DECODER.raw_decode(text, at)
    except RecursionError:
        raise ValueError("too deep") from None
    # Once more and strictly: it has to go over the wire (no NaN, no half characters, no endless integers).
    return dict(orjson.loads(text[at:end])), end


def _name_and_arguments(value: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name = value.get("name")
    arguments = value["arguments"] if "arguments" in value else value.get("parameters", "")
    if isinstance(arguments, str):  # some models write JSON inside the JSON
        arguments = orjson.loads(arguments)
    arguments = {} if arguments is None else arguments
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        raise ValueError("no call")
    return name, arguments


def _skip(body: str, at: int) -> int:
    found = _BETWEEN.match(body, at)
    return found.end() if found else at
