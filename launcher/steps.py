"""One step of the preparation: skipped while its stamp fits, shown while it runs, tried again, explained."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from launcher import process
from launcher.causes import cause
from launcher.place import ROOT, LauncherError, Place
from launcher.words import t
from system import ways

#: Pauses before the next attempt of a step whose connection broke (seconds).
PAUSES = (2.0, 5.0, 15.0)
#: How often a step that runs says so: on a screen, and in a log (seconds).
TICK, TICK_IN_LOG = 1.0, 30.0


def digest(files: Iterable[Path], *words: str) -> str:
    """One word for the names and contents of `files` and for `words`; the same wherever the checkout lies."""
    total = hashlib.sha256()
    for word in words:
        total.update(word.encode() + b"\0")
    for file in sorted(files):
        name = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else str(file)
        total.update(name.encode() + b"\0")
        total.update(hashlib.sha256(file.read_bytes()).digest() if file.is_file() else b"-")
    return total.hexdigest()


def fits(stamp: Path, value: str) -> bool:
    try:
        return stamp.read_text() == value
    except OSError:
        return False


def put(stamp: Path, value: str) -> None:
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(value)


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """One preparation of this checkout at a time, whatever data folders they are for."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        ways.lock(held.fileno(), wait=True)
        yield


def step(
    place: Place, title: str, command: list[str], *, cwd: Path = ROOT, network: bool = False, says: str = ""
) -> None:
    """Run one command; its output goes to logs/prepare.log, and to the screen only when it fails.

    `network`: a connection that broke is tried again, as pip and npm keep what they have. `says`: instead of
    the output's end, what is told when it fails.
    """
    pauses = list(PAUSES) if network else []
    while True:
        code, output = attempt(place, title, command, cwd)
        if code == 0:
            return
        found = cause(output, code)
        if found is not None and found.again and pauses:
            pause = pauses.pop(0)
            print(t("  {what} Trying again in {pause:.0f} s.", what=found.what, pause=pause), flush=True)
            rest(pause)
            continue
        tail = says or "\n".join(output.splitlines()[-30:])
        raise LauncherError(
            "\n".join(
                [
                    tail,
                    t("{title}: exit status {code}", title=title, code=code),
                    *(found.lines() if found else []),
                ]
            )
        )


def rest(seconds: float) -> None:
    time.sleep(seconds)


def attempt(place: Place, title: str, command: list[str], cwd: Path) -> tuple[int, str]:
    """The exit status and, when it is not 0, the output."""
    print(f"  {title} … ", end="", flush=True)
    began = time.monotonic()
    with (place.logs / "prepare.log").open("a+b") as log:
        at = log.seek(0, os.SEEK_END)
        log.write(f"$ {' '.join(command)}\n".encode())
        log.flush()
        try:
            with process.group(command, cwd=str(cwd), env=place.environ(), stdout=log, stderr=log) as running:
                code = watched(running, title, log.name, began)
        except OSError as error:
            print(t("failed"))
            raise LauncherError(f"{command[0]}: {error.strerror}") from error
        if code:
            print(t("failed"))
            log.seek(at)
            return code, log.read().decode(errors="replace")
    print(f"{time.monotonic() - began:.1f} s", flush=True)
    return 0, ""


def watched(running: subprocess.Popen[bytes], title: str, log: str, began: float) -> int:
    """Waits, and shows how long already and the last line of the output."""
    screen = sys.stdout.isatty()
    while True:
        try:
            return running.wait(timeout=TICK if screen else TICK_IN_LOG)
        except subprocess.TimeoutExpired:
            line = last_line(log)[:60]
            took = time.monotonic() - began
            if screen:
                print(f"\r\033[K  {title} … {took:.0f} s  {line}", end="", flush=True)
            else:
                print(f"{took:.0f} s{', ' if line else ''}{line} … ", end="", flush=True)
        if screen and running.poll() is not None:
            print(f"\r\033[K  {title} … ", end="", flush=True)


def last_line(log: str) -> str:
    file: IO[bytes]
    with contextlib.suppress(OSError), open(log, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
        lines = file.read().decode(errors="replace").split("\n")
        said = next((line.rpartition("\r")[2].strip() for line in reversed(lines) if line.strip()), "")
        return "" if said.startswith("$ ") else said  # nothing yet but the command itself
    return ""
