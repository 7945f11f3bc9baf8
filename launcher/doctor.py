"""What this machine has, on one screen, in the user's language: as text to paste into an issue."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from launcher import filesystems, mirrors, node, packages, page, probes, state, torch_choice
from launcher.place import ROOT, Place
from launcher.prepare import MODEL_NAME
from launcher.words import language, t

#: Less is named: for the packages and one model, and for a small model in memory (GiB).
LITTLE_DISK, LITTLE_MEMORY = 8.0, 2.0
#: Asked for the hub, below its address; ModelScope has no mirror, it is one.
MODELSCOPE = "/openapi/v1/models?page_number=1&page_size=1"


@dataclass(frozen=True)
class Row:
    """`remedy`: what to do about it; '' where nothing is wrong."""

    name: str
    value: str
    remedy: str = ""


def without_password(address: str) -> str:
    scheme, found, rest = address.partition("://")
    return scheme + found + rest.rpartition("@")[2]


def python(place: Place) -> Row:
    return Row(
        "Python", t("{mine}; the processes use {theirs}", mine=sys.version.split()[0], theirs=place.python)
    )


def node_row() -> Row:
    found = node.on_path(os.environ.get("PATH", ""), node.version_of, node.in_wsl())
    found = found or node.from_wheel(ROOT / ".venv")
    if found:
        return Row("Node.js", f"{'.'.join(map(str, found.version))} ({found.folder})")
    if page.is_built():
        return Row("Node.js", t("none, and none is needed: the page is built"))
    return Row("Node.js", t("none that will do"), t("start.py fetches one into .venv; nothing to do."))


def disk(place: Place) -> Row:
    home = next(folder for folder in (place.data, *place.data.parents) if folder.exists())
    free = shutil.disk_usage(str(home)).free / 2**30
    kind = filesystems.kind(place.data, filesystems.mounts())
    value = t("{free:.1f} GiB free at {home} ({kind})", free=free, home=home, kind=kind or "?")
    wrong = filesystems.problem(place.data, filesystems.mounts())
    if wrong:
        return Row(t("Disk"), value, wrong.replace("\n", " "))
    if free < LITTLE_DISK:
        return Row(t("Disk"), value, t("Little room: make some, or take another folder with --data."))
    return Row(t("Disk"), value)


def memory() -> Row:
    found = probes.memory()
    if found is None:
        return Row(t("Memory"), "?")
    free, total = found
    value = t(
        "{free:.1f} of {total:.1f} GiB free, {count} CPUs", free=free, total=total, count=os.cpu_count()
    )
    little = t("Little memory is free: close other programs, or take a smaller model.")
    return Row(t("Memory"), value, little if free < LITTLE_MEMORY else "")


def gpu() -> Iterator[Row]:
    machine = torch_choice.this_machine(platform.system(), platform.machine())
    if not machine.driver:
        there = Path("/proc/driver/nvidia").exists() or Path("/dev/nvidia0").exists()
        remedy = (
            t("A driver is loaded, but nvidia-smi does not answer: install the driver's utilities.")
            if there
            else ""
        )
        yield Row(t("GPU driver"), t("none that nvidia-smi knows"), remedy)
        return
    shown = ", ".join(map(str, machine.cards))
    yield Row(
        t("GPU driver"), t("driver {driver}, compute capability {cards}", driver=machine.driver, cards=shown)
    )
    for card in probes.cards(torch_choice.asked("name,memory.free,memory.total", "csv,noheader,nounits")):
        yield Row(
            "GPU", t("{name}: {free} of {total} MiB free", name=card.name, free=card.free, total=card.total)
        )


def torch(place: Place) -> Row:
    version, device, why = packages.torch_check(place.python)
    if device == "cuda":
        return Row("torch", f"{version}, CUDA: {why}")
    choice = packages.torch_wish("auto")
    if choice.build not in ("", "cpu"):
        remedy = t("A card is here; this build fits it: python3 start.py --torch {build}", build=choice.build)
        return Row("torch", t("{version}, CPU: {why}", version=version, why=why), remedy)
    if version == "torch":
        return Row("torch", t("not installed"), t("python3 start.py installs it."))
    return Row("torch", f"{version}, {choice.why}")


def database(place: Place) -> Row:
    address = os.environ.get("DATABASE_URL", "")
    shown = without_password(address) or t("SQLite in the data folder")
    wrong = probes.database(place) if place.python.exists() else []
    name = t("Database")
    return (
        Row(name, f"{shown}: {wrong[0]}", " ".join(wrong[1:]) or t("See DATABASE_URL in README."))
        if wrong
        else Row(name, shown)
    )


def redis() -> Row:
    address = os.environ.get("REDIS_URL", "")
    if not address:
        return Row("Redis", t("not used"))
    why = probes.redis(address)
    shown = without_password(address)
    if not why:
        return Row("Redis", shown)
    remedy = t("Start it (sudo systemctl start redis), or unset REDIS_URL: one machine needs none.")
    return Row("Redis", f"{shown}: {why}", remedy)


def port(place: Place, running: bool) -> Row:
    name = t("Port {port}", port=place.port)
    wrong = "" if running else state.port_problem(place.host, place.port)
    if wrong:
        return Row(name, wrong, t("start.py takes the next free one, or the one of --port."))
    return Row(name, t("Hearth's own") if running else t("free"))


def reach() -> Iterator[Row]:
    """Everything that is fetched from, measured at once."""
    own = mirrors.users_own(os.environ, Path.home(), ROOT / ".venv", page.FRONTEND)
    scope = os.environ.get("HEARTH_MODELSCOPE_ENDPOINT", "") or "https://modelscope.cn"
    looks = {
        f"{t('Packages')}: {s.name}": own.get(s.variable, s.usual).rstrip("/") + s.look
        for s in mirrors.SOURCES[:3]
    }
    looks |= {f"{t('Mirror')}: {s.name}": s.china + s.look for s in mirrors.SOURCES[:3]}
    face = mirrors.SOURCES[3]
    looks |= {
        f"{t('Hub')}: ModelScope": scope.rstrip("/") + MODELSCOPE,
        f"{t('Hub')}: {face.name}": own.get(face.variable, face.usual).rstrip("/") + face.look,
        f"{t('Mirror')}: {face.name}": face.china + face.look,
    }
    times = mirrors.measured([url for url in looks.values() if url.startswith("http")])
    groups: dict[str, list[tuple[str, float | None]]] = {}
    for label, url in looks.items():
        group, _, name = label.partition(": ")
        groups.setdefault(group, []).append((name, times.get(url)))
    for group, found in groups.items():
        value = ", ".join(
            f"{name} {f'{took * 1000:.0f} ms' if took is not None else '–'}" for name, took in found
        )
        silent = all(took is None for _, took in found)
        yield Row(group, value, remedy_of(group) if silent else "")


def remedy_of(group: str) -> str:
    if group == t("Hub"):
        return t("No hub answers: models can be copied into a folder and added by its path.")
    if group == t("Packages"):
        return t("Nothing answers: look at the network and https_proxy, or try --mirror cn.")
    return ""


def hearth(place: Place, running: dict[str, object] | None) -> Row:
    found = state.inference_state(place)
    if running is None or found is None:
        return Row(t("Hearth"), t("not running"))
    count = len(found.get("models", []))
    return Row(t("Hearth"), t("{url}, {count} models in memory", url=running["url"], count=count))


def answer(place: Place) -> Row:
    folder = place.data / "models" / MODEL_NAME
    name = t("Answer")
    if not folder.exists():
        return Row(name, t("the default model is not there yet"), t("python3 start.py prepares it."))
    speed = probes.speed(place, folder)
    if speed is None:
        return Row(
            name, t("{model} did not answer", model=MODEL_NAME), t("Look into start.py logs inference.")
        )
    return Row(name, t("{model}: {speed:.1f} tokens/s", model=MODEL_NAME, speed=speed))


def rows(place: Place) -> Iterator[Row]:
    running = state.running(place)
    yield Row(t("System"), f"{platform.platform()}, {language()}" + (", WSL" if node.in_wsl() else ""))
    yield python(place)
    yield node_row()
    yield disk(place)
    yield memory()
    yield from gpu()
    yield torch(place)
    yield port(place, running is not None)
    yield database(place)
    yield redis()
    yield from reach()
    yield hearth(place, running)
    yield answer(place)


def width(text: str) -> int:
    """Columns on a screen: a Chinese character takes two."""
    return sum(2 if ord(sign) > 0x2E80 else 1 for sign in text)


def show(place: Place) -> int:
    wrong = 0
    for row in rows(place):
        print(
            f"{'!' if row.remedy else ' '} {row.name}{' ' * max(1, 13 - width(row.name))}{row.value}",
            flush=True,
        )
        if row.remedy:
            wrong += 1
            print(f"{' ' * 15}→ {row.remedy}", flush=True)
    print(t("{wrong} things to look at.", wrong=wrong) if wrong else t("All is well."))
    return 0
