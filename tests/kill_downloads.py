"""Kill a real worker in the middle of downloads, many times, and look at what is left.

    python -m tests.kill_downloads --kills 50 [--database mysql://root@127.0.0.1:3306/hearth_kill]

After every SIGKILL each file under its own name must be whole and each `.part` a beginning of it; the next
worker must come to the end from there. The fake hub throttles, and cuts now and then.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: Bytes of one model's weights, and how fast the hub gives them: most kills fall into the middle.
WEIGHTS, RATE = 3_000_000, 2_000_000
KILL_WITHIN = 2.0


@dataclass
class Tally:
    kills: int = 0
    ended: int = 0
    found: dict[str, int] = field(default_factory=dict)

    def add(self, what: str) -> None:
        self.found[what] = self.found.get(what, 0) + 1


class Killing:
    def __init__(self, folder: Path, seed: int) -> None:
        from tests.fake_hub import FakeHub

        self.folder, self.random, self.tally = folder, random.Random(seed), Tally()
        (folder / "hub").mkdir()
        self.hub = FakeHub(folder / "hub").start()
        self.worker: subprocess.Popen[bytes] | None = None
        self.number = 0

    def prepare(self, database: str) -> None:
        """This process is the web side: same data folder, same database, the hub as both hubs."""
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings.prod",
            "HEARTH_DATA": str(self.folder / "data"),
            "DATABASE_URL": database or f"sqlite:///{self.folder}/kill.sqlite3",
            "HEARTH_HF_ENDPOINT": self.hub.endpoint,
            "HEARTH_MODELSCOPE_ENDPOINT": self.hub.endpoint,
            "HEARTH_LOG_LEVEL": "WARNING",
            "REDIS_URL": "",
        }
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)

    def run(self, kills: int) -> Tally:
        try:
            download = self.request()
            while self.tally.kills < kills:
                download = self.kill_once(download)
            self.finish(download)
        finally:
            if self.worker is not None:
                self.worker.kill()
                self.worker.wait()
            self.hub.stop()
        return self.tally

    def request(self) -> Any:
        """A new model with contents of its own, from one hub or the other."""
        from models_registry.downloads.services import download_request
        from models_registry.downloads.tests.conftest import fill_repo

        self.number += 1
        repo = f"lab/model{self.number}"
        fill_repo(self.folder / "hub" / repo, size=WEIGHTS, seed=self.number)
        self.hub.faults.clear()
        self.hub.faults.add("throttle", match="*.safetensors", rate=RATE)
        if self.number % 3 == 0:
            self.hub.faults.add("cut", match="*.safetensors", after=WEIGHTS // 3, times=1)
        hub = self.random.choice(["modelscope", "huggingface"])
        return download_request(hub=hub, repo=repo)

    def kill_once(self, download: Any) -> Any:
        from models_registry.models import Download

        sent = self.hub.sent
        self.start()
        if self.random.random() < 0.8:  # else while it starts, or before it asks for the first byte
            self.until(lambda: self.hub.sent > sent, download)
        time.sleep(self.random.uniform(0, KILL_WITHIN))
        self.end()
        self.tally.kills += 1
        row = self.row(download)
        self.tally.add(self.look(row))
        # The lease would run out in ten seconds; the clock is put forward instead.
        Download.objects.filter(pk=row.pk).update(lease_until="2020-01-01T00:00:00Z")
        if row.state == Download.State.DONE:
            self.tally.ended += 1
            return self.request()
        assert row.state in ("queued", "running", "verifying"), (row.state, row.error)
        return row

    def finish(self, download: Any) -> None:
        self.start()
        self.until(lambda: self.row(download).state == "done", download)
        self.end()
        assert self.look(self.row(download)) == "whole"
        self.tally.ended += 1

    def look(self, row: Any) -> str:
        """Compare what lies there with the hub's, byte by byte. Says what was found."""
        from models_registry.downloads.landed import files_of
        from models_registry.downloads.run import place_of
        from models_registry.models import Model

        place, found = place_of(row), "nothing"
        for file in files_of(row):
            right = (self.folder / "hub" / row.repo / file.path).read_bytes()
            final = place / file.path
            parts = list(final.parent.glob(f"{final.name}.*.part"))
            assert len(parts) <= 1, parts
            if final.exists():
                assert final.read_bytes() == right, f"{final} is not whole"
            for part in parts:
                data = part.read_bytes()
                assert right.startswith(data), f"{part} is no beginning"
                if file.path.endswith(".safetensors"):
                    found = "part, all bytes" if len(data) == len(right) else "part"
        if all((place / file.path).exists() for file in files_of(row)):
            found = "all files, row open"
        path = Model.objects.get(pk=row.model_id).source.get("path")
        assert (path is not None) == (row.state == "done"), "the model and its download disagree"
        if row.state == "done":
            assert path == str(place) and found == "all files, row open"
            found = "whole"
        return found

    def start(self) -> None:
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "config.worker"], cwd=ROOT, stdout=log, stderr=log
            )

    def end(self) -> None:
        assert self.worker is not None
        self.worker.kill()
        self.worker.wait()

    def row(self, download: Any) -> Any:
        from models_registry.models import Download

        return Download.objects.get(pk=download.pk)

    def until(self, true: Callable[[], bool], download: Any, seconds: float = 600) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            row = self.row(download)
            if row.state == "failed" or time.monotonic() > deadline:
                log = (self.folder / "worker.log").read_text()[-3000:]
                raise AssertionError(f"{row.state} {row.error}\n{log}")
            if row.state == "done":
                return
            time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", default="")
    given = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # its clients die, as they should
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hearth-kill-") as folder:
        killing = Killing(Path(folder), given.seed)
        killing.prepare(given.database)
        tally = killing.run(given.kills)
    print(
        f"{tally.kills} kills, {tally.ended} downloads came to their end, all bytes right;"
        f" found after a kill: {tally.found}; {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
