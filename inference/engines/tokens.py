"""One tokenizer as this house uses it: text to ids in pieces, and ids to text one by one."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

from tokenizers import Tokenizer

from inference.errors import InferenceError

_HALF = "\ufffd"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
#: Tokens that an unknown decoder may leave without a whole character before their text counts as it is.
_PATIENCE = 8
_SHORT = 1000
_OPENERS = ("\n", "|", "a")
_KEPT_AS = "_hearth_codec"


class Stream(Protocol):
    """Ids to text, one token at a time. All text joined is what decoding all ids at once gives."""

    #: Tokens are held whose text is not settled: half a character, or a run of bytes that may go on.
    pending: bool
    #: The bytes that these tokens stand for, where that is known.
    made: bytes

    def add(self, token: int) -> str:
        """The text that is settled by this token."""

    def rest(self) -> str:
        """What is held, without half a character at its end."""

    def fits(self, token: int, wanted: bytes) -> bool:
        """Whether what is not settled, with `token` added, begins like `wanted` or goes beyond it."""


class Codec:
    """`Codec.of(tokenizer)` is made once per tokenizer; it may be used from any thread."""

    def __init__(self, tokenizer: Any) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        self._tokenizer = tokenizer
        self._backend = backend if isinstance(backend, Tokenizer) else None
        if self._backend:
            # Some are saved with a length to cut at: a prompt that is too long has to be refused, not cut.
            self._backend.no_truncation()
            self._backend.no_padding()
        kinds = _decoder_kinds(self._backend)
        self.byte_level, self.byte_fallback = kinds == ["ByteLevel"], "ByteFallback" in kinds
        self._bytes: dict[int, bytes] = {}
        self._opener = self._find_opener()
        names = sorted(tokenizer.get_added_vocab(), key=len, reverse=True)
        self._control = re.compile(f"({'|'.join(map(re.escape, names))})") if names else None

    @classmethod
    def of(cls, tokenizer: Any) -> Codec:
        # Kept at the tokenizer itself: they refer to each other, so they also go together.
        if (codec := vars(tokenizer).get(_KEPT_AS)) is None:
            codec = vars(tokenizer)[_KEPT_AS] = cls(tokenizer)
        return cast(Codec, codec)

    @property
    def adds_space(self) -> bool:
        """Whether a text's first word is encoded like a word after a space (most sentencepiece models)."""
        return self._opener is not None

    def encode(self, pieces: Iterable[str], inside: bool = False) -> list[int]:
        """Ids of the pieces in a row; no token reaches over a border. Names of control tokens become control
        tokens. `inside`: other text stands before the first piece. Raises invalid_request: not Unicode."""
        ids: list[int] = []
        for piece in pieces:
            if piece:
                ids += self._encode_inside(piece) if inside else self._encode(piece)
                inside = True
        return ids

    def pieces(self, text: str, plain: Iterable[str] = ()) -> list[str]:
        """`text` cut so that encoding adds nothing to it, and that the names in `plain` stay text."""
        pieces = [text]
        if names := "|".join(map(re.escape, plain)):
            cuts = [match.start() + 1 for match in re.finditer(f"(?={names})", text)]
            pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        if self.adds_space and self._control:  # such tokenizers may add a space after each control token
            pieces = [part for piece in pieces for part in self._control.split(piece)]
        return pieces

    def decode(self, ids: Sequence[int]) -> str:
        """The text of all `ids` at once, control tokens included."""
        return str(self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)) if ids else ""

    def stream(self) -> Stream:
        if self.byte_level:
            return _ByteStream(self)
        return _WindowStream(self)

    def byte_token(self, byte: int) -> list[int]:
        """The token of one byte, to spell what the vocabulary has no token for; empty: there is none."""
        if not self._backend:
            return []
        name = _LETTERS[byte] if self.byte_level else f"<0x{byte:02X}>"
        token = self._backend.token_to_id(name)
        return [] if token is None else [token]

    def name(self, token: int) -> str:
        """The token as the vocabulary writes it; empty for an id without one."""
        if self._backend:
            return self._backend.id_to_token(token) or ""
        name = self._tokenizer.convert_ids_to_tokens(token)
        return name if isinstance(name, str) else ""

    def _encode(self, text: str) -> list[int]:
        try:
            if self._backend and len(text) < _SHORT:
                return list(self._backend.encode(text, add_special_tokens=False).ids)
            if self._backend:  # unlike encode() this lets other threads run: a megabyte takes seconds
                return list(self._backend.encode_batch([text], add_special_tokens=False)[0].ids)
            return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        except (UnicodeEncodeError, TypeError) as error:  # half a surrogate pair
            raise InferenceError("invalid_request", "The text is not valid Unicode.") from error
        except BaseException as error:
            if not is_panic(error):
                raise
            # Its regex gives up after ten million steps at one place of the text, about 0.2 s.
            raise InferenceError("invalid_request", "The tokenizer cannot read this text.") from error

    def _encode_inside(self, text: str) -> list[int]:
        if self._opener is None:
            return self._encode(text)
        for opener in (self._opener, *_OPENERS):
            before, ids = self._encode(opener), self._encode(opener + text)
            if ids[: len(before)] == before:
                return ids[len(before) :]
        return self._encode(text)

    def _find_opener(self) -> str | None:
        """A text after which a word has no space of its own; None where the tokenizer adds none anyway."""
        alone = self._encode("a")
        for opener in _OPENERS:
            before, ids = self._encode(opener), self._encode(opener + "a")
            if ids[: len(before)] == before:
                return None if ids[len(before) :] == alone else opener
        return None

    def bytes_of(self, token: int) -> bytes:
        """Byte-level vocabularies: the token's bytes. Others: the byte of a token like <0x0A>, else empty."""
        if (known := self._bytes.get(token)) is None:
            name = self.name(token)
            if self.byte_level:
                known = _spelled(name)
            else:
                known = bytes([int(match[1], 16)]) if (match := _BYTE.fullmatch(name)) else b""
            self._bytes[token] = known
        return known


