"""A real worker on a data folder of its own, for tests."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

ENQUEUE = """
import django; django.setup()
from models_registry import services
model = services.model_create(name="Echo", source={"kind": "echo"}, settings={"inline": True})
print(services.model_load(model).id)
"""


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
        assert self.worker.wait(timeout=10) == 0, self.said()
        return time.monotonic() - began

    def kill(self) -> None:
        if self.worker is not None and self.worker.poll() is None:
            self.worker.kill()
            self.worker.wait(timeout=10)

    def said(self) -> str:
        return self.log.read_text()

    def rows(self, sql: str, *args: Any) -> list[Any]:
        connection = sqlite3.connect(self.database, timeout=20)
        try:
            with connection:
                return connection.execute(sql, args).fetchall()
        finally:
            connection.close()

    def job_state(self, job_id: str) -> str:
        return str(self.rows("SELECT state FROM models_registry_job WHERE id = ?", job_id)[0][0])

    def until(self, true: Callable[[], Any], what: str, seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"{what} did not come\n{self.said()}"
            assert self.worker is None or self.worker.poll() is None, self.said()
            time.sleep(0.02)
