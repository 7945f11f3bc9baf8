"""`manage.py download_model` as a person runs it: a process, a terminal line, Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from models_registry.downloads import services
from models_registry.downloads.run import download_run
from models_registry.models import Download, Model
from tests.fake_hub import FakeHub

ROOT = Path(__file__).resolve().parents[3]


def command(*args: str) -> str:
    out = io.StringIO()
    call_command("download_model", "lab/tiny", *args, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize("hub_name", ["modelscope", "huggingface"])
def test_it_downloads_and_registers(make_repo: Callable[..., Path], data: Path, hub_name: str) -> None:
    make_repo()
    said = command("--hub", hub_name, "--name", "My model")
    model = Model.objects.get()
    assert (model.name, model.is_default) == ("My model", True)
    assert said.splitlines()[-1] == f"My model: {model.source['path']}"
    assert "tiny" in said and "%" in said
    assert command("--hub", hub_name).splitlines()[-1] == f"My model: {model.source['path']}"


@pytest.mark.django_db
def test_what_went_wrong_is_told(make_repo: Callable[..., Path], hub: FakeHub, data: Path) -> None:
    with pytest.raises(CommandError, match="ModelScope has no such model"):
        command()
    make_repo()
    hub.faults.add("wrong_bytes", match="*.safetensors", after=10)
    with pytest.raises(CommandError, match="does not match its hash"):
        command()


@pytest.mark.django_db(transaction=True)
def test_it_follows_the_worker_that_has_it(make_repo: Callable[..., Path], hub: FakeHub, data: Path) -> None:
    make_repo()
    hub.faults.add("throttle", match="*.safetensors", rate=200_000)
    download = services.download_request(hub="modelscope", repo="lab/tiny")

    def worker() -> None:
        try:
            download_run(download.pk)
        finally:
            connection.close()

    thread = threading.Thread(target=worker)
    thread.start()
    hub.until(lambda: len(hub.asked_for("model.safetensors")) > 0)
    assert command().splitlines()[-1].startswith("tiny: ")
    thread.join()
    assert len(hub.asked_for("/cdn/")) == 1 and Download.objects.count() == 1


def test_ctrl_c_pauses_and_the_same_command_goes_on(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    repo = make_repo(size=600_000)
    hub.faults.add("stall", match="*.safetensors", after=300_000, times=1)
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.prod",
        "HEARTH_DATA": str(tmp_path / "data"),
        "DATABASE_URL": f"sqlite:///{tmp_path}/command.sqlite3",
        "HEARTH_MODELSCOPE_ENDPOINT": hub.endpoint,
        "REDIS_URL": "",
    }

    def manage(*args: str) -> subprocess.Popen[str]:
        command = [sys.executable, "manage.py", *args]
        pipe: Any = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True)

    def kept() -> int:
        return sum(file.stat().st_size for file in tmp_path.rglob("*.part"))

    assert manage("migrate", "--verbosity", "0").wait(120) == 0
    first = manage("download_model", "lab/tiny")
    hub.until(lambda: kept() > 250_000, within=60)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=30)
    assert first.returncode == 1 and "Paused. The same command goes on from here." in said
    sent = hub.sent
    second = manage("download_model", "lab/tiny")
    out, said = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert hub.sent - sent < 400_000
    path = Path(out.splitlines()[-1].partition(": ")[2])
    assert (path / "model.safetensors").read_bytes() == (repo / "model.safetensors").read_bytes()
