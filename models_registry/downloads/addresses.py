"""Where a hub may send us: a redirect must not turn the worker into a reader of the house's own network."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from models_registry.downloads.failure import Failure

#: Headers that may be shown to another host than the hub.
_FOR_ALL = ("range", "accept-encoding", "user-agent")


class Guard(AbstractResolver):
    """Names to addresses, as they are connected to. Other hosts than the hub must be on the public Internet.

    A hub that is itself inside (a lab's mirror) may send to addresses inside. Behind a proxy the proxy
    resolves, so only addresses written as numbers are seen here.
    """

    def __init__(self, endpoint: str) -> None:
        self._names = ThreadedResolver()
        self._hub = urlsplit(endpoint).hostname or ""
        self._proxies = {urlsplit(proxy).hostname for proxy in getproxies().values()}
        self._inside = _is_inside(self._hub)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        if host == self._hub:
            self._inside = self._inside or any(_is_inside(one["host"]) for one in found)
        elif host not in self._proxies and not self._inside:
            found = [one for one in found if not _is_inside(one["host"])]
            if not found:
                raise Failure("bad_redirect", address=host)
        return found

    def check(self, url: str) -> None:
        """Raises Failure("bad_redirect") for what is no plain http(s) address, or a number inside."""
        try:
            parts = urlsplit(url)
            fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise Failure("bad_redirect", address=url[:200]) from None
        host = parts.hostname or ""
        if not fine or "@" in parts.netloc:
            raise Failure("bad_redirect", address=url[:200])
        if host != self._hub and _is_inside(host) and not self._inside:
            raise Failure("bad_redirect", address=url[:200])

    async def close(self) -> None:
        await self._names.close()


def headers_for(url: str, origin: str, headers: dict[str, str]) -> dict[str, str]:
    """`headers`, without what only the hub at `origin` may see (a token) when `url` is elsewhere."""
    here, there = urlsplit(origin), urlsplit(url)
    if (here.scheme, here.netloc) == (there.scheme, there.netloc):
        return headers
    return {name: value for name, value in headers.items() if name.lower() in _FOR_ALL}


def _is_inside(host: str) -> bool:
    """Whether `host` is an address, written as a number, that is not on the public Internet."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return not (mapped or address).is_global
