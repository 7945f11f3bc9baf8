"""ModelScope and its mirrors, through modelscope-hub: /openapi/v1 to find, /api/v1 to list and for bytes."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from config.errors import AppError
from models_registry.hubs import failures, limits, naming, ranges
from models_registry.hubs.base import HubFile, RepoInfo, SearchHit
from models_registry.hubs.calls import left, within

T = TypeVar("T")
#: The hub refuses longer pages.
_LONGEST_PAGE = 50
_LINK = "120000"


class ModelScope:
    name = "modelscope"
    title = "ModelScope"

    def __init__(self, endpoint: str, token: str = "") -> None:
        self.endpoint = endpoint
        self._token = token

    def search(self, q: str, limit: int = 20) -> list[SearchHit]:
        def ask() -> list[SearchHit]:
            page = self._api().list_repos(
                "model", search=q, sort="downloads", page_size=min(limit, _LONGEST_PAGE)
            )
            return [_hit(found) for found in page.items if found.repo_id]

        return self._call("", ask)

    def info(self, repo: str, revision: str | None = None) -> RepoInfo:
        naming.check(self.title, repo, revision)

        def ask() -> RepoInfo:
            api = self._api()
            about = api.get_repo(repo, "model")
            commit, files = self._files(api, repo, revision or "master")
            gated = bool(about.gated or about.login_required)
            return RepoInfo(self.name, repo, commit, about.license or None, files, gated)

        return self._call(repo, ask)

    def address(self, repo: str, revision: str, path: str) -> tuple[str, dict[str, str]]:
        naming.check(self.title, repo, revision)
        url = self._api().legacy.get_download_url(repo, "model", path, revision)
        headers = {"User-Agent": "hearth"}
        if self._token:
            headers |= {"Authorization": f"Bearer {self._token}", "Cookie": f"m_session_id={self._token}"}
        return url, headers

    def read(self, repo: str, revision: str, path: str, start: int, end: int) -> bytes:
        url, headers = self.address(repo, revision, path)
        return self._call(repo, lambda: ranges.fetch(self.title, repo, url, headers, start, end))

    def _files(self, api: Any, repo: str, revision: str) -> tuple[str, tuple[HubFile, ...]]:
        """(commit, files). `HubApi.list_repo_files` asks the same but drops the commit and the modes."""
        data = api.openapi.request(
            "GET",
            url=f"{self.endpoint}/api/v1/models/{repo}/repo/files",
            params={"Revision": revision, "Recursive": "True"},
            require_token=False,
            timeout=min(limits.SILENCE, left()),
        )
        if not isinstance(data, dict):
            raise failures.odd(self.title)
        lines = data.get("Files")
        if lines is None:  # HTTP 200 all the same: there is no such revision
            raise failures.not_found(self.title, f"{repo}@{revision}")
        return _commit(data, revision), tuple(_file(line) for line in lines if line.get("Type") != "tree")

    def _api(self) -> Any:
        library = _library()
        # Under a folder that cannot be, so that nothing is written: the library would keep an id of this
        # installation in ~/.modelscope and send it along.
        nowhere = Path(os.devnull) / "modelscope"
        config = library.HubConfig(
            endpoint=self.endpoint, token=self._token, config_dir=nowhere, cache_dir=nowhere
        )
        return library.HubApi(config=config, user_agent="hearth")

    def _call(self, repo: str, ask: Callable[[], T]) -> T:
        try:
            return within(self.title, ask)
        except Exception as error:
            raise self._failure(error, repo) from error

    def _failure(self, error: Exception, repo: str) -> Exception:
        """The library's errors in our words; a mistake of our own stays one."""
        import requests
        from modelscope_hub import errors

        if isinstance(error, AppError):
            return error
        if isinstance(error, errors.NotExistError):
            return failures.not_found(self.title, repo)
        if isinstance(error, (errors.AuthenticationError, errors.PermissionDeniedError)):
            return failures.gated(self.title, repo)
        if isinstance(error, errors.RateLimitError):
            return failures.busy(self.title, getattr(error, "retry_after", None))
        if isinstance(error, (errors.NetworkError, TimeoutError, requests.RequestException)):
            return failures.unreachable(self.title)
        if isinstance(error, (errors.HubError, ValueError, KeyError, TypeError, AttributeError)):
            return failures.odd(self.title)
        return error


@functools.cache
def _library() -> Any:
    """modelscope_hub, imported where it is used; it reads its limits from the environment at that moment."""
    os.environ.setdefault("MODELSCOPE_API_MAX_RETRIES", "1")
    os.environ.setdefault("MODELSCOPE_API_TIMEOUT", str(int(limits.SILENCE)))
    os.environ.setdefault("MODELSCOPE_API_CONNECT_TIMEOUT", str(int(limits.CONNECT)))
    import modelscope_hub

    return modelscope_hub


def _hit(found: Any) -> SearchHit:
    updated = found.last_modified
    return SearchHit(
        repo=found.repo_id,
        name=found.display_name or found.name,
        downloads=found.downloads,
        likes=found.likes,
        license=found.license or None,
        tags=tuple(str(tag) for tag in found.tags or ()),
        updated=updated.isoformat() if hasattr(updated, "isoformat") else None,
        size_bytes=found.file_size,
    )


def _commit(data: dict[str, Any], revision: str) -> str:
    """The commit that the list shows.

    The list names it in short (and its own `Id` is often empty); a file's `Revision` is the commit that last
    touched it, so the newest file has the whole name. Where neither says it, the revision stays what it was:
    the hashes of the files hold in any case.
    """
    latest = data.get("LatestCommitter") or {}
    if latest.get("Id"):
        return str(latest["Id"])
    short = str(latest.get("ShortId") or "")
    touched = {str(line.get("Revision") or "") for line in data["Files"]}
    return next((commit for commit in sorted(touched) if short and commit.startswith(short)), revision)


def _file(line: dict[str, Any]) -> HubFile:
    sha256 = str(line.get("Sha256") or "").lower()
    mode = str(line.get("Mode") or "")
    with contextlib.suppress(ValueError):
        mode = mode if mode == _LINK else f"{int(mode):o}"
    return HubFile(
        path=str(line.get("Path") or ""),
        size=int(line["Size"]) if line.get("Size") is not None else -1,
        sha256=sha256 or None,
        link=mode == _LINK,
    )
