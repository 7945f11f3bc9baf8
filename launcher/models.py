"""Models that lie on this machine already: those of --models, and those in the hubs' own caches."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from launcher.place import ROOT, LauncherError, Place, manage
from launcher.words import language, t

#: Seconds for looking through folders; a disk that does not answer must not hold up the start for ever.
LONGEST_LOOK = 60.0


def folder_of(told: Path | None) -> Path | None:
    """The folder of --models, else of HEARTH_MODELS, else None. Raises LauncherError where it is none."""
    word = told or os.environ.get("HEARTH_MODELS")
    if not word:
        return None
    folder = Path(word).expanduser().absolute()
    if not folder.is_dir():
        raise LauncherError(t("There is no folder {folder} (--models)", folder=folder))
    return folder


def command(place: Place, *words: str) -> list[str]:
    """One of ours that speaks to the user, in the user's language."""
    return [*manage(place, *words), "--language", "zh-hans" if language() == "zh" else "en"]


def register(place: Place, folder: Path) -> None:
    """The models in the folder of --models, on the list and where they lie; new ones at each start."""
    print(t("  Models in {folder}", folder=folder), flush=True)
    words = command(place, "register_models", str(folder))
    # One folder is no reason not to start: what is wrong is printed, and the start goes on.
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            words,
            cwd=str(ROOT),
            env=place.environ(),
            stdin=subprocess.DEVNULL,
            timeout=LONGEST_LOOK,
            check=False,
        )


@contextlib.contextmanager
def aside() -> Iterator[list[subprocess.Popen[bytes]]]:
    """What runs beside the start and ends with it."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def tell_found(place: Place) -> subprocess.Popen[bytes]:
    """One line about what the caches of ModelScope and Hugging Face hold; it comes when it comes."""
    return subprocess.Popen(
        command(place, "found_models", "--url", place.url),
        cwd=str(ROOT),
        env=place.environ(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
