"""JSON from outside, read once and the same way at every door: REST, sockets, `/v1/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.utils.translation import gettext as _
from rest_framework import parsers
from rest_framework.exceptions import ParseError

#: Lists and objects inside each other. What we answer with wraps it in a few more; writers have limits, too.
DEEPEST = 100


def json_read(text: bytes | str) -> Any:
    """Raises ValueError with a sentence for people.

    Stricter than `json.loads`: no NaN, nothing past a double, no lone surrogates (which no database and no
    answer could hold later), UTF-8 only, and no deeper than DEEPEST.
    """
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValueError(_("This is no JSON.")) from None
    if _deeper_than(DEEPEST, found):
        raise ValueError(_("This is nested too deeply."))
    return found


def _deeper_than(left: int, value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left < 0 or any(_deeper_than(left - 1, item) for item in inner if isinstance(item, dict | list))


class JSONParser(parsers.JSONParser):
    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            return json_read(stream.read())
        except ValueError as error:
            raise ParseError(str(error)) from None
