"""How a JSON text that is running out of room is brought to its end.

The way to the end is found by trying: on a copy of the matcher the tokens are taken that close most, and
counted. While the room is well above that count the model writes as it likes; from then on that way is taken.
This does not help where closing is no matter of brackets and quotes: a pattern like "[a-z]+@" may be led on
along its repetition; such an answer ends by its length.
"""

from __future__ import annotations

from typing import Any

import torch

_FURTHEST = 256  # tokens to the end, beyond which no way is looked for
_MARGIN = 32  # how many tokens further from the end one token may bring (it may open an object)
_CLOSERS = frozenset(b'"]}')


class Words:
    """A tokenizer's vocabulary as bytes; may be used from any thread."""

    def __init__(self, tokenizer: Any, ends: frozenset[int]) -> None:
        self.tokenizer, self.ends = tokenizer, sorted(ends)
        self.pieces: list[bytes] = [tokenizer.decode_bytes([i]) for i in range(tokenizer.vocab_size)]
        self._lengths = torch.tensor([len(piece) for piece in self.pieces])
        closers = [i for i, piece in enumerate(self.pieces) if piece and _CLOSERS.issuperset(piece)]
        closers.sort(key=lambda i: -len(self.pieces[i]))
        self.quotes = [i for i in closers if self.pieces[i].startswith(b'"')]
        self.brackets = [i for i in closers if b'"' not in self.pieces[i]]
        self.quote = [i for i in closers if self.pieces[i] == b'"']

    def allowed(self, bits: bytes) -> torch.Tensor:
        """A mask of one bit per token, the lowest first, as bools."""
        packed = torch.frombuffer(bytearray(bits), dtype=torch.uint8)
        return (
            (packed[:, None] >> torch.arange(8, dtype=torch.uint8) & 1).flatten()[: len(self.pieces)].bool()
        )

    def closing(self, bits: bytes, in_string: bool) -> int | None:
        """Of the tokens in `bits` the one that leads to the end; None when there are none."""
        likely = [*self.ends, *(self.quotes if in_string else [*self.brackets, *self.quote])]
        for token in likely:
            if bits[token >> 3] >> (token & 7) & 1:
                return token
        # What has to be written: the rest of a key or of an enum's value. The longest piece is most of it.
        allowed = self.allowed(bits)
        return int((self._lengths * allowed).argmax()) if bool(allowed.any()) else None


class _Quotes:
    """Whether a JSON text is inside a string."""

    def __init__(self, inside: bool = False, escaped: bool = False) -> None:
        self.inside, self._escaped = inside, escaped

    def copy(self) -> _Quotes:
        return _Quotes(self.inside, self._escaped)

    def add(self, piece: bytes) -> None:
        for byte in piece:
            if self._escaped:
                self._escaped = False
            elif byte == ord('"'):
                self.inside = not self.inside
            else:
                self._escaped = self.inside and byte == ord("\\")


class Closing:
    """Watches the room of one answer; `most` tokens, None: without end."""

    def __init__(self, matcher: Any, words: Words, most: int | None) -> None:
        self.count = 0  # tokens so far
        self.error = ""  # of the matcher, on the last way that was tried
        self._matcher, self._words, self._most = matcher, words, most
        self._quotes = _Quotes()
        self._look_at, self._now = 0, False

    def took(self, token: int) -> None:
        self.count += 1
        self._quotes.add(self._words.pieces[token])

    def token(self, bits: bytes) -> int | None:
        """The token that has to come now, of those in `bits`; None while there is room."""
        if self._most is None:
            return None
        if not self._now and self.count >= self._look_at:
            self._look(self._most - self.count)
        return self._words.closing(bits, self._quotes.inside) if self._now else None

    def _look(self, room: int) -> None:
        way = self.way()
        if way is None:
            self._look_at = self.count + _MARGIN
            return
        spare = room - way - _MARGIN
        self._now = spare <= 0
        # One token takes itself from the room, and may make the way longer by the margin.
        self._look_at = self.count + 1 + spare // (_MARGIN + 1)

    def way(self) -> int | None:
        """How many tokens it takes from here to the end, the end token included; None: none was found."""
        matcher, quotes = self._matcher.deep_copy(), self._quotes.copy()
        for count in range(1, _FURTHEST + 1):
            token = self._words.closing(matcher.compute_bitmask(), quotes.inside)
            if token in self._words.ends:
                return count
            if token is None or not matcher.consume_token(token):
                break
            quotes.add(self._words.pieces[token])
        self.error = str(matcher.get_error())
        return None
