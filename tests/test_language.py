"""The server speaks Chinese as completely as English: the catalogue, REST, the socket, what a turn stores."""

from __future__ import annotations

import gettext
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.core.management import call_command
from django.utils import translation
from rest_framework.test import APIClient

from accounts.models import User
from accounts.services import api_key_create
from config.asgi import application
from config.db import close_all
from conversations.job import job_read
from conversations.models import Conversation, Message, Turn
from conversations.runner import runner
from conversations.told import told
from inference.errors import InferenceError
from models_registry import live
from tests.docs_facts import error_codes

CATALOGUE = Path(settings.LOCALE_PATHS[0]) / "zh_Hans" / "LC_MESSAGES" / "django.po"
WRONG = "有些字段不正确。"


def _catalogue(po: Path, folder: Path, *options: str) -> dict[Any, str]:
    """What a .po holds, by msgfmt itself, so without what is fuzzy or untranslated."""
    mo = folder / f"{po.stem}.mo"
    subprocess.run(["msgfmt", "--check-format", *options, "-o", str(mo), str(po)], check=True)
    return _compiled(mo)


def _compiled(mo: Path) -> dict[Any, str]:
    with mo.open("rb") as file:
        found: dict[Any, str] = dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    found.pop("", None)
    return found


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue as it would be after makemessages, and only then complete."""
    folder = tmp_path_factory.mktemp("locale")
    mine = folder / "zh_Hans" / "LC_MESSAGES" / "django.po"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(CATALOGUE.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "LOCALE_PATHS", [folder])
        patch.chdir(settings.BASE_DIR)
        call_command("makemessages", locale=["zh_Hans"], verbosity=0)
    return mine


def test_every_sentence_in_the_code_is_translated(extracted: Path) -> None:
    def held(*wanted: str) -> str:
        command = ["msgattrib", *wanted, "--no-obsolete", str(extracted)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert "msgid" in held("--translated")
    assert held("--untranslated") == ""
    assert held("--only-fuzzy") == ""


def test_the_catalogue_holds_nothing_that_is_not_said(extracted: Path, tmp_path: Path) -> None:
    assert _catalogue(extracted, tmp_path) == _compiled(CATALOGUE.with_suffix(".mo"))
    assert "#~" not in CATALOGUE.read_text(encoding="utf-8")


def test_the_compiled_catalogue_is_that_of_the_text(tmp_path: Path) -> None:
    assert _catalogue(CATALOGUE, tmp_path) == _compiled(CATALOGUE.with_suffix(".mo"))
    command = ["git", "check-ignore", "-q", str(CATALOGUE.with_suffix(".mo"))]
    assert subprocess.run(command, cwd=settings.BASE_DIR, check=False).returncode != 0


@pytest.fixture
def anna(db: None) -> User:
    return User.objects.create_user("anna", password="a stove warms the house")


@pytest.fixture
def api(anna: User) -> APIClient:
    client = APIClient(HTTP_ACCEPT_LANGUAGE="zh-CN,zh;q=0.9,en;q=0.8")
    client.force_authenticate(anna)
    return client


def test_rest_errors_are_told_in_chinese(api: APIClient) -> None:
    response = api.get("/api/conversations/nothing/")
    assert (response.status_code, response.json()["message"]) == (404, "没有这个对话。")
    response = api.post("/api/conversations/", {"nothing": 1}, format="json")
    assert response.json()["message"] == WRONG
    assert response.json()["extra"]["fields"] == {"nothing": ["没有这个字段。"]}


def test_what_the_frameworks_refuse_is_chinese_too(api: APIClient, db: None) -> None:
    unknown = APIClient(HTTP_ACCEPT_LANGUAGE="zh-CN")
    assert "身份" in unknown.get("/api/conversations/").json()["message"]
    for body, name in (({"email": "no"}, "email"), ({"password": "123"}, "password")):
        whole = {"username": "zoe", "email": "zoe@example.org", "password": "a stove warms"} | body
        response = unknown.post("/api/auth/register/", whole, format="json")
        assert response.status_code == 400
        told_of = response.json()["extra"]["fields"][name]
        assert all(any("\u4e00" <= sign <= "\u9fff" for sign in text) for text in told_of), told_of
    assert "不被允许" in api.put("/api/conversations/", {}).json()["message"]


def test_english_stays_english(api: APIClient) -> None:
    response = api.get("/api/conversations/nothing/", HTTP_ACCEPT_LANGUAGE="en")
    assert response.json()["message"] == "There is no such conversation."


@pytest.fixture
def key(transactional_db: None, tmp_path: Path, settings: Any) -> Iterator[str]:
    settings.HEARTH_INFERENCE = f"unix:{tmp_path}/inference.sock"
    live.client.cache_clear()
    user = User.objects.create_user("anna", password="a stove warms the house")
    yield api_key_create(user=user, name="test")[1]
    close_all()
    live.client.cache_clear()


@pytest.fixture
async def stopped(key: str) -> AsyncIterator[str]:
    """The key, in a process whose turns come to an end."""
    yield key
    await runner.shutdown()


async def _refused(key: str, accept: str) -> dict[str, Any]:
    """What the socket says to a frame with a wrong field."""
    headers = [(b"accept-language", accept.encode()), (b"host", b"localhost")]
    socket = WebsocketCommunicator(application, "/ws/chat/", headers, ["chat.v1", key])
    assert (await socket.connect())[0]
    await socket.send_to(json.dumps({"type": "turn.stop", "turn": 5}))
    while True:
        frame: dict[str, Any] = json.loads(await socket.receive_from(5))
        if frame["type"] == "error":
            await socket.disconnect()
            return frame


async def test_the_socket_speaks_as_its_handshake_asks(stopped: str) -> None:
    frame = await _refused(stopped, "zh-CN,zh;q=0.9")
    assert frame["message"] == WRONG
    assert frame["extra"]["fields"] == {"turn": ["这个值的类型不对。"]}
    assert (await _refused(stopped, "de, en;q=0.5"))["message"] == "Some fields are not right."


async def test_the_users_own_language_comes_first(stopped: str) -> None:
    await User.objects.aupdate(language="zh-hans")
    assert (await _refused(stopped, "en"))["message"] == WRONG
    await User.objects.aupdate(language="en")
    assert (await _refused(stopped, "zh-CN"))["message"] == "Some fields are not right."


async def test_what_a_database_thread_refuses_is_in_the_language_too(stopped: str) -> None:
    headers = [(b"accept-language", b"zh-CN"), (b"host", b"localhost")]
    socket = WebsocketCommunicator(application, "/ws/chat/", headers, ["chat.v1", stopped])
    assert (await socket.connect())[0]
    await socket.send_to(json.dumps({"type": "turn.stop", "turn": "nothing"}))
    while (frame := json.loads(await socket.receive_from(5)))["type"] != "error":
        pass
    assert frame["message"] == "没有这次回答。"
    await socket.disconnect()


async def test_a_turn_remembers_the_language_it_was_asked_in(stopped: str) -> None:
    """So whoever takes it over tells of its failure in that language."""
    user = await User.objects.aget()
    conversation = await Conversation.objects.acreate(user=user)
    message = await Message.objects.acreate(conversation=conversation, role="assistant", status="streaming")
    turn = await Turn.objects.acreate(
        conversation=conversation,
        user=user,
        message=message,
        options={"language": "zh-hans"},
        lease_until=2**40,
    )
    runner.launch(turn.pk)  # its model is gone
    await _end_of(turn.pk)
    await message.arefresh_from_db()
    assert message.error["message"] == "这个对话的模型已经不在了。"


async def _end_of(turn: str) -> None:
    from conversations.event_log import follow

    async for events in follow(turn, 0, 5):
        assert events, "the turn does not end"


def test_a_new_turn_keeps_the_askers_language(anna: User) -> None:
    from conversations.services import Ask, turn_start

    with translation.override("zh-hans"):
        ask = Ask(user_id=anna.pk, echo={"tokens": 3})
        begun = turn_start(ask, conversation_id=None, content="你好", is_test=True)
    job = job_read(begun.turn)
    assert job is not None and job.language == "zh-hans"


@pytest.mark.parametrize(
    ("code", "sentence", "said"),
    [
        ("busy", "Too many wait for this model already.", "等待这个模型的人已经太多了。"),
        ("unloaded", "The model was unloaded.", "模型已被卸载。"),
        ("out_of_memory", "The answer does not fit into memory.", "内存放不下这个回答。"),
        ("load_failed", "No such file: x", "模型加载不了。（No such file: x）"),
        ("something_new", "Never heard of.", "Never heard of."),
        ("engine_error", "", ""),
    ],
)
def test_failures_of_the_model_service(code: str, sentence: str, said: str) -> None:
    event = InferenceError(code, sentence).to_event()
    with translation.override("zh-hans"):
        assert told(event)["message"] == said
    with translation.override("en"):
        assert told(event) == event


def test_every_failure_of_the_model_service_has_a_general_sentence() -> None:
    for code in error_codes("InferenceError", "inference"):
        with translation.override("zh-hans"):
            said = told(InferenceError(code, "Something with a detail: x").to_event())["message"]
        assert said.endswith("（Something with a detail: x）"), code
