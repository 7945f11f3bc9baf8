"""What needs no database: folding, checking, parsing, building prompts, the line of writers."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from config.errors import AppError
from config.sqlite.base import FairLock
from conversations import frames
from conversations.params import params_check
from conversations.parts import LONGEST_CONTENT, Folder, content_parts, text_of
from conversations.prompts import build_messages, estimate_tokens, shorten


def folded(*events: tuple[str, str, float]) -> Folder:
    folder = Folder()
    for kind, text, at in events:
        folder.fold({"kind": kind, "text": text}, at)
    return folder


def test_text_joins_and_reasoning_is_timed_until_the_first_text():
    folder = folded(
        ("reasoning", "a", 10.0), ("reasoning", "b", 11.0), ("text", "c", 12.34), ("text", "d", 13.0)
    )
    assert folder.parts == [
        {"type": "reasoning", "text": "ab", "seconds": 2.3},
        {"type": "text", "text": "cd"},
    ]


def test_reasoning_that_goes_on_has_no_seconds_yet_and_gets_them_at_the_end():
    folder = folded(("reasoning", "a", 10.0))
    assert folder.parts[0]["seconds"] is None
    folder.fold({"kind": "finished", "reason": "stopped"}, 14.0)
    assert folder.parts[0]["seconds"] == 4.0


def test_reasoning_may_come_twice():
    folder = folded(("reasoning", "a", 1), ("text", "b", 2), ("reasoning", "c", 5), ("text", "d", 8))
    assert [part["type"] for part in folder.parts] == ["reasoning", "text"] * 2
    assert [part["seconds"] for part in folder.parts if part["type"] == "reasoning"] == [1, 3]


def test_empty_text_makes_no_part_and_ends_no_reasoning():
    folder = folded(("reasoning", "a", 1), ("text", "", 2), ("reasoning", "b", 3))
    assert folder.parts == [{"type": "reasoning", "text": "ab", "seconds": None}]


def test_a_folder_that_goes_on_leaves_what_it_was_given():
    given = [{"type": "text", "text": "a"}]
    folder = Folder(given)
    folder.fold({"kind": "text", "text": "b"}, 1)
    assert folder.parts == [{"type": "text", "text": "ab"}] and given == [{"type": "text", "text": "a"}]


def test_usage_and_calls():
    folder = Folder()
    folder.fold({"kind": "status", "phase": "queued"}, 1)
    folder.fold({"kind": "tool_call", "id": "1", "name": "n", "arguments": {}, "raw": "x"}, 1)
    folder.fold({"kind": "usage", "prompt_tokens": 3, "raw": ""}, 2)
    assert folder.parts == [{"type": "tool_call", "id": "1", "name": "n", "arguments": {}}]
    assert folder.usage == {"prompt_tokens": 3}
    assert text_of(folder.parts) == ""


def test_a_call_ends_the_thoughts_before_it():
    folder = folded(("reasoning", "a", 10.0))
    folder.fold({"kind": "tool_call", "id": "1", "name": "n", "arguments": {}}, 12.0)
    folder.fold({"kind": "reasoning", "text": "b"}, 20.0)
    folder.fold({"kind": "finished", "reason": "stop"}, 21.0)
    assert [part.get("seconds") for part in folder.parts] == [2.0, None, 1.0]


@pytest.mark.parametrize(
    "content",
    ["hi", "你好\n", [{"type": "text", "text": "a"}, {"type": "text", "text": ""}], "x" * LONGEST_CONTENT],
)
def test_content_that_is_taken(content: Any):
    given = content if isinstance(content, str) else "".join(part["text"] for part in content)
    assert text_of(content_parts(content)) == given


@pytest.mark.parametrize(
    "content",
    [
        "",
        " \n\t\u3000",
        "\x00",
        " \x00 ",
        None,
        7,
        True,
        {},
        [],
        ["a"],
        [None],
        [{"type": "text"}],
        [{"type": "text", "text": 1}],
        [{"type": "file", "text": "a"}],
        [{"type": "text", "text": "a", "more": 1}],
        "half \ud800",
    ],
)
def test_content_that_is_refused(content: Any):
    with pytest.raises(AppError) as refused:
        content_parts(content)
    assert refused.value.code == "invalid" and list(refused.value.extra["fields"]) == ["content"]


def test_content_that_is_too_long_and_zero_bytes():
    with pytest.raises(AppError) as refused:
        content_parts("x" * (LONGEST_CONTENT + 1))
    assert refused.value.code == "content_too_long"
    assert refused.value.extra == {"limit": LONGEST_CONTENT, "length": LONGEST_CONTENT + 1}
    assert text_of(content_parts("a\x00b")) == "ab"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("temperature", [0, 0.7, 5, None], [-0.1, 5.1, "1", True, float("nan"), float("inf"), [], 10**400]),
        ("top_p", [0, 1], [1.01]),
        ("min_p", [0, 1], [-1]),
        ("repetition_penalty", [0.1, 1.1], [0]),
        ("presence_penalty", [-2, 2], [2.5]),
        ("top_k", [0, 50], [-1, 1.5, True]),
        ("max_tokens", [1, 1_000_000], [0, 1_000_001, "5"]),
        ("seed", [0, 2**63 - 1], [2**63, -1]),
        ("logprobs", [0, 20, True, False], [21]),
        ("thinking", [True, False, None], [1, "yes"]),
        ("stop", ["a", ["a", "b"], []], ["", [""], ["a"] * 17, 5, [1]]),
        ("logit_bias", [{}, {"5": 1}], [[], "x"]),
        ("response_format", [{"type": "json_object"}], ["json"]),
        ("unheard_of", [None], [1]),
    ],
)
def test_params(name: str, good: list[Any], bad: list[Any]):
    for value in good:
        if name != "unheard_of":
            assert params_check({name: value}) == {name: value}
    for value in bad:
        with pytest.raises(AppError) as refused:
            params_check({name: value, "top_p": 0.5} if name != "top_p" else {name: value})
        assert refused.value.code == "invalid" and list(refused.value.extra["fields"]) == [
            f"params.{name}"
        ], value


def test_params_as_a_whole():
    assert params_check(None) == {}
    with pytest.raises(AppError):
        params_check([])
    with pytest.raises(AppError) as refused:
        params_check({"temperature": "a", "what": 1})
    assert set(refused.value.extra["fields"]) == {"params.temperature", "params.what"}


FRAMES = [
    {"type": "turn.start", "client_id": "c", "conversation": None, "content": "hi"},
    {"type": "turn.start", "client_id": "c", "conversation": "x", "content": [], "model": None, "params": {}},
    {"type": "turn.stop", "turn": "t"},
    {"type": "turn.watch", "turn": "t", "after_seq": 0},
    {"type": "turn.retry", "client_id": "c", "message": "m", "model": "n"},
    {"type": "turn.edit", "client_id": "c", "message": "m", "content": "x"},
    {"type": "turn.continue", "client_id": "c", "message": "m"},
    {"type": "turn.confirm", "turn": "t", "call": "1", "allow": True},
    {"type": "ping"},
    {"type": "ping", "t": 1.5},
]


@pytest.mark.parametrize("frame", FRAMES)
def test_frames_that_are_taken(frame: dict[str, Any]):
    assert frames.parse(json.dumps(frame)) == frame


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "invalid_frame"),
        ("", "invalid_frame"),
        ("{", "invalid_frame"),
        ("[" * 5000, "invalid_frame"),
        ('"ping"', "invalid_frame"),
        ("[]", "invalid_frame"),
        ("null", "invalid_frame"),
        ("{}", "invalid_frame"),
        ('{"type": 5}', "invalid_frame"),
        ('{"type": ["ping"]}', "invalid_frame"),
        ('{"type": "ping", "t": NaN}', "invalid_frame"),
        (r'{"type": "ping", "t": "\ud800"}', "invalid_frame"),
        ('{"type": "dance"}', "unknown_type"),
        ('{"type": ""}', "unknown_type"),
        ('{"type": "__class__"}', "unknown_type"),
        ('{"type": "turn.stop"}', "invalid"),
        ('{"type": "turn.stop", "turn": 1}', "invalid"),
        ('{"type": "turn.stop", "turn": null}', "invalid"),
        ('{"type": "turn.stop", "turn": "t", "seq": 1}', "invalid"),
        ('{"type": "turn.stop", "turn?": "t", "turn": "t"}', "invalid"),
        ('{"type": "turn.watch", "turn": "t", "after_seq": -1}', "invalid"),
        ('{"type": "turn.watch", "turn": "t", "after_seq": true}', "invalid"),
        ('{"type": "turn.watch", "turn": "t", "after_seq": 1.5}', "invalid"),
        ('{"type": "turn.watch", "turn": "t", "after_seq": 1e400}', "invalid_frame"),
        ('{"type": "turn.watch", "turn": "t", "after_seq": 99999999999999999999999}', "invalid"),
        ('{"type": "turn.start", "client_id": "c", "content": "x"}', "invalid"),
        ('{"type": "turn.start", "client_id": null, "conversation": null, "content": "x"}', "invalid"),
        (
            '{"type": "turn.start", "client_id": "c", "conversation": null, "content": "x", "params": []}',
            "invalid",
        ),
        ('{"type": "turn.confirm", "turn": "t", "call": "1", "allow": 1}', "invalid"),
        ("x" * (frames.LONGEST_FRAME + 1), "frame_too_large"),
    ],
)
def test_frames_that_are_refused_in_the_one_shape(text: str | None, code: str):
    with pytest.raises(AppError) as refused:
        frames.parse(text)
    told = json.loads(frames.dump(frames.error_frame(refused.value, frames.identity(text))))
    assert told["type"] == "error" and told["code"] == code and told["message"]
    assert set(told) - {"client_id", "turn"} == {"type", "code", "message", "extra"}
    if code == "invalid":
        assert all(isinstance(m, list) and m for m in told["extra"]["fields"].values())


def test_whose_frame_was_refused():
    assert frames.identity('{"client_id": "c", "turn": "t", "content": 1}') == {"client_id": "c", "turn": "t"}
    assert frames.identity('{"client_id": 5}') == {} == frames.identity("[1]") == frames.identity(None)


def said(*contents: str) -> list[dict[str, Any]]:
    roles = ["user", "assistant"]
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]


def test_a_short_history_is_whole_and_the_system_prompt_first():
    branch = said("a", "b", "c")
    assert build_messages("be kind", branch, None, None) == [
        {"role": "system", "content": "be kind"},
        *branch,
    ]
    assert build_messages("", branch, None, None) == branch


def test_a_long_history_loses_its_oldest_and_begins_with_a_user():
    branch = said(*["x" * 300] * 9)
    kept = build_messages("", branch, 1024, None)
    assert kept == branch[-len(kept) :] and len(kept) < 9
    assert kept[0]["role"] == "user" and kept[-1] is branch[-1]
    assert sum(estimate_tokens(m["content"]) for m in kept) <= 1024 * 3 // 4


def test_the_new_message_stays_however_long():
    branch = said("a", "b", "x" * 100_000)
    assert build_messages("s", branch, 512, None) == [{"role": "system", "content": "s"}, branch[-1]]


def test_an_answer_that_wants_much_leaves_half_for_the_history():
    branch = said(*["x" * 300] * 9)
    assert len(build_messages("", branch, 1024, 1_000_000)) < len(build_messages("", branch, 1024, 1))
    assert len(build_messages("", branch, 1024, 1_000_000)) > 1


def test_chinese_counts_for_what_it_is():
    assert estimate_tokens("炉边" * 300) >= 600


def test_shorten_halves_until_only_the_new_message_is_left():
    messages: list[dict[str, Any]] | None = [{"role": "system", "content": "s"}, *said(*"abcdefg")]
    sizes = []
    while messages is not None:
        assert messages[0]["role"] == "system" and messages[1]["role"] == "user"
        assert messages[-1]["content"] == "g"
        sizes.append(len(messages))
        messages = shorten(messages)
    assert sizes == sorted(set(sizes), reverse=True) and sizes[-1] == 2


def test_the_line_of_writers_is_first_come_first_served():
    lock, order = FairLock(), []
    assert lock.acquire(1)
    threads = []
    for number in range(8):

        def wait(number: int = number) -> None:
            assert lock.acquire(10)
            order.append(number)
            lock.release()

        thread = threading.Thread(target=wait)
        thread.start()
        threads.append(thread)
        while len(lock._line) <= number:
            pass
    lock.release()
    for thread in threads:
        thread.join(10)
    assert order == list(range(8))
    assert lock.acquire(0.01)


def test_who_gives_up_leaves_the_line_and_hands_nothing_on():
    lock = FairLock()
    assert lock.acquire(1)
    assert not lock.acquire(0.01)
    assert not lock._line
    lock.release()
    assert lock.acquire(0.01)
    assert not lock.acquire(0.01)


def test_a_turn_handed_over_in_the_moment_of_giving_up_is_taken(monkeypatch: pytest.MonkeyPatch):
    """The lock must not be lost when release comes between the time-out and leaving the line."""
    lock = FairLock()
    assert lock.acquire(1)

    class LatePlace:
        """A place whose wait ends in vain, in the very moment in which it is called."""

        def acquire(self, timeout: float | None = None) -> bool:
            if timeout is not None:
                lock.release()
                return False
            return True

        def release(self) -> None: ...

    real = threading.Lock
    monkeypatch.setattr("config.sqlite.base.threading.Lock", lambda: LatePlace())
    assert lock.acquire(1)
    monkeypatch.setattr("config.sqlite.base.threading.Lock", real)
    assert not lock.acquire(0.01)
    lock.release()
    assert lock.acquire(0.01)


def test_two_questions_in_a_row_become_one_message() -> None:
    branch = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    assert build_messages("", branch, 8192, None) == [{"role": "user", "content": "a\n\nb"}]
