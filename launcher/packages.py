"""The virtual environment (.venv) and the packages in it, with the torch that fits this machine."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from launcher import mirrors, torch_choice
from launcher.place import ROOT, LauncherError, Place, venv_python
from launcher.steps import alone, digest, fits, put, step
from launcher.torch_choice import Choice
from launcher.words import t

CACHE = ROOT / ".cache"
#: The pip of .venv: one of 25.1 or later goes on in the middle of a file whose connection broke.
PIP = "pip==26.3"
#: In the stamp's place where torch was there before.
KEPT = "kept"


def requirement_files(*names: str) -> list[Path]:
    """The named files of requirements/ with the files they include."""
    found: list[Path] = []
    for name in names:
        path = ROOT / "requirements" / name
        for line in path.read_text().splitlines():
            if line.startswith("-r "):
                found += requirement_files(line[3:].strip())
        found.append(path)
    return found


def requirement_names() -> list[str]:
    names = ["base.txt", "inference.txt"]
    if os.environ.get("DATABASE_URL", "").startswith("mysql"):
        names.append("mysql.txt")
    return names


def ready(names: list[str]) -> bool:
    """Is all of it there? Then a start asks nothing of any network."""
    return venv_python().exists() and not missing(names)


def missing(names: list[str]) -> list[str]:
    stamps = ROOT / ".venv" / ".hearth"
    return [n for n in names if not fits(stamps / n, digest(requirement_files(n), sys.version))]


def packages(place: Place, names: list[str], *, torch: str = "auto") -> None:
    """The virtual environment with the packages of `names` in it. `torch`: the word of --torch."""
    stamp = ROOT / ".venv" / ".hearth" / "torch"
    if ready(names) and (torch == "auto" or fits(stamp, torch_wish(torch).spec)):
        return
    with alone(CACHE / "prepare.lock"):
        make_environment(place)
        renew_pip(place)
        wanted = missing(names)
        lists = requirement_files(*names)
        if any(file.name == "inference.txt" for file in lists):
            install_torch(place, torch_wish(torch), stamp, torch)
        if not wanted:
            return
        install(place, lists, stamp)
        for file in requirement_files(*wanted):
            put(stamp.parent / file.name, digest(requirement_files(file.name), sys.version))


def install(place: Place, files: list[Path], stamp: Path) -> None:
    spec = stamp.read_text() if stamp.exists() else ""
    words: list[str] = []
    for file in files:
        if file.name == "inference.txt" and older(spec):
            file = without_torch(file)
        # The lists include each other by relative names; each is named by itself here.
        words += ["-r", str(file)]
    title = t("Installing the Python packages (minutes the first time)")
    step(place, title, [*pip(), "install", "--no-input", *words], network=True)


def older(spec: str) -> bool:
    return spec.startswith("torch==") and not spec.startswith(f"torch=={torch_choice.TORCH}")


def without_torch(file: Path) -> Path:
    """A copy that does not ask for the pinned torch, where an older build runs on this machine's cards."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("torch==")]
    made = CACHE / "requirements" / file.name
    put(made, "\n".join(lines) + "\n")
    return made


def pip() -> list[str]:
    return [str(venv_python()), "-m", "pip"]


def makers() -> list[list[str]]:
    """Commands that can make .venv, in the order in which they are tried."""
    folder = str(ROOT / ".venv")
    # --clear: what is left of an environment whose interpreter is gone is of no use.
    found = [[sys.executable, "-m", "venv", "--clear", folder]]
    if importlib.util.find_spec("virtualenv") is not None:
        found.append([sys.executable, "-m", "virtualenv", "--clear", folder])
    elif shutil.which("virtualenv"):
        found.append(["virtualenv", "--clear", "--python", sys.executable, folder])
    if shutil.which("uv"):
        found.append(["uv", "venv", "--seed", "--clear", "--python", sys.executable, folder])
    return found


