"""Which hub answers from here, how fast, and which one is suggested. Remembered for minutes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from django.core.cache import cache

from models_registry import hubs
from models_registry.hubs import limits
from models_registry.hubs.base import Hub
from models_registry.hubs.calls import within

#: A light question for each. The libraries are not loaded for it.
_PROBES = {"modelscope": "/openapi/v1/models?page_number=1&page_size=1", "huggingface": "/api/models?limit=1"}


@dataclass(frozen=True)
class Reach:
    """`latency_ms`: to the first byte of an answer; None when none came in `limits.REACH` seconds."""

    hub: str
    title: str
    endpoint: str
    reachable: bool
    latency_ms: int | None
    suggested: bool = False


def measured(*, fresh: bool = False) -> list[Reach]:
    """Both hubs. The faster of those that answer is the suggested one; none is, when none answers."""
    found = [hubs.get(name) for name in hubs.names()]
    with ThreadPoolExecutor(len(found), thread_name_prefix="hub reach") as pool:
        lines = list(pool.map(lambda hub: _known(hub, fresh), found))
    answering = [line for line in lines if line["latency_ms"] is not None]
    best = min(answering, key=lambda line: line["latency_ms"], default=None)
    return [Reach(**line, suggested=line is best) for line in lines]


def body(reach: Reach) -> dict[str, Any]:
    return asdict(reach)


def _known(hub: Hub, fresh: bool) -> dict[str, Any]:
    key = f"hub-reach:{hub.name}:{hub.endpoint}"
    latency = None if fresh else cache.get(key)
    if latency is None:
        # One that does not answer is looked at again soon: somebody is at the cable.
        latency = _latency(hub)
        cache.set(key, latency, limits.REACH_KEPT if latency >= 0 else limits.REACH_KEPT / 20)
    return {
        "hub": hub.name,
        "title": hub.title,
        "endpoint": hub.endpoint,
        "reachable": latency >= 0,
        "latency_ms": latency if latency >= 0 else None,
    }


def _latency(hub: Hub) -> int:
    """Milliseconds, -1 for no answer. An answer of 429 or 404 is one, too: the hub is there."""

    def ask() -> int:
        import requests

        began = time.monotonic()
        with requests.get(
            hub.endpoint + _PROBES[hub.name], stream=True, timeout=limits.REACH, allow_redirects=False
        ) as answer:
            return -1 if answer.status_code >= 500 else round((time.monotonic() - began) * 1000)

    try:
        return within(f"{hub.title} reach", ask, limits.REACH)
    except Exception:  # whatever it is, it is no answer
        return -1
