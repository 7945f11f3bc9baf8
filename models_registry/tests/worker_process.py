"""A real worker on a data folder of its own, for tests."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference.client import InferenceClient

ROOT = Path(__file__).resolve().parents[2]

ENQUEUE = """
import django; django.setup()
from models_registry import services
model = services.model_create(name="Echo", source={"kind": "echo"}, settings={"inline": True})
print(services.model_load(model).id)
"""

PIN = """
import sys
import django; django.setup()
from models_registry import models, services
model = models.Model.objects.first() or services.model_create(name="Echo", source={"kind": "echo"})
print(services.model_update(model, pinned=sys.argv[1] == "True").id)
"""


class Service:
    """The model service itself, without a model."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "run" / "inference.sock"
        self.socket.parent.mkdir()
        self.address = f"unix:{self.socket}"
        self.log = folder / "inference.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it listens."""
        command = [sys.executable, "-m", "inference.server", "--address", self.address]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self.socket.exists():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.socket.unlink(missing_ok=True)

    def state(self) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            client = InferenceClient(self.address)
            try:
                return await client.state()
            finally:
                await client.close()

        return asyncio.run(ask())


class House:
    """An SQLite database, a broker and at most one worker; the model service is at `inference`."""

    def __init__(self, data: Path, inference: str, **env: str) -> None:
        self.data = data
        self.database = data / "worker.sqlite3"
        self.log = data / "worker.log"
        self.env = os.environ | {
            "PYTHONUNBUFFERED": "1",
            "HEARTH_DATA": str(data),
            "HEARTH_INFERENCE": inference,
            "HEARTH_RUN": str(Path(inference.removeprefix("unix:")).parent),
            "DATABASE_URL": f"sqlite:///{self.database}",
            "REDIS_URL": "",
        }
        self.env |= env
        self.worker: subprocess.Popen[bytes] | None = None
        self.python("-m", "django", "migrate", "--verbosity", "0")

    def python(self, *args: str) -> str:
        command = [sys.executable, *args]
        done = subprocess.run(command, env=self.env, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask_for_load(self) -> str:
        return self.python("-c", ENQUEUE)

    def pin(self, pinned: bool) -> str:
        """The id of the one model, which is made when there is none."""
        return self.python("-c", PIN, str(pinned))

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "config.worker"], env=self.env, cwd=ROOT, stdout=log, stderr=log
            )
        self.until(lambda: self.rows("SELECT * FROM monitoring_beat"), "the worker's first sign of life")

    def stop(self) -> float:
        """Seconds that it took after SIGTERM."""
        assert self.worker is not None
        began = time.monotonic()
        self.worker.send_signal(signal.SIGTERM)
        assert self.worker.wait(timeout=60) == 0, self.said()
        return time.monotonic() - began

    def kill(self) -> None:
        if self.worker is not None and self.worker.poll() is None:
            self.worker.kill()
            self.worker.wait(timeout=10)

    def said(self) -> str:
        return self.log.read_text()

    def rows(self, sql: str, *args: Any) -> list[Any]:
        connection = sqlite3.connect(self.database, timeout=60)
        try:
            with connection:
                return connection.execute(sql, args).fetchall()
        finally:
            connection.close()

    def job_state(self, job_id: str) -> str:
        return str(self.rows("SELECT state FROM models_registry_job WHERE id = ?", job_id)[0][0])

    def until(self, true: Callable[[], Any], what: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"{what} did not come\n{self.said()}"
            assert self.worker is None or self.worker.poll() is None, self.said()
            time.sleep(0.02)
