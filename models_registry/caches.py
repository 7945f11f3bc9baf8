"""Models that other programs have fetched into the hubs' caches here, to be used where they lie.

Layouts: Hugging Face `models--<owner>--<name>/snapshots/<commit>/`; ModelScope
`models/<owner>--<name>/snapshots/<revision>/`, and of older versions of its library
`hub/models/<owner>/<name>/`, `hub/<owner>/<name>/` and `models/<owner>/<name>/`, where "." became "___".
Nothing is checked here but that weights lie there; who registers a folder has it inspected.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

#: Entries that are looked at, so that a huge or slow disk ends, too.
MOST_ENTRIES = 2_000
MOST_FILES = 2_000


@dataclass(frozen=True)
class Cached:
    """`path` is a folder with safetensors (`kind` "folder") or one file ("gguf"); `size_bytes` of it."""

    kind: str
    path: str
    name: str
    hub: str
    repo: str
    size_bytes: int


def cached_models() -> list[Cached]:
    """What lies in the caches of both hubs, by name. A cache that cannot be read holds nothing."""
    places = settings.HEARTH_HUB_CACHES
    found = [
        *_models("huggingface", _huggingface(Path(places["huggingface"]))),
        *_models("modelscope", _modelscope(Path(places["modelscope"]))),
    ]
    return sorted(found, key=lambda cached: (cached.repo.lower(), cached.path))


def models_in(root: Path) -> list[Cached]:
    """What lies in a folder and in the two levels below it, as `<owner>/<name>/`; `hub` is "".

    Links to folders are passed over: who may write there could point at anything else on this machine.
    """
    below = _folders(root)
    places = [root, *below, *(deeper for folder in below for deeper in _folders(folder))]
    return list(_models("", ((f"/{place.name}", place) for place in places[:MOST_ENTRIES])))


def _huggingface(root: Path) -> Iterator[tuple[str, Path]]:
    """(repository, folder) of each; the commit that `main` stands for, else the newest."""
    for entry in _folders(root):
        kind, _, rest = entry.name.partition("--")
        owner, _, name = rest.partition("--")
        if kind != "models" or not name:
            continue
        snapshots = _folders(entry / "snapshots")
        commit = _line(entry / "refs" / "main")
        chosen = [folder for folder in snapshots if folder.name == commit] or _newest(snapshots)
        yield from ((f"{owner}/{name}", folder) for folder in chosen)


def _modelscope(root: Path) -> Iterator[tuple[str, Path]]:
    for entry in _folders(root / "models"):
        owner, _, name = entry.name.partition("--")
        if name:
            yield from ((f"{owner}/{name}", folder) for folder in _newest(_folders(entry / "snapshots")))
    for place in (root / "hub" / "models", root / "hub", root / "models"):
        for owner_folder in _folders(place):
            if "--" in owner_folder.name or owner_folder.name in ("models", "datasets"):
                continue
            for folder in _folders(owner_folder):
                yield f"{owner_folder.name}/{folder.name.replace('___', '.')}", folder


def _models(hub: str, folders: Iterator[tuple[str, Path]]) -> Iterator[Cached]:
    seen: set[Path] = set()
    for repo, folder in folders:
        if folder in seen:
            continue
        seen.add(folder)
        sizes = _sizes(folder)
        name = repo.partition("/")[2]
        ggufs = {path: size for path, size in sizes.items() if path.endswith(".gguf")}
        if "config.json" in sizes and any(path.endswith(".safetensors") for path in sizes):
            yield Cached("folder", str(folder), name, hub, repo, sum(sizes.values()))
        for path, size in ggufs.items():
            yield Cached("gguf", str(folder / path), path.removesuffix(".gguf"), hub, repo, size)


def _sizes(folder: Path) -> dict[str, int]:
    """The files of a folder, links followed, by name; those in folders below it are not a model's."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry, _ in zip(entries, range(MOST_FILES), strict=False):
                if entry.is_file():
                    found[entry.name] = entry.stat().st_size
    except OSError:
        pass  # gone while it was read: what is left is listed
    return found


def _folders(place: Path) -> list[Path]:
    """The folders in a folder, without hidden ones and without links."""
    try:
        with os.scandir(place) as entries:
            looked = [entry for entry, _ in zip(entries, range(MOST_ENTRIES), strict=False)]
    except OSError:
        return []
    found = [e for e in looked if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
    return sorted((Path(entry.path) for entry in found), key=lambda path: path.name)


def _newest(folders: list[Path]) -> list[Path]:
    return [max(folders, key=lambda folder: folder.stat().st_mtime)] if folders else []


def _line(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as stream:
            return stream.readline(200).strip()
    except (OSError, ValueError):
        return ""
