"""`start.py test`: everything that must hold before a change is good, in one go.

What is missing on the machine is a failure, not a skip: a green line means that all of it ran.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from launcher import packages, page, prepare
from launcher.place import Place, manage, venv_python
from launcher.probes import listens
from launcher.tally import PYTEST_CLOSING, VITEST_CLOSING, Tally

MYSQL = "mysql://root@127.0.0.1:3306/hearth_test"
REDIS = "redis://127.0.0.1:6379/15"
# All but those of inference, which compute the most.
WEB_TESTS = ("system", "launcher", "accounts", "conversations", "models_registry", "monitoring", "tests")
FORCED = ("launcher", "conversations", "inference/tests/test_server.py")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# What this shell happens to point at must not change the outcome.
FOREIGN = ("DATABASE_URL", "REDIS_URL", "SERVER", "HEARTH_HOST", "HEARTH_PORT", "DJANGO_SETTINGS_MODULE")


def environment(place: Place, model: Path) -> dict[str, str]:
    env = {name: value for name, value in place.environ().items() if name not in FOREIGN}
    env["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
    env["HEARTH_TEST_MODEL"] = str(model)
    env["HEARTH_FIRST_DOWNLOAD"] = "0"  # no test fetches gigabytes
    env["HEARTH_CHROMIUM"] = find(*BROWSERS)
    return env


def find(*names: str) -> str:
    """The path of the first of these programs, or ''. Debian's nginx is outside a user's PATH."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
    return next(filter(None, (shutil.which(name, path=path) for name in names)), "")


def run(pytest_args: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="hearth-test-") as data:
        place = Place(data=Path(data).resolve() / "data", python=venv_python())
        place.make()
        tally = Tally()
        model = packages.CACHE / "models" / prepare.MODEL_NAME
        if not pytest_args:
            needs(tally)
        if ready(tally, place, model):
            env = environment(place, model)
            if pytest_args:
                pytest(tally, place, env, "pytest", pytest_args)
            else:
                everything(tally, place, env)
        return tally.end()


def needs(tally: Tally) -> None:
    tally.need("MariaDB", listens("127.0.0.1", 3306), "nothing listens on 127.0.0.1:3306")
    tally.need("Redis", listens("127.0.0.1", 6379), "nothing listens on 127.0.0.1:6379")
    tally.need("Chromium", bool(find(*BROWSERS)), "none of " + ", ".join(BROWSERS) + " was found")
    tally.need("nginx", bool(find("nginx")), "nginx was not found")


def ready(tally: Tally, place: Place, model: Path) -> bool:
    """The packages, the page and the real model, each made only when it is not there yet."""
    return (
        tally.work("Python packages", lambda: packages.packages(place, ["dev.txt"]))
        and tally.work("page: packages", lambda: page.node_modules(place))
        and tally.work("model", lambda: prepare.model_folder(place, model))
    )


def pytest(tally: Tally, place: Place, env: dict[str, str], title: str, words: list[str]) -> None:
    tally.step(title, [str(place.python), "-m", "pytest", *words], env=env, closing=PYTEST_CLOSING)


def everything(tally: Tally, place: Place, env: dict[str, str]) -> None:
    python = [str(place.python), "-m"]
    tally.step("ruff check", [*python, "ruff", "check", "."], env=env)
    tally.step("ruff format", [*python, "ruff", "format", "--check", "."], env=env)
    tally.step("mypy", [*python, "mypy"], env=env)
    tally.step("imports", [str(place.python.parent / "lint-imports")], env=env)
    npm = ["npm", "run", "-s"]
    tally.step("page: lint", [*npm, "lint"], env=env, cwd=page.FRONTEND)
    tally.step("page: types", [*npm, "typecheck"], env=env, cwd=page.FRONTEND)
    tally.step("page: tests", [*npm, "test"], env=env, cwd=page.FRONTEND, closing=VITEST_CLOSING)
    tally.step("Django check", manage(place, "check"), env=env)
    tally.step("migrations", manage(place, "makemigrations", "--check", "--dry-run"), env=env)
    # The built page, as the tests of the whole system serve it.
    if tally.work("page: build", lambda: page.page(place)):
        tally.work("static files", lambda: prepare.static_files(place))
    # Those of the whole system mostly wait for processes and pages, the others compute. One thread each: with
    # more threads than processors OpenMP's wait for each other asleep.
    python = [str(place.python), "-m", "pytest"]
    groups = {
        "pytest, inference": [*python, "inference", "-m", "not (e2e or browser)"],
        "pytest, web": [*python, *WEB_TESTS, "-m", "not (e2e or browser)"],
        "pytest, whole system": [*python, "conversations", "tests", "-m", "e2e and not browser"],
        "pytest, browser": [*python, "tests/browser", "-m", "browser"],
    }
    tally.side_by_side(groups, env={**env, "OMP_NUM_THREADS": "1"}, closing=PYTEST_CLOSING)
    forced = {**env, "HEARTH_PLATFORM": "windows", "OMP_NUM_THREADS": "1"}
    pytest(tally, place, forced, "pytest, Windows' ways", [*FORCED, "-m", "windows"])
    grown = {**env, "DATABASE_URL": MYSQL, "REDIS_URL": REDIS}
    pytest(tally, place, grown, "pytest, MariaDB and Redis", ["-m", "database"])
