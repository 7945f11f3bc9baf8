"""Where packages and models come from: the usual places, mirrors in China, or what the user has set.

What the user has set always wins. `auto` measures once, for three seconds at most, and only when something
has to be fetched; the outcome is remembered. An address is passed on as a variable that the child knows.
"""

from __future__ import annotations

import configparser
import json
import os
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.words import t

WORDS = ("auto", "cn", "none")
#: The longest that measuring may take (seconds), and how long its outcome holds.
WITHIN, KEPT = 3.0, 7 * 24 * 3600.0
#: A mirror is taken where the usual place takes this much longer, and longer than that (seconds).
SLOWER, SLOW = 3.0, 1.0
#: The torch index where none answered: torch's CPU build then comes from where the other packages are.
SILENT = "none"


@dataclass(frozen=True)
class Source:
    """`look`: a small file below both addresses that tells how fast they are."""

    name: str
    variable: str
    usual: str
    china: str
    look: str


SOURCES = (
    Source(
        "pip", "PIP_INDEX_URL", "https://pypi.org/simple", "https://pypi.tuna.tsinghua.edu.cn/simple", "/pip/"
    ),
    Source(
        "npm",
        "npm_config_registry",
        "https://registry.npmjs.org",
        "https://registry.npmmirror.com",
        "/react/latest",
    ),
    Source(
        "torch",
        "HEARTH_TORCH_INDEX",
        "https://download.pytorch.org/whl",
        "https://mirrors.nju.edu.cn/pytorch/whl",
        "/cpu/",
    ),
    Source(
        "Hugging Face",
        "HEARTH_HF_ENDPOINT",
        "https://huggingface.co",
        "https://hf-mirror.com",
        "/api/models?limit=1",
    ),
)


@dataclass(frozen=True)
class Mirrors:
    """`variables` for the children; `reached`: which usual place or mirror answered, None: not measured."""

    variables: dict[str, str]
    own: dict[str, str]
    reached: dict[str, bool] | None = None

    def lines(self) -> list[str]:
        found = []
        for source in SOURCES:
            if source.name == "torch" and "PIP_INDEX_URL" in self.own and source.variable not in self.own:
                continue  # where the user's own packages are, unless its build is not there
            if source.variable in self.own:
                address, who = self.own[source.variable], t("yours")
            elif self.variables.get(source.variable, SILENT) != SILENT:
                address, who = self.variables[source.variable], t("mirror")
            else:
                address, who = source.usual, t("the usual")
            silent = self.reached is not None and not self.reached.get(source.name, True)
            found.append(f"{source.name}: {address} ({who}{t(', does not answer') if silent else ''})")
        return found


def pip_files(environ: Mapping[str, str], home: Path, prefix: Path) -> list[Path]:
    """pip's own configuration files, as it reads them."""
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return []
    folders = [Path(part) for part in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep) if part]
    found = [Path("/etc/pip.conf"), *(folder / "pip" / "pip.conf" for folder in folders)]
    settings = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    found += [
        settings / "pip" / "pip.conf",
        home / ".pip" / "pip.conf",
        home / ".config" / "pip" / "pip.conf",
    ]
    if environ.get("APPDATA"):
        found.append(Path(environ["APPDATA"]) / "pip" / "pip.ini")
    found.append(prefix / "pip.conf")
    if environ.get("PIP_CONFIG_FILE"):
        found.append(Path(environ["PIP_CONFIG_FILE"]))
    return found


def pip_settings(environ: Mapping[str, str], home: Path, prefix: Path) -> dict[str, str]:
    """Those of pip's settings that say where packages are, from its files and the environment."""
    found: dict[str, str] = {}
    for file in pip_files(environ, home, prefix):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    for name in ("index-url", "extra-index-url", "find-links", "no-index"):
        value = environ.get("PIP_" + name.upper().replace("-", "_"))
        if value:
            found[name] = value
    return {
        name: found[name]
        for name in ("index-url", "extra-index-url", "find-links", "no-index")
        if name in found
    }


