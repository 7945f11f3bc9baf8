"""The built page in frontend/dist: built here, or carried by a release."""

from __future__ import annotations

import dataclasses

from launcher import node
from launcher.packages import CACHE
from launcher.place import ROOT, LauncherError, Place, venv_python
from launcher.steps import alone, digest, fits, put, step
from launcher.words import t

FRONTEND = ROOT / "frontend"
SOURCES = (
    "package.json",
    "package-lock.json",
    ".npmrc",
    "index.html",
    "vite.config.ts",
    "tsconfig.json",
)
#: In dist, written by `start.py release`: of which sources it was built.
CARRIED = ".hearth-page"


def page_digest() -> str:
    sources = [FRONTEND / name for name in SOURCES]
    for folder in ("src", "public"):
        sources += [file for file in (FRONTEND / folder).rglob("*") if file.is_file()]
    return digest(sources)


def npm(place: Place, found: node.Node, title: str, *words: str, network: bool = False) -> None:
    """npm with a PATH on which its scripts find the same node."""
    with_node = dataclasses.replace(place, path=(str(found.folder), *place.path))
    step(with_node, title, [*found.npm, *words], cwd=FRONTEND, network=network)


def node_modules(place: Place, found: node.Node | None = None) -> None:
    lock = digest([FRONTEND / "package-lock.json", FRONTEND / "package.json"])
    stamp = FRONTEND / "node_modules" / ".hearth"
    if fits(stamp, lock):
        return
    found = found or node.ready(place, venv_python())
    # With each file that comes as a line, else npm says nothing for minutes.
    words = ("ci", "--no-fund", "--no-audit", "--loglevel=http")
    npm(place, found, t("Installing the page's packages"), *words, network=True)
    put(stamp, lock)


def is_built() -> bool:
    if not (FRONTEND / "dist" / "index.html").exists():
        return False
    value = page_digest()
    return fits(CACHE / "stamps" / "page", value) or fits(FRONTEND / "dist" / CARRIED, value)


def page(place: Place) -> None:
    """The built page in frontend/dist."""
    if not (FRONTEND / "package.json").exists() or is_built():
        return
    with alone(CACHE / "prepare.lock"):
        if is_built():
            return
        value = page_digest()
        found = node.ready(place, venv_python())
        node_modules(place, found)
        npm(place, found, t("Building the page"), "run", "build")
        put(CACHE / "stamps" / "page", value)


def check_built() -> None:
    if not (FRONTEND / "dist" / "index.html").exists():
        raise LauncherError(t("The page is not built: cd frontend && npm install && npm run build"))
