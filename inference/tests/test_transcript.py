"""An answer's tokens and its text, with byte-level and sentencepiece-like vocabularies."""

from __future__ import annotations

import codecs
import json
import os
from functools import cache
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engines.tokens import Codec
from inference.engines.transcript import Transcript
from inference.errors import InferenceError
from inference.tests import tiny_models

TEXTS = [
    "Hello, world! The sea is blue\n\n  and deep.\t1234567890 naïve café",
    "你好，世界。四川话是什么？",
    "👩‍👩‍👧 family 😀😀😀 and 🇨🇳 flags",
    "<think>\nFirst, <b>look</b>.\n</think>\n\nThe answer: 42 <|im_end|> is a name.",
    "def f(x):\n        return [x ** 2 for _ in range(10)]\n" * 3,
    " leading space, and \ufffd and é (two code points: e\u0301)",
]
REAL = os.environ.get("HEARTH_TEST_MODEL")


@cache
def tokenizer_of(kind: str) -> Any:
    if kind == "real":
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(REAL, local_files_only=True)
    if kind in ("metaspace", "llama", "gemma"):
        return _sentencepiece_like(kind)
    special = ["<|im_start|>", "<|im_end|>"]
    return tiny_models._tokenizer(special, special[1], "", ["<think>", "</think>"])


