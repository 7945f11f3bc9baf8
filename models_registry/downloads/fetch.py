"""One GET of (the rest of) one file: redirects, Range, and what the hub's answer means."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from models_registry.downloads.addresses import Guard, headers_for
from models_registry.downloads.failure import Failure
from models_registry.downloads.storage import Part

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_CHUNK = 1 << 20


class Again(Exception):
    """It may go well the next time: in `after` seconds, where the hub says so. Else it ends as `failure`."""

    def __init__(self, failure: Failure, after: float | None = None) -> None:
        super().__init__(failure.code)
        self.failure = failure
        self.after = after


async def fetch(
    session: aiohttp.ClientSession, guard: Guard, part: Part, url: str, headers: dict[str, str]
) -> None:
    """Append what `part` lacks. Raises Again, Failure, OSError (the disk), aiohttp.ClientError, TimeoutError.

    The part ends whole, or where the connection broke. A hub that ignores Range, or answers another range,
    makes it begin anew.
    """
    if not part.in_pieces:
        part.restart()
    start = part.size
    asked = headers | {"Accept-Encoding": "identity"}
    if start:
        asked["Range"] = f"bytes={start}-"
    async with _follow(session, guard, url, asked) as answer:
        redirected = urlsplit(url).netloc != answer.url.raw_authority
        _status_check(answer, redirected=redirected, path=part.file.path)
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise Failure("hub_error")
        _place(part, answer, start)
        async for data in answer.content.iter_chunked(_CHUNK):
            if part.size + len(data) > part.file.size:
                raise Failure(
                    "wrong_size",
                    name=part.file.path,
                    said=part.file.size,
                    sent=part.size + len(data),
                )
            part.write(data)


@asynccontextmanager
async def _follow(
    session: aiohttp.ClientSession, guard: Guard, url: str, headers: dict[str, str]
) -> AsyncIterator[aiohttp.ClientResponse]:
    at = url
    for _ in range(_MOST_REDIRECTS + 1):
        guard.check(at)
        sent = headers_for(at, url, headers)
        async with session.get(_as_written(at), headers=sent, allow_redirects=False) as answer:
            if answer.status not in _REDIRECTS or "Location" not in answer.headers:
                yield answer
                return
            at = urljoin(at, answer.headers["Location"])
    raise Failure("bad_redirect", address=at[:200])


def _as_written(url: str) -> URL:
    """Signed addresses hold only as they were written."""
    plain = url.isascii() and url.isprintable() and " " not in url
    return URL(url, encoded=plain)


def _status_check(answer: aiohttp.ClientResponse, *, redirected: bool, path: str) -> None:
    status = answer.status
    if status in (200, 206, 416):
        return
    if status == 429:
        raise Again(Failure("hub_busy"), _seconds(answer.headers.get("Retry-After")))
    if status >= 500 or status in (408, 425):
        raise Again(Failure("hub_unreachable"), _seconds(answer.headers.get("Retry-After")))
    if redirected and status in (400, 401, 403, 404, 410):
        raise Again(Failure("hub_error"))  # a signed address lives for minutes; the hub gives a new one
    if status in (401, 403):
        raise Failure("repo_gated")
    if status in (404, 410):
        raise Failure("repo_not_found", name=path)
    raise Failure("hub_error")


def _place(part: Part, answer: aiohttp.ClientResponse, start: int) -> None:
    """See that what comes is what belongs at the part's end, or begin anew."""
    size = part.file.size
    if answer.status == 200:
        if start:
            part.restart()
        length = answer.content_length
        if length is not None and length != size:
            raise Failure("wrong_size", name=part.file.path, said=size, sent=length)
        return
    begins, total = _content_range(answer.headers)
    if answer.status == 416:
        part.restart()
        if total is not None and total != size:
            raise Failure("wrong_size", name=part.file.path, said=size, sent=total)
        raise Again(Failure("hub_error"), 0.0)
    if total is not None and total != size:
        raise Failure("wrong_size", name=part.file.path, said=size, sent=total)
    if begins != start or not start:
        part.restart()
        part.in_pieces = False
        raise Again(Failure("hub_error"), 0.0)


def _content_range(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """(first byte, size of the whole) of a Content-Range, None for what it does not say."""
    said = headers.get("Content-Range", "").strip().lower()
    found = re.fullmatch(r"bytes\s*(?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18}|\*)", said)
    if found is None:
        return None, None
    first, total = found.groups()
    return int(first) if first else None, int(total) if total and total != "*" else None


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After: seconds, or a date (RFC 9110, 10.2.3); None where it says neither."""
    text = (retry_after or "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