def make_environment(place: Place) -> None:
    if venv_python().exists():
        return
    commands = makers()
    for at, command in enumerate(commands):
        try:
            step(place, t("Making the Python environment (.venv)"), command)
            return
        except LauncherError as error:
            if at + 1 == len(commands):
                raise
            print(
                t(
                    "  {what}: trying {other} instead",
                    what=str(error).splitlines()[-1],
                    other=commands[at + 1][2],
                )
            )


def renew_pip(place: Place) -> None:
    """The pip that Python brings along begins a broken file anew. Where the index has no other, it does."""
    stamp = ROOT / ".venv" / ".hearth" / "pip"
    if fits(stamp, PIP):
        return
    try:
        step(place, t("Renewing pip"), [*pip(), "install", "--no-input", PIP], network=True)
    except LauncherError:
        print(t("  the pip that is there will do"), flush=True)
    put(stamp, PIP)


def torch_wish(flag: str) -> Choice:
    own = mirrors.pip_settings(os.environ, Path.home(), ROOT / ".venv")
    machine = torch_choice.this_machine(platform.system(), platform.machine())
    return torch_choice.choose(machine, flag, own_source=bool(own))


def install_torch(place: Place, choice: Choice, stamp: Path, flag: str) -> None:
    """Once per choice. A torch that a hand put there is kept, until --torch asks for another."""
    if fits(stamp, choice.spec) or (flag == "auto" and fits(stamp, KEPT)):
        return
    if flag == "auto" and not stamp.exists() and installed():
        put(stamp, KEPT)
        return
    print(f"  torch: {choice.spec} ({choice.why})", flush=True)
    if stamp.exists():
        # A "+cpu" counts as the release itself: without this, pip would keep it.
        step(place, t("Removing the other torch"), [*pip(), "uninstall", "-y", "torch"])
    title = t("Installing torch (the largest package)")
    index = place.environ().get("HEARTH_TORCH_INDEX") or torch_choice.DOWNLOADS
    try:
        if choice.index and not (index == mirrors.SILENT and choice.build == "cpu"):
            index = torch_choice.DOWNLOADS if index == mirrors.SILENT else index
            from_index = ["--index-url", f"{index.rstrip('/')}/{choice.index}"]
            step(place, title, [*pip(), "install", "--no-input", choice.spec, *from_index], network=True)
            put(stamp, choice.spec)
            return
    except LauncherError as error:
        if choice.build not in ("cpu", "cu130"):
            raise
        print(t("  {what}: taking torch from where the other packages are", what=str(error).splitlines()[-1]))
    plain = f"torch=={torch_choice.TORCH}"
    step(place, title, [*pip(), "install", "--no-input", plain], network=True)
    put(stamp, choice.spec)


def installed() -> bool:
    code = "import importlib.util as u, sys; sys.exit(u.find_spec('torch') is None)"
    return subprocess.run([str(venv_python()), "-c", code], check=False).returncode == 0


#: Prints one line: what torch is, and "cuda" or "cpu: why".
CHECK = """
import torch
said = "torch " + torch.__version__
if torch.version.cuda is None:
    print(said + "|cpu|the build is for the processor")
elif not torch.cuda.is_available():
    print(said + "|cpu|the driver does not answer, or is too old for CUDA " + torch.version.cuda)
else:
    try:
        one = torch.ones(64, 64, device="cuda")
        good = float((one @ one).sum()) == 64.0 ** 3
        print(said + ("|cuda|" + torch.cuda.get_device_name(0) if good else "|cpu|a product came out wrong"))
    except Exception as error:
        print(said + "|cpu|" + str(error).splitlines()[0])
"""


def torch_check(python: Path) -> tuple[str, str, str]:
    """("torch 2.13.0+cpu", "cpu" or "cuda", why or the card's name), after one product on the card."""
    try:
        done = subprocess.run(
            [str(python), "-c", CHECK], capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "torch", "cpu", str(error)
    line = done.stdout.strip().splitlines()[-1:] or [""]
    parts = line[0].split("|", 2)
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    return "torch", "cpu", (done.stderr.strip().splitlines() or ["?"])[-1]
