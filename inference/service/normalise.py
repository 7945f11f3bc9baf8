"""From a model's raw text to typed parts: ``<think>…</think>`` becomes reasoning, a block of tool calls
becomes calls, the rest text.

A state machine over text. What it puts out is the same under every chunking of the same input, and what it
holds back (half a marker, white space that a marker may follow, a call that is not whole) is in no event's
``raw`` either: all raw put out so far, given to a new machine as prefix, is the same state again.
"""

from __future__ import annotations

from inference.protocol import Event
from inference.service.tool_parsers import CallReader

OPEN, CLOSE = "<think>", "</think>"
# What may stand behind the last call of a block without being text.
_BLANK = " \t\r\n[],;"


class Normaliser:
    """`calls`: reads tool calls; without it their markers are text. Inside reasoning they always are
    reasoning. What looks like calls and is none becomes text, markers included."""

    def __init__(
        self, reasoning_open: bool = False, prefix: str = "", calls: CallReader | None = None
    ) -> None:
        self._kind = "reasoning" if reasoning_open else "text"  # or "calls": the buffer begins with a block
        self._at_start = reasoning_open  # white space right after a marker belongs to neither part
        self._seen_text = False
        self._buffer = ""
        self._raw = ""  # consumed since the last event
        self._known = 0
        self._calls = calls
        self._begin = 0  # of a block's body in the buffer
        self._searched = 0  # up to here a block holds no marker that closes it
        if prefix:
            self.feed(prefix)
            self._raw = ""
            # What is held back from the prefix was put out before: it must not be in raw again.
            self._known = len(self._buffer)

    def feed(self, text: str) -> list[Event]:
        if not text:
            return []
        # The usual case, and it has to be cheap: plain text that can hold no marker.
        if (
            self._seen_text
            and not self._buffer
            and "<" not in text
            and self._kind == "text"
            and not self._at_start
            and (self._calls is None or self._calls.is_plain(text))
        ):
            raw, self._raw = self._raw + text, ""
            return [{"kind": "text", "text": text, "raw": raw}]
        self._buffer += text
        return self._advance(final=False)

    def finish(self) -> list[Event]:
        """What was held back, as what it turned out to be."""
        events = self._advance(final=True)
        if self._raw:
            # A marker at the very end made no part of its own; its raw text must not be lost.
            events.append({"kind": self._kind, "text": "", "raw": self._raw})
            self._raw = ""
        return events

    def _advance(self, final: bool) -> list[Event]:
        events: list[Event] = []
        while self._buffer:
            if self._at_start:
                stripped = self._buffer.lstrip()
                self._consume(len(self._buffer) - len(stripped))
                if not stripped:
                    break
                self._at_start = False
            if self._kind == "calls":
                if not self._block(final, events):
                    break
                continue
            marker, at = self._find()
            if at >= 0:
                self._turn(marker, at, events)
                continue
            keep = 0 if final else self._held()
            end = len(self._buffer) - keep
            if not end:
                break
            self._emit(self._buffer[:end], end, events)
            if keep or final:
                break
        return events

    # Markers

    def _find(self) -> tuple[str, int]:
        """The first marker in the buffer and its place, or -1. Only a reply that begins with ``<think>``
        reasons; later the same letters are a word about it."""
        buffer, calls = self._buffer, self._calls
        if self._kind == "reasoning":
            return CLOSE, buffer.find(CLOSE)
        if not self._seen_text:
            stripped = buffer.lstrip()
            for marker in (OPEN, calls.format.bare if calls else ""):
                if marker and stripped.startswith(marker):
                    return marker, len(buffer) - len(stripped)
        return (calls.format.open, buffer.find(calls.format.open)) if calls else ("", -1)

    def _turn(self, marker: str, at: int, events: list[Event]) -> None:
        """At `at` another part begins; white space before it belongs to neither."""
        head = self._buffer[:at].rstrip()
        if marker in (OPEN, CLOSE):
            self._emit(head, at, events)
            self._consume(len(marker))
            self._kind, self._at_start = ("reasoning" if marker == OPEN else "text"), True
        else:
            # The space stays in the buffer: it is text again if the block holds no calls.
            self._emit(head, len(head), events)
            assert self._calls is not None
            opened = marker == self._calls.format.open  # else the body itself begins here
            self._kind, self._searched = "calls", 0
            self._begin = at - len(head) + len(marker) if opened else 0

    def _held(self) -> int:
        """How many characters at the end may be the begin of a marker, with white space before it."""
        buffer = self._buffer
        if self._kind == "text":
            if not self._seen_text and OPEN.startswith(buffer.strip()):
                return len(buffer)
            if self._calls is None:
                return 0
            marker = self._calls.format.open
        else:
            marker = CLOSE
        head = buffer[: len(buffer) - _begun(buffer, marker)]
        return len(buffer) - len(head.rstrip())

    # Calls

    def _block(self, final: bool, events: list[Event]) -> bool:
        """Take the block that the buffer begins with; False when it is not whole yet."""
        assert self._calls is not None
        form, buffer, begin = self._calls.format, self._buffer, self._begin
        if not self._searched:
            first = buffer[begin:].lstrip()[:1]
            if not first and not final:
                return False
            if first not in form.starts:
                return self._no_calls(events)
            self._searched = max(begin, 1)
        end = buffer.find(form.close, self._searched) if form.close else -1
        if end < 0 and not final:
            self._searched = max(self._searched, len(buffer) - len(form.close))
            return False
        whole = end + len(form.close) if end >= 0 else len(buffer)
        body = buffer[begin : end if end >= 0 else whole]
        calls = list(self._calls.read(body))
        if not calls:
            return self._no_calls(events)
        rest = body[calls[-1][1] :].strip(_BLANK)
        known, at = self._known, 0
        for number, (event, stop) in enumerate(calls, 1):
            told = begin + stop <= known
            stop = whole if number == len(calls) and not rest else begin + stop
            self._consume(stop - at)
            at = stop
            if not told:
                raw, self._raw = self._raw, ""
                events.append({**event, "raw": raw})
        self._kind, self._seen_text, self._at_start = "text", True, True
        return True

    def _no_calls(self, events: list[Event]) -> bool:
        """The marker is text, and so is what follows, as far as it holds no other."""
        self._kind = "text"
        self._emit(self._buffer[: self._begin], self._begin, events)
        self._seen_text = True
        return True

    # Output

    def _emit(self, text: str, length: int, events: list[Event]) -> None:
        new = text[min(self._known, length) :]  # the rest was put out before, as text too
        self._consume(length)
        if self._kind == "text" and not self._seen_text:
            if not text.strip():
                return
            self._seen_text = True
        if not new:
            return
        raw, self._raw = self._raw, ""
        events.append({"kind": self._kind, "text": new, "raw": raw})

    def _consume(self, length: int) -> None:
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        known = min(self._known, length)
        self._known -= known
        self._raw += taken[known:]


def _begun(text: str, marker: str) -> int:
    """How many characters at the end of `text` are the begin of `marker`."""
    for size in range(min(len(marker) - 1, len(text)), 0, -1):
        if marker.startswith(text[-size:]):
            return size
    return 0
