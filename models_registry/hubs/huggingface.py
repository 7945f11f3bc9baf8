"""Hugging Face and its mirrors, through huggingface_hub: /api/models to find and list, /resolve for bytes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from config.errors import AppError
from models_registry.hubs import failures, limits, naming, ranges
from models_registry.hubs.base import HubFile, RepoInfo, SearchHit
from models_registry.hubs.calls import left, within

T = TypeVar("T")
#: What a search asks to be told of each model.
_FIELDS = ["downloads", "likes", "lastModified", "tags", "safetensors", "gguf", "gated"]
_BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16}


class HuggingFace:
    name = "huggingface"
    title = "Hugging Face"

    def __init__(self, endpoint: str, token: str = "") -> None:
        self.endpoint = endpoint
        self._token = token

    def search(self, q: str, limit: int = 20) -> list[SearchHit]:
        def ask() -> list[SearchHit]:
            found = self._api().list_models(search=q, limit=limit, sort="downloads", expand=_FIELDS)
            return [_hit(model) for model in found]

        return self._call("", ask)

    def info(self, repo: str, revision: str | None = None) -> RepoInfo:
        naming.check(self.title, repo, revision)

        def ask() -> RepoInfo:
            found = self._api().model_info(
                repo, revision=revision, files_metadata=True, timeout=min(limits.SILENCE, left())
            )
            return RepoInfo(
                hub=self.name,
                repo=repo,
                revision=found.sha,
                license=_license(found),
                files=tuple(map(_file, found.siblings or [])),
                gated=bool(found.gated),
            )

        return self._call(repo, ask)

    def address(self, repo: str, revision: str, path: str) -> tuple[str, dict[str, str]]:
        naming.check(self.title, repo, revision)
        library = _library()
        url = library.hf_hub_url(repo, path, revision=revision, endpoint=self.endpoint)
        headers = library.utils.build_hf_headers(token=self._token or False, library_name="hearth")
        return url, dict(headers)

    def read(self, repo: str, revision: str, path: str, start: int, end: int) -> bytes:
        url, headers = self.address(repo, revision, path)
        return self._call(repo, lambda: ranges.fetch(self.title, repo, url, headers, start, end))

    def _api(self) -> Any:
        return _library().HfApi(endpoint=self.endpoint, token=self._token or False, library_name="hearth")

    def _call(self, repo: str, ask: Callable[[], T]) -> T:
        try:
            return within(self.title, ask)
        except Exception as error:
            raise self._failure(error, repo) from error

    def _failure(self, error: Exception, repo: str) -> Exception:
        """The library's errors in our words; a mistake of our own stays one."""
        import requests
        from huggingface_hub import errors

        if isinstance(error, AppError):
            return error
        if isinstance(error, errors.GatedRepoError):
            return failures.gated(self.title, repo)
        if isinstance(
            error, (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError)
        ):
            return failures.not_found(self.title, repo)
        if isinstance(error, _Refused):
            return failures.busy(self.title, error.wait) if error.status == 429 else failures.odd(self.title)
        if isinstance(error, errors.HfHubHTTPError):
            status = error.response.status_code if error.response is not None else 0
            return failures.gated(self.title, repo) if status in (401, 403) else failures.odd(self.title)
        if isinstance(error, (_Away, TimeoutError, requests.RequestException)):
            return failures.unreachable(self.title)
        if isinstance(error, (ValueError, KeyError, TypeError, AttributeError)):
            return failures.odd(self.title)  # no JSON, or another one than was promised
        return error


class _Away(Exception):
    """No connection. (The library would wait and try again; the caller decides that.)"""


class _Refused(Exception):
    """An answer that the library would wait for and ask again: 429 and what is wrong on the hub's side."""

    def __init__(self, status: int, wait: float | None) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.wait = status, wait


@functools.cache
def _library() -> Any:
    """huggingface_hub, imported where it is used, with a client that has time limits: its own has none."""
    import httpx2
    import huggingface_hub

    class Client(httpx2.Client):
        def send(self, request: Any, **options: Any) -> Any:
            silence = min(limits.SILENCE, left())
            timeout = httpx2.Timeout(silence, connect=min(limits.CONNECT, silence))
            request.extensions = {**request.extensions, "timeout": timeout.as_dict()}
            try:
                answer = super().send(request, **options)
            except httpx2.TransportError as error:
                raise _Away(str(error)) from error
            if answer.status_code == 429 or answer.status_code >= 500:
                wait = ranges.seconds(answer.headers.get("Retry-After"))
                answer.close()
                raise _Refused(answer.status_code, wait)
            return answer

    huggingface_hub.set_client_factory(lambda: Client(follow_redirects=True))
    return huggingface_hub


def _hit(model: Any) -> SearchHit:
    weights, gguf = model.safetensors, model.gguf or {}
    return SearchHit(
        repo=model.id,
        name=model.id.rpartition("/")[2],
        downloads=model.downloads,
        likes=model.likes,
        license=_license(model),
        tags=tuple(model.tags or ()),
        updated=model.last_modified.isoformat() if model.last_modified else None,
        parameters=weights.total if weights else gguf.get("total"),
        size_bytes=_bytes(weights.parameters) if weights else None,
    )


def _bytes(parameters: dict[str, int]) -> int:
    """Of the weights: the hub counts parameters by dtype. What is packed (int4, fp8) takes a byte at most."""
    return sum(count * _BITS.get(dtype, 8) // 8 for dtype, count in parameters.items())


def _license(model: Any) -> str | None:
    said = getattr(model.card_data, "license", None) if model.card_data else None
    if isinstance(said, str) and said:
        return said
    tags = [tag for tag in model.tags or () if tag.startswith("license:")]
    return tags[0].partition(":")[2] if tags else None


def _file(sibling: Any) -> HubFile:
    if sibling.lfs is not None:
        return HubFile(sibling.rfilename, _size(sibling.size), sha256=sibling.lfs.sha256.lower())
    return HubFile(sibling.rfilename, _size(sibling.size), blob_sha1=sibling.blob_id)


def _size(size: int | None) -> int:
    """-1 where the hub does not say; such a file is not fetched."""
    return size if isinstance(size, int) else -1