def npm_registry(environ: Mapping[str, str], home: Path, frontend: Path) -> str:
    for name, value in environ.items():
        if name.lower() == "npm_config_registry" and value:
            return value
    user = environ.get("NPM_CONFIG_USERCONFIG") or environ.get("npm_config_userconfig") or home / ".npmrc"
    for file in (frontend / ".npmrc", Path(user)):
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            name, found, value = line.partition("=")
            if found and name.strip() == "registry":
                return value.strip()
    return ""


def users_own(environ: Mapping[str, str], home: Path, prefix: Path, frontend: Path) -> dict[str, str]:
    """Variable → address, for what the user has set in whatever place."""
    pip = pip_settings(environ, home, prefix)
    found = {
        "PIP_INDEX_URL": pip.get("index-url") or ("no-index" if "no-index" in pip else ""),
        "npm_config_registry": npm_registry(environ, home, frontend),
        "HEARTH_TORCH_INDEX": environ.get("HEARTH_TORCH_INDEX", ""),
        "HEARTH_HF_ENDPOINT": environ.get("HEARTH_HF_ENDPOINT", "") or environ.get("HF_ENDPOINT", ""),
    }
    return {name: value for name, value in found.items() if value}


def seconds(url: str) -> float | None:
    """To the answer's head, through the user's proxy if there is one; an answer of 4xx is one, too."""
    began = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=WITHIN):
            pass
    except urllib.error.HTTPError as error:
        return time.monotonic() - began if error.code < 500 else None
    except (OSError, ValueError):
        return None
    return time.monotonic() - began


def measured(urls: list[str], probe: Callable[[str], float | None] = seconds) -> dict[str, float | None]:
    """All at once; who has not answered after `WITHIN` seconds does not count (a name server may hang)."""
    answers: queue.SimpleQueue[tuple[str, float | None]] = queue.SimpleQueue()
    for url in urls:
        threading.Thread(target=lambda url=url: answers.put((url, probe(url))), daemon=True).start()
    found: dict[str, float | None] = dict.fromkeys(urls)
    end = time.monotonic() + WITHIN
    for _ in urls:
        try:
            url, took = answers.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        found[url] = took
    return found


def decided(usual: float | None, china: float | None) -> bool:
    """Is the mirror to be taken?"""
    if china is None:
        return False
    return usual is None or (usual > SLOW and usual > SLOWER * china)


def choose(
    flag: str, own: dict[str, str], probe: Callable[[str], float | None] = seconds, *, measure: bool = True
) -> Mirrors:
    ours = [source for source in SOURCES if source.variable not in own]
    if flag == "cn":
        return Mirrors({source.variable: source.china for source in ours}, own)
    if flag == "none" or not measure or not ours:
        return Mirrors({}, own)
    times = measured(
        [address + source.look for source in ours for address in (source.usual, source.china)], probe
    )
    variables, reached = {}, {}
    for source in ours:
        usual, china = times[source.usual + source.look], times[source.china + source.look]
        reached[source.name] = usual is not None or china is not None
        if decided(usual, china):
            variables[source.variable] = source.china
        elif source.name == "torch" and not reached[source.name]:
            variables[source.variable] = SILENT
    return Mirrors(variables, own, reached)


def remembered(file: Path, now: float) -> dict[str, str] | None:
    """What a start chose before; None when that is long ago."""
    try:
        found = json.loads(file.read_text())
        known = {source.variable for source in SOURCES}
        if now - found["at"] > KEPT and not found["asked"]:
            return None
        return {name: str(value) for name, value in found["variables"].items() if name in known}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def remember(file: Path, mirrors: Mirrors, flag: str, now: float) -> None:
    """An asked-for choice stays; a measured one is measured again after a week."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"at": now, "asked": flag != "auto", "variables": mirrors.variables}) + "\n")
