"""The worker as it runs in production, and what is left when it is killed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models_registry.tests.fake_inference import FakeInference
from models_registry.tests.worker_process import House
from tests.fake_hub import FakeHub

ROOT = Path(__file__).resolve().parents[3]

ASK = """
import django; django.setup()
from models_registry.downloads.services import download_request
print(download_request(hub="modelscope", repo="lab/tiny").id)
"""


@pytest.mark.slow
def test_five_random_deaths_of_the_worker_leave_it_complete_or_resumable() -> None:
    command = [sys.executable, "-m", "tests.kill_downloads", "--kills", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"^5 kills, [1-9]\d* downloads came to their end, all bytes right", done.stdout, re.M)


@pytest.fixture
def house(tmp_path: Path, hub: FakeHub) -> Iterator[House]:
    fake = FakeInference(tmp_path / "inference.sock")
    fake.start()
    home = House(
        tmp_path / "data",
        fake.address,
        HEARTH_MODELSCOPE_ENDPOINT=hub.endpoint,
        DJANGO_SETTINGS_MODULE="config.settings.prod",
    )
    yield home
    home.kill()
    fake.stop()


@pytest.mark.slow
def test_loads_do_not_wait_for_downloads_and_a_pause_is_seen_within_a_second(
    house: House, hub: FakeHub, make_repo: Callable[..., Path]
) -> None:
    make_repo()
    stall = hub.faults.add("stall", match="*.safetensors", after=100_000)
    download = house.python("-c", ASK)
    house.start()
    hub.until(lambda: hub.sent > 100_000, within=60)
    job = house.ask_for_load()
    house.until(lambda: house.job_state(job) == "done", "the end of the load")
    assert _row(house, download)[0] == "running"
    house.rows("UPDATE models_registry_download SET state = 'paused' WHERE id = ?", download)
    house.until(lambda: _row(house, download) == ("paused", ""), "the end of the transfer", seconds=1.5)
    stall.times = 0
    house.rows("UPDATE models_registry_download SET state = 'queued' WHERE id = ?", download)
    house.until(lambda: _row(house, download)[0] == "done", "the end of the download")
    assert house.stop() < 2


def _row(house: House, download: str) -> tuple[str, str]:
    found = house.rows("SELECT state, owner FROM models_registry_download WHERE id = ?", download)
    return str(found[0][0]), str(found[0][1])
