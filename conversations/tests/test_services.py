"""Beginning turns and reading conversations, on the real database."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import User
from config.errors import AppError
from conversations import leases, selectors, services
from conversations.event_log import rows_of, turn_end
from conversations.job import job_read
from conversations.models import Conversation, Message, Turn
from conversations.parts import Folder
from conversations.runner import _take_over
from conversations.services import Ask, Begun
from models_registry.models import Model
from models_registry.services import model_create, model_delete, model_update

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

Begin = Callable[..., Begun]


def end(begun: Begun, text: str = "an answer", reason: str = "stop") -> Begun:
    turn = Turn.objects.get(pk=begun.turn)
    folder = Folder(Message.objects.get(pk=turn.message_id).parts)
    folder.fold({"kind": "text", "text": text}, 0)
    (row,) = rows_of(turn.pk, turn.epoch, 2, [{"kind": "finished", "reason": reason}])
    turn_end(row, turn.message_id, folder, text)
    return begun


def branch(conversation_id: str) -> list[str]:
    conversation = Conversation.objects.get(pk=conversation_id)
    return [message["id"] for message in selectors.message_page(conversation)[0]]


def refused(work: Callable[[], Any]) -> AppError:
    with pytest.raises(AppError) as error:
        work()
    return error.value


def test_one_client_id_at_once_makes_one_turn(begin: Begin, at_once: Callable[..., list[Any]]):
    found = at_once(lambda _n: begin(client_id="c"), 8)
    assert len({begun.turn for begun in found}) == 1, found
    assert [begun.created for begun in found].count(True) == 1
    assert (Conversation.objects.count(), Turn.objects.count(), Message.objects.count()) == (1, 1, 2)


def test_one_client_id_at_once_in_a_conversation(begin: Begin, at_once: Callable[..., list[Any]]):
    conversation = end(begin()).conversation
    found = at_once(lambda _n: begin(conversation=conversation, client_id="c"), 8)
    assert len({begun.turn for begun in found}) == 1, found
    assert Message.objects.count() == 4


def test_many_at_once_in_one_conversation_one_is_taken(begin: Begin, at_once: Callable[..., list[Any]]):
    conversation = end(begin()).conversation
    found = at_once(lambda n: begin(conversation=conversation, client_id=str(n)), 6)
    codes = sorted(one.code if isinstance(one, AppError) else "begun" for one in found)
    assert codes == ["begun"] + ["conversation_busy"] * 5, found


def test_a_client_id_is_its_users(begin: Begin, berta: User):
    mine = begin(client_id="c")
    other = services.turn_start(
        Ask(user_id=berta.pk, client_id="c", echo={}), conversation_id=None, content="hi"
    )
    assert other.created and other.turn != mine.turn
    assert begin(client_id=None).turn != begin(client_id=None).turn
    assert begin(client_id="C").created


def test_a_busy_conversation_names_its_turn(begin: Begin):
    first = begin()
    error = refused(lambda: begin(conversation=first.conversation))
    assert (error.code, error.status, error.extra) == ("conversation_busy", 409, {"turn": first.turn})
    message = first.assistant_message
    ask = Ask(Conversation.objects.get().user_id, echo={})
    for work in (services.turn_retry, services.turn_continue):
        assert refused(partial(work, ask, message_id=message)).code == "conversation_busy"
    end(first)
    assert begin(conversation=first.conversation).created


def test_edit_retry_and_the_branch_on_show(begin: Begin, anna: User):
    ask = Ask(anna.pk, echo={})
    first = end(begin("one"))
    second = end(begin("two", conversation=first.conversation))
    again = end(services.turn_retry(ask, message_id=second.assistant_message), "another")
    assert again.user_message == second.user_message
    shown = branch(first.conversation)
    assert shown == [
        first.user_message,
        first.assistant_message,
        second.user_message,
        again.assistant_message,
    ]
    edited = end(services.turn_edit(ask, message_id=str(first.user_message), content="uno"))
    assert branch(first.conversation) == [edited.user_message, edited.assistant_message]
    conversation = Conversation.objects.get()
    page, _above = selectors.message_page(conversation)
    assert page[0]["siblings"] == [first.user_message, edited.user_message]
    services.active_set(conversation, str(first.user_message))
    assert branch(first.conversation) == shown
    services.active_set(conversation, second.assistant_message)
    assert branch(first.conversation)[-1] == second.assistant_message
    third = begin("three", conversation=first.conversation)
    assert Message.objects.get(pk=third.user_message).parent_id == second.assistant_message


def test_continue_goes_on_in_the_same_message(begin: Begin, anna: User):
    first = end(begin(), "half", "stopped")
    more = services.turn_continue(Ask(anna.pk, echo={}), message_id=first.assistant_message)
    assert (more.assistant_message, more.user_message) == (first.assistant_message, first.user_message)
    page, _above = selectors.message_page(Conversation.objects.get())
    assert page[-1]["status"] == "streaming" and page[-1]["turn"] == {"id": more.turn, "seq": 1}
    assert page[-1]["parts"] == [{"type": "text", "text": "half"}]
    end(more, " and half")
    assert Message.objects.get(pk=first.assistant_message).text == "half and half"


def test_each_way_wants_its_role(begin: Begin, anna: User):
    first, ask = end(begin()), Ask(anna.pk, echo={})
    question, answer = str(first.user_message), first.assistant_message
    assert refused(lambda: services.turn_edit(ask, message_id=answer, content="x")).code == "wrong_role"
    assert refused(lambda: services.turn_retry(ask, message_id=question)).code == "wrong_role"
    assert refused(lambda: services.turn_continue(ask, message_id=question)).code == "wrong_role"
    assert Turn.objects.count() == 1


def test_a_refused_start_leaves_nothing(begin: Begin, anna: User, echo: Model):
    for ask, content in (
        (Ask(anna.pk), ""),
        (Ask(anna.pk, model="nobody"), "x"),
        (Ask(anna.pk, task="auto"), "x"),
        (Ask(anna.pk, params={"temperature": 99}), "x"),
        (Ask(anna.pk, client_id=""), "x"),
        (Ask(anna.pk, client_id="x" * 65), "x"),
    ):
        refused(partial(services.turn_start, ask, conversation_id=None, content=content))
    assert not Conversation.objects.exists() and not Message.objects.exists()


def test_no_model_at_all(anna: User):
    error = refused(lambda: services.turn_start(Ask(anna.pk), conversation_id=None, content="x"))
    assert (error.code, error.status) == ("no_model", 409)


def test_a_named_model_stays_with_the_conversation_and_the_default_does_not(anna: User, echo: Model):
    other = model_create(name="Other", source={"kind": "echo"}, settings={"inline": True})
    first = services.turn_start(Ask(anna.pk), conversation_id=None, content="x")
    assert Conversation.objects.get().model is None and Turn.objects.get().model_id == echo.pk
    end(first)
    ask = Ask(anna.pk, model="Other")
    second = end(services.turn_start(ask, conversation_id=first.conversation, content="x"))
    assert Conversation.objects.get().model_id == other.pk
    third = services.turn_start(Ask(anna.pk), conversation_id=first.conversation, content="x")
    assert Turn.objects.get(pk=third.turn).model_id == other.pk
    assert Turn.objects.get(pk=second.turn).model_id == other.pk


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("你好，炉边", "你好，炉边"),
        ("\n\n  first line \nsecond", "first line"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("word " * 30, ("word " * 30)[:59].rstrip() + "…"),
        ("a\x00b", "ab"),
        ("eins\u2028zwei", "eins"),
    ],
)
def test_the_title_is_the_first_line(begin: Begin, content: str, title: str):
    begin(content)
    assert Conversation.objects.get().title == title


def test_a_title_that_was_given_stays(begin: Begin, anna: User):
    made = services.conversation_create(anna.pk, {"title": "Mine"})
    begin("hello", conversation=made.pk)
    assert Conversation.objects.get().title == "Mine"


def test_four_byte_letters_are_kept(begin: Begin):
    begun = begin("😀 𠮷 e\u0301")
    assert Message.objects.get(pk=begun.user_message).text == "😀 𠮷 e\u0301"


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("炉", {"zh"}),
        ("火炉边", {"zh"}),
        ("hello", {"en"}),
        ("WORLD", {"en"}),
        ("an answer", {"en", "zh"}),
        ("100%", {"odd"}),
        ("_", {"odd"}),
        ("nothing", set()),
        ("😀", {"odd"}),
    ],
)
def test_search_in_titles_and_texts(begin: Begin, anna: User, berta: User, search: str, found: set[str]):
    known = {
        end(begin("在火炉边读书")).conversation: "zh",
        end(begin("Hello\nthe whole World")).conversation: "en",
        end(begin("100% of snake_case 😀"), "yes").conversation: "odd",
    }
    listed = selectors.conversation_list(anna.pk, search=search)
    assert {known[conversation.pk] for conversation in listed} == found
    assert not selectors.conversation_list(berta.pk, search=search).exists()


# Over REST, without a running turn.


@pytest.fixture
def api(anna: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(anna)
    return client


def test_messages_come_in_pages_from_the_end(begin: Begin, api: APIClient):
    begun = end(begin("0"))
    for number in range(1, 5):
        end(begin(str(number), conversation=begun.conversation))
    whole = branch(begun.conversation)
    assert len(whole) == 10
    seen: list[list[str]] = []
    url = f"/api/conversations/{begun.conversation}/messages/?limit=4"
    while url:
        body = api.get(url).json()
        seen.insert(0, [message["id"] for message in body["results"]])
        url = body["next"]
    assert [len(page) for page in seen] == [2, 4, 4]
    assert [i for page in seen for i in page] == whole


@pytest.mark.parametrize("limit", ["0", "-1", "x", "²", "9" * 5000, "1000"])
def test_an_odd_limit_is_no_fault_of_ours(begin: Begin, api: APIClient, limit: str):
    begun = end(begin())
    answer = api.get(f"/api/conversations/{begun.conversation}/messages/", {"limit": limit})
    assert answer.status_code == 200 and 1 <= len(answer.json()["results"]) <= 2


def test_what_is_anothers_does_not_exist(begin: Begin, berta: User):
    begun = end(begin())
    client = APIClient()
    client.force_authenticate(berta)
    conversation = f"/api/conversations/{begun.conversation}/"
    for method, path, body in (
        ("get", conversation, None),
        ("patch", conversation, {"title": "x"}),
        ("delete", conversation, None),
        ("get", conversation + "messages/", None),
        ("post", conversation + "messages/", {"content": "x"}),
        ("patch", conversation + "active/", {"message": begun.assistant_message}),
        ("get", f"/api/turns/{begun.turn}/events/", None),
        ("post", f"/api/turns/{begun.turn}/stop/", None),
        ("post", "/api/chat/stream/", {"content": "x", "conversation": begun.conversation}),
    ):
        answer = getattr(client, method)(path, body, format="json")
        assert answer.status_code == 404, path
        assert answer.json()["code"] == "not_found"
    assert Conversation.objects.filter(pk=begun.conversation, title="hi").exists()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"more": 1}, 400, "invalid"),
        ({"title": "x" * 201}, 400, "invalid"),
        ({"params": {"temperature": 99}}, 400, "invalid"),
        ({"params": []}, 400, "invalid"),
        ({"model": "nobody"}, 404, "model_not_found"),
        ([1], 400, "invalid"),
    ],
)
def test_a_wrong_conversation_is_refused(api: APIClient, body: Any, status: int, code: str):
    answer = api.post("/api/conversations/", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Conversation.objects.exists()


@pytest.mark.parametrize("body", ["{", "[" * 100_000, '{"content": NaN}', "\xff", '{"title": "\\ud800"}'])
def test_rubbish_is_refused(api: APIClient, body: str):
    raw = body.encode("latin-1")
    answer = api.post("/api/conversations/", raw, content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert set(answer.json()) == {"code", "message", "extra"}


def test_a_conversation_is_made_changed_listed_and_deleted(api: APIClient, echo: Model):
    made = api.post(
        "/api/conversations/", {"title": "A", "model": "Echo", "system": "s"}, format="json"
    ).json()
    path = f"/api/conversations/{made['id']}/"
    change = {
        "title": "B",
        "pinned": True,
        "archived": True,
        "folder": "f",
        "model": None,
        "params": {"top_k": 1},
    }
    changed = api.patch(path, change, format="json").json()
    assert {name: changed[name] for name in change} == change and changed["system"] == "s"
    assert api.get(path).json() == changed
    for query, count in (
        ("", 1),
        ("?archived=true", 1),
        ("?archived=false", 0),
        ("?folder=f", 1),
        ("?folder=g", 0),
    ):
        assert len(api.get("/api/conversations/" + query).json()["results"]) == count, query
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_a_left_turn_is_found_among_many_living(begin: Begin):
    """The keeper looks at 200 at a time; those whose lease nobody renews must be among them."""
    living = Turn.objects.get(pk=begin().turn)
    many = [
        Turn(conversation_id=living.conversation_id, user_id=living.user_id, message_id=living.message_id)
        for _ in range(210)
    ]
    Turn.objects.bulk_create(many)
    Turn.objects.update(owner="elsewhere|1|1", lease_until=time.time() + 100)
    late, released = begin().turn, begin().turn
    Turn.objects.filter(pk=late).update(owner="elsewhere|1|1", lease_until=time.time() - 1)
    Turn.objects.filter(pk=released).update(owner="", lease_until=0)
    assert set(_take_over([])) == {late, released}
    assert _take_over([]) == []
    assert list(Turn.objects.filter(pk__in=[late, released]).values_list("epoch", flat=True)) == [2, 2]


def test_a_lease_is_renewed_for_its_owner_only_and_a_stop_is_told(begin: Begin):
    mine, other, asked = begin(), begin(), begin()
    Turn.objects.update(lease_until=1)
    Turn.objects.filter(pk=other.turn).update(owner="elsewhere|1|1")
    leases.turn_request_stop(asked.turn)
    assert leases.turns_renew([mine.turn, other.turn, asked.turn]) == {asked.turn}
    until = dict(Turn.objects.values_list("id", "lease_until"))
    assert until[mine.turn] > time.time() + 10 and until[other.turn] == 1
    leases.turns_release([mine.turn, other.turn])
    owners = dict(Turn.objects.values_list("id", "owner"))
    assert owners[mine.turn] == "" and owners[other.turn] == "elsewhere|1|1"


def test_every_write_is_in_a_transaction(begin: Begin, anna: User):
    """On SQLite a write outside of one polls for the file's lock beside the fair line, and may starve."""
    begun = end(begin())
    turn, conversation = Turn.objects.get(), Conversation.objects.get()
    outside: list[str] = []

    def look(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(("INSERT", "UPDATE", "DELETE")) and not connection.in_atomic_block:
            outside.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        leases.turn_request_stop(turn.pk)
        leases.turns_renew([turn.pk])
        leases.turn_take(turn)
        leases.turns_release([turn.pk])
        services.conversation_create(anna.pk, {})
        services.conversation_update(conversation, {"title": "x"})
        services.active_set(conversation, begun.assistant_message)
        services.conversation_delete(conversation)
        begin()
    assert outside == []


def test_a_model_that_was_taken_away_refuses_the_next_turn_with_words(anna: User, echo: Model):
    ask = Ask(user_id=anna.pk)
    named = Ask(user_id=anna.pk, model=echo.pk)
    begun = end(services.turn_start(named, conversation_id=None, content="one"))
    model_update(echo, for_everyone=False)
    for again in (
        partial(services.turn_start, ask, conversation_id=begun.conversation, content="two"),
        partial(services.turn_retry, ask, message_id=begun.assistant_message),
        partial(services.turn_continue, ask, message_id=begun.assistant_message),
    ):
        error = refused(again)
        assert (error.code, error.status) == ("model_denied", 403)
        assert "can no longer use the model Echo" in error.message
    model_update(echo, users=["anna"])
    assert services.turn_start(ask, conversation_id=begun.conversation, content="two").created


def test_the_answer_in_place_of_a_deleted_models_says_so(anna: User, echo: Model, api: APIClient):
    other = model_create(name="Other", source={"kind": "echo"}, settings={"inline": True})
    begun = end(services.turn_start(Ask(anna.pk, model="Other"), conversation_id=None, content="one"))
    model_delete(other)
    path = f"/api/conversations/{begun.conversation}/"
    assert (api.get(path).json()["model"], api.get(path).json()["lost_model"]) == (None, "Other")
    again = (
        partial(services.turn_start, Ask(anna.pk), conversation_id=begun.conversation, content="two"),
        partial(services.turn_retry, Ask(anna.pk), message_id=begun.assistant_message),
        partial(services.turn_continue, Ask(anna.pk), message_id=begun.assistant_message),
    )
    for start in again:
        job = job_read(start().turn)
        assert job is not None and job.notice is not None
        assert job.notice["message"] == "The model Other of this conversation was deleted; Echo answers."
        Turn.objects.filter(pk=job.turn).update(state="ended")
    assert api.patch(path, {"model": "Echo"}, format="json").json()["lost_model"] == ""
    job = job_read(
        services.turn_start(Ask(anna.pk), conversation_id=begun.conversation, content="three").turn
    )
    assert job is not None and job.notice is None
