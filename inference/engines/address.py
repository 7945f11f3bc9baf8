"""The address of an endpoint is resolved once, checked, and connected to as checked.

Who may name an address is decided on the web side (administrators only); what they name may be private and
loopback. Refused is what no model runs on: link-local addresses (a cloud's metadata service lies there), its
other known places, multicast, unspecified. HEARTH_ENDPOINT_NETWORKS (networks with commas between) allows
such after all. A name is held to what it was: one that led to public addresses and then leads into this
house's network is refused, for then the owner of the name chooses, and not the administrator.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from inference import address as addresses
from inference.address import Address, IPAddress
from inference.errors import InferenceError

Lookup = Callable[[str, int], Awaitable[list[str]]]
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Where clouds tell secrets to whoever asks, besides 169.254.169.254: AWS (IPv6), Alibaba, Oracle, Azure.
_METADATA = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"))
)
_NAT64 = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48")))
_COMPATIBLE = ipaddress.IPv6Network("::/96")
#: Names whose addresses were public, in this process: they may not become private ones.
_PUBLIC: set[str] = set()


async def lookup(host: str, port: int) -> list[str]:
    """The addresses of a name. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Pinned(AbstractResolver):
    """The checked addresses of one endpoint, for one session. No name but the endpoint's is resolved."""

    def __init__(self, base_url: str, look: Lookup = lookup) -> None:
        """Raises InferenceError("load_failed") for an address that cannot be one."""
        try:
            self.address: Address = addresses.parse(base_url)
        except ValueError as error:
            raise InferenceError("load_failed", str(error)) from error
        self._look = look
        self._found: list[IPAddress] = []

    async def pin(self) -> list[IPAddress]:
        """Resolves and checks, once. Raises InferenceError: "unavailable" for a name that is not known now,
        "load_failed" for an address that may not be reached."""
        if not self._found:
            self._found = check(self.address.host, await self._resolve())
        return self._found

    def forget(self) -> None:
        """Nobody answers there: the name is resolved anew for the next, and checked against what it was."""
        self._found = []

    def session(self, **options: Any) -> aiohttp.ClientSession:
        """One that connects to nothing else: no proxy, no cache of names; redirects are the caller's to
        refuse (`allow_redirects=False`), and would lead nowhere but here."""
        connector = _OnlyHere(self, limit=0, resolver=self, use_dns_cache=False)
        return aiohttp.ClientSession(connector=connector, trust_env=False, **options)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """aiohttp's question. TLS still checks the name."""
        if host.lower().rstrip(".") != self.address.host:
            raise OSError(f"{host} is not the endpoint's host")
        return [
            ResolveResult(
                hostname=host,
                host=str(ip),
                port=port,
                family=socket.AF_INET if ip.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for ip in await self.pin()
        ]

    async def close(self) -> None:
        """Nothing is held."""

    async def _resolve(self) -> list[IPAddress]:
        if self.address.ip is not None:
            return [self.address.ip]
        try:
            names = await self._look(self.address.host, self.address.port)
            return [ipaddress.ip_address(name.partition("%")[0]) for name in names]
        except (OSError, UnicodeError) as error:
            raise InferenceError("unavailable", "The endpoint's name cannot be resolved.", True) from error


class _OnlyHere(aiohttp.TCPConnector):
    """A host that is written as an address comes past the resolver, so it is held to the endpoint's here."""

    def __init__(self, pinned: Pinned, **options: Any) -> None:
        super().__init__(**options)
        self._pinned = pinned

    async def connect(self, req: Any, *args: Any, **options: Any) -> Any:
        url, here = req.url, self._pinned.address
        if (url.raw_host, url.port) != (here.host, here.port):
            raise aiohttp.ClientConnectionError("Another address than the endpoint's was named.")
        return await super().connect(req, *args, **options)


def check(host: str, found: Sequence[IPAddress]) -> list[IPAddress]:
    """The addresses of `host` when each may be reached. One that may not refuses them all: an answer that
    mixes them is meant to slip through. Raises InferenceError("load_failed")."""
    if not found:
        raise InferenceError("unavailable", "The endpoint's name cannot be resolved.", True)
    for ip in found:
        if not _may_be_reached(ip):
            raise InferenceError("load_failed", "The endpoint's address is one that is never connected to.")
    private = {not _real(ip).is_global for ip in found}
    if private == {True, False} or (private == {True} and host in _PUBLIC):
        raise InferenceError("load_failed", "The endpoint's name leads from outside into this network.")
    if private == {False}:
        _PUBLIC.add(host)
    return list(dict.fromkeys(found))


def _may_be_reached(ip: IPAddress) -> bool:
    real = _real(ip)
    if any(real.version == net.version and real in net for net in _allowed()):
        return True
    odd = real.is_link_local or real.is_multicast or real.is_unspecified
    this_host = real.version == 4 and (real in ipaddress.IPv4Network("0.0.0.0/8") or int(real) >= 0xF0000000)
    return not (odd or this_host or real in _METADATA)


def _real(ip: IPAddress) -> IPAddress:
    """Where it leads: some IPv6 addresses carry an IPv4 one (mapped, NAT64, 6to4, Teredo, compatible)."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip.ipv4_mapped or ip.sixtofour:
        return ip.ipv4_mapped or ip.sixtofour or ip
    if ip.teredo:
        return ip.teredo[1]
    inside = any(ip in net for net in _NAT64) or (ip in _COMPATIBLE and int(ip) > 1)
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if inside else ip


@cache
def _allowed() -> tuple[_Network, ...]:
    """Raises ValueError: the setting is no list of networks."""
    text = os.environ.get("HEARTH_ENDPOINT_NETWORKS", "")
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
