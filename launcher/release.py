"""`start.py release`: an archive of the tracked files and the built page, whose user needs no Node.js."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tomllib
from pathlib import Path

from launcher import page
from launcher.place import ROOT, LauncherError, Place
from launcher.words import t

#: Made when the page is built; no part of the sources.
DIST = "frontend/dist"


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def tracked() -> list[str]:
    """The files of the checkout as they lie there, also those with changes that are not committed."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=str(ROOT), capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise LauncherError(
            t("A release is made from a git checkout; git does not know this folder.")
        ) from None
    names = done.stdout.decode().split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def write(target: Path, names: list[str], folder: str, carried: str) -> None:
    """Sorted, without owners and with whole seconds, so that the same files give the same archive."""
    part = target.with_name(target.name + ".part")
    built = sorted(
        file.relative_to(ROOT).as_posix() for file in page.FRONTEND.glob("dist/**/*") if file.is_file()
    )
    with tarfile.open(part, "w:gz") as archive:
        for name in sorted({*names, *built} - {f"{DIST}/{page.CARRIED}"}):
            archive.add(ROOT / name, f"{folder}/{name}", recursive=False, filter=nameless)
        note = tarfile.TarInfo(f"{folder}/{DIST}/{page.CARRIED}")
        note.size, note.mode = len(carried), 0o644
        archive.addfile(note, io.BytesIO(carried.encode()))
    part.replace(target)


def nameless(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = int(entry.mtime)
    return entry


def make(place: Place, target: Path | None) -> int:
    names = tracked()
    page.page(place)
    folder = f"hearth-{version()}"
    target = target or Path.cwd() / f"{folder}.tar.gz"
    write(target, names, folder, page.page_digest())
    size = target.stat().st_size / 2**20
    print(t("{target} ({size:.1f} MiB): unpack it and run python3 start.py", target=target, size=size))
    return 0
