"""The hub for tests does wrong what it is told to, or tests of downloads would prove nothing."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from huggingface_hub import HfApi

from tests.fake_hub import FakeHub

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    folder = tmp_path / "acme" / "m"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(CONTENT)
    with FakeHub(tmp_path) as hub:
        yield hub


def get(hub: FakeHub, span: str = "", timeout: float = 10) -> requests.Response:
    headers = {"Range": f"bytes={span}"} if span else {}
    url = f"{hub.endpoint}/acme/m/resolve/main/model.safetensors"
    return requests.get(url, headers=headers, timeout=timeout)


def test_ranges_are_answered_as_they_were_asked(hub: FakeHub):
    assert get(hub).content == CONTENT
    part = get(hub, "100-199")
    assert (part.status_code, part.content) == (206, CONTENT[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(CONTENT)}"
    assert get(hub, f"{len(CONTENT) - 5}-").content == CONTENT[-5:]
    assert get(hub, f"{len(CONTENT)}-").status_code == 416


def test_a_cut_ends_the_body_where_it_was_told_to_and_only_so_often(hub: FakeHub):
    hub.faults.add("cut", after=70_001, times=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get(hub)
    assert hub.sent == 70_001
    assert get(hub).content == CONTENT


def test_bytes_hashes_and_sizes_can_be_lies(hub: FakeHub):
    hub.faults.add("wrong_bytes", after=50, times=1)
    wrong = get(hub).content
    assert [at for at in range(len(CONTENT)) if wrong[at] != CONTENT[at]] == [50]
    api = HfApi(endpoint=hub.endpoint, token=False)
    truth = hashlib.sha256(CONTENT).hexdigest()

    def listed() -> tuple[str, int]:
        (file,) = api.model_info("acme/m", files_metadata=True).siblings or []
        assert file.lfs is not None
        return file.lfs.sha256, file.lfs.size

    assert listed() == (truth, len(CONTENT))
    hub.faults.add("wrong_hash", times=1)
    assert listed() == ("f" * 64, len(CONTENT))
    hub.faults.add("wrong_size", after=7, times=1)
    assert listed() == (truth, len(CONTENT) + 7)


def test_ranges_can_be_ignored_or_answered_with_others(hub: FakeHub):
    hub.faults.add("no_range", times=1)
    whole = get(hub, "100-199")
    assert (whole.status_code, whole.content) == (200, CONTENT)
    hub.faults.add("wrong_range", times=1)
    other = get(hub, "100-199")
    assert (other.status_code, other.content) == (206, CONTENT[:100])


def test_slow_stalled_silent_and_refusing(hub: FakeHub):
    hub.faults.add("throttle", rate=200_000, times=1)
    began = time.monotonic()
    assert get(hub).content == CONTENT
    assert time.monotonic() - began > 0.4
    hub.faults.add("stall", after=10, times=1)
    with pytest.raises(requests.exceptions.ConnectionError):
        get(hub, timeout=0.3)
    hub.faults.add("silent", where="file", times=1)
    with pytest.raises(requests.exceptions.Timeout):
        get(hub, timeout=0.3)
    hub.faults.add("status", status=429, retry_after=3, times=1)
    refused = get(hub)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3")
    hub.faults.add("redirect", to=f"{hub.endpoint}/", times=1)
    assert "for tests" in get(hub).text


def test_it_stops_in_the_middle_and_comes_back_at_the_same_place(hub: FakeHub):
    hub.faults.add("stall", after=10, times=1)
    url = f"{hub.endpoint}/acme/m/resolve/main/model.safetensors"
    with requests.get(url, stream=True, timeout=60) as answer:
        hub.until(lambda: hub.sent >= 10)
        hub.stop()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            answer.content  # noqa: B018
    with pytest.raises(requests.exceptions.ConnectionError):
        get(hub)
    hub.start()
    assert get(hub).content == CONTENT


def test_it_runs_as_a_process_of_its_own(hub: FakeHub, tmp_path: Path):
    command = [sys.executable, "-m", "tests.fake_hub", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        try:
            fault = {"kind": "status", "status": 503}
            assert requests.post(f"{endpoint}/_fake/faults", json=fault, timeout=60).json()["faults"]
            assert requests.get(f"{endpoint}/api/models", timeout=60).status_code == 503
            assert requests.delete(f"{endpoint}/_fake/faults", timeout=60).json() == {"faults": []}
            assert requests.get(f"{endpoint}/api/models", timeout=60).json()[0]["id"] == "acme/m"
        finally:
            process.terminate()
        assert process.wait(10) == 0
