"""`start.py test`: everything that must hold before a change is good, in one go.

What is missing on the machine is a failure, not a skip: a green line means that all of it ran.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from launcher import node, packages, page, prepare
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
FOREIGN = (
    "DATABASE_URL",
    "REDIS_URL",
    "SERVER",
    "HEARTH_HOST",
    "HEARTH_PORT",
    "DJANGO_SETTINGS_MODULE",
    # Hundreds of processes start in a run; without it each compiles our files anew.
    "PYTHONDONTWRITEBYTECODE",
)


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
        tally.guard()
        model = packages.CACHE / "models" / prepare.MODEL_NAME
        env = environment(place, model)
        if not pytest_args:
            everything(tally, place, env, model)
        elif python_packages(tally, place) and model_folder(tally, place, model):
            pytest(tally, place, env, "pytest", pytest_args)
        return tally.end()


def needs(tally: Tally) -> None:
    tally.need("MariaDB", listens("127.0.0.1", 3306), "nothing listens on 127.0.0.1:3306")
    tally.need("Redis", listens("127.0.0.1", 6379), "nothing listens on 127.0.0.1:6379")
    tally.need("Chromium", bool(find(*BROWSERS)), "none of " + ", ".join(BROWSERS) + " was found")
    tally.need("nginx", bool(find("nginx")), "nginx was not found")


def python_packages(tally: Tally, place: Place) -> bool:
    return tally.work("Python packages", lambda: packages.packages(place, ["dev.txt"]))


def model_folder(tally: Tally, place: Place, model: Path) -> bool:
    return tally.work("model", lambda: prepare.model_folder(place, model))


def pytest(tally: Tally, place: Place, env: dict[str, str], title: str, words: list[str]) -> None:
    tally.step(title, [str(place.python), "-m", "pytest", *words], env=env, closing=PYTEST_CLOSING)


def everything(tally: Tally, place: Place, env: dict[str, str], model: Path) -> None:
    """In three rounds: what fetches, what reads or builds, and the tests, which need all of it."""
    needs(tally)
    done: dict[str, bool] = {}

    def python() -> None:
        done["packages"] = python_packages(tally, place)

    def page_() -> None:
        page_checks(tally, place, env)

    if node.on_path(env["PATH"], node.version_of, node.in_wsl()):
        tally.together(python, page_)
    else:  # it is fetched into the environment that the packages make
        python()
        page_()
    if not done["packages"]:
        return
    tally.together(
        lambda: done.update(model=model_folder(tally, place, model)),
        lambda: python_checks(tally, place, env),
        lambda: built(tally, place),
    )
    if done["model"]:
        tests(tally, place, env)


def page_checks(tally: Tally, place: Place, env: dict[str, str]) -> None:
    if tally.work("page: packages", lambda: page.node_modules(place)):
        npm = ["npm", "run", "-s"]
        tally.step("page: lint", [*npm, "lint"], env=env, cwd=page.FRONTEND)
        tally.step("page: types", [*npm, "typecheck"], env=env, cwd=page.FRONTEND)
        tally.step("page: tests", [*npm, "test"], env=env, cwd=page.FRONTEND, closing=VITEST_CLOSING)


def python_checks(tally: Tally, place: Place, env: dict[str, str]) -> None:
    python = [str(place.python), "-m"]
    tally.step("ruff check", [*python, "ruff", "check", "."], env=env)
    tally.step("ruff format", [*python, "ruff", "format", "--check", "."], env=env)
    tally.step("mypy", [*python, "mypy"], env=env)
    tally.step("imports", [str(place.python.parent / "lint-imports")], env=env)
    tally.step("Django check", manage(place, "check"), env=env)
    tally.step("migrations", manage(place, "makemigrations", "--check", "--dry-run"), env=env)


def built(tally: Tally, place: Place) -> None:
    """The built page, as the tests of the whole system serve it."""
    if tally.work("page: build", lambda: page.page(place)):
        tally.work("static files", lambda: prepare.static_files(place))


def tests(tally: Tally, place: Place, env: dict[str, str]) -> None:
    """Those of the whole system mostly wait for processes and pages, the others compute."""
    # With more threads than processors OpenMP's wait for each other asleep.
    one = {**env, "OMP_NUM_THREADS": "1"}
    grown = {**one, "DATABASE_URL": MYSQL, "REDIS_URL": REDIS}
    forced = {**one, "HEARTH_PLATFORM": "windows"}

    def inference() -> None:
        pytest(tally, place, one, "pytest, inference", ["inference", "-m", "not (e2e or browser)"])

    def web() -> None:
        pytest(tally, place, one, "pytest, web", [*WEB_TESTS, "-m", "not (e2e or browser)"])

    def whole() -> None:
        words = ["conversations", "tests", "-m", "e2e and not browser"]
        pytest(tally, place, one, "pytest, whole system", words)

    def rest() -> None:
        pytest(tally, place, one, "pytest, browser", ["tests/browser", "-m", "browser"])
        pytest(tally, place, grown, "pytest, MariaDB and Redis", [*WEB_TESTS, "-m", "database"])
        pytest(tally, place, forced, "pytest, Windows' ways", [*FORCED, "-m", "windows"])

    tally.together(inference, web, whole, rest)
