"""From a model's raw text to typed parts: ``<think>…</think>`` becomes reasoning, the rest text.

A state machine over text. What it puts out is the same under every chunking of the same input, and what it
holds back (half a marker, white space that a marker may follow) is in no event's ``raw`` either: all raw put
out so far, given to a new machine as prefix, is the same state again.
"""

from __future__ import annotations

from inference.protocol import Event

OPEN, CLOSE = "<think>", "</think>"


class Normaliser:
    def __init__(self, reasoning_open: bool = False, prefix: str = "") -> None:
        self._kind = "reasoning" if reasoning_open else "text"
        self._at_start = reasoning_open  # white space right after a marker belongs to neither part
        self._seen_text = False
        self._buffer = ""
        self._raw = ""  # consumed since the last event
        self._known = 0
        if prefix:
            self.feed(prefix)
            self._raw = ""
            # What is held back from the prefix was put out before: it must not be in raw again.
            self._known = len(self._buffer)

    def feed(self, text: str) -> list[Event]:
        if not text:
            return []
        # The usual case, and it has to be cheap: plain text that can hold no marker.
        plain = self._kind == "text" and not self._buffer and not self._at_start and "<" not in text
        if plain and (self._seen_text or not text.isspace()):
            self._seen_text = True
            raw, self._raw = self._raw + text, ""
            return [{"kind": "text", "text": text, "raw": raw}]
        self._buffer += text
        return self._advance(final=False)

    def finish(self) -> list[Event]:
        """What was held back, as the text it turned out to be."""
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
            marker = CLOSE if self._kind == "reasoning" else OPEN
            at = self._find(marker)
            if at >= 0:
                self._emit(self._buffer[:at].rstrip() if marker == CLOSE else self._buffer[:at], at, events)
                self._consume(len(marker))
                self._kind = "reasoning" if marker == OPEN else "text"
                self._at_start = True
                continue
            keep = 0 if final else self._held(marker)
            end = len(self._buffer) - keep
            if not end:
                break
            self._emit(self._buffer[:end], end, events)
            if keep or final:
                break
        return events

    def _find(self, marker: str) -> int:
        """Only a reply that begins with ``<think>`` reasons; later the same letters are a word about it."""
        at = self._buffer.find(marker)
        if marker == OPEN and at >= 0 and (self._seen_text or self._buffer[:at].strip()):
            return -1
        return at

    def _held(self, marker: str) -> int:
        """How many characters at the end may be the begin of `marker`, with white space before it."""
        buffer = self._buffer
        if marker == OPEN and (self._seen_text or not marker.startswith(buffer.strip()[: len(marker)])):
            return 0
        for size in range(min(len(marker) - 1, len(buffer)), 0, -1):
            if marker.startswith(buffer[-size:]):
                break
        else:
            size = 0
        head = buffer[: len(buffer) - size]
        return size + len(head) - len(head.rstrip())

    def _emit(self, text: str, length: int, events: list[Event]) -> None:
        text = text[min(self._known, length) :]  # the rest was put out before, as text too
        self._consume(length)
        if not text or (self._kind == "text" and not self._seen_text and text.isspace()):
            return
        if self._kind == "text":
            self._seen_text = True
        raw, self._raw = self._raw, ""
        events.append({"kind": self._kind, "text": text, "raw": raw})

    def _consume(self, length: int) -> None:
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        known = min(self._known, length)
        self._known -= known
        self._raw += taken[known:]
