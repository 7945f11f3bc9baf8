"""Event loops and what they speak over: pairs of sockets, and the signals that ask a process to end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable

from system import ways


def factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """For asyncio.Runner; None: asyncio's own."""
    if ways.WINDOWS:
        return None
    try:
        import uvloop
    except ImportError:
        return None
    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that nobody else has an end of."""
    if not ways.WINDOWS:
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as door:
        while True:
            ours = socket.create_connection(door.getsockname())
            theirs, who = door.accept()
            if who == ours.getsockname():
                return ours, theirs
            theirs.close()  # a stranger was faster
            ours.close()


async def connect(protocol: asyncio.Protocol, link: socket.socket) -> None:
    """Let `protocol` speak over an end of a pair."""
    loop = asyncio.get_running_loop()
    link.setblocking(False)
    if link.family == getattr(socket, "AF_UNIX", None):
        await loop.create_unix_connection(lambda: protocol, sock=link)
    else:
        await loop.create_connection(lambda: protocol, sock=link)


def when_asked_to_end(call: Callable[[], object]) -> None:
    """Call it on the running loop when Ctrl-C or `children.ask_to_end` asks this process to end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        if ways.WINDOWS:  # whose loops have no add_signal_handler
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(call))
        else:
            loop.add_signal_handler(number, call)
