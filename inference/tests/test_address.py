"""Addresses of endpoints: what can be one, what is never reached, and that the checked one stays.

The canaries are real servers that count who connects."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from inference.address import parse
from inference.engines import address, openai
from inference.errors import InferenceError
from inference.protocol import GenerateRequest, ModelSpec
from inference.tests.fake_openai import fake_openai


@pytest.fixture(autouse=True)
def nothing_is_known() -> Iterator[None]:
    address._PUBLIC.clear()
    address._allowed.cache_clear()
    yield
    address._PUBLIC.clear()
    address._allowed.cache_clear()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("https://API.Example.com:443/v1", "https://api.example.com/v1"),
        ("http://example.com.", "http://example.com"),
        ("http://gpu_1.lab:22/v1", "http://gpu_1.lab:22/v1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://[0:0::FFFF:7f00:1]/", "http://[::ffff:7f00:1]"),
        ("http://bücher.example/v1", "http://xn--bcher-kva.example/v1"),
        ("http://①②⑦.0.0.1/v1", "http://127.0.0.1/v1"),
        ("http://模型。例子/v1", "http://xn--xgs754b.xn--fsqu00a/v1"),
    ],
)
def test_an_address_has_one_form(text: str, url: str) -> None:
    assert parse(text).url == url


HOSTILE_FORMS = [
    "http://127.0.0.1@example.com/",
    "http://example.com@127.0.0.1/",
    "http://user:pass@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://example.com#@127.0.0.1/",
    "http://example.com/?@127.0.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.0.1./x y",
    "http://①２7.1/",
    "http://[fe80::1%25eth0]/",
    "http://[::1%lo]/",
    "http://[::ffff:127.0.0.1/",
    "http://[127.0.0.1]/",
    "http://[v1.x]/",
    "http://exa mple.com/",
    "http://example.com\r\nHost: evil/",
    "http://exam\u200bple.com:80:81/",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://example.com:٨٠/",
    "http://-example.com/",
    "http://example..com/",
    "http:///v1",
    "http://",
    "//example.com/v1",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "unix:/run/x.sock",
    "javascript:alert(1)",
    "http:127.0.0.1",
]


@pytest.mark.parametrize("text", HOSTILE_FORMS)
def test_what_can_be_read_in_two_ways_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


NEVER = [
    "169.254.169.254", "::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1", "fe80::1", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16",
    "0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("ip", NEVER)
async def test_where_no_model_runs_nobody_goes_also_when_an_administrator_says_so(ip: str) -> None:
    async def look(host: str, port: int) -> list[str]:
        return [ip]

    host = f"[{ip}]" if ":" in ip else ip
    for pinned in (address.Pinned(f"http://{host}:1/v1"), address.Pinned("http://a.example/v1", look)):
        with pytest.raises(InferenceError, match="never connected") as refusal:
            await pinned.pin()
        assert refusal.value.code == "load_failed" and not refusal.value.retryable


async def test_a_network_that_is_set_is_reached_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_ENDPOINT_NETWORKS", "169.254.10.0/24, fe80::/10")
    for ip in ("169.254.10.7", "fe80::1", "::ffff:169.254.10.7"):
        await address.Pinned(f"http://{f'[{ip}]' if ':' in ip else ip}/v1").pin()
    with pytest.raises(InferenceError):
        await address.Pinned("http://169.254.169.254/v1").pin()


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "10.1.2.3", "192.168.0.9", "::1", "fd12::1", "100.64.0.1", "8.8.8.8"]
)
async def test_a_labs_own_network_may_be_named(ip: str) -> None:
    async def look(host: str, port: int) -> list[str]:
        return [ip]

    assert await address.Pinned("http://gpu.lab/v1", look).pin() == [ipaddress.ip_address(ip)]


@pytest.mark.parametrize("answer", [["8.8.8.8", "127.0.0.1"], ["10.0.0.1", "2606:4700::1111"]])
async def test_an_answer_that_mixes_outside_and_inside_is_refused(answer: list[str]) -> None:
    async def look(host: str, port: int) -> list[str]:
        return answer

    with pytest.raises(InferenceError, match="leads from outside"):
        await address.Pinned("http://rebind.example/v1", look).pin()


class Canary:
    def __init__(self) -> None:
        self.connections = 0
        self.port = 0


@asynccontextmanager
async def canary(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Canary]:
    """A server that counts, and says that everything is well."""
    made = Canary()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, host, port)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


class Rebinding:
    """Says `answers` one after the other, the last for ever; counts how often it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return [self.answers[min(self.asked, len(self.answers)) - 1]]


async def test_a_name_that_changes_its_mind_is_asked_once() -> None:
    """Every connection goes where the check was: 20 requests on 20 connections, none to the other place."""
    async with canary("127.0.0.2") as named, canary("127.0.0.1", named.port) as other:
        look = Rebinding("127.0.0.2", "127.0.0.1")
        pinned = address.Pinned(f"http://rebind.example:{named.port}", look)
        async with pinned.session() as session:
            for _ in range(20):
                async with session.get(pinned.address.url + "/models") as answer:
                    assert answer.status == 200
        assert (look.asked, named.connections, other.connections) == (1, 20, 0)


async def test_a_name_that_was_outside_does_not_come_inside() -> None:
    """Also not when the first place never answered, nor for another model with the same name."""
    async with canary() as inside:
        look = Rebinding("8.8.8.8", "127.0.0.1")
        pinned = address.Pinned(f"http://rebind.example:{inside.port}", look)
        await pinned.pin()
        pinned.forget()
        for again in (pinned, address.Pinned(f"http://rebind.example.:{inside.port}", look)):
            async with again.session() as session:
                with pytest.raises(InferenceError, match="leads from outside"):
                    await session.get(again.address.url)
        assert inside.connections == 0


async def test_a_session_goes_nowhere_else() -> None:
    async with canary() as named, canary() as other:
        pinned = address.Pinned(f"http://127.0.0.1:{named.port}")
        async with pinned.session() as session:
            for url in (f"http://127.0.0.1:{other.port}/", f"http://localhost:{other.port}/"):
                with pytest.raises(aiohttp.ClientError):
                    await session.get(url)
        assert (named.connections, other.connections) == (0, 0)


async def test_a_redirect_and_a_proxy_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with canary() as elsewhere, fake_openai() as fake:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{elsewhere.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        fake.redirect_to = f"http://127.0.0.1:{elsewhere.port}/v1"
        source = {"kind": "remote", "base_url": fake.url, "model": "redirect"}
        engine = openai.OpenAIEngine(ModelSpec("r", "r", "openai", source))
        try:
            await engine.load(lambda progress: None)
            request = GenerateRequest("1", [{"role": "user", "content": "hi"}])
            with pytest.raises(InferenceError) as failure:
                async for _ in engine.generate(request):
                    pass
            assert failure.value.code == "unavailable"
        finally:
            await engine.unload()
        assert fake.bodies and elsewhere.connections == 0
