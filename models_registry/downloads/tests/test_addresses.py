from __future__ import annotations

import pytest

from models_registry.downloads.addresses import Guard, headers_for
from models_registry.downloads.failure import Failure

HUB = "https://huggingface.co"


def resolving(guard: Guard, table: dict[str, list[str]]) -> Guard:
    class Names:
        async def resolve(self, host: str, port: int, family: int) -> list[dict[str, str]]:
            return [{"host": address} for address in table[host]]

    guard._names = Names()  # type: ignore[assignment]
    return guard


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://example.org/",
        "http://user:secret@example.org/",
        "http:///x",
        "http://127.0.0.1:8000/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fe80::1%25eth0]/",
        "http://0.0.0.0/",
        "http://a:99999/",
    ],
)
async def test_a_redirect_leads_nowhere_inside(url: str) -> None:
    with pytest.raises(Failure) as caught:
        Guard(HUB).check(url)
    assert caught.value.code == "bad_redirect"


async def test_names_are_judged_by_what_they_resolve_to() -> None:
    table = {
        "huggingface.co": ["3.160.150.1"],
        "cdn.example": ["1.2.3.4", "10.0.0.1"],
        "inside.example": ["192.168.1.1", "::ffff:10.0.0.1", "127.0.0.1"],
        "127.1": ["127.0.0.1"],
    }
    guard = resolving(Guard(HUB), table)
    assert len(await guard.resolve("huggingface.co")) == 1
    assert [one["host"] for one in await guard.resolve("cdn.example")] == ["1.2.3.4"]
    for name in ("inside.example", "127.1"):
        with pytest.raises(Failure):
            await guard.resolve(name)


async def test_a_mirror_inside_may_send_to_places_inside() -> None:
    guard = resolving(Guard("http://mirror.lab:8080"), {"mirror.lab": ["10.0.0.5"], "cdn.lab": ["10.0.0.6"]})
    with pytest.raises(Failure):
        await guard.resolve("cdn.lab")
    await guard.resolve("mirror.lab")
    assert len(await guard.resolve("cdn.lab")) == 1
    guard.check("http://10.0.0.6/x")


def test_what_only_the_hub_may_see_stays_there() -> None:
    headers = {
        "Authorization": "Bearer x",
        "Cookie": "m_session_id=x",
        "Range": "bytes=1-",
        "User-Agent": "h",
    }
    assert headers_for(f"{HUB}/b", f"{HUB}/a", headers) == headers
    for other in ("https://cdn.example/a", "http://huggingface.co/a", "https://huggingface.co:8443/a"):
        assert headers_for(other, f"{HUB}/a", headers) == {"Range": "bytes=1-", "User-Agent": "h"}
