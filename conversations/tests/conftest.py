from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.models import User
from config import db
from conversations import event_log
from conversations.event_log import tails
from conversations.models import Turn
from conversations.services import Ask, Begun, turn_start
from models_registry.models import Model
from models_registry.services import model_create
from tests import threads


@pytest.fixture
def real_database(transactional_db: None) -> Iterator[None]:
    """Committed for real; threads that keep a connection let go of it before the tables are emptied."""
    yield
    event_log.writer.close()
    db.close_all()
    tails.clear()


@pytest.fixture
def anna(real_database: None) -> User:
    return User.objects.create_user("anna", "anna@example.org", "a stove warms the house")


@pytest.fixture
def berta(real_database: None) -> User:
    return User.objects.create_user("berta", "berta@example.org", "a stove warms the house")


@pytest.fixture
def echo(real_database: None) -> Model:
    return model_create(name="Echo", source={"kind": "echo"}, settings={"inline": True})


@pytest.fixture
def begin(anna: User) -> Callable[..., Begun]:
    """A stored turn of the built-in echo that no process makes."""

    def make(content: str = "hi", conversation: str | None = None, **ask: Any) -> Begun:
        ask.setdefault("echo", {"tokens": 1})
        return turn_start(Ask(user_id=anna.pk, **ask), conversation_id=conversation, content=content)

    return make


@pytest.fixture
def turn(begin: Callable[..., Begun]) -> Turn:
    return Turn.objects.get(pk=begin().turn)


@pytest.fixture
def at_once(real_database: None) -> Callable[[Callable[[int], Any], int], list[Any]]:
    """Results of `work(0) … work(n-1)`, or what they raised, from as many threads started together."""

    def run(work: Callable[[int], Any], n: int) -> list[Any]:
        def caught(index: int) -> Any:
            try:
                return work(index)
            except Exception as error:
                return error

        return threads.at_once(caught, n)

    return run
