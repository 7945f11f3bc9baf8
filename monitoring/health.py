"""Whether each part can do its work. Asked often, by machines: bounded in time, and it never raises."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from asgiref.sync import sync_to_async

from inference.errors import InferenceError
from models_registry import live
from monitoring import selectors

log = logging.getLogger(__name__)

Part = dict[str, Any]

#: No part may take longer to answer (seconds).
PATIENCE = 3.0


async def readiness() -> dict[str, Any]:
    """``{"ready", "database": {"state", ..}, "inference": .., "worker": ..}``; states are "ok" or "error"."""
    live.board.ensure_started()
    database, inference = await asyncio.gather(_bounded(_database()), _bounded(_inference()))
    # The worker's sign of life is in the database.
    worker = (
        await _bounded(_worker()) if database["state"] == "ok" else _error("The database cannot be read.")
    )
    parts = {"database": database, "inference": inference, "worker": worker}
    return {"ready": all(part["state"] == "ok" for part in parts.values()), **parts}


def _error(message: str) -> Part:
    return {"state": "error", "message": message}


async def _bounded(check: Awaitable[Part]) -> Part:
    try:
        return await asyncio.wait_for(check, PATIENCE)
    except TimeoutError:
        return _error(f"No answer within {PATIENCE:.0f} s.")
    except Exception as error:
        # Anybody may ask, so only the kind of the error is told; the log has the rest.
        log.warning("A readiness check failed: %s", error)
        return _error(type(error).__name__)


async def _database() -> Part:
    missing = await sync_to_async(selectors.migrations_missing)()
    return _error(f"{missing} migrations are not applied.") if missing else {"state": "ok"}


async def _inference() -> Part:
    try:
        await live.client().state()
    except InferenceError as error:
        log.debug("The model service is away: %s", error)
        return _error("The model service does not answer.")
    return {"state": "ok"}


async def _worker() -> Part:
    age = await sync_to_async(selectors.beat_age)("worker")
    if age is None:
        return _error("No worker has been seen.")
    if age > selectors.ALIVE:
        return _error(f"The worker was last seen {age:.0f} s ago.")
    return {"state": "ok"}