class _ByteStream:
    """Byte-level vocabularies: each token is bytes, the answer is their UTF-8."""

    def __init__(self, codec: Codec) -> None:
        self._spelled = codec.bytes_of
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self.pending, self.made = False, b""

    def add(self, token: int) -> str:
        text = self._utf8.decode(self._spelled(token))
        self.made = self._utf8.getstate()[0]
        self.pending = bool(self.made)
        return text

    def rest(self) -> str:
        return ""

    def fits(self, token: int, wanted: bytes) -> bool:
        piece = self.made + self._spelled(token)
        return len(piece) > len(self.made) and _agree(piece, wanted)


class _WindowStream:
    """Any decoder: decodes the new tokens after those of the step before, whose text is known.

    A run of byte tokens is held until it ends: decoders turn the whole run into U+FFFD when one of its bytes
    is wrong. Where a decoder knows no byte tokens, U+FFFD at the end is waited on for a few tokens."""

    def __init__(self, codec: Codec) -> None:
        self._decode, self._name, self._byte = codec.decode, codec.name, codec.bytes_of
        self._patient = not codec.byte_fallback
        self._before: list[int] = []
        self._before_text = ""
        self._held: list[int] = []
        self.pending, self.made = False, b""

    def add(self, token: int) -> str:
        if byte := self._byte(token):
            self._held.append(token)
            self.pending, self.made = True, self.made + byte
            return ""
        if not self._name(token):  # an id that the vocabulary has no token for does not end a run
            return ""
        tokens = [*self._held, token]
        text = self._after(tokens)
        if self._patient and text.endswith(_HALF) and len(tokens) < _PATIENCE:
            self._held, self.pending = tokens, True
            return ""
        if text or not self._before:  # a token without text is no context to the next one
            self._before, self._before_text = tokens, self._decode(tokens)
        self._held, self.pending, self.made = [], False, b""
        return text

    def rest(self) -> str:
        held = list(self._held)
        if self.made:
            held = held[: len(held) - _half(self.made)]
            return self._after(held)
        return self._after(held).removesuffix(_HALF)

    def fits(self, token: int, wanted: bytes) -> bool:
        if byte := self._byte(token):
            return _agree(self.made + byte, wanted)
        if not self._name(token):
            return False
        text = self._after([*self._held, token])
        if self._patient and not self.made:
            text = text.rstrip(_HALF)
            return _agree(text.encode(), wanted) and (bool(text) or not self.pending)
        # The first token may be a space that is left out at the begin; later, one without text leads nowhere.
        return (bool(text) or not self._before) and _agree(text.encode(), wanted)

    def _after(self, tokens: list[int]) -> str:
        return self._decode([*self._before, *tokens])[len(self._before_text) :]


def _agree(made: bytes, wanted: bytes) -> bool:
    return made.startswith(wanted) or wanted.startswith(made)


def _half(made: bytes) -> int:
    """How many bytes at the end of `made` are the begin of a character that is not whole."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(made)
    return len(decoder.getstate()[0])


def _decoder_kinds(backend: Tokenizer | None) -> list[str]:
    if backend is None or backend.decoder is None:
        return []
    state = json.loads(cast(Any, backend.decoder).__getstate__())
    parts = state["decoders"] if state["type"] == "Sequence" else [state]
    return [str(part["type"]) for part in parts]


def _letters() -> dict[int, str]:
    """Byte-level vocabularies write bytes as printable letters: those that print, then 256, 257, ..."""
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printing]
    return {byte: chr(byte) for byte in printing} | {byte: chr(256 + n) for n, byte in enumerate(others)}


_LETTERS = _letters()
_OF_LETTER = {letter: byte for byte, letter in _LETTERS.items()}


def _spelled(name: str) -> bytes:
    spelled = [_OF_LETTER.get(letter) for letter in name]
    # Added tokens are written as they are; if one letter is no byte's, none is read as one.
    return name.encode() if None in spelled else bytes(cast("list[int]", spelled))


def is_panic(error: BaseException) -> bool:
    """The tokenizers' library is in Rust, and what goes wrong in it comes past `except Exception`."""
    return type(error).__name__ == "PanicException"
