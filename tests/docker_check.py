"""The images without an engine: ``python -m tests.docker_check [IMAGE...] [--keep DIR]``; takes minutes.

For each image: a clean folder with what the Dockerfile copies and nothing else; its `RUN` lines for packages,
page and model run there as they stand (only /opt/hearth and the like lie below that folder); apt is asked for
its packages; the size is summed up; then its command is started and asked by its own healthcheck.
What this is not: a container. Users, capabilities, volumes and networks need an engine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.dockerfile import Instruction, Stage, context, last, lay, lineage, read, tracked
from tests.house import free_port

#: What `docker images` shows for python:3.11-slim-bookworm, as published; not measured here (MB).
BASE_IMAGE = 130
IMAGES = ("web", "inference-cpu", "inference-cuda")
PLACES = ("/opt/hearth", "/opt/model", "/page")
HEALTHY_WITHIN = 120.0


class Failed(Exception):
    pass


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


def paths(root: Path) -> dict[str, str]:
    return {"PATH": f"{root}/opt/hearth/bin{os.pathsep}{os.environ['PATH']}"}


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


def environment(stages: dict[str, Stage], name: str, root: Path) -> dict[str, str]:
    """What the image's ENV lines say, with a data folder below `root`."""
    env = {"HOME": str(root)}
    for one in lineage(stages, name):
        if one.name == "ENV":
            env |= dict(word.split("=", 1) for word in one.words if not word.startswith("PATH="))
    return env | {"HEARTH_DATA": f"{root}/data", "HEARTH_CACHE": f"{root}/data/cache"} | paths(root)


@contextmanager
def started(
    command: list[str], folder: Path, env: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Only `env` and the PATH: a shell's own settings do not reach a container either."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=dict(env), stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until_healthy(
    process: subprocess.Popen[bytes], check: list[str], folder: Path, env: Mapping[str, str], log: Path
) -> float:
    """Asks as the engine does; the seconds that it took."""
    began = time.monotonic()
    while time.monotonic() - began < HEALTHY_WITHIN:
        if subprocess.run(check, cwd=folder, env=dict(env), capture_output=True, check=False).returncode == 0:
            return time.monotonic() - began
        if process.poll() is not None:
            break
    raise Failed(f"not healthy: {check}\n{log.read_text(errors='replace')[-3000:]}")


def words(stages: dict[str, Stage], name: str, instruction: str) -> list[str]:
    """The JSON list of CMD, ENTRYPOINT or HEALTHCHECK."""
    found: Instruction | None = last(stages, name, instruction)
    if found is None:
        raise Failed(f"{name} has no {instruction}")
    listed: list[str] = json.loads(found.text[found.text.index("[") :])
    return listed


def entry(stages: dict[str, Stage], name: str) -> list[str]:
    """What the image starts, without the init before it."""
    whole = words(stages, name, "ENTRYPOINT") + words(stages, name, "CMD")
    if whole[:2] != ["tini", "--"]:
        raise Failed(f"{name} starts without an init: {whole}")
    return whole[2:]


@contextmanager
def house(stages: dict[str, Stage], roots: Mapping[str, Path], data: Path) -> Iterator[dict[str, float]]:
    """Web, model service and worker as their images start them, joined as docker-compose.yml joins them: one
    data folder, the model service over TCP with the secret from there. Yields what each took (seconds).

    `roots`: by image, the folder that stands for its `/`.
    """
    web, service = free_port(), free_port()
    shared = {"HEARTH_DATA": str(data), "HEARTH_CACHE": str(data / "cache")}
    django = {"HEARTH_INFERENCE": f"http://127.0.0.1:{service}", "HEARTH_PORT": str(web)}
    inference = {"HEARTH_INFERENCE_LISTEN": f"http://0.0.0.0:{service}"}
    worker = ["python", "start.py", "run", "worker", "--here"]
    parts = [
        ("web", "web", entry(stages, "web"), django, f"{web}/healthz"),
        ("inference", "inference-cpu", entry(stages, "inference-cpu"), inference, f"{service}/healthz"),
        ("worker", "web", worker, django, f"{web}/readyz"),
    ]
    took: dict[str, float] = {}
    with ExitStack() as stack:
        for role, image, command, more, address in parts:
            root, log = roots[image], data.parent / f"{role}.log"
            env = environment(stages, image, root) | {"HEARTH_IMAGE_MODELS": f"{root}/opt/model"}
            env |= shared | more
            process = stack.enter_context(started(command, root / "app", env, log))
            check = ["python", "docker/healthcheck.py", role, f"http://127.0.0.1:{address}"]
            took[role] = until_healthy(process, check, root / "app", env, log)
        yield took


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
            build(stages, name, root, sent, {})
            total, parts = size(stages, name, root)
            print(f"  {total:.0f} MB: {parts}", flush=True)
            if name == "web" and total >= 400:
                raise Failed("the web image is to stay below 400 MB")
        if {"web", "inference-cpu"} <= set(roots):
            data = top / "run" / "data"
            shutil.rmtree(data.parent, ignore_errors=True)
            data.mkdir(parents=True, mode=0o700)
            with house(stages, roots, data) as took:
                print("healthy after: " + ", ".join(f"{role} {s:.1f} s" for role, s in took.items()))
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if args.keep is None:
            shutil.rmtree(top, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
