"""Where one installation lives: its folders, its sockets and the environment its processes get."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from launcher import filesystems
from launcher.words import t
from system import address, ways

ROOT = Path(__file__).resolve().parent.parent
ROLES = ("web", "inference", "worker")
# A Unix socket's path holds 104 bytes on macOS and 108 on Linux.
LONGEST_SOCKET_PATH = 100
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class LauncherError(Exception):
    """Said to the user as it is, without a traceback."""


@dataclass(frozen=True)
class Place:
    """`python` is the interpreter of the children; `data` is absolute."""

    data: Path
    python: Path
    host: str = "127.0.0.1"
    port: int = 8000
    root: Path = ROOT
    # What the children get beside this shell's own: addresses of mirrors, folders in front of the PATH.
    extra: tuple[tuple[str, str], ...] = ()
    path: tuple[str, ...] = ()
    # The files of certificate and key.
    tls: tuple[str, str] | None = None

    @property
    def state_file(self) -> Path:
        return self.data / "run" / "state.json"

    @property
    def lock_file(self) -> Path:
        return self.data / "run" / "start.lock"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def run(self) -> Path:
        """Where the sockets are: below the data, or in the temporary folder when they cannot be there."""
        return run_folder(self.data)

    @property
    def stop_file(self) -> Path:
        """There: the supervisor is asked to end, where no signal can ask it."""
        return self.data / "run" / "stop"

    @property
    def service(self) -> str:
        """The model service's address for who asks it from here."""
        listens = os.environ.get("HEARTH_INFERENCE_LISTEN", "").replace("//0.0.0.0:", "//127.0.0.1:")
        return os.environ.get("HEARTH_INFERENCE") or listens or address.default(self.run)

    def service_secret(self) -> str | None:
        """What an http:// address asks for."""
        try:
            return str(json.loads((self.data / "secrets.json").read_bytes())["inference_secret"])
        except (OSError, ValueError, KeyError):
            return None

    @property
    def url(self) -> str:
        """The address to open on this machine, also when `host` means every interface."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)
        scheme = "https" if self.tls else "http"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    def make(self) -> None:
        """Make the folders. They hold secrets and conversations, so only their owner reads them."""
        problem = filesystems.problem(self.data, filesystems.mounts())
        if problem:
            raise LauncherError(problem)
        for folder in (self.data, self.data / "run", self.logs, self.data / "models", self.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not ways.is_ours(self.run):
            raise LauncherError(
                t("{folder} belongs to another user; choose a shorter --data path", folder=self.run)
            )

    def environ(self) -> dict[str, str]:
        env = {**os.environ, **dict(self.extra)}
        for name in ("no_proxy", "NO_PROXY"):
            env[name] = without_proxy(env.get(name, ""))
        env.update(
            HEARTH_DATA=str(self.data),
            HEARTH_RUN=str(self.run),
            HEARTH_HOST=self.host,
            HEARTH_PORT=str(self.port),
            PYTHONUNBUFFERED="1",
            # Whatever the console's language: files and pipes are in UTF-8.
            PYTHONUTF8="1",
            # Not what the shell says: it may be meant for another Django, or for a test.
            DJANGO_SETTINGS_MODULE="config.settings.prod",
        )
        folders = [*self.path, str(self.python.parent), env.get("PATH", os.defpath)]
        env["PATH"] = os.pathsep.join(folders)
        # A new house fetches its first model. Only here: a worker that tests start by itself fetches nothing.
        env.setdefault("HEARTH_FIRST_DOWNLOAD", "1")
        # A download of pip that broke goes on where it stopped (pip 25.1 and later).
        env.setdefault("PIP_RESUME_RETRIES", "5")
        env.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        return env

    def listening(self) -> list[str]:
        """Where the model service listens: in the run folder, or where HEARTH_INFERENCE_LISTEN says."""
        told = os.environ.get("HEARTH_INFERENCE_LISTEN", "")
        if not told:
            return ["--address", address.default(self.run)]
        return ["--address", told, "--secret-file", str(self.data / "secrets.json")]

    def tls_words(self) -> list[str]:
        return ["--tls", *self.tls] if self.tls else []

    def command(self, role: str) -> list[str]:
        return [str(self.python), "-m"] + {
            "web": ["config.serve", "--host", self.host, "--port", str(self.port), *self.tls_words()],
            "inference": ["inference.server", *self.listening()],
            "worker": ["config.worker"],
        }[role]


def manage(place: Place, *words: str) -> list[str]:
    return [str(place.python), "manage.py", *words]


@functools.cache
def run_folder(data: Path) -> Path:
    run, table = data / "run", filesystems.mounts()
    if ways.WINDOWS:  # no sockets there
        return run
    fits = len(os.fsencode(str(run / "inference.sock"))) <= LONGEST_SOCKET_PATH
    if fits and filesystems.holds_sockets(run, table):
        return run
    name = f"hearth-{ways.user()}-{hashlib.sha256(os.fsencode(str(data))).hexdigest()[:12]}"
    folders = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/dev/shm")]
    good = (one for one in folders if one.is_dir() and filesystems.holds_sockets(one, table))
    return next(good, folders[0]) / name


def without_proxy(told: str) -> str:
    """The hosts that no proxy is asked for, with this machine among them: nobody else can reach it so."""
    hosts = [host.strip() for host in told.split(",") if host.strip()]
    if "*" in hosts:
        return told
    return ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])


def venv_python() -> Path:
    return ways.python_of(ROOT / ".venv")


def python_for(here: bool) -> Path:
    """The checkout's own environment, or this interpreter (`here`, or where there is no environment)."""
    return Path(sys.executable) if here or not venv_python().exists() else venv_python()
