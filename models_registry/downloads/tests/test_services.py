from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from config.errors import AppError
from models_registry.downloads import clean, leases, places, selectors, services
from models_registry.downloads.run import download_run
from models_registry.downloads.tests.conftest import read
from models_registry.models import Download, Model
from models_registry.services import model_create
from tests.fake_hub import FakeHub

KEPT = {"config.json", "tokenizer_config.json", "model.safetensors", "LICENSE"}
BOTH = pytest.mark.parametrize("name", ["modelscope", "huggingface"])
pytestmark = [pytest.mark.usefixtures("db", "data")]


def ask(hub: str = "huggingface", **more: Any) -> Download:
    return services.download_request(hub=hub, repo="lab/tiny", **more)


def model_of(download: Download) -> Model:
    return Model.objects.get(pk=download.model_id)


def fresh(download: Download) -> Download:
    return Download.objects.get(pk=download.pk)


def done(**more: Any) -> Download:
    download = ask(**more)
    assert download_run(download.pk)
    assert fresh(download).error is None
    assert fresh(download).state == "done"
    return fresh(download)


@BOTH
def test_the_model_is_there_at_once_and_knows_itself_when_the_files_are(
    make_repo: Callable[..., Path], data: Path, name: str
) -> None:
    repo = make_repo()
    download = ask(name)
    model = model_of(download)
    assert (model.name, model.is_default) == ("tiny", None)
    assert "path" not in model.source and model.source["repo"] == "lab/tiny"
    assert selectors.states_of([model.id])[model.id]["state"] == "downloading"
    assert download_run(download.pk)
    model.refresh_from_db()
    folder = data / "models" / name / "lab--tiny" / download.revision
    assert model.source["path"] == str(folder)
    assert (model.family, model.context_length, model.is_default) == ("llama", 8192, True)
    assert "continue" in model.capabilities
    found = read(folder)
    assert set(found) == KEPT
    assert all(found[path] == (repo / path).read_bytes() for path in KEPT)
    download = fresh(download)
    assert (download.state, download.bytes_done) == ("done", download.bytes_total)
    assert selectors.states_of([model.id]) == {}


def test_who_asks_for_the_same_gets_the_same(make_repo: Callable[..., Path]) -> None:
    make_repo()
    first = ask(user=User.objects.create(username="anna"))
    assert ask(user=User.objects.create(username="bert"), name="Another").pk == first.pk
    assert ask(revision=first.revision).pk == first.pk
    assert ask("modelscope").pk != first.pk
    assert Model.objects.count() == 2
    assert sorted(Model.objects.values_list("name", flat=True)) == ["tiny", "tiny (2)"]


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_many_who_ask_at_the_same_moment_get_one(make_repo: Callable[..., Path]) -> None:
    make_repo()
    barrier = threading.Barrier(5)

    def one(_: int) -> str:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=30)
            return ask().pk
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        found = set(pool.map(one, range(5)))
    assert len(found) == 1 and Download.objects.count() == 1 and Model.objects.count() == 1


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_a_download_that_comes_to_many_is_fetched_once(make_repo: Callable[..., Path], hub: FakeHub) -> None:
    make_repo()
    download = ask()
    barrier = threading.Barrier(4)

    def one(_: int) -> bool:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=30)
            return download_run(download.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(one, range(4))) == [False, False, False, True]
    assert fresh(download).state == "done"
    assert len(hub.asked_for("/cdn/")) == 1


