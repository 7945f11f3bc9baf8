"""The body of a file over HTTP: Range, and everything that can go wrong on the way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from aiohttp import web

from tests.fake_hub.faults import Fault, Faults

_CHUNK = 64 * 1024


async def send(
    request: web.Request,
    content: Path | bytes,
    *,
    name: str,
    headers: dict[str, str],
    faults: Faults,
    sent: Callable[[int], None],
) -> web.StreamResponse:
    """Answer with (a part of) `content`. `name` is what faults match; `sent` hears of bytes that went out."""
    if found := faults.take("file", name, "status", "silent", "redirect"):
        return await refuse(request, found)
    size = _size(content)
    start, end = 0, size
    asked = _range(request.headers.get("Range", ""), size)
    if asked == "beyond":
        return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
    partial = isinstance(asked, tuple) and not faults.take("file", name, "no_range")
    if isinstance(asked, tuple) and partial:
        start, end = asked
        if faults.take("file", name, "wrong_range"):
            start, end = 0, end - start
    answer = web.StreamResponse(status=206 if partial else 200, headers={**headers, "Accept-Ranges": "bytes"})
    answer.content_type = "application/octet-stream"
    answer.content_length = end - start
    if partial:
        answer.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    if request.method == "HEAD":
        return answer
    await answer.prepare(request)
    await _body(request, answer, content, start, end, _Wrong(faults, name), sent)
    return answer


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


async def refuse(request: web.Request, fault: Fault) -> web.StreamResponse:
    if fault.kind == "redirect":
        return web.Response(status=302, headers={"Location": fault.to})
    if fault.kind == "silent":
        await _for_ever(request)
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return web.json_response({"error": "on demand"}, status=fault.status, headers=headers)


class _Wrong:
    """The faults of one body, each taken once."""

    def __init__(self, faults: Faults, name: str) -> None:
        self.cut = faults.take("file", name, "cut")
        self.stall = faults.take("file", name, "stall")
        self.throttle = faults.take("file", name, "throttle")
        self.bytes = faults.take("file", name, "wrong_bytes")

    def chunk(self, at: int, done: int) -> int:
        """How much to send next: never past a point where something happens."""
        size = _CHUNK if self.throttle is None else max(1, min(_CHUNK, self.throttle.rate // 20))
        for fault in (self.cut, self.stall):
            if fault is not None:
                size = min(size, fault.after - done)
        return size

    def changed(self, data: bytes, at: int) -> bytes:
        if self.bytes is None or not at <= self.bytes.after < at + len(data):
            return data
        spot = self.bytes.after - at
        return data[:spot] + bytes([data[spot] ^ 0xFF]) + data[spot + 1 :]


async def _body(
    request: web.Request,
    answer: web.StreamResponse,
    content: Path | bytes,
    start: int,
    end: int,
    wrong: _Wrong,
    sent: Callable[[int], None],
) -> None:
    stream: IO[bytes] | None = None if isinstance(content, bytes) else content.open("rb")
    try:
        at = start
        while at < end:
            size = min(wrong.chunk(at, at - start), end - at)
            if size <= 0:
                await _end(request, wrong)
                return
            if stream is not None:
                stream.seek(at)
            data = stream.read(size) if stream is not None else bytes(content[at : at + size])  # type: ignore[index]
            await answer.write(wrong.changed(data, at))
            at += len(data)
            sent(len(data))
            if wrong.throttle is not None:
                await asyncio.sleep(size / wrong.throttle.rate)
        await answer.write_eof()
    finally:
        if stream is not None:
            stream.close()


async def _end(request: web.Request, wrong: _Wrong) -> None:
    if wrong.stall is not None:
        await _for_ever(request)
    elif request.transport is not None:
        # Closing flushes what was written, and then the body is shorter than was promised.
        request.transport.close()


async def _for_ever(request: web.Request) -> Any:
    """Until the client goes or the hub stops."""
    await asyncio.Event().wait()


def _range(header: str, size: int) -> tuple[int, int] | str | None:
    """[start, end) of a single range; "beyond" when it begins after the end; None: the whole."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if found is None or found.group(0) == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    if int(first) >= size:
        return "beyond"
    return int(first), min(size, int(last) + 1) if last else size
