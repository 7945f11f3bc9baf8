"""What a repository would become here: its files, what is taken of them, and whether the model would fit."""

from __future__ import annotations

from typing import Any

from config.errors import AppError
from inference.protocol import ModelSpec
from models_registry import fit, folders, hubs
from models_registry.downloads import places
from models_registry.hubs import headers, selectors
from models_registry.hubs.base import RepoInfo
from models_registry.hubs.choose import Choice, quantization, wanted_files

#: Reasons for which nothing is fetched; any other failure only leaves the fit unknown.
_FINAL = ("unsafe_repository", "repo_gated")
#: Files of a list that are shown; a longer list is refused in any case.
_SHOWN = 2_000


def repo_preview(
    *,
    hub: str,
    repo: str,
    revision: str | None = None,
    file: str | None = None,
    context: int | None = None,
    concurrency: int | None = None,
) -> dict[str, Any]:
    """The body of /api/hubs/{hub}/repo/. Raises AppError: what `Hub.info` raises."""
    client = hubs.get(hub)
    info = client.info(repo, revision)
    choice = wanted_files(info, [file] if file else None)
    refused, facts = choice.refused, None
    if refused is None:
        try:
            facts = headers.facts(client, info, choice)
        except AppError as error:
            refused = error if error.code in _FINAL else None
    return {
        "hub": hub,
        "repo": info.repo,
        "revision": info.revision,
        "license": info.license,
        "gated": info.gated,
        "files": _files(info, choice),
        "size_bytes": sum(wanted.size for wanted in choice.files),
        "quantization": _quantization(choice, facts),
        "refused": None if refused is None else {"code": refused.code, "message": refused.message},
        "fit": None if facts is None else _fit(info, choice, facts, context, concurrency),
        "free_bytes": places.free_bytes(places.root()),
        "model": selectors.by_repo().get((hub, info.repo)),
    } | _said(facts)


def _files(info: RepoInfo, choice: Choice) -> list[dict[str, Any]]:
    wanted, why = set(choice.files), dict(choice.skipped)
    return [
        {"path": file.path, "size": file.size, "wanted": file in wanted, "why": why.get(file.path)}
        for file in info.files[:_SHOWN]
    ]


def _said(facts: headers.Facts | None) -> dict[str, Any]:
    """What the config and the template say; nothing is known without them."""
    if facts is None:
        return {"family": "", "context_length": None, "capabilities": []}
    config = facts["config"]
    return {
        "family": str(config.get("model_type") or "")[:64],
        "context_length": folders.context_length_of(config, facts["tokenizer"]),
        "capabilities": folders.capabilities_of(config, facts["template"]),
    }


def _quantization(choice: Choice, facts: headers.Facts | None) -> str | None:
    """ "Q4_K_M", "fp8", "gptq 4 bit"; None where the weights are plain numbers or nothing is known."""
    if choice.weights and choice.weights[0].path.endswith(".gguf"):
        return quantization(choice.weights[0].path)
    said = facts["config"].get("quantization_config") if facts is not None else None
    if not isinstance(said, dict):
        return None
    method, bits = str(said.get("quant_method") or "")[:32], said.get("bits")
    return f"{method} {bits} bit" if type(bits) is int else method or None


def _fit(
    info: RepoInfo, choice: Choice, facts: headers.Facts, context: int | None, concurrency: int | None
) -> dict[str, Any] | None:
    """None when the model service is away or cannot tell."""
    kind = "gguf" if choice.weights[0].path.endswith(".gguf") else "folder"
    spec = ModelSpec(
        id="preview", name=info.repo, engine="transformers", source={"kind": kind, "path": ""}, settings={}
    )
    given = {name: facts[name] for name in ("config", "tensors", "files")}
    try:
        return fit.fit_ask(spec, context=context, concurrency=concurrency, facts=given)
    except AppError:
        return None
