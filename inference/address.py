"""The address of an endpoint, as somebody wrote it. Nothing is looked up here, so the web may ask it.

What two readers of one address could understand differently is refused: names that are numbers in disguise,
user names, backslashes. Whether the host may be reached is decided where it is resolved
(`inference.engines.address`).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import urlsplit

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# What getaddrinfo takes for IPv4 beside the usual form: 127.1, 0x7f.1, 2130706433, 0177.0.0.1.
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.ASCII)


@dataclass(frozen=True)
class Address:
    """`host` is a name in ASCII (IDNA) or an IP address in its one usual form, without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return f"{self.scheme}://{host}{'' if self.port == usual else f':{self.port}'}{self.path}"

    @property
    def ip(self) -> IPAddress | None:
        """The host when it is an address already."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def parse(text: str) -> Address:
    """``http(s)://host[:port][/path]``. Raises ValueError with an English sentence."""
    if not text.isprintable() or any(sign in text for sign in " \\"):
        raise ValueError("The address must not hold spaces, backslashes or control characters.")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https"):
        raise ValueError("The address must begin with http:// or https://.")
    if "@" in text:
        raise ValueError("The address must not hold a user name or password.")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("The address must have no query and no fragment.")
    host, port = _split(parts.netloc)
    usual = 443 if parts.scheme == "https" else 80
    return Address(parts.scheme, host, usual if port is None else port, parts.path.rstrip("/"))


def _split(netloc: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{1,5}))?", netloc, re.ASCII)
    if match is None or (match[2] is not None and not 0 < int(match[2]) < 1 << 16):
        raise ValueError("The address names no host and port that can be understood.")
    port = int(match[2]) if match[2] else None
    return (_ipv6(match[1][1:-1]) if match[1].startswith("[") else _name(match[1])), port


def _ipv6(text: str) -> str:
    try:
        if "%" in text:
            raise ValueError("a zone")
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError("The address in brackets is no IPv6 address.") from None


def _name(text: str) -> str:
    """In ASCII and small letters, without the dot at its end. Signs of other alphabets are written as DNS
    wants them; what looks like digits and dots and becomes such is then read as what it has become."""
    host = unicodedata.normalize("NFKC", text).replace("。", ".").lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError("The address names no host that can be understood.") from None
    labels = host.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(".".join(labels)))
        except ValueError:
            raise ValueError("An IPv4 address must be four decimal numbers with dots between.") from None
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("The address names no host that can be understood.")
    return ".".join(labels)
