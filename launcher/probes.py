"""What `start.py doctor` asks this machine: facts or None, without an exception, and within its time."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from launcher.place import Place, manage
from launcher.words import language


def output(
    command: list[str], *, env: dict[str, str] | None = None, cwd: Path | None = None, within: float = 60
) -> tuple[int, str]:
    """Exit status and all that was printed; -1 where it could not run or took too long."""
    try:
        done = subprocess.run(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, str(error)
    return done.returncode, done.stdout.decode(errors="replace").strip()


@dataclass(frozen=True)
class Card:
    """Memory in MiB, as NVML says it now."""

    name: str
    free: int
    total: int


def cards(text: str) -> list[Card]:
    """From nvidia-smi's lines `name, memory.free, memory.total` without units."""
    found = []
    for line in text.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) == 3 and words[1].isdecimal() and words[2].isdecimal():
            found.append(Card(words[0], int(words[1]), int(words[2])))
    return found


def memory() -> tuple[float, float] | None:
    """Available and total, in GiB."""
    try:
        lines = dict(re.findall(r"(\w+):\s+(\d+) kB", Path("/proc/meminfo").read_text()))
        return int(lines["MemAvailable"]) / 2**20, int(lines["MemTotal"]) / 2**20
    except (OSError, KeyError):
        pass
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (ValueError, OSError, AttributeError):
        return None
    return total, total


def listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def redis(address: str) -> str:
    """'' where it answers, else why not. Said in Redis' own protocol, as no package may be there yet."""
    parts = urlsplit(address)
    try:
        with socket.create_connection(
            (parts.hostname or "127.0.0.1", parts.port or 6379), timeout=3
        ) as plain:
            stream: socket.socket = plain
            if parts.scheme == "rediss":
                stream = ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
            if parts.password:
                said = command(
                    stream,
                    *(["AUTH", unquote(parts.username)] if parts.username else ["AUTH"]),
                    unquote(parts.password),
                )
                if not said.startswith("+OK"):
                    return said.strip()
            said = command(stream, "PING")
            return "" if said.startswith("+PONG") else said.strip()
    except (OSError, ValueError) as error:
        return str(error)


def command(stream: socket.socket, *words: str) -> str:
    stream.sendall(
        f"*{len(words)}\r\n".encode() + b"".join(f"${len(w.encode())}\r\n{w}\r\n".encode() for w in words)
    )
    return stream.recv(512).decode(errors="replace")


def asked(place: Place, about: str) -> tuple[Any, str]:
    """What `manage.py doctor` says of "database" or "answer", in the user's language; or None and why not."""
    words = ["doctor", about, "--language", "zh-hans" if language() == "zh" else "en"]
    code, said = output(manage(place, *words), env=place.environ(), cwd=place.root, within=200)
    last = said.splitlines()[-1] if said else "?"
    try:
        return (json.loads(last), "") if code == 0 else (None, last)
    except ValueError:
        return None, last


def speed(place: Place, folder: str, dtype: str) -> float | None:
    """Tokens per second of one short answer of the model in `folder`, in a process of its own."""
    words = ["-m", "inference", "bench", folder, "--dtype", dtype, "-n", "1", "-p", "16", "-g", "32"]
    code, said = output([str(place.python), *words], env=place.environ(), cwd=place.root, within=180)
    found = re.search(r"^\s*1\s+([\d.,]+)\s", said, re.MULTILINE)
    return float(found[1].replace(",", "")) if code == 0 and found else None
