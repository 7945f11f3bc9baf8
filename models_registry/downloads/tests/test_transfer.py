"""Files from a real server that misbehaves, through the real client."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models_registry import hubs
from models_registry.downloads.failure import Failure, Wanted
from models_registry.downloads.storage import Part
from models_registry.downloads.tests.conftest import HASTY, info_of, read
from models_registry.downloads.transfer import Patience, Transfer
from tests.fake_hub import FakeHub
from tests.patience import timed, within

WEIGHTS = "model.safetensors"
BOTH = pytest.mark.parametrize("name", ["modelscope", "huggingface"])


def start(folder: Path, name: str = "huggingface", only: str | None = None, **more: Any) -> Transfer:
    info = info_of(name)
    files = [
        Wanted(file.path, file.size, file.sha256, file.blob_sha1)
        for file in info.files
        if only in (None, file.path)
    ]
    more.setdefault("patience", HASTY)
    transfer = Transfer(hubs.get(name), info.repo, info.revision, folder, files, **more)
    transfer.start()
    return transfer


def ended(transfer: Transfer, within: float = 60) -> Transfer:
    transfer.join(within)
    assert not transfer.is_alive()
    return transfer


def failed(transfer: Transfer) -> tuple[str, dict[str, Any]]:
    ended(transfer)
    assert isinstance(transfer.error, Failure), transfer.error
    return transfer.error.code, transfer.error.values


@BOTH
def test_all_files_come_and_are_plain(make_repo: Callable[..., Path], tmp_path: Path, name: str) -> None:
    repo = make_repo()
    transfer = ended(start(tmp_path / "to", name))
    assert transfer.error is None and transfer.verifying
    assert read(tmp_path / "to") == read(repo)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "to").rglob("*") if path.is_file()}
    assert modes == {0o644}


@BOTH
def test_a_cut_is_gone_on_from(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path, name: str
) -> None:
    repo = make_repo(size=400_000)
    for after in (100_000, 150_000):
        hub.faults.add("cut", match="*.safetensors", after=after, times=1)
    transfer = ended(start(tmp_path / "to", name, only=WEIGHTS))
    assert transfer.error is None
    assert (tmp_path / "to" / WEIGHTS).read_bytes() == (repo / WEIGHTS).read_bytes()
    ranges = [seen.range for seen in hub.asked_for("/cdn/lab/tiny/model.safetensors")]
    assert ranges[0] == "" and len(ranges) == 3
    assert all(range_.startswith("bytes=") and range_ != "bytes=0-" for range_ in ranges[1:])
    assert hub.sent < 2 * 400_000


def test_a_stalled_and_a_silent_hub_are_asked_again(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    repo = make_repo()
    hub.faults.add("stall", match="*.safetensors", after=90_000, times=1)
    hub.faults.add("silent", where="file", match="*/config.json", times=1)
    assert ended(start(tmp_path / "to")).error is None
    assert read(tmp_path / "to") == read(repo)


@pytest.mark.parametrize("kind", ["no_range", "wrong_range"])
def test_a_hub_that_ignores_range_begins_the_file_anew(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path, kind: Any
) -> None:
    repo = make_repo()
    hub.faults.add("cut", match="*.safetensors", after=100_000, times=1)
    hub.faults.add(kind, match="*.safetensors")
    assert ended(start(tmp_path / "to")).error is None
    assert read(tmp_path / "to") == read(repo)


def test_retry_after_is_waited_for_by_all_files(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    make_repo()
    hub.faults.add("status", where="file", match="*.safetensors", status=429, retry_after=1, times=1)
    began = time.monotonic()
    assert ended(start(tmp_path / "to", only=WEIGHTS)).error is None
    assert time.monotonic() - began >= 1.0


def test_a_hub_that_wants_us_away_for_a_day_is_left(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    make_repo()
    hub.faults.add("status", where="file", status=429, retry_after=86_400)
    assert failed(start(tmp_path / "to"))[0] == "hub_busy"


def test_server_errors_are_tried_again_and_then_told(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    repo = make_repo()
    hub.faults.add("status", where="file", status=503, times=3)
    assert ended(start(tmp_path / "to")).error is None
    assert read(tmp_path / "to") == read(repo)
    hub.faults.add("status", where="file", status=500)
    assert failed(start(tmp_path / "other"))[0] == "hub_unreachable"


def test_a_hub_that_goes_away_leaves_what_has_come(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    repo = make_repo()
    hub.faults.add("stall", match="*.safetensors", after=100_000)
    transfer = start(tmp_path / "to", only=WEIGHTS, patience=Patience(tries=3, first_wait=0.01, silence=30))
    hub.until(lambda: hub.sent >= 100_000)
    hub.stop()
    assert failed(transfer)[0] in ("cut_off", "hub_unreachable")
    (part,) = (tmp_path / "to").iterdir()
    assert (repo / WEIGHTS).read_bytes().startswith(part.read_bytes()) and part.stat().st_size > 0
    hub.start()
    hub.faults.clear()
    assert ended(start(tmp_path / "to", only=WEIGHTS)).error is None
    assert (tmp_path / "to" / WEIGHTS).read_bytes() == (repo / WEIGHTS).read_bytes()


@BOTH
@pytest.mark.parametrize("path", [WEIGHTS, "config.json"])
def test_a_lie_about_the_content_is_told_and_thrown_away(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path, name: str, path: str
) -> None:
    make_repo()
    hub.faults.add("wrong_bytes", match=f"*/{path}", after=50)
    assert failed(start(tmp_path / "to", name, only=path)) == ("wrong_hash", {"name": path})
    assert read(tmp_path / "to") == {}


def test_a_lie_about_the_size_is_told_and_thrown_away(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    repo = make_repo()
    size = (repo / WEIGHTS).stat().st_size
    for lie in (10, -10):
        hub.faults.clear()
        hub.faults.add("wrong_size", match=f"*/{WEIGHTS}", after=lie)
        code, values = failed(start(tmp_path / "to", only=WEIGHTS))
        assert (code, values["said"], values["sent"]) == ("wrong_size", size + lie, size)
        assert read(tmp_path / "to") == {}


def test_a_part_that_was_spoilt_is_fetched_once_more_as_a_whole(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    repo = make_repo()
    hub.faults.add("wrong_bytes", match="*.safetensors", after=10, times=1)
    hub.faults.add("cut", match="*.safetensors", after=100_000, times=1)
    assert ended(start(tmp_path / "to")).error is None
    assert read(tmp_path / "to") == read(repo)


def test_no_token_goes_to_the_content_network(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path, settings: Any
) -> None:
    make_repo()
    settings.HEARTH_HUBS["huggingface"]["token"] = "hf_secret"
    assert ended(start(tmp_path / "to")).error is None
    assert any("authorization" in seen.headers for seen in hub.asked_for("/resolve/"))
    assert not any("authorization" in seen.headers for seen in hub.asked_for("/cdn/"))


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://example.org/x", "http://a:b@example.org/"])
def test_only_plain_http_redirects_are_followed(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path, address: str
) -> None:
    make_repo()
    hub.faults.add("redirect", match="*/config.json", to=address)
    assert failed(start(tmp_path / "to", only="config.json"))[0] == "bad_redirect"


def test_redirects_that_never_end_are_left(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    make_repo()
    hub.faults.add("redirect", match="*/config.json", to="config.json")
    assert failed(start(tmp_path / "to", only="config.json"))[0] == "bad_redirect"


@timed
def test_a_stop_ends_at_once_also_while_nothing_comes(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    make_repo()
    hub.faults.add("stall", match="*.safetensors", after=100_000)
    transfer = start(tmp_path / "to", only=WEIGHTS, patience=Patience(silence=60))
    hub.until(lambda: hub.sent >= 100_000)
    began = time.monotonic()
    transfer.stop()
    ended(transfer)
    assert transfer.error is None
    within(1, time.monotonic() - began)


def test_a_full_disk_is_told_and_what_fitted_stays(
    make_repo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = make_repo()
    written, write = [0], os.write

    def limited(descriptor: int, data: Any) -> int:
        if written[0] + len(data) > 150_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = write(descriptor, data)
        written[0] += count
        return count

    monkeypatch.setattr("models_registry.downloads.storage.os.write", limited)
    code, values = failed(start(tmp_path / "to", only=WEIGHTS))
    size = (repo / WEIGHTS).stat().st_size
    assert code == "disk_full" and 0 < values["needed"] < size and values["free"] > 0
    monkeypatch.undo()
    (part,) = (tmp_path / "to").iterdir()
    assert (repo / WEIGHTS).read_bytes().startswith(part.read_bytes())


def test_whole_files_are_not_fetched_again_and_wrong_ones_are(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    repo = make_repo()
    ended(start(tmp_path / "to"))
    weights = tmp_path / "to" / WEIGHTS
    weights.write_bytes(b"\0" * weights.stat().st_size)
    hub.seen.clear()
    assert ended(start(tmp_path / "to")).error is None
    assert read(tmp_path / "to") == read(repo)
    assert [seen.path.partition("?")[0] for seen in hub.asked_for("/cdn/")] == [f"/cdn/lab/tiny/{WEIGHTS}"]
    assert hub.asked_for("/resolve/") and not hub.asked_for("/config.json")


def test_two_that_fetch_the_same_file_come_one_after_the_other(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    repo = make_repo()
    hub.faults.add("throttle", match="*.safetensors", rate=600_000)
    both = [start(tmp_path / "to", only=WEIGHTS) for _ in range(2)]
    assert [ended(transfer).error for transfer in both] == [None, None]
    assert (tmp_path / "to" / WEIGHTS).read_bytes() == (repo / WEIGHTS).read_bytes()
    assert len(hub.asked_for("/cdn/")) == 1


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../../x", "a\\x", "a//b", "", ".", "a\nb", "c:x", "x.part", "a/./b"]
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(Failure) as caught:
        Part(tmp_path, Wanted(path, 1, "0" * 64))
    assert caught.value.code == "unsafe_path"


def test_links_in_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "sub").symlink_to(outside)
    part = Part(tmp_path / "to", Wanted("sub/x", 1, "0" * 64))
    with pytest.raises(Failure):
        part.open()
    link = Part(tmp_path / "to", Wanted("y", 1, "0" * 64))
    link.path.symlink_to(outside / "target")
    with pytest.raises(OSError):
        link.open()
    assert list(outside.iterdir()) == []


def test_a_part_taken_away_under_its_owner_is_noticed(tmp_path: Path) -> None:
    part = Part(tmp_path, Wanted("x", 3, "0" * 64))
    assert part.open()
    part.write(b"abc")
    part.path.unlink()
    assert not part.finish()
    assert not (tmp_path / "x").exists()
    assert not part.is_right(threading.Event())
    part.close()
