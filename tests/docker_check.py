"""The images without an engine: ``python -m tests.docker_check [IMAGE...] [--keep DIR]``; takes minutes.

For each image: a clean folder with what the Dockerfile copies and nothing else; its `RUN` lines for packages,
page and model run there as they stand (only /opt/hearth and the like lie below that folder); apt is asked for
its packages; the size is summed up; then the commands are started, asked by their healthchecks, and answer.
What this is not: a container. Users, capabilities, volumes and networks need an engine.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.docker_house import Failed, first_answer, house, paths
from tests.dockerfile import Stage, context, lay, lineage, read, tracked

#: What `docker images` shows for python:3.11-slim-bookworm, as published; not measured here (MB).
BASE_IMAGE = 130
IMAGES = ("web", "inference-cpu", "inference-cuda")
PLACES = ("/opt/hearth", "/opt/model", "/page")


def run_lines(stage: Stage) -> Iterator[str]:
    """What is run for packages and the page; users and apt are the engine's business."""
    for one in stage.all("RUN"):
        if not re.search(r"apt-get|useradd", one.text):
            yield one.text


def build(stages: dict[str, Stage], name: str, root: Path, sent: set[str], env: Mapping[str, str]) -> None:
    """Run what the stages behind an image run, each in its own working folder below `root`."""
    for stage in needed(stages, name):
        done = root / f".{stage}"
        if done.exists():
            continue
        folder = root / ("page" if stage == "page" else "app")
        folder.mkdir(parents=True, exist_ok=True)
        lay(stages, stage, folder, sent)
        for copy in stages[stage].all("COPY"):
            *sources, target = copy.words
            if copy.flag("from") and not target.startswith("/"):
                shutil.copytree(f"{root}{sources[0]}", folder / target, dirs_exist_ok=True)
        for line in run_lines(stages[stage]):
            began = time.monotonic()
            shell(below(line, root), folder, {**arguments(stages[stage]), **env, **paths(root)})
            print(f"  {stage}: {line[:90]} … {time.monotonic() - began:.0f} s", flush=True)
        done.touch()


def needed(stages: dict[str, Stage], name: str) -> list[str]:
    """The stages that an image is made of, in the order of the file."""
    found, left = set(), [name]
    while left:
        stage = stages[left.pop()]
        found.add(stage.name)
        left += [source for copy in stage.all("COPY") if (source := copy.flag("from"))]
        left += [stage.base] if stage.base in stages else []
    return [one for one in stages if one in found]


def arguments(stage: Stage) -> dict[str, str]:
    pairs = (one.text.partition("=") for one in stage.all("ARG"))
    return {name: value for name, _, value in pairs}


def below(line: str, root: Path) -> str:
    for place in PLACES:
        line = line.replace(place, f"{root}{place}")
    return line


def shell(line: str, folder: Path, more: Mapping[str, str]) -> None:
    env = {**os.environ, **more}
    done = subprocess.run(
        ["sh", "-ec", line], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"{line}\n{(done.stdout + done.stderr)[-3000:]}")


def apt_packages(stages: dict[str, Stage], name: str) -> set[str]:
    found: set[str] = set()
    for one in lineage(stages, name):
        for part in re.findall(r"apt-get install ([^&]*)", one.text) if one.name == "RUN" else ():
            found |= {word for word in part.split() if not word.startswith("-")}
    return found


def megabytes(*folders: Path) -> float:
    files = (file for folder in folders for file in folder.rglob("*"))
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink()) / 1e6


def apt_megabytes(packages: set[str]) -> float:
    """Of the packages by themselves, from apt's own list. Raises Failed for one that Debian does not have."""
    total = 0
    for package in packages:
        shown = subprocess.run(["apt-cache", "show", package], capture_output=True, text=True, check=False)
        if shown.returncode:
            raise Failed(f"apt knows no {package}")
        total += int(re.findall(r"Installed-Size: (\d+)", shown.stdout)[0])
    return total / 1000


def size(stages: dict[str, Stage], name: str, root: Path) -> tuple[float, str]:
    """MB, and how they add up."""
    last_stages = [one for one in needed(stages, name) if is_base(stages, one, name)]
    apt = apt_megabytes({p for one in last_stages for p in own_apt(stages[one])})
    parts = {
        "base image, as published": float(BASE_IMAGE),
        "apt packages without what they need": apt,
        "Python packages": megabytes(root / "opt" / "hearth"),
        "Hearth and its page": megabytes(root / "app"),
        "model": megabytes(root / "opt" / "model") if "inference" in name else 0.0,
    }
    return sum(parts.values()), ", ".join(f"{what} {mb:.0f}" for what, mb in parts.items() if mb)


def is_base(stages: dict[str, Stage], one: str, name: str) -> bool:
    while name in stages:
        if name == one:
            return True
        name = stages[name].base
    return False


def own_apt(stage: Stage) -> set[str]:
    return apt_packages({stage.name: stage}, stage.name)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.docker_check", description=__doc__)
    parser.add_argument("images", nargs="*", choices=[*IMAGES, []], help="default: web and inference-cpu")
    parser.add_argument("--keep", type=Path, help="a folder for what is installed; used again the next time")
    parser.add_argument(
        "--build-arg", action="append", default=[], metavar="NAME=VALUE", help="a mirror, as for docker"
    )
    args = parser.parse_args()
    images = args.images or ["web", "inference-cpu"]
    top = (args.keep or Path(tempfile.mkdtemp(prefix="hearth-images-"))).resolve()
    stages, sent = read(), context(tracked())
    roots = {name: top / name for name in images}
    # Hearth's own settings of this shell are not the image's.
    foreign = [name for name in os.environ if name.startswith(("HEARTH_", "DJANGO_", "DATABASE_", "REDIS_"))]
    for name in foreign:
        del os.environ[name]
    try:
        for name, root in roots.items():
            print(name, flush=True)
            apt_megabytes(apt_packages(stages, name))
            build(stages, name, root, sent, dict(one.split("=", 1) for one in args.build_arg))
            total, parts = size(stages, name, root)
            print(f"  {total:.0f} MB: {parts}", flush=True)
            if name == "web" and total >= 400:
                raise Failed("the web image is to stay below 400 MB")
        if {"web", "inference-cpu"} <= set(roots):
            data = top / "run" / "data"
            shutil.rmtree(data.parent, ignore_errors=True)
            data.mkdir(parents=True, mode=0o700)
            with house(stages, roots, data) as joined:
                said = ", ".join(f"{role} {seconds:.1f} s" for role, seconds in joined.took.items())
                print(f"healthy after: {said}", flush=True)
                began = time.monotonic()
                print(f"{first_answer(joined, roots['web'])!r} after {time.monotonic() - began:.0f} s")
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if args.keep is None:
            shutil.rmtree(top, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
