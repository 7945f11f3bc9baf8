"""`/v1/` stands in the API's description, with exactly the fields that it takes."""

from __future__ import annotations

import pytest
from django.test import Client

from models_registry.openai_api import params, urls
from models_registry.openai_api.errors import ApiError
from models_registry.openai_api.schema import chat_completion


def test_the_description_has_every_route(client: Client) -> None:
    paths = client.get("/api/schema/?format=json").json()["paths"]
    routes = {"/v1/" + str(route.pattern).replace("<path:model>", "{model}") for route in urls.urlpatterns}
    assert {path for path in paths if path.startswith("/v1/")} == routes
    for path in routes:
        (call,) = paths[path].values()
        assert call["security"] and {"200", "default"} <= set(call["responses"])


def test_the_description_has_every_field_and_no_other() -> None:
    fields = set(chat_completion()["properties"])
    assert fields == {*params.NUMBERS, *params.INTEGERS, *params.OWN, *params.IGNORED}
    with pytest.raises(ApiError, match="no such field"):
        params.chat_check({"model": "m", "messages": [], "unheard_of": 1})
