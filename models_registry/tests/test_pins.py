from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from inference.errors import InferenceError
from models_registry import services
from models_registry.models import Model
from models_registry.pins import Pins
from models_registry.tests.fake_inference import FakeInference


def _tell(pins: Pins) -> None:
    wanted = pins.due()
    assert wanted is not None
    pins.tell(wanted)


def test_an_empty_body_pins_and_false_unpins(echo: Model, admin_api: APIClient) -> None:
    url = f"/api/models/{echo.id}/"
    assert admin_api.get(url).json()["pinned"] is False
    response = admin_api.post(f"{url}pin/")
    assert (response.status_code, response.json()["pinned"]) == (202, True)
    assert admin_api.get(url).json()["pinned"] is True
    response = admin_api.post(f"{url}pin/", {"pinned": False}, format="json")
    assert (response.status_code, response.json()["pinned"]) == (202, False)
    assert admin_api.get(url).json()["pinned"] is False


@pytest.mark.parametrize("body", [{"pinned": "perhaps"}, {"pinned": None}, {"pin": True}, ["pinned"]])
def test_another_body_is_refused(body: object, echo: Model, admin_api: APIClient) -> None:
    response = admin_api.post(f"/api/models/{echo.id}/pin/", body, format="json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    echo.refresh_from_db()
    assert not echo.pinned


def test_who_may_not_pin_is_not_told_of_pins(echo: Model, user_api: APIClient) -> None:
    assert "pinned" not in user_api.get(f"/api/models/{echo.id}/").json()


def test_the_service_holds_what_is_pinned_here_and_nothing_else(
    echo: Model, inference: FakeInference
) -> None:
    other = services.model_create(name="Other", source={"kind": "echo"})
    inference.pins = {"a model that was deleted", other.id}
    services.model_update(echo, pinned=True)
    _tell(Pins())
    assert inference.pins == {echo.id}


def test_a_service_that_is_new_is_told_again(echo: Model, inference: FakeInference) -> None:
    services.model_update(echo, pinned=True)
    pins = Pins()
    _tell(pins)
    inference.stop()
    with pytest.raises(InferenceError, match="cannot be reached"):
        _tell(pins)
    inference.start()
    assert inference.pins == set()
    _tell(pins)
    assert inference.pins == {echo.id}


def test_a_house_without_pins_asks_the_service_once(echo: Model, inference: FakeInference) -> None:
    pins = Pins()
    _tell(pins)
    assert pins.due() is None
    services.model_update(echo, pinned=True)
    _tell(pins)
    services.model_update(echo, pinned=False)
    assert pins.due() == set()
    _tell(pins)
    assert inference.pins == set()
    assert pins.due() is None


def test_a_deleted_model_is_pinned_no_longer(echo: Model, inference: FakeInference) -> None:
    services.model_update(echo, pinned=True)
    pins = Pins()
    _tell(pins)
    services.model_delete(echo)
    _tell(pins)
    assert inference.pins == set()
