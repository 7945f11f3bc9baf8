"""What `start.py doctor` asks this machine: facts or None, without an exception, and within its time."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from launcher.place import Place
from launcher.words import t


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


def database(place: Place) -> list[str]:
    """[] where Django's checks of the database pass; else the first problem and its hint, if any."""
    command = [str(place.python), "manage.py", "check", "--database", "default"]
    code, said = output(command, env=place.environ(), cwd=place.root, within=60)
    return [] if code == 0 else first_problem(said)


def first_problem(said: str) -> list[str]:
    """Of what `manage.py check` printed; a character set is said in the user's language."""
    wrong = re.search(r"\((?:hearth|mysql)\.E\w+\) (.+)(?:\n\s*HINT: (.+))?", said)
    if wrong is None:
        return [said.splitlines()[-1] if said else "?"]
    charset = re.search(r"is in (\w+), which cannot hold", wrong[1])
    what = (
        t("its character set {charset} cannot hold every character", charset=charset[1])
        if charset
        else wrong[1]
    )
    return [what, *([wrong[2]] if wrong[2] else [])]


def speed(place: Place, folder: Path) -> float | None:
    """Tokens per second of one short answer of the model in `folder`."""
    words = ["-m", "inference", "bench", str(folder), "-n", "1", "-p", "16", "-g", "32"]
    code, said = output([str(place.python), *words], env=place.environ(), cwd=place.root, within=180)
    found = re.search(r"^\s*1\s+([\d.,]+)\s", said, re.MULTILINE)
    return float(found[1].replace(",", "")) if code == 0 and found else None