def paused_in_the_middle(download: Download, hub: FakeHub, act: Callable[[Download], Any]) -> None:
    """Run it in this thread; `act` comes when the weights have half come."""
    sent = hub.sent

    def later() -> None:
        try:
            hub.until(lambda: hub.sent - sent > 100_000)
            act(Download.objects.get(pk=download.pk))
        finally:
            connection.close()

    thread = threading.Thread(target=later)
    thread.start()
    assert download_run(download.pk)
    thread.join()


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
@BOTH
def test_pause_and_resume(make_repo: Callable[..., Path], hub: FakeHub, data: Path, name: str) -> None:
    make_repo()
    stall = hub.faults.add("stall", match="*.safetensors", after=150_000)
    download = ask(name)
    paused_in_the_middle(download, hub, services.download_pause)
    now = fresh(download)
    assert (now.state, now.owner, now.lease_until) == ("paused", "", None)
    assert selectors.states_of([download.model_id])[download.model_id]["state"] == "downloading"
    assert not download_run(download.pk)
    stall.times = 0
    sent = hub.sent
    assert services.download_resume(now).state == "queued"
    assert download_run(download.pk)
    assert fresh(download).state == "done"
    assert hub.sent - sent < 250_000  # the rest, not the whole


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_cancel_takes_the_files_and_the_model_away(
    make_repo: Callable[..., Path], hub: FakeHub, data: Path
) -> None:
    make_repo()
    hub.faults.add("stall", match="*.safetensors", after=150_000)
    download = ask()
    paused_in_the_middle(download, hub, services.download_cancel)
    assert (fresh(download).state, fresh(download).key) == ("cancelled", None)
    assert not Model.objects.exists()
    assert leases.to_clean() == [download.pk]
    clean.download_clean(download.pk)
    assert leases.to_clean() == []
    assert not list((data / "models" / "huggingface").iterdir())
    assert ask().pk != download.pk


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_a_deleted_model_calls_its_download_off(make_repo: Callable[..., Path], hub: FakeHub) -> None:
    make_repo()
    hub.faults.add("stall", match="*.safetensors", after=150_000)
    download = ask()
    paused_in_the_middle(download, hub, lambda _: Model.objects.all().delete())
    assert fresh(download).state == "cancelled"
    other = ask()
    Model.objects.all().delete()
    leases.cancel_orphans()
    assert fresh(other).state == "cancelled"


def test_what_failed_is_told_and_goes_on(make_repo: Callable[..., Path], hub: FakeHub) -> None:
    make_repo()
    hub.faults.add("status", where="file", match="*/LICENSE", status=404)
    download = ask()
    assert download_run(download.pk)
    now = fresh(download)
    assert now.state == "failed" and now.error["code"] == "repo_not_found"  # type: ignore[index]
    state = selectors.states_of([download.model_id])[download.model_id]
    assert state["state"] == "absent" and "LICENSE" in state["error"]["message"]
    hub.faults.clear()
    assert ask().pk == download.pk and fresh(download).state == "queued"  # asking again is trying again
    assert download_run(download.pk)
    assert (fresh(download).state, fresh(download).error) == ("done", None)


def test_a_repository_that_asks_for_its_code_is_not_begun(
    make_repo: Callable[..., Path], hub: FakeHub
) -> None:
    make_repo(auto_map={"AutoModel": "modeling.M"})
    with pytest.raises(AppError) as caught:
        ask()
    assert caught.value.code == "unsafe_repository" and "auto_map" in caught.value.message
    assert not Model.objects.exists() and not hub.asked_for("/cdn/")


def test_a_folder_that_cannot_be_a_model_fails_in_words(make_repo: Callable[..., Path]) -> None:
    (make_repo() / "special_tokens_map.json").write_text('{"x": {"auto_map": {}}}')
    download = ask()
    assert download_run(download.pk)
    error = fresh(download).error
    assert error is not None and error["code"] == "invalid_model_folder" and "auto_map" in error["message"]
    assert "path" not in model_of(download).source


