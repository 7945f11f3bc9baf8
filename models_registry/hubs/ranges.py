"""A few bytes of a file on a hub, over plain HTTP; downloads do not come here."""

from __future__ import annotations

from models_registry.hubs import failures, limits
from models_registry.hubs.calls import left

_CHUNK = 256 * 1024


def fetch(title: str, name: str, url: str, headers: dict[str, str], start: int, end: int) -> bytes:
    """The bytes [start, end) behind `url`, fewer at the file's end.

    Raises AppError, requests' errors, TimeoutError.

    A server that ignores Range is read from the beginning; one that answers another range is not believed.
    The library takes Authorization off when a redirect leads to another host.
    """
    import requests

    if not 0 <= start <= end <= start + limits.LONGEST_READ:
        raise ValueError(f"no range: {start} to {end}")
    if start == end:
        return b""
    asked = headers | {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
    with requests.Session() as session:
        session.max_redirects = 5
        waits = (limits.CONNECT, min(limits.SILENCE, left()))
        with session.get(url, headers=asked, stream=True, timeout=waits) as answer:
            if answer.status_code == 416:
                return b""
            _check(title, name, answer)
            skip = start if answer.status_code == 200 else 0
            if answer.status_code == 206 and not _begins(answer.headers.get("Content-Range", ""), start):
                raise failures.odd(title)
            if skip + end - start > limits.LONGEST_READ:
                raise failures.odd(title)
            return _read(answer, skip, end - start)


def _read(answer: object, skip: int, length: int) -> bytes:
    data = bytearray()
    for chunk in answer.iter_content(_CHUNK):  # type: ignore[attr-defined]
        left()
        data += chunk
        if len(data) >= skip + length:
            break
    return bytes(data[skip : skip + length])


def _begins(content_range: str, start: int) -> bool:
    return content_range.replace(" ", "").lower().startswith(f"bytes{start}-")


def _check(title: str, name: str, answer: object) -> None:
    status: int = answer.status_code  # type: ignore[attr-defined]
    headers: dict[str, str] = answer.headers  # type: ignore[attr-defined]
    if status in (200, 206):
        return
    if status == 404 or headers.get("X-Error-Code") == "RepoNotFound":
        raise failures.not_found(title, name)
    if status in (401, 403):
        raise failures.gated(title, name)
    if status == 429:
        raise failures.busy(title, seconds(headers.get("Retry-After")))
    raise failures.odd(title)


def seconds(retry_after: str | None) -> float | None:
    """Retry-After is a number of seconds, or a date, which is not read."""
    try:
        return float(retry_after) if retry_after else None
    except ValueError:
        return None
