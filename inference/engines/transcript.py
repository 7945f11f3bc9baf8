"""One answer's token ids and its text: what can be handed out, stop strings, and going on from a prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inference.engines.tokens import Codec, Stream
from inference.errors import InferenceError

_HEAL = 4  # tokens at the end of a prefix that are made again: the text may end inside one


class Transcript:
    """The text is what decoding all ids at once gives, without `ends` and half a character at its end.

    `ids` are the answer's tokens so far, ends included; the first `kept` stand for the begin of `prefix`. The
    rest of the prefix is made again by the model (`healing`), token by token that `accepts`. Appending costs
    the same at any length. Raises invalid_request: the prefix is not Unicode.

    A sentencepiece answer that began without a space cannot be told from one that began with a space, so its
    kept ids may differ in the first token from those the model made."""

    def __init__(
        self, tokenizer: Any, ends: frozenset[int], prefix: str = "", stops: Sequence[str] = ()
    ) -> None:
        self._codec, self._ends = Codec.of(tokenizer), ends
        self._names = [name for end in sorted(ends) if len(name := self._codec.name(end)) > 1]
        self.ids, self._stream, self._chars = self._begin(prefix)
        self.kept = len(self.ids)
        self._wanted = prefix[self._chars :].encode()  # of the prefix, to be made again
        self._tail = 0  # tokens since the text last ended with a whole character
        self._stops = _Stops(stops, prefix)
        self._held = ""  # may be the begin of a stop string
        self.matched = False

    @property
    def place(self) -> str:
        """Names where in the text the next token stands, whatever tokens the text was made of."""
        return f"{self._chars}.{self._tail}"

    @property
    def healing(self) -> bool:
        return bool(self._wanted)

    def accepts(self, token: int) -> bool:
        """Whether the text still becomes the prefix with `token` next; always when it has become it."""
        if not self._wanted:
            return True
        if token in self._ends:
            return self._stream.rest().encode() == self._wanted
        return self._stream.fits(token, self._wanted)

    def fallback(self) -> list[int]:
        """Tokens to try when the model proposes none that is accepted, the best first."""
        if not self._wanted:
            return []
        tokens: list[int] = []
        if not self._stream.pending:
            tokens = self._encode(self._wanted.decode(), inside=self._chars > 0)[:1]
        if self._wanted.startswith(made := self._stream.made) and len(made) < len(self._wanted):
            tokens += self._codec.byte_token(self._wanted[len(made)])
        return [token for token in tokens if self.accepts(token)]

    def append(self, token: int) -> str:
        """The text that can be handed out now. Raises cannot_continue: `token` was not accepted."""
        self.ids.append(token)
        text = "" if token in self._ends else self._stream.add(token)
        self._chars += len(text)
        # A token without text counts, too: else the same place, so the same noise, would choose it for ever.
        self._tail = int(self._stream.pending) if text else self._tail + 1
        return self._hand_out(self._beyond(text))

    def finish(self) -> str:
        """What was held back; a stop string may still be found in it. Half a character is left
        out: going on from the text makes it whole."""
        rest = self._stream.rest()
        if self._wanted and not rest.encode().startswith(self._wanted):
            return ""
        text = self._hand_out(self._beyond(rest)) + self._held
        self._stream, self._held = self._codec.stream(), ""
        return text

    def _begin(self, prefix: str) -> tuple[list[int], Stream, int]:
        """Ids that surely make the begin of `prefix`, the stream after them, and the length of their text."""
        if prefix:
            # Where text and tokens disagree about a space at the begin, what keeps more is right.
            ways = (False, True) if self._codec.adds_space else (False,)
            found = [self._follow(self._encode(prefix, inside)[:-_HEAL], prefix) for inside in ways]
            return max(found, key=lambda way: way[2])
        return [], self._codec.stream(), 0

    def _follow(self, ids: list[int], prefix: str) -> tuple[list[int], Stream, int]:
        stream, at = self._codec.stream(), 0
        kept, chars = 0, 0
        for count, token in enumerate(ids, start=1):
            text = stream.add(token)
            if not prefix.startswith(text, at):
                break
            at += len(text)
            if not stream.pending:
                kept, chars = count, at
        if kept < len(ids):
            stream = self._codec.stream()
            for token in ids[:kept]:
                stream.add(token)
        return ids[:kept], stream, chars

    def _encode(self, text: str, inside: bool) -> list[int]:
        """Control tokens' names become those tokens; not an end's: the text would have ended there."""
        return self._codec.encode(self._codec.pieces(text, self._names), inside)

    def _beyond(self, text: str) -> str:
        if not self._wanted:
            return text
        made = text.encode()
        if not (self._wanted.startswith(made) or made.startswith(self._wanted)):
            message = "The text to go on from is not made of this model's tokens."
            raise InferenceError("cannot_continue", message)
        beyond, self._wanted = made[len(self._wanted) :], self._wanted[len(made) :]
        return beyond.decode()

    def _hand_out(self, text: str) -> str:
        if self.matched:
            return ""
        end = self._stops.feed(text)
        self._held += text
        if self._stops.matched:
            out = self._held[: max(0, len(self._held) - len(text) + end - self._stops.matched)]
            self.matched, self._held = True, ""
            return out
        whole = max(0, len(self._held) - self._stops.open)
        out, self._held = self._held[:whole], self._held[whole:]
        return out


class _Stops:
    """Looks for strings in text that comes in parts (Knuth-Morris-Pratt: each character is seen once).

    The first string that is complete counts, the longest if several are, so the parts make no difference. One
    may begin in `before`, but not end there."""

    def __init__(self, stops: Sequence[str], before: str) -> None:
        self._stops = [(stop, _borders(stop)) for stop in stops if stop]
        self._states = [0] * len(self._stops)
        longest = max((len(stop) for stop, _ in self._stops), default=1)
        for letter in before[len(before) - min(len(before), longest - 1) :]:
            self.feed(letter)
        self.matched = 0  # length of the string that was found

    @property
    def open(self) -> int:
        """How many characters at the end may be the begin of a string."""
        return max(self._states, default=0)

    def feed(self, text: str) -> int:
        """How many characters it read; with `matched`, the string ends there."""
        first, self.matched = len(text), 0
        for index, (stop, borders) in enumerate(self._stops):
            state = self._states[index]
            if not state and stop[0] not in text:
                continue
            for end, letter in enumerate(text[:first], start=1):
                while state and (state == len(stop) or stop[state] != letter):
                    state = borders[state - 1]
                state = state + 1 if stop[state] == letter else 0
                if state == len(stop):
                    longest = self.matched if end == first else 0
                    first, self.matched = end, max(longest, len(stop))
                    break
            self._states[index] = state
        return first


def _borders(text: str) -> list[int]:
    """For each length of a begin of `text`: how much of its end is a begin of `text` again."""
    borders, state = [0] * len(text), 0
    for index in range(1, len(text)):
        while state and text[index] != text[state]:
            state = borders[state - 1]
        state += text[index] == text[state]
        borders[index] = state
    return borders
