"""Both hubs through their own client libraries, against a real server."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.errors import AppError
from models_registry import hubs
from models_registry.hubs import calls, limits
from models_registry.hubs.base import Hub
from models_registry.tests.conftest import safetensors
from tests.fake_hub import FakeHub
from tests.patience import timed, within

BOTH = ["modelscope", "huggingface"]


@pytest.fixture
def repo(hub: FakeHub) -> Path:
    """acme/tiny: a config, weights (LFS) and a file in a folder."""
    folder = hub.repos.root / "acme" / "tiny"
    (folder / "onnx").mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(safetensors())
    (folder / "onnx" / "notes.txt").write_text("notes")
    say(folder, license="apache-2.0", downloads=7, likes=3, parameters=1000)
    return folder


def say(folder: Path, **facts: Any) -> None:
    folder.with_suffix(".json").write_text(json.dumps(facts))


@pytest.fixture(params=BOTH)
def client(request: pytest.FixtureRequest, repo: Path) -> Hub:
    return hubs.get(request.param)


def refused(call: Callable[[], object]) -> AppError:
    with pytest.raises(AppError) as caught:
        call()
    return caught.value


def test_search_finds_by_name_with_what_the_hub_knows(client: Hub):
    (hit,) = client.search("tiny")
    assert (hit.repo, hit.name, hit.downloads, hit.likes, hit.license) == (
        "acme/tiny",
        "tiny",
        7,
        3,
        "apache-2.0",
    )
    assert hit.updated == "2025-06-01T12:00:00+00:00"
    assert client.search("nothing of this name") == []


def test_search_says_how_large_a_model_is(repo: Path):
    on_face, on_scope = hubs.get("huggingface").search("tiny")[0], hubs.get("modelscope").search("tiny")[0]
    assert (on_face.parameters, on_face.size_bytes) == (1000, 2000)
    assert (on_scope.parameters, on_scope.size_bytes) == (
        None,
        sum(file.stat().st_size for file in repo.rglob("*") if file.is_file()),
    )


def test_search_gives_no_more_than_was_asked_for(client: Hub, hub: FakeHub):
    for number in range(60):
        (hub.repos.root / "acme" / f"many-{number}").mkdir()
    assert len(client.search("many", limit=5)) == 5
    assert len(client.search("many", limit=60)) >= 50


def test_info_is_the_commit_its_files_their_sizes_and_hashes(client: Hub, repo: Path, hub: FakeHub):
    info = client.info("acme/tiny")
    assert info.revision == hub.repos.get("acme/tiny").commit  # type: ignore[union-attr]
    assert (info.hub, info.repo, info.license, info.gated) == (client.name, "acme/tiny", "apache-2.0", False)
    assert sorted(file.path for file in info.files) == ["config.json", "model.safetensors", "onnx/notes.txt"]
    for file in info.files:
        content = (repo / file.path).read_bytes()
        assert file.size == len(content)
        sha1 = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        assert file.sha256 == hashlib.sha256(content).hexdigest() or file.blob_sha1 == sha1
    weights = next(file for file in info.files if file.path == "model.safetensors")
    assert weights.sha256 is not None


def test_a_commit_can_be_asked_for_and_a_branch_is_answered_with_its_commit(client: Hub):
    commit = client.info("acme/tiny").revision
    assert client.info("acme/tiny", commit).revision == commit
    assert client.info("acme/tiny", "main").revision == commit


def test_what_is_not_there_is_said(client: Hub):
    for repo, revision in [
        ("acme/none", None),
        ("acme/tiny", "no-such-branch"),
        ("acme", None),
        ("../etc/passwd", None),
        ("a/b/c", None),
        ("acme/..", None),
        ("acme/tiny?x=1", None),
        ("acme/tiny", "../main"),
        ("", None),
    ]:
        error = refused(lambda repo=repo, revision=revision: client.info(repo, revision))  # type: ignore[misc]
        assert (error.code, error.status) == ("repo_not_found", 404), (repo, revision)


def test_bytes_of_a_small_and_of_a_large_file(client: Hub, repo: Path):
    commit = client.info("acme/tiny").revision
    for path in ("config.json", "model.safetensors", "onnx/notes.txt"):
        content = (repo / path).read_bytes()
        assert client.read("acme/tiny", commit, path, 2, 5) == content[2:5]
        assert client.read("acme/tiny", commit, path, 0, 10_000) == content
        assert client.read("acme/tiny", commit, path, 10_000, 10_010) == b""
    assert refused(lambda: client.read("acme/tiny", commit, "none.json", 0, 10)).code == "repo_not_found"


def test_a_hub_that_ignores_ranges_is_read_from_the_beginning(client: Hub, repo: Path, hub: FakeHub):
    hub.faults.add("no_range")
    content = (repo / "model.safetensors").read_bytes()
    assert client.read("acme/tiny", "main", "model.safetensors", 3, 9) == content[3:9]


def test_a_hub_that_sends_another_range_is_not_believed(client: Hub, hub: FakeHub):
    hub.faults.add("wrong_range")
    assert refused(lambda: client.read("acme/tiny", "main", "model.safetensors", 3, 9)).code == "hub_error"


def test_a_gated_model_is_listed_as_such_and_read_with_a_token(client: Hub, repo: Path, settings: Any):
    say(repo, gated=True, token="agreed")
    if client.name == "huggingface":  # there the list is open, the files are not
        assert client.info("acme/tiny").gated
        error = refused(lambda: client.read("acme/tiny", "main", "config.json", 0, 9))
    else:
        error = refused(lambda: client.info("acme/tiny"))
    assert (error.code, error.status) == ("repo_gated", 403)
    settings.HEARTH_HUBS[client.name] |= {"token": "agreed"}
    with_token = hubs.get(client.name)
    assert with_token.info("acme/tiny").gated
    assert with_token.read("acme/tiny", "main", "model.safetensors", 0, 8)[:1] != b""


def test_the_token_goes_to_the_hub_and_not_to_its_content_network(hub: FakeHub, repo: Path, settings: Any):
    place = {"endpoint": hub.endpoint, "token": "a-secret"}
    settings.HEARTH_HUBS = {"modelscope": place, "huggingface": place}
    for name in BOTH:
        hubs.get(name).read("acme/tiny", "main", "model.safetensors", 0, 8)
    for seen in hub.seen:
        assert ("a-secret" in str(seen.headers)) == (not seen.path.startswith("/cdn/")), seen.path


@timed
def test_a_hub_that_is_asked_too_often_says_when_to_come_back(client: Hub, hub: FakeHub):
    hub.faults.add("status", status=429, retry_after=30)
    began = time.monotonic()
    for call in (
        lambda: client.search("x"),
        lambda: client.info("acme/tiny"),
        lambda: client.read("acme/tiny", "main", "config.json", 0, 9),
    ):
        error = refused(call)
        assert (error.code, error.status, error.extra) == ("hub_busy", 429, {"retry_after": 30.0})
    within(5, time.monotonic() - began)  # the libraries' own waiting is left out
    hub.faults.clear()
    hub.faults.add("status", status=429)
    assert refused(lambda: client.search("x")).extra == {}


@timed
def test_a_broken_hub_is_no_reason_to_wait(client: Hub, hub: FakeHub):
    hub.faults.add("status", status=503)
    began = time.monotonic()
    for call in (lambda: client.search("x"), lambda: client.info("acme/tiny")):
        assert refused(call).code == "hub_error"
    within(5, time.monotonic() - began)


@timed
def test_offline_is_said_in_words_and_at_once(client: Hub, hub: FakeHub):
    hub.stop()
    began = time.monotonic()
    for call in (
        lambda: client.search("x"),
        lambda: client.info("acme/tiny"),
        lambda: client.read("acme/tiny", "main", "config.json", 0, 9),
    ):
        error = refused(call)
        assert (error.code, error.status) == ("hub_unreachable", 503)
        assert client.title in error.message
    within(3, time.monotonic() - began)


@timed
def test_a_silent_hub_is_left_after_the_limit(client: Hub, hub: FakeHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "SILENCE", 0.3)
    monkeypatch.setattr(limits, "CALL", 1.0)
    hub.faults.add("silent")
    began = time.monotonic()
    for call in (lambda: client.search("x"), lambda: client.info("acme/tiny")):
        assert refused(call).code == "hub_unreachable"
    within(5, time.monotonic() - began)


@timed
def test_a_call_ends_even_when_the_library_does_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MOST_CALLS", 2)
    calls._free.pop("A hub", None)
    let_go = threading.Event()
    for _ in range(2):
        assert refused(lambda: calls.within("A hub", let_go.wait, 0.05)).code == "hub_unreachable"
    began = time.monotonic()
    assert refused(lambda: calls.within("A hub", lambda: 1, 60)).code == "hub_unreachable"
    within(1, time.monotonic() - began)  # no third one hangs
    let_go.set()


def test_an_answer_that_is_no_json_is_an_error_of_the_hub(client: Hub, hub: FakeHub, monkeypatch: Any):
    endpoint = f"{hub.endpoint}/cdn/acme/tiny/config.json?"
    monkeypatch.setattr(client, "endpoint", endpoint)
    assert refused(lambda: client.search("x")).code in ("hub_error", "repo_not_found")


def test_a_mirror_is_a_setting(hub: FakeHub, repo: Path, tmp_path: Path, settings: Any):
    with FakeHub(hub.repos.root) as mirror:
        settings.HEARTH_HUBS["huggingface"] = {"endpoint": mirror.endpoint, "token": ""}
        hubs.get("huggingface").info("acme/tiny")
        url, _ = hubs.get("huggingface").address("acme/tiny", "main", "config.json")
        assert url.startswith(mirror.endpoint)
        assert len(mirror.seen) == 1 and not hub.seen


@pytest.mark.parametrize(
    ("variable", "hub_name"),
    [
        ("HEARTH_MODELSCOPE_ENDPOINT", "modelscope"),
        ("MODELSCOPE_DOMAIN", "modelscope"),
        ("HEARTH_HF_ENDPOINT", "huggingface"),
        ("HF_ENDPOINT", "huggingface"),
    ],
)
def test_the_environment_names_the_mirror(variable: str, hub_name: str, monkeypatch: pytest.MonkeyPatch):
    from config import env

    for name in ("HEARTH_MODELSCOPE_ENDPOINT", "MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "mirror.example.org/")
    assert getattr(env.read(), f"{hub_name}_endpoint") == "https://mirror.example.org"
    monkeypatch.setenv(variable, "ftp://mirror.example.org")
    with pytest.raises(SystemExit, match="mirror"):
        env.read()


def test_there_are_two_hubs():
    assert hubs.names() == BOTH
    error = refused(lambda: hubs.get("elsewhere"))
    assert (error.code, error.status) == ("hub_unknown", 404)


def test_modelscope_writes_nothing_into_the_home(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    hubs.get("modelscope").info("acme/tiny")
    assert not (tmp_path / "home").exists()