def test_without_room_nothing_is_begun(
    make_repo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repo(size=3_000_000)
    free = places.SPARE + 2_000_000
    monkeypatch.setattr(places, "free_bytes", lambda folder: free)
    with pytest.raises(AppError) as caught:
        ask()
    assert (caught.value.code, caught.value.status) == ("disk_full", 507)
    assert caught.value.message == ("The disk is full: 2.9 MB are still to come and 65.9 MB are free.")
    assert not Model.objects.exists()
    free += 2_000_000
    first = ask()
    with pytest.raises(AppError):  # the room is promised to the first
        ask("modelscope")
    free -= 2_000_000
    assert download_run(first.pk)
    assert fresh(first).error["code"] == "disk_full"  # type: ignore[index]


def test_a_list_without_hashes_is_not_trusted(
    make_repo: Callable[..., Path], hub: FakeHub, tmp_path: Path
) -> None:
    make_repo()
    (tmp_path / "hub" / "lab" / "tiny.json").write_text(
        '{"listed": [{"path": "generation_config.json", "size": 3, "sha256": ""}]}'
    )
    with pytest.raises(AppError) as caught:
        ask("modelscope")
    assert caught.value.code == "unverifiable" and "generation_config.json" in caught.value.message


def test_the_lease_of_a_dead_worker_runs_out(make_repo: Callable[..., Path]) -> None:
    make_repo()
    download = ask()
    Download.objects.update(state="running", owner="dead.0", lease_until=timezone.now() + leases.LEASE)
    assert leases.due() == [] and not download_run(download.pk)
    Download.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert leases.due() == [download.pk]
    assert download_run(download.pk)
    assert fresh(download).state == "done"


def test_what_kills_each_worker_is_given_up_but_progress_counts(make_repo: Callable[..., Path]) -> None:
    make_repo()
    download = ask()
    Download.objects.update(attempts=5)
    assert download_run(download.pk)
    assert fresh(download).error["code"] == "download_lost"  # type: ignore[index]
    assert services.download_resume(fresh(download)).attempts == 0


def test_a_worker_that_has_to_go_gives_back_what_is_its_own(make_repo: Callable[..., Path]) -> None:
    make_repo()
    download = ask()
    owner = leases.take(download.pk)
    assert owner is not None
    leases.release()
    assert (fresh(download).state, fresh(download).owner, fresh(download).attempts) == ("queued", "", 0)


def test_changes_that_come_too_late_are_refused(make_repo: Callable[..., Path]) -> None:
    make_repo()
    download = done()
    for change in (services.download_pause, services.download_resume, services.download_cancel):
        with pytest.raises(AppError) as caught:
            change(fresh(download))
        assert (caught.value.code, caught.value.status) == ("download_over", 409)


def test_asking_twice_for_a_change_is_no_error(make_repo: Callable[..., Path]) -> None:
    make_repo()
    download = ask()
    for _ in range(2):
        assert services.download_pause(fresh(download)).state == "paused"
    for _ in range(2):
        assert services.download_resume(fresh(download)).state == "queued"
    for _ in range(2):
        assert services.download_cancel(fresh(download)).state == "cancelled"


def test_files_that_were_removed_by_hand_are_fetched_again(make_repo: Callable[..., Path]) -> None:
    make_repo()
    download = done()
    path = Path(model_of(download).source["path"])
    (path / "config.json").unlink()
    again = ask()
    assert (again.pk, again.state) == (download.pk, "queued")
    assert "path" not in model_of(download).source
    assert download_run(again.pk)
    assert (path / "config.json").exists() and model_of(download).source["path"] == str(path)


def test_a_deleted_model_takes_its_files_along_when_asked_to(
    make_repo: Callable[..., Path], data: Path
) -> None:
    make_repo()
    model = model_of(done())
    services.files_remove(model)
    model.delete()
    assert not list((data / "models" / "huggingface").iterdir())
    assert done().state == "done"


def test_files_that_another_model_uses_stay(make_repo: Callable[..., Path]) -> None:
    make_repo()
    model = model_of(done())
    folder = model.source["path"]
    model_create(name="By hand", source={"kind": "folder", "path": folder})
    services.files_remove(model)
    assert set(read(Path(folder))) == KEPT


def test_a_folder_named_by_hand_is_never_removed(make_repo: Callable[..., Path], tmp_path: Path) -> None:
    repo = make_repo()
    services.files_remove(Model(source={"kind": "folder", "path": str(repo)}))
    services.files_remove(Model(source={"kind": "hub", "hub": "huggingface", "path": str(repo)}))
    assert (repo / "config.json").exists()


def test_a_model_deleted_without_its_files_finds_them_again(
    make_repo: Callable[..., Path], hub: FakeHub
) -> None:
    make_repo()
    model_of(done()).delete()
    fetched = len(hub.asked_for("/cdn/"))
    assert done().state == "done"
    assert len(hub.asked_for("/cdn/")) == fetched


def test_old_cancelled_ones_are_forgotten(make_repo: Callable[..., Path]) -> None:
    make_repo()
    download = services.download_cancel(ask())
    Download.objects.update(finished=timezone.now() - timedelta(days=8))
    leases.prune()
    assert not Download.objects.filter(pk=download.pk).exists()


def test_an_engine_that_was_chosen_meanwhile_stays_where_it_can_run_the_files(
    make_repo: Callable[..., Path],
) -> None:
    make_repo()
    download = ask()
    Model.objects.update(engine="vllm")
    assert download_run(download.pk) and model_of(download).engine == "vllm"
    other = ask("modelscope")
    Model.objects.filter(pk=other.model_id).update(engine="llama_cpp")  # not for a folder
    assert download_run(other.pk) and model_of(other).engine == "transformers"
