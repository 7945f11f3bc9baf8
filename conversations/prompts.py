"""The messages that a model gets: the conversation's branch, cut to what its context holds."""

from __future__ import annotations

from inference.protocol import Messages

#: Where a model's context is not known.
DEFAULT_CONTEXT = 8192


def estimate_tokens(text: str) -> int:
    """A guess without a tokenizer, a little high: 3 bytes a token (English has 4, Chinese 3 a character)."""
    return len(text.encode("utf-8", errors="replace")) // 3 + 4


def build_messages(
    system: str, branch: Messages, context_length: int | None, max_tokens: int | None
) -> Messages:
    """`branch` is oldest first and ends with the user's new message, which always stays.

    Whole messages leave, the oldest first; a quarter of the context, or max_tokens, is kept for the answer.
    """
    context = context_length or DEFAULT_CONTEXT
    room = context - min(max_tokens or context // 4, context // 2)
    room -= estimate_tokens(system) if system else 0
    kept: Messages = []
    for message in reversed(branch):
        room -= estimate_tokens(message["content"])
        if kept and room < 0:
            break
        kept.append(message)
    kept.reverse()
    kept = _joined(kept)
    # A history that begins with an answer confuses templates that demand user and assistant by turns.
    while len(kept) > 1 and kept[0]["role"] == "assistant":
        kept.pop(0)
    return ([{"role": "system", "content": system}] if system else []) + kept


def _joined(messages: Messages) -> Messages:
    """Neighbours of one role as one message: an answer that failed leaves two questions in a row, and strict
    templates refuse them."""
    joined: Messages = []
    for message in messages:
        if joined and joined[-1]["role"] == message["role"]:
            text = joined[-1]["content"] + "\n\n" + message["content"]
            joined[-1] = {"role": message["role"], "content": text}
        else:
            joined.append(message)
    return joined


def shorten(messages: Messages) -> Messages | None:
    """The same without the older half of its history; None when only the new message is left."""
    head = [m for m in messages[:1] if m["role"] == "system"]
    rest = messages[len(head) :]
    if len(rest) <= 1:
        return None
    rest = rest[(len(rest) + 1) // 2 :]
    while len(rest) > 1 and rest[0]["role"] == "assistant":
        rest = rest[1:]
    return head + rest
