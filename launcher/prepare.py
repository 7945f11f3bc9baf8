"""What has to be true before the processes start. Each step is skipped while its stamp still fits."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
import sys
import time
from pathlib import Path

from launcher import mirrors, models, packages
from launcher.listening import demand_admin
from launcher.packages import CACHE, requirement_files, requirement_names
from launcher.page import FRONTEND, check_built, page
from launcher.place import ROOT, LauncherError, Place, manage, venv_python
from launcher.steps import alone, digest, fits, put, step
from launcher.words import t

MODEL_NAME = "SmolLM2-135M-Instruct"


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
            step(place, t("Collecting static files"), manage(place, "collectstatic", "--noinput", "--clear"))
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
            step(place, t("Preparing the database"), manage(place, "migrate", "--noinput"))
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
        t("Preparing the model {name}", name=MODEL_NAME),
        [str(place.python), "-m", "inference.default_model", str(folder)],
        network=True,
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
        step(place, t("Registering it"), manage(place, "register_default_model"))
        put(stamp, str(folder))
        if place.environ()["HEARTH_FIRST_DOWNLOAD"] == "1":
            print(t("  Qwen3-0.6B (1.5 GB, speaks Chinese) follows in the background where a hub answers;"))
            print(t("  --no-first-download leaves it"), flush=True)
    except LauncherError as error:
        print(f"{error}\n{t('The default model is not there; going on without it.')}", file=sys.stderr)


def check_here() -> None:
    """What the manual way leaves to the user, named when it was left out."""
    if importlib.util.find_spec("django") is None:
        raise LauncherError(
            t("{python} lacks the packages: pip install -r requirements.txt", python=sys.executable)
        )
    check_built()


def for_role(place: Place, role: str) -> None:
    """What one role needs when it runs by itself; several may come up at once."""
    if role == "web":
        static_files(place)
    if role in ("web", "worker"):
        database(place)
    if role == "web":
        demand_admin(place)


@dataclasses.dataclass(frozen=True)
class Wishes:
    """`here`: the packages and the page are the caller's own business. The words of --mirror, --torch, …"""

    here: bool = False
    mirror: str = "auto"
    torch: str = "auto"
    # The folder of --models.
    models: Path | None = None


def with_mirrors(place: Place, wishes: Wishes) -> Place:
    """The place with the addresses that its children take packages and models from."""
    file = CACHE / "mirror.json"
    own = mirrors.users_own(os.environ, Path.home(), ROOT / ".venv", FRONTEND)
    fetches = not wishes.here and not packages.ready(requirement_names())
    known = mirrors.remembered(file, time.time()) if wishes.mirror == "auto" else None
    if known is not None:
        found = mirrors.Mirrors({name: url for name, url in known.items() if name not in own}, own)
    else:
        found = mirrors.choose(wishes.mirror, own, measure=fetches)
        if fetches or wishes.mirror != "auto":
            mirrors.remember(file, found, wishes.mirror, time.time())
    if fetches or wishes.mirror != "auto":
        for line in found.lines():
            print(f"  {line}", flush=True)
    return dataclasses.replace(place, extra=(*place.extra, *sorted(found.variables.items())))


def tell_torch(place: Place) -> None:
    """After torch came: does it work on this machine's card? One line, and why it is the processor if so."""
    version, device, why = packages.torch_check(place.python)
    if device == "cuda":
        print(f"  {version}: {why}", flush=True)
        return
    choice = packages.torch_wish("auto")
    if choice.build in ("", "cpu"):
        print(f"  {version}: {choice.why}", flush=True)
    else:
        print(t("  {version} runs on the CPU: {why}", version=version, why=why), flush=True)


def everything(place: Place, wishes: Wishes) -> Place:
    """Returns the place with the Python that now is there."""
    place = with_mirrors(place, wishes)
    if wishes.here:
        check_here()
    else:
        new = not packages.ready(requirement_names()) or wishes.torch != "auto"
        packages.packages(place, requirement_names(), torch=wishes.torch)
        place = dataclasses.replace(place, python=venv_python())
        if new:
            tell_torch(place)
        page(place)
    static_files(place)
    database(place)
    demand_admin(place)
    default_model(place)
    if wishes.models is not None:
        models.register(place, wishes.models)
    return place
