"""The worker as it runs in production: a process, a broker, a model service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inference.client import InferenceClient
from models_registry.tests.fake_inference import FakeInference
from models_registry.tests.worker_process import House, Service
from tests.patience import timed, within

#: What Celery writes when a message comes; the sweep writes nothing.
RECEIVED = "job_run"
#: 3 s on a quiet machine; tests share theirs.
UP_WITHIN = 6.0


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def make(inference: str, **env: str) -> House:
        made.append(House(tmp_path, inference, **env))
        return made[-1]

    yield make
    for house in made:
        house.kill()


@pytest.mark.parametrize(
    "broker",
    ["", pytest.param("redis://127.0.0.1:6379/9", marks=pytest.mark.database)],
    ids=["folder", "redis"],
)
@timed
def test_a_load_goes_through_the_broker_and_the_worker_ends_in_time(
    broker: str, house: Callable[..., House], inference: FakeInference
) -> None:
    home = house(inference.address, REDIS_URL=broker)
    began = time.monotonic()
    home.start()
    within(UP_WITHIN, time.monotonic() - began)
    job = home.ask_for_load()
    home.until(lambda: home.job_state(job) == "done", "the end of the load")
    assert RECEIVED in home.said(), "the broker brought it, not the sweep"
    assert len(inference.loads) == 1
    within(2, home.stop())
    assert home.rows("SELECT * FROM monitoring_beat") == []


def test_a_lost_message_is_swept(house: Callable[..., House], inference: FakeInference) -> None:
    home = house(inference.address)
    job = home.ask_for_load()
    for message in (home.data / "broker").rglob("*.msg"):
        message.unlink()
    home.start()
    home.until(lambda: home.job_state(job) == "done", "the end of the load")
    assert RECEIVED not in home.said()
    assert len(inference.loads) == 1


@timed
def test_a_worker_that_has_to_go_gives_its_job_back(
    house: Callable[..., House], inference: FakeInference
) -> None:
    home = house(inference.address)
    home.start()
    inference.hold.clear()
    job = home.ask_for_load()
    assert inference.heard.wait(60)
    within(2, home.stop())
    assert home.job_state(job) == "queued"
    inference.hold.set()
    home.start()
    home.until(lambda: home.job_state(job) == "done", "the end of the load")
    assert len(inference.loads) == 2


@timed
def test_work_goes_on_while_the_broker_is_away(house: Callable[..., House], inference: FakeInference) -> None:
    home = house(inference.address, REDIS_URL="redis://127.0.0.1:1/0")
    home.start()
    job = home.ask_for_load()
    home.until(lambda: home.job_state(job) == "done", "the end of the load")
    within(2, home.stop())


@pytest.fixture
def real_inference(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    service.start()
    yield service
    service.stop()


async def test_the_real_service_loads_and_unloads_what_the_worker_is_asked_for(
    house: Callable[..., House], real_inference: Service
) -> None:
    home = house(real_inference.address)
    home.start()
    job = home.ask_for_load()
    home.until(lambda: home.job_state(job) == "done", "the end of the load")
    client = InferenceClient(real_inference.address)
    try:
        (state,) = (await client.state())["models"]
        assert state["state"] == "ready"
        home.rows(
            "INSERT INTO models_registry_job (id, kind, model_id, state, attempts, owner, created)"
            " VALUES ('u', 'unload', ?, 'queued', 0, '', '2020-01-01 00:00:00')",
            state["model"],
        )
        home.until(lambda: home.job_state("u") == "done", "the end of the unload")
        assert all(model["state"] != "ready" for model in (await client.state())["models"])
    finally:
        await client.close()


def test_pins_are_told_to_the_real_service_and_to_the_one_that_comes_after_it(
    house: Callable[..., House], real_inference: Service
) -> None:
    home = house(real_inference.address)
    model = home.pin(True)
    home.start()
    home.until(lambda: real_inference.state()["pins"] == [model], "the pin")
    first = real_inference.state()["pid"]
    real_inference.stop()
    real_inference.start()
    home.until(lambda: real_inference.state()["pins"] == [model], "the pin at the new service")
    assert real_inference.state()["pid"] != first
    home.pin(False)
    home.until(lambda: real_inference.state()["pins"] == [], "the end of the pin")
