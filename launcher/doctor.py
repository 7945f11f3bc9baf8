"""What this machine has, on one screen, in the user's language: as text to paste into an issue."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from launcher import filesystems, mirrors, node, packages, page, probes, state, torch_choice
from launcher.place import ROOT, Place
from launcher.words import language, t

#: Less is named: for the packages and one model, once these are there, and for a small model in memory (GiB).
LITTLE_DISK, FULL_DISK, LITTLE_MEMORY = 8.0, 1.0, 2.0
#: Asked for the hub, below its address; ModelScope has no mirror, it is one.
#: How a Python says that nothing was installed into it.
NO_PACKAGES = "No module named"
MODELSCOPE = "/openapi/v1/models?page_number=1&page_size=1"


@dataclass(frozen=True)
class Row:
    """`remedy`: what to do about it; '' where nothing is wrong. `must`: without it Hearth does not work."""

    name: str
    value: str
    remedy: str = ""
    must: bool = True


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
    remedy = t("start.py fetches one into .venv; nothing to do.")
    return Row("Node.js", t("none that will do"), remedy, must=False)


def disk(place: Place) -> Row:
    home = next(folder for folder in (place.data, *place.data.parents) if folder.exists())
    free = shutil.disk_usage(str(home)).free / 2**30
    kind = filesystems.kind(place.data, filesystems.mounts())
    value = t("{free:.1f} GiB free at {home} ({kind})", free=free, home=home, kind=kind or "?")
    wrong = filesystems.problem(place.data, filesystems.mounts())
    if wrong:
        return Row(t("Disk"), value, wrong.replace("\n", " "))
    if free < LITTLE_DISK:
        must = free < FULL_DISK or not packages.ready(packages.requirement_names())
        return Row(t("Disk"), value, t("Little room: make some, or take another folder with --data."), must)
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
        return Row("torch", t("not installed"), t("python3 start.py installs it."), must=False)
    return Row("torch", f"{version}, {choice.why}")


def database(place: Place) -> Iterator[Row]:
    """One row per problem."""
    shown = without_password(os.environ.get("DATABASE_URL", "")) or t("SQLite in the data folder")
    name = t("Database")
    found, why = probes.asked(place, "database")
    if found is None and NO_PACKAGES in why:
        yield Row(name, t("{what}: not looked at without the packages", what=shown))
    elif found is None:
        yield Row(name, f"{shown}: {why}", t("See DATABASE_URL in README."))
    elif not found:
        yield Row(name, shown)
    else:
        for what, hint, must in found:
            yield Row(name, f"{shown}: {what}", hint or t("See DATABASE_URL in README."), must)


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


def port(place: Place, url: str) -> Row:
    """`url`: where Hearth runs, '' where it does not."""
    if url:
        return Row(t("Port {port}", port=urlsplit(url).port), t("Hearth's own"))
    name = t("Port {port}", port=place.port)
    wrong = state.port_problem(place.host, place.port)
    if wrong:
        asked = place.port != 8000 or bool(os.environ.get("HEARTH_PORT"))
        if asked:
            return Row(name, wrong, t("Stop what is there, or choose another with --port."))
        return Row(name, wrong, t("start.py takes the next free one, or the one of --port."), must=False)
    return Row(name, t("free"))


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
        must = group == t("Packages") and not packages.ready(packages.requirement_names())
        yield Row(group, value, remedy_of(group) if silent else "", must)


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
    return Row(t("Hearth"), t("{url}, models in memory: {count}", url=running["url"], count=count))


def answer(place: Place) -> Row:
    """One short answer of the default model: of the running Hearth, else in a process of its own."""
    name = t("Answer")
    found, why = probes.asked(place, "answer")
    if found is None:
        there = t("the default model is not there yet")
        if why and NO_PACKAGES not in why:
            return Row(name, why, t("See the database's line above."))
        return Row(name, there, t("python3 start.py prepares it."), must=False)
    model, speed = found["name"], found.get("speed")
    if speed is None and "folder" in found:
        speed = probes.speed(place, found["folder"], found["dtype"])
    elif speed is None and found.get("away"):
        return Row(name, t("{model} is measured while Hearth runs", model=model))
    if speed is None:
        value = t("{model} did not answer", model=model) + (f": {found['why']}" if found.get("why") else "")
        return Row(name, value, t("Look into start.py logs inference."))
    return Row(name, t("{model}: {speed:.1f} tokens/s", model=model, speed=speed))


def rows(place: Place) -> Iterator[Row]:
    running = state.running(place)
    yield Row(t("System"), f"{platform.platform()}, {language()}" + (", WSL" if node.in_wsl() else ""))
    yield python(place)
    yield node_row()
    yield disk(place)
    yield memory()
    yield from gpu()
    yield torch(place)
    yield port(place, str(running["url"]) if running else "")
    yield from database(place)
    yield redis()
    yield from reach()
    yield hearth(place, running)
    yield answer(place)


def width(text: str) -> int:
    """Columns on a screen: a Chinese character takes two."""
    return sum(2 if ord(sign) > 0x2E80 else 1 for sign in text)


def show(place: Place) -> int:
    """0 where all is well, 1 where something must be mended. A "-" marks what is only worth knowing."""
    wrong = 0
    for row in rows(place):
        mark = " " if not row.remedy else "!" if row.must else "-"
        print(f"{mark} {row.name}{' ' * max(1, 13 - width(row.name))}{row.value}", flush=True)
        if row.remedy:
            wrong += row.must
            print(f"{' ' * 15}→ {row.remedy}", flush=True)
    print(t("To be mended: {wrong}", wrong=wrong) if wrong else t("All is well."))
    return 1 if wrong else 0
