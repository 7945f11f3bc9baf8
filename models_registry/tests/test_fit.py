"""Whether a model fits, as the web side asks it and says it."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from models_registry.fit import amount, sentence, tokens
from models_registry.models import Model
from models_registry.tests.fake_inference import FakeInference

pytestmark = pytest.mark.django_db
DEVICE = {
    "device": "cpu",
    "weights_bytes": 5_000_000_000,
    "kv_bytes": 2_000_000_000,
    "kv_bytes_per_token": 245_760,
    "overhead_bytes": 900_000_000,
    "needed_bytes": 7_900_000_000,
    "free_bytes": 8_000_000_000,
    "total_bytes": 16_000_000_000,
    "context": 8192,
    "concurrency": 1,
    "largest_context": 8600,
    "longest_context": 32_768,
    "verdict": "fits",
    "evicts": [],
    "reasons": [],
}


def answer(**changes: Any) -> dict[str, Any]:
    return {"devices": [DEVICE | changes], "best": "cpu", "known": True}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Needs 7.9 GB of 8.0 GB free: fits with 8k context, not with 32k."),
        ({"largest_context": 32_768}, "Needs 7.9 GB of 8.0 GB free: fits with 8k context."),
        (
            {"concurrency": 4, "largest_context": 32_768},
            "Needs 7.9 GB of 8.0 GB free: fits with 8k context, for 4 answers at a time.",
        ),
        (
            {"verdict": "fits_with_less_context", "largest_context": 4100, "free_bytes": 700_000_000},
            "Needs 7.9 GB of 700 MB free: fits with 4k context, not with 8k.",
        ),
        (
            {
                "verdict": "fits_after_eviction",
                "evicts": [{"id": "1", "name": "A"}, {"id": "2", "name": "B"}],
                "largest_context": 32_768,
            },
            "Needs 7.9 GB of 8.0 GB free: fits with 8k context, once these are unloaded: A, B.",
        ),
        ({"verdict": "does_not_fit"}, "Needs 7.9 GB of 8.0 GB free: does not fit."),
    ],
)
def test_the_sentence(changes: dict[str, Any], expected: str) -> None:
    assert sentence(answer(**changes)) == expected


def test_what_takes_nothing_here_and_what_cannot_be_told() -> None:
    assert "elsewhere" in sentence({"devices": [], "best": None, "known": True})
    assert "cannot be told" in sentence({**answer(), "known": False})


def test_numbers_as_people_say_them() -> None:
    assert [amount(n) for n in (0, 350_400_000, 950_000_000, 7_949_999_999)] == [
        "0 MB", "350 MB", "0.9 GB", "7.9 GB",
    ]  # fmt: skip
    assert [tokens(n) for n in (512, 1024, 8192, 131_072)] == ["512", "1k", "8k", "128k"]


def test_the_service_is_asked_for_the_context_and_the_answers_of_the_query(
    admin_api: APIClient, echo: Model, inference: FakeInference
) -> None:
    inference.fit = answer()
    response = admin_api.get(f"/api/models/{echo.id}/fit/?context=8192&concurrency=2")
    assert response.status_code == 200 and response.json()["sentence"].startswith("Needs 7.9 GB")
    (asked,) = inference.fits
    assert (asked["model"]["id"], asked["context"], asked["concurrency"]) == (echo.id, 8192, 2)


@pytest.mark.parametrize("query", ["context=0", "context=many", "concurrency=9999", "contxt=1"])
def test_a_query_that_is_none_is_refused(
    admin_api: APIClient, echo: Model, inference: FakeInference, query: str
) -> None:
    assert admin_api.get(f"/api/models/{echo.id}/fit/?{query}").status_code == 400
    assert inference.fits == []


def test_only_administrators_ask_and_an_absent_service_is_told(
    user_api: APIClient, admin_api: APIClient, echo: Model
) -> None:
    assert user_api.get(f"/api/models/{echo.id}/fit/").status_code == 403
    response = admin_api.get(f"/api/models/{echo.id}/fit/")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")


def test_a_hubs_model_that_is_not_here_yet_is_told(admin_api: APIClient, inference: FakeInference) -> None:
    source = {"kind": "hub", "hub": "modelscope", "repo": "a/b", "revision": "1" * 40}
    model = Model.objects.create(name="coming", engine="transformers", source=source)
    response = admin_api.get(f"/api/models/{model.id}/fit/")
    assert (response.status_code, response.json()["code"]) == (409, "not_downloaded")
    assert inference.fits == []
