"""What a model on a hub is, told before it is fetched: its config and the headers of its weights, by Range.

A few kilobytes per file are read instead of gigabytes. Everything is bounded: what a header may be long
(`inference.bounded`, `inference.gguf_header`), how many files are looked into, and the time for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _

from config.errors import AppError
from inference import bounded, gguf_header
from inference.bounded import Refused
from models_registry.hubs import failures, limits
from models_registry.hubs.base import Hub, HubFile, RepoInfo
from models_registry.hubs.choose import Choice, wanted_files

Facts = dict[str, Any]
_FIRST_PIECE, _LARGEST_PIECE = 64 << 10, 4 << 20
_TEXTS = ("config.json", "tokenizer_config.json", "chat_template.jinja", "chat_template.json")


def facts(hub: Hub, info: RepoInfo, choice: Choice | None = None) -> Facts:
    """`{"config", "tensors": [{"name", "dtype", "shape"}], "files": bytes}` of what would be fetched.

    For GGUF the config is made of its metadata, as for a file that is here. Beside it `tokenizer` (the
    tokenizer_config.json) and `template` (the chat template's text), for what the model can do.
    Raises AppError: the hub's, and "unsafe_repository" where nothing may be fetched, a header is not one,
    or the configuration asks for code of its own.
    """
    choice = choice or wanted_files(info)
    if choice.refused is not None:
        raise choice.refused
    if len(choice.weights) > limits.MOST_HEADERS:
        raise _refuse(_("The weights are in too many files."))
    try:
        if choice.weights[0].path.endswith(".gguf"):
            found = _of_gguf(hub, info, choice)
        else:
            found = _of_folder(hub, info, choice)
    except Refused as refusal:
        raise _refuse(_(refusal.text) % refusal.values) from None
    return found | {"files": sum(file.size for file in choice.files)}


def _of_folder(hub: Hub, info: RepoInfo, choice: Choice) -> Facts:
    here = {file.path: file for file in choice.files}
    jobs: list[Callable[[], Any]] = [
        _job(_text, hub, info, here[name]) if name in here else _nothing for name in _TEXTS
    ]
    jobs += [_job(_safetensors, hub, info, file) for file in choice.weights]
    config, tokenizer, jinja, template, *tensors = _at_once(jobs)
    parsed, words = _object(config, "config.json"), _object(tokenizer, "tokenizer_config.json")
    if _names_code(parsed) or _names_code(words):
        what = {"what": "auto_map"}
        raise Refused("This model brings code of its own (%(what)s); such code is never run here.", **what)
    said = words.get("chat_template") or _object(template, "chat_template.json").get("chat_template")
    return {
        "config": parsed,
        "tensors": [line for lines in tensors for line in lines],
        "tokenizer": words,
        "template": jinja.decode("utf-8", "replace") if jinja else _template(said),
    }


def _of_gguf(hub: Hub, info: RepoInfo, choice: Choice) -> Facts:
    found: list[gguf_header.Header] = _at_once([_job(_gguf, hub, info, file) for file in choice.weights])
    metadata = found[0].metadata
    return {
        "config": gguf_header.config(metadata),
        "tensors": [
            {"name": entry.name, "dtype": entry.type, "shape": list(entry.shape)}
            for header in found
            for entry in header.tensors
        ],
        "tokenizer": {},
        "template": _template(metadata.get("tokenizer.chat_template")),
    }


def _at_once(jobs: list[Callable[[], Any]]) -> list[Any]:
    """The results in order; a few run at a time, and all together may take `limits.FACTS` seconds."""
    ends, language = time.monotonic() + limits.FACTS, translation.get_language()

    def run(job: Callable[[], Any]) -> Any:
        if time.monotonic() > ends:
            raise TimeoutError
        with translation.override(language):
            return job()

    pool = ThreadPoolExecutor(limits.HEADERS_AT_ONCE, thread_name_prefix="hub headers")
    try:
        futures = [pool.submit(run, job) for job in jobs]
        return [future.result(max(0.0, ends - time.monotonic())) for future in futures]
    except TimeoutError:
        raise failures.slow() from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _job(call: Callable[[Hub, RepoInfo, HubFile], Any], *args: Any) -> Callable[[], Any]:
    return lambda: call(*args)


def _nothing() -> bytes:
    return b""


def _text(hub: Hub, info: RepoInfo, file: HubFile) -> bytes:
    if file.size > bounded.LONGEST_JSON:
        raise Refused("%(name)s cannot be read.", name=file.path)
    return hub.read(info.repo, info.revision, file.path, 0, file.size)


def _safetensors(hub: Hub, info: RepoInfo, file: HubFile) -> list[dict[str, Any]]:
    tensors = bounded.header(_Remote(hub, info, file).read, file.size, file.path)
    return [
        {"name": name, "dtype": tensor.dtype, "shape": list(tensor.shape)} for name, tensor in tensors.items()
    ]


def _gguf(hub: Hub, info: RepoInfo, file: HubFile) -> gguf_header.Header:
    return gguf_header.header(_Remote(hub, info, file).read, file.size, file.path)


@dataclass
class _Remote:
    """A file on the hub that is read from its begin, in pieces that grow: a header may be long."""

    hub: Hub
    info: RepoInfo
    file: HubFile
    buffer: bytes = b""
    at: int = 0
    piece: int = _FIRST_PIECE

    def read(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end."""
        while len(self.buffer) < count and self.at < self.file.size:
            end = min(self.file.size, self.at + max(self.piece, count - len(self.buffer)))
            new = self.hub.read(self.info.repo, self.info.revision, self.file.path, self.at, end)
            if not new:
                break
            self.buffer, self.at = self.buffer + new, self.at + len(new)
            self.piece = min(self.piece * 4, _LARGEST_PIECE)
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken


def _object(data: bytes, name: str) -> dict[str, Any]:
    """The JSON object in `data`; {} where there is none. Raises Refused."""
    if not data:
        return {}
    try:
        found = bounded.parse(data)
    except (ValueError, RecursionError, MemoryError):
        found = None
    if not isinstance(found, dict):
        raise Refused("%(name)s cannot be read.", name=name)
    return found


def _names_code(value: Any) -> bool:
    if isinstance(value, dict):
        return "auto_map" in value or any(map(_names_code, value.values()))
    return isinstance(value, list) and any(map(_names_code, value))


def _template(said: Any) -> str:
    if isinstance(said, list):  # several, each {"name", "template"}
        return "\n".join(str(entry.get("template", "")) for entry in said if isinstance(entry, dict))
    return said if isinstance(said, str) else ""


def _refuse(message: str) -> AppError:
    return AppError("unsafe_repository", message)