def _sentencepiece_like(kind: str) -> Any:
    """A small BPE with byte tokens, in the three ways that models of this family treat the first space."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    raw = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    spaces, last = decoders.Replace("▁", " "), [decoders.ByteFallback(), decoders.Fuse()]
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(
        vocab_size=480, special_tokens=names, limit_alphabet=70, show_progress=False
    )
    raw.train_from_iterator([text for text in TEXTS if "😀" not in text and "<think>" not in text], trainer)
    if kind == "metaspace":
        raw.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    else:
        raw.pre_tokenizer = pre_tokenizers.Sequence([])
        first = [normalizers.Prepend("▁")] if kind == "llama" else []
        raw.normalizer = normalizers.Sequence([*first, normalizers.Replace(" ", "▁")])
        strip = [decoders.Strip(" ", 1, 0)] if kind == "llama" else []
        raw.decoder = decoders.Sequence([spaces, *last, *strip])
    # In such vocabularies the bytes are plain tokens: their names in a text are text.
    saved = json.loads(raw.to_str())
    saved["added_tokens"] = saved["added_tokens"][:3]
    raw = Tokenizer.from_str(json.dumps(saved))
    raw.add_tokens([AddedToken(name, normalized=False) for name in ("<think>", "</think>")])
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="<unk>")


KINDS = ["tiny", "metaspace", "llama", "gemma", *(["real"] if REAL else [])]
every_kind = pytest.mark.parametrize("kind", KINDS)


def ends_of(tokenizer: Any) -> frozenset[int]:
    return frozenset({tokenizer.eos_token_id})


def ids_of(tokenizer: Any) -> st.SearchStrategy[list[int]]:
    """Any tokens: control tokens, ids beyond the vocabulary, and runs of bytes that are no UTF-8."""
    one = st.integers(0, len(tokenizer) + 3)
    text = st.sampled_from(TEXTS).map(lambda t: list(Codec.of(tokenizer).encode([t])))
    bytes_ = [token for byte in range(0x7F, 0x100) for token in Codec.of(tokenizer).byte_token(byte)]
    part = st.one_of(st.lists(one, max_size=6), text, st.lists(st.sampled_from(bytes_), max_size=6))
    return st.lists(part, max_size=6).map(lambda parts: [i for p in parts for i in p])


def decoded(tokenizer: Any, ids: list[int]) -> str:
    """The whole decode, without half a character at the end."""
    codec = Codec.of(tokenizer)
    ids = [i for i in ids if i not in ends_of(tokenizer) and codec.name(i)]
    if codec.byte_level:
        return codec.decode(ids).removesuffix("\ufffd") if half(codec, ids) else codec.decode(ids)
    run = list(takewhile(codec.bytes_of, reversed(ids)))
    return codec.decode(ids[: len(ids) - half(codec, run[::-1])])


def half(codec: Codec, ids: list[int]) -> int:
    """Bytes at the end that begin a character and do not finish it."""
    utf8 = codecs.getincrementaldecoder("utf-8")("replace")
    utf8.decode(b"".join(map(codec.bytes_of, ids)))
    return len(utf8.getstate()[0])


@every_kind
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_tokens_one_by_one_give_the_text_of_all_at_once(kind: str, data: st.DataObject) -> None:
    tokenizer = tokenizer_of(kind)
    ids = data.draw(ids_of(tokenizer))
    transcript = Transcript(tokenizer, ends_of(tokenizer))
    parts = [transcript.append(i) for i in ids]
    assert "".join(parts) + transcript.finish() == decoded(tokenizer, ids)
    assert transcript.finish() == "" and transcript.ids == ids


@every_kind
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_stop_string_ends_the_text_whatever_tokens_it_lies_across(kind: str, data: st.DataObject) -> None:
    tokenizer = tokenizer_of(kind)
    ids = data.draw(ids_of(tokenizer))
    whole = decoded(tokenizer, ids)
    spans = st.tuples(st.integers(0, max(0, len(whole) - 1)), st.integers(1, 6))
    inside = data.draw(st.lists(spans.map(lambda span: whole[span[0] : span[0] + span[1]]), max_size=3))
    stops = [*inside, *data.draw(st.lists(st.text("ab\n<", min_size=1, max_size=3), max_size=2))]
    transcript = Transcript(tokenizer, ends_of(tokenizer), stops=stops)
    text, seen = "", 0
    for seen, token in enumerate(ids, start=1):  # noqa: B007
        text += transcript.append(token)
        assert whole.startswith(text)
        if transcript.matched:
            break
    text += transcript.finish()
    found = [(whole.index(stop) + len(stop), -len(stop)) for stop in stops if stop and stop in whole]
    if found:
        end, length = min(found)
        assert transcript.matched and text == whole[: end + length]
    else:
        assert not transcript.matched and text == whole and seen == len(ids)


@every_kind
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_true_tokens_after_a_prefix_give_back_exactly_the_rest(kind: str, data: st.DataObject) -> None:
    tokenizer = tokenizer_of(kind)
    text = data.draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=2).map("".join))
    if kind == "metaspace":
        text = text.lstrip()  # its decoder drops every space at the begin: no answer has one
    ends = ends_of(tokenizer)
    cut = data.draw(st.integers(0, len(text)))
    transcript = Transcript(tokenizer, ends, text[:cut])
    kept = Codec.of(tokenizer).decode(transcript.ids)
    assert text[:cut].startswith(kept) and transcript.kept == len(transcript.ids)
    inside = bool(transcript.ids) or not Codec.of(tokenizer).adds_space
    true = transcript._encode(text[len(kept) :], inside)
    out = ""
    for token in true:
        assert transcript.accepts(token)
        out += transcript.append(token)
    out += transcript.finish()
    assert text[:cut] + out == text and not transcript.healing


@every_kind
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_is_accepted_the_prefix_becomes_whole(kind: str, data: st.DataObject) -> None:
    tokenizer = tokenizer_of(kind)
    text = data.draw(st.sampled_from(TEXTS))
    prefix = text[: data.draw(st.integers(0, len(text)))]
    transcript = Transcript(tokenizer, ends_of(tokenizer), prefix)
    choose = data.draw(st.randoms(use_true_random=False))
    out = ""
    for _ in range(200):
        if not transcript.healing or transcript.accepts(tokenizer.eos_token_id):
            break
        tried = choose.sample(range(len(tokenizer)), min(300, len(tokenizer)))
        accepted = [i for i in tried if transcript.accepts(i)] or transcript.fallback()
        out += transcript.append(choose.choice(accepted))
    out += transcript.finish()
    assert decoded(tokenizer, transcript.ids) == prefix + out


@every_kind
def test_the_place_comes_from_the_text_not_from_its_tokens(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    text = "The sea 你好 is"
    codec = Codec.of(tokenizer)
    coarse = Transcript(tokenizer, frozenset())
    fine = Transcript(tokenizer, frozenset())
    for token in codec.encode([text]):
        coarse.append(token)
    for token in codec.encode(list(text)):
        fine.append(token)
    assert coarse.place == fine.place == f"{len(text)}.0"
    later = Transcript(tokenizer, frozenset(), text)
    places = {later.place}
    for token in codec.encode([text])[later.kept :]:
        later.append(token)
        places.add(later.place)
    assert later.place == coarse.place
    fine.append(len(tokenizer) + 3)  # a token without text
    assert fine.place == f"{len(text)}.1"


@every_kind
def test_half_a_character_is_held_back_and_left_out_at_the_end(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    ids = [Codec.of(tokenizer).byte_token(byte)[0] for byte in "a😀".encode()]
    transcript = Transcript(tokenizer, frozenset())
    assert "".join(transcript.append(i) for i in ids[:-1]) in ("a", "")
    assert transcript.place.endswith((".3", ".4")) and transcript.finish() in ("", "a")
    assert transcript.finish() == ""


@every_kind
def test_a_control_token_in_the_prefix_is_the_token_and_an_ends_name_is_text(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    end = tokenizer.eos_token
    prefix = f"<think>about {end} and more</think> and this is the rest of it"
    transcript = Transcript(tokenizer, ends_of(tokenizer), prefix)
    assert tokenizer.eos_token_id not in transcript.ids
    think = Codec.of(tokenizer).encode(["<think>"], inside=True)
    assert [i for i in transcript.ids if i in think][: len(think)] == think
    assert Codec.of(tokenizer).decode(transcript.ids).startswith(f"<think>about {end} and more</think>")
    assert not transcript.accepts(tokenizer.eos_token_id)


@every_kind
def test_a_stop_string_may_begin_in_the_prefix(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    codec = Codec.of(tokenizer)
    transcript = Transcript(tokenizer, frozenset(), "one two EN", stops=["END", "two"])
    text = ""
    for token in codec.encode(["one two ENDING"])[transcript.kept :]:
        text += transcript.append(token)
    assert text + transcript.finish() == "" and transcript.matched


def test_a_token_that_breaks_the_prefix_is_an_error() -> None:
    tokenizer = tokenizer_of("tiny")
    transcript = Transcript(tokenizer, frozenset(), "abc")
    wrong = Codec.of(tokenizer).encode(["x"])[0]
    assert not transcript.accepts(wrong)
    with pytest.raises(InferenceError, match="cannot_continue"):
        transcript.append(wrong)


def test_a_prefix_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(InferenceError, match="invalid_request"):
        Transcript(tokenizer_of("tiny"), frozenset(), "abc\ud800")


def test_a_length_to_cut_at_that_was_saved_with_the_tokenizer_is_not_used() -> None:
    tokenizer = tiny_models._tokenizer(["<s>"], "<s>", "")
    tokenizer.backend_tokenizer.enable_truncation(4)
    assert len(Codec.of(tokenizer).encode(["abcdefgh"])) == 8
