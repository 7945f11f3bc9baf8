"""What has to be true before the processes start. Each step is skipped while its stamp still fits."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from launcher import process
from launcher.place import ROOT, LauncherError, Place, venv_python

CACHE = ROOT / ".cache"
FRONTEND = ROOT / "frontend"
MODEL_NAME = "SmolLM2-135M-Instruct"
PAGE_SOURCES = (
    "package.json",
    "package-lock.json",
    ".npmrc",
    "index.html",
    "vite.config.ts",
    "tsconfig.json",
)


def digest(files: Iterable[Path], *words: str) -> str:
    """One word for the names and contents of `files` and for `words`."""
    total = hashlib.sha256()
    for word in words:
        total.update(word.encode() + b"\0")
    for file in sorted(files):
        total.update(str(file).encode() + b"\0")
        total.update(hashlib.sha256(file.read_bytes()).digest() if file.is_file() else b"-")
    return total.hexdigest()


def fits(stamp: Path, value: str) -> bool:
    try:
        return stamp.read_text() == value
    except OSError:
        return False


def put(stamp: Path, value: str) -> None:
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(value)


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """One preparation of this checkout at a time, whatever data folders they are for."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def step(place: Place, title: str, command: list[str], *, cwd: Path = ROOT) -> None:
    """Run one command; its output goes to logs/prepare.log, and to the screen only when it fails."""
    print(f"  {title} … ", end="", flush=True)
    began = time.monotonic()
    with (place.logs / "prepare.log").open("a+b") as log:
        at = log.seek(0, os.SEEK_END)
        log.write(f"$ {' '.join(command)}\n".encode())
        log.flush()
        try:
            with process.group(command, cwd=str(cwd), env=place.environ(), stdout=log, stderr=log) as running:
                done = running.wait()
        except OSError as error:
            print("failed")
            raise LauncherError(f"{command[0]}: {error.strerror}") from error
        if done:
            log.seek(at)
            tail = log.read().decode(errors="replace").splitlines()[-30:]
            print("failed")
            raise LauncherError("\n".join([*tail, f"{title}: exit status {done}"]))
    print(f"{time.monotonic() - began:.1f} s", flush=True)


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


def packages(place: Place, names: list[str]) -> None:
    """The virtual environment with the packages of `names` in it."""
    python = venv_python()
    stamps = ROOT / ".venv" / ".hearth"

    def missing() -> list[str]:
        return [n for n in names if not fits(stamps / n, digest(requirement_files(n), sys.version))]

    if python.exists() and not missing():
        return
    with alone(CACHE / "prepare.lock"):
        if not python.exists():
            # --clear: what is left of an environment whose interpreter is gone is of no use.
            step(
                place,
                "Making the Python environment (.venv)",
                [sys.executable, "-m", "venv", "--clear", str(ROOT / ".venv")],
            )
        wanted = missing()
        if not wanted:
            return
        files = [word for n in wanted for word in ("-r", str(ROOT / "requirements" / n))]
        step(
            place,
            "Installing the Python packages (minutes the first time)",
            [str(python), "-m", "pip", "install", "--no-input", *files],
        )
        for file in requirement_files(*wanted):
            put(stamps / file.name, digest(requirement_files(file.name), sys.version))


def requirement_names() -> list[str]:
    names = ["base.txt", "inference.txt"]
    if os.environ.get("DATABASE_URL", "").startswith("mysql"):
        names.append("mysql.txt")
    return names


def page_digest() -> str:
    sources = [FRONTEND / name for name in PAGE_SOURCES]
    for folder in ("src", "public"):
        sources += [file for file in (FRONTEND / folder).rglob("*") if file.is_file()]
    return digest(sources)


def node_modules(place: Place) -> None:
    lock = digest([FRONTEND / "package-lock.json", FRONTEND / "package.json"])
    stamp = FRONTEND / "node_modules" / ".hearth"
    if fits(stamp, lock):
        return
    if shutil.which("npm") is None:
        raise LauncherError("Node.js 20.19 or later is needed to build the page; npm was not found")
    step(place, "Installing the page's packages", ["npm", "ci", "--no-fund", "--no-audit"], cwd=FRONTEND)
    put(stamp, lock)


