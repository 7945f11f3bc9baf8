"""What went wrong, read from the output of pip, npm, Django or the system: the cause and what to do."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass

from launcher.words import t


@dataclass(frozen=True)
class Cause:
    """`again`: the same may work in a moment. `kind` is for tests and programs."""

    kind: str
    what: str
    remedy: str
    again: bool = False

    def lines(self) -> list[str]:
        return [self.what, *([self.remedy] if self.remedy else [])]


def mysql_line() -> str:
    if shutil.which("apt-get"):
        return "sudo apt install libmariadb-dev pkg-config gcc python3-dev"
    if shutil.which("dnf") or shutil.which("yum"):
        tool = "dnf" if shutil.which("dnf") else "yum"
        return f"sudo {tool} install mariadb-connector-c-devel pkgconf-pkg-config gcc python3-devel"
    return "brew install mariadb-connector-c pkg-config" if shutil.which("brew") else ""


# In this order: what is said first in the list explains what comes after it in an output.
PATTERNS = (
    ("disk", r"No space left on device|ENOSPC|\[Errno 28\]|database or disk is full|Disk quota exceeded"),
    ("mysql", r"mysqlclient(?s:.*)(mysql_config|pkg-config|Can not find valid pkg|mysql\.h|Python\.h)"),
    ("proxy", r"ProxyError|Tunnel connection failed|proxy.*(refused|407)|407 Proxy Auth|ERR_PROXY|EPROXY"),
    ("tls", r"CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UNABLE_TO_(GET|VERIFY)\w*CERT|certificate verify"),
    (
        "network",
        r"NewConnectionError|ConnectTimeout|ReadTimeout|Read timed out|Temporary failure in name resolution|"
        r"Name or service not known|Connection reset|Connection aborted|IncompleteRead|ConnectionResetError|"
        r"RemoteDisconnected|ProtocolError|incomplete-download|Network is unreachable|Connection broken|"
        r"ENOTFOUND|EAI_AGAIN|ECONNRESET|ECONNREFUSED|ETIMEDOUT|ERR_SOCKET_TIMEOUT|FETCH_ERROR|"
        r"Connection refused|HTTP error 50\d|50\d (Server Error|Bad Gateway|Service Unavailable)",
    ),
    ("hash", r"DO NOT MATCH THE HASHES|EINTEGRITY|BadZipFile|InvalidWheel|has an invalid wheel"),
    ("ensurepip", r"ensurepip is not available|No module named ensurepip|No module named venv"),
    ("managed", r"externally-managed-environment"),
    ("permission", r"Permission denied|EACCES|\[Errno 13\]|EPERM"),
    (
        "compiler",
        r"error: command '?[^\n']*(cc|cl\.exe|clang)'? failed|Microsoft Visual C\+\+ 14|cc1plus",
    ),
    ("none", r"No matching distribution found|Could not find a version that satisfies"),
    ("node", r"EBADENGINE|Unsupported engine|requires Node\.js|SyntaxError: Unexpected token|bad option"),
    ("memory", r"MemoryError|JavaScript heap out of memory|Cannot allocate memory|ENOMEM"),
)
AGAIN = ("network", "hash")


def kind_of(output: str, code: int = 1) -> str:
    if code in (-9, 137):
        return "memory"
    return next((kind for kind, pattern in PATTERNS if re.search(pattern, output)), "")


def cause(output: str, code: int = 1) -> Cause | None:
    kind = kind_of(output, code)
    if not kind:
        return None
    what, remedy = words(kind)
    return Cause(kind, what, remedy, again=kind in AGAIN)


def words(kind: str) -> tuple[str, str]:
    if kind == "mysql":
        line = mysql_line()
        return (
            t("The MySQL driver (mysqlclient) is compiled here and lacks MariaDB's or Python's headers."),
            t("Type:  {line}", line=line) if line else "",
        )
    return {
        "disk": (
            t("The disk is full."),
            t("Make room (pip cache purge frees some), or take another folder with --data."),
        ),
        "proxy": (
            t("The proxy that the environment names does not let this through."),
            t("Look at http_proxy, https_proxy and ALL_PROXY; unset them, or put in one that works."),
        ),
        "tls": (
            t("A certificate was not accepted: a proxy may sit in the way, or the clock is wrong."),
            t("Give pip and npm your company's certificate: PIP_CERT and NODE_EXTRA_CA_CERTS."),
        ),
        "network": (
            t("The connection broke, or there is none."),
            t("Run the same command again: what has come is kept. In China: --mirror cn."),
        ),
        "hash": (t("A file came damaged."), t("Run the same command again, or take another --mirror.")),
        "ensurepip": (
            t("This Python cannot make environments: its venv part is not installed."),
            t(
                "Type:  {line}",
                line="sudo apt install python3-venv   |   python3 -m pip install --user virtualenv",
            ),
        ),
        "managed": (
            t("This Python belongs to the system and takes no packages."),
            t("Type:  {line}", line="sudo apt install python3-venv"),
        ),
        "permission": (
            t("A file or folder may not be written by this user."),
            t("Let the checkout and the data folder belong to you, or take another --data; do not use sudo."),
        ),
        "compiler": (
            t("A package is compiled here, and the compiler failed."),
            t("Type:  {line}", line="sudo apt install build-essential python3-dev"),
        ),
        "none": (
            t("The package index has no such release for this Python and this machine."),
            t("Try --mirror none, or a Python from 3.11 to 3.13 (remove .venv first)."),
        ),
        "node": (
            t("This Node.js is too old for the page."),
            t("Take it off the PATH: start.py then fetches its own."),
        ),
        "memory": (
            t("The memory was not enough; the system ended the step."),
            t("Close other programs, or add swap, and run the same command again."),
        ),
    }[kind]
