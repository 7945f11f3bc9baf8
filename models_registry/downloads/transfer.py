"""Fetches the files of one download, in a thread of its own with an event loop. Knows no database.

Who started it looks at `done`, `verifying` and, after the end, at `error`; `stop` ends it within moments.
"""

from __future__ import annotations

import asyncio
import errno
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from config.errors import AppError
from models_registry.downloads import places
from models_registry.downloads.addresses import Guard
from models_registry.downloads.failure import Failure, Wanted
from models_registry.downloads.fetch import Again, fetch
from models_registry.downloads.storage import Part, has_size, is_whole
from models_registry.hubs.base import Hub


@dataclass(frozen=True)
class Patience:
    """Seconds, and how often. `tries` count only while nothing comes: each byte begins the count anew."""

    tries: int = 9
    first_wait: float = 1.0
    longest_wait: float = 30.0
    #: A hub that wants us away for longer than this is left, in words.
    longest_order: float = 900.0
    connect: float = 10.0
    silence: float = 20.0
    files_at_once: int = 3


PATIENCE = Patience()


class Transfer(threading.Thread):
    """`done` maps each path to its bytes on the disk. `trusted`: paths known to be whole and checked."""

    def __init__(
        self,
        hub: Hub,
        repo: str,
        revision: str,
        folder: Path,
        files: Sequence[Wanted],
        *,
        trusted: frozenset[str] = frozenset(),
        patience: Patience | None = None,
    ) -> None:
        super().__init__(name=f"transfer {repo}", daemon=True)
        self.done: dict[str, int] = {file.path: 0 for file in files}
        self.checked: set[str] = set()
        self.error: Failure | AppError | Exception | None = None
        self._hub, self._repo, self._revision = hub, repo, revision
        self._folder, self._files, self._trusted = folder, files, trusted
        self._patience = patience or PATIENCE
        self._halt = threading.Event()
        self._not_before = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._lock = threading.Lock()

    @property
    def verifying(self) -> bool:
        """All bytes are here; what is left is to read them once more."""
        return all(self.done[file.path] == file.size for file in self._files)

    def stop(self) -> None:
        """From any thread; `join` to wait for the end. What has come stays."""
        with self._lock:
            self._halt.set()
            if self._loop is not None and self._work is not None:
                self._loop.call_soon_threadsafe(self._work.cancel)

    def run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # handed to the thread that waits
            if not self._halt.is_set():
                self.error = _first(error)

    async def _main(self) -> None:
        with self._lock:
            if self._halt.is_set():
                return
            self._loop, self._work = asyncio.get_running_loop(), asyncio.current_task()
        try:
            await self._fetch_all()
        finally:
            with self._lock:
                self._loop = None

    async def _fetch_all(self) -> None:
        guard = Guard(self._hub.endpoint)
        waits = aiohttp.ClientTimeout(
            total=None, sock_connect=self._patience.connect, sock_read=self._patience.silence
        )
        room = asyncio.Semaphore(self._patience.files_at_once)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=guard),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=waits,
            auto_decompress=False,
            trust_env=True,
        ) as session:

            async def one(file: Wanted) -> None:
                async with room:
                    await self._file(session, guard, file)

            async with asyncio.TaskGroup() as group:
                for file in self._files:
                    group.create_task(one(file))

    async def _file(self, session: aiohttp.ClientSession, guard: Guard, file: Wanted) -> None:
        part = Part(self._folder, file)
        try:
            while not await self._is_here(part):
                if part.open():
                    await self._into(session, guard, part)
                else:
                    await asyncio.sleep(0.3)  # another download fetches the same file
        except OSError as error:
            raise self._disk(error, file) from error
        finally:
            part.close()
        self.done[file.path] = file.size
        self.checked.add(file.path)

    async def _is_here(self, part: Part) -> bool:
        file = part.file
        if file.path in self.checked:
            return True
        if not has_size(part.final, file.size):
            return False
        self.done[file.path] = file.size
        if file.path in self._trusted or await asyncio.to_thread(is_whole, part.final, file, self._halt):
            return True
        self.done[file.path] = 0
        return False

    async def _into(self, session: aiohttp.ClientSession, guard: Guard, part: Part) -> None:
        """Fill, check, rename. Bytes that came in pieces and are wrong are fetched once more as one."""
        file = part.file
        while True:
            pieces = await self._fill(session, guard, part)
            if await asyncio.to_thread(part.is_right, self._halt):
                break
            part.restart()
            self.done[file.path] = 0
            if pieces <= 1:
                part.discard()
                raise Failure("wrong_hash", name=file.path)
        if await asyncio.to_thread(part.finish):
            self.checked.add(file.path)
        part.close()

    async def _fill(self, session: aiohttp.ClientSession, guard: Guard, part: Part) -> int:
        """Returns of how many pieces the part is made; one that was begun earlier counts as two."""
        file, tries, most = part.file, 0, part.size
        pieces = 1 if part.size else 0
        while part.size < file.size:
            await self._turn()
            pieces = pieces + 1 if part.size else 1
            try:
                await self._fetch(session, guard, part)
                if part.size < file.size:
                    raise Again(Failure("cut_off"))
            except Again as again:
                tries = 1 if part.size > most else tries + 1
                most = max(most, part.size)
                await self._back_off(again, tries)
            except Failure as failure:
                if failure.code == "wrong_size":
                    part.discard()
                raise
            finally:
                self.done[file.path] = part.size
        self.done[file.path] = part.size
        return pieces

    async def _fetch(self, session: aiohttp.ClientSession, guard: Guard, part: Part) -> None:
        counting = asyncio.create_task(self._count(part))
        try:
            url, headers = await asyncio.to_thread(
                self._hub.address, self._repo, self._revision, part.file.path
            )
            await fetch(session, guard, part, url, headers)
        except AppError as error:
            if error.code not in ("hub_unreachable", "hub_busy"):
                raise
            raise Again(Failure(error.code), error.extra.get("retry_after")) from error
        except aiohttp.ClientPayloadError as error:
            raise Again(Failure("cut_off")) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Again(Failure("cut_off" if part.size else "hub_unreachable")) from error
        finally:
            counting.cancel()

    async def _count(self, part: Part) -> None:
        while True:
            self.done[part.file.path] = part.size
            await asyncio.sleep(0.1)

    async def _back_off(self, again: Again, tries: int) -> None:
        """The hub's own word goes first, and holds for all files: it counts who asks, not what for."""
        patience = self._patience
        if tries > patience.tries or (again.after or 0.0) > patience.longest_order:
            raise again.failure
        if again.after is not None:
            self._not_before = max(self._not_before, time.monotonic() + again.after)
            return
        wait = min(patience.longest_wait, patience.first_wait * 2 ** (tries - 1))
        await asyncio.sleep(wait * random.uniform(0.7, 1.0))

    async def _turn(self) -> None:
        """Not while the hub wants us away; another file's answer may make that longer meanwhile."""
        while (left := self._not_before - time.monotonic()) > 0:  # noqa: ASYNC110 (no event: a moment)
            await asyncio.sleep(left)

    def _disk(self, error: OSError, file: Wanted) -> Exception:
        if isinstance(error, InterruptedError):
            return error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            needed = sum(one.size - self.done[one.path] for one in self._files)
            return Failure("disk_full", needed=needed, free=places.free_bytes(self._folder))
        return Failure("disk_error", name=file.path, reason=error.strerror or type(error).__name__)


def _first(error: BaseException) -> Exception:
    """The first real error of a group: the others were cancelled for its sake."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