def page(place: Place) -> None:
    """The built page in frontend/dist."""
    if not (FRONTEND / "package.json").exists():
        return
    stamp = CACHE / "stamps" / "page"
    built = FRONTEND / "dist" / "index.html"
    if built.exists() and fits(stamp, page_digest()):
        return
    with alone(CACHE / "prepare.lock"):
        value = page_digest()
        if built.exists() and fits(stamp, value):
            return
        node_modules(place)
        step(place, "Building the page", ["npm", "run", "build"], cwd=FRONTEND)
        put(stamp, value)


def manage(place: Place, *words: str) -> list[str]:
    return [str(place.python), "manage.py", *words]


def static_files(place: Place) -> None:
    """Everything the web process serves as files, in <data>/static."""
    dist = [file for file in (FRONTEND / "dist").rglob("*") if file.is_file()]
    ours = [
        file
        for app in ROOT.glob("*/apps.py")
        for file in (app.parent / "static").rglob("*")
        if file.is_file()
    ]
    stamp = place.data / "static" / ".collected"
    wanted = digest([*dist, *ours, *requirement_files("base.txt")], str(place.python))
    if fits(stamp, wanted):
        return
    with alone(place.data / "run" / "prepare.lock"):
        if not fits(stamp, wanted):
            step(place, "Collecting static files", manage(place, "collectstatic", "--noinput", "--clear"))
            put(stamp, wanted)


def settings() -> list[str]:
    """What the environment says to Hearth, as `NAME=value`."""
    ours = ("DATABASE_URL", "REDIS_URL", "SERVER")
    return sorted(f"{n}={v}" for n, v in os.environ.items() if n in ours or n.startswith("HEARTH_"))


def database(place: Place) -> None:
    """The tables of this data folder's database, and what the first start puts into them."""
    migrations = [file for app in ROOT.glob("*/migrations") for file in app.glob("*.py")]
    address = os.environ.get("DATABASE_URL", "")
    # With the settings in the stamp, a new value is read once here, where a wrong one stops the start.
    wanted = digest([*migrations, *requirement_files("base.txt")], *settings(), sys.version)
    stamp = place.data / ".migrated"

    def done() -> bool:
        # A database file that was removed must be made again.
        return fits(stamp, wanted) and (bool(address) or any(place.data.glob("*.sqlite3")))

    if done():
        return
    with alone(place.data / "run" / "prepare.lock"):
        if not done():
            step(place, "Preparing the database", manage(place, "migrate", "--noinput"))
            put(stamp, wanted)


def model_folder(place: Place, folder: Path) -> None:
    """The default model at `folder`, which is whole when it exists: both ways end with one rename."""
    if folder.exists():
        return
    made = CACHE / "models" / MODEL_NAME
    if made != folder and made.exists():
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(made, part)
        os.replace(part, folder)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    step(
        place,
        f"Preparing the model {MODEL_NAME}",
        [str(place.python), "-m", "inference.default_model", str(folder)],
    )


def default_model(place: Place) -> None:
    """A small model, so that the first message has an answer. Without it everything else still works."""
    folder = place.data / "models" / MODEL_NAME
    stamp = place.data / ".default-model"
    # Once registered it is the administrator's: a model that was removed on the page stays away.
    if fits(stamp, str(folder)):
        return
    try:
        model_folder(place, folder)
        step(place, "Registering it", manage(place, "register_default_model"))
        put(stamp, str(folder))
    except LauncherError as error:
        print(f"{error}\nThe default model is not there; going on without it.", file=sys.stderr)


def check_here() -> None:
    """What the manual way leaves to the user, named when it was left out."""
    if importlib.util.find_spec("django") is None:
        raise LauncherError(f"{sys.executable} lacks the packages: pip install -r requirements.txt")
    if not (FRONTEND / "dist" / "index.html").exists():
        raise LauncherError("The page is not built: cd frontend && npm install && npm run build")


def for_role(place: Place, role: str) -> None:
    """What one role needs when it runs by itself; several may come up at once."""
    if role == "web":
        static_files(place)
    if role in ("web", "worker"):
        database(place)


def everything(place: Place, *, here: bool) -> Place:
    """Returns the place with the Python that now is there.

    `here`: the packages and the page are the caller's own business.
    """
    if here:
        check_here()
    else:
        packages(place, requirement_names())
        place = dataclasses.replace(place, python=venv_python())
        page(place)
    static_files(place)
    database(place)
    default_model(place)
    return place
