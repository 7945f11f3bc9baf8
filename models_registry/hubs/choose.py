"""Which files of a repository make a model: weights, config, tokenizer, template, licence; nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from config.errors import AppError
from inference.model_folder import CODE, PICKLES
from models_registry.hubs import limits, paths
from models_registry.hubs.base import HubFile, RepoInfo

#: Bytes of a file that is read as a whole; the largest tokenizers in use have 35 MB.
LARGEST_TEXT = 128 << 20
_BESIDE = frozenset((
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
    "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "chat_template.jinja", "chat_template.json",
    "preprocessor_config.json", "processor_config.json", "model.safetensors.index.json",
))  # fmt: skip
_LICENCE = re.compile(r"(LICEN[CS]E|NOTICE|USE_POLICY|COPYING)([-_. ][\w.-]*)?", re.IGNORECASE)
_SHARD = re.compile(r"(?P<base>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<end>\.safetensors|\.gguf)")
_INDEX = "model.safetensors.index.json"
#: The quantisation that is taken where nobody chooses: first what is small and still good.
_QUANTISATIONS = (
    "Q4_K_M", "Q4_K_S", "Q5_K_M", "IQ4_XS", "Q4_0", "Q5_K_S", "Q6_K", "Q8_0", "Q3_K_M", "BF16", "F16",
)  # fmt: skip
_QUANTISATION = re.compile(r"(?<![A-Z0-9])(?:UD-)?(I?Q\d\w*|BF16|F16|F32)(?![A-Z0-9])", re.IGNORECASE)


@dataclass(frozen=True)
class Choice:
    """`files` to fetch (`weights` among them), `skipped` the others, each with the reason in words.

    `refused`: nothing may be fetched.
    """

    files: tuple[HubFile, ...] = ()
    refused: AppError | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    weights: tuple[HubFile, ...] = field(default=())


def wanted_files(info: RepoInfo, only: list[str] | None = None) -> Choice:
    """What a model needs of `info.files`.

    `only` names the files to take instead (a GGUF of several; its other parts and the licence come with it);
    what is unsafe is not taken by that either. Whether the config asks for code (auto_map) is not known from
    a list: `headers.facts` looks.
    """
    if len(info.files) > limits.MOST_FILES:
        return Choice(refused=_refused(_("It lists too many files to be a model.")))
    plain, skipped = _plain(info.files)
    asked = None if only is None else set(only)
    missing = sorted(asked - {file.path for file in plain if _may_be_asked(file.path)}) if asked else []
    if missing:
        message = _("%(name)s is not in the repository, or is not taken from there.")
        return Choice(refused=_refused(message % {"name": missing[0][:200]}), skipped=tuple(skipped))
    weights = _weights(plain, asked)
    incomplete = _incomplete(weights)
    if not weights or incomplete:
        reason = incomplete or _no_weights(info.files)
        return Choice(refused=_refused(reason), skipped=tuple(skipped))
    chosen = weights + _beside(plain, weights, asked)
    if weights[0].path.endswith(".safetensors") and "config.json" not in {file.path for file in chosen}:
        message = _("The repository has no %(name)s.") % {"name": "config.json"}
        return Choice(refused=_refused(message), skipped=tuple(skipped))
    rest = [(file.path, _("not needed")) for file in plain if file not in chosen]
    return Choice(tuple(chosen), None, (*skipped, *rest), tuple(weights))


def quantization(path: str) -> str | None:
    """Of a GGUF file, by its name: "Q4_K_M"."""
    found = _QUANTISATION.findall(path.rpartition("/")[2])
    return found[-1].upper() if found else None


def _refused(message: str) -> AppError:
    return AppError("unsafe_repository", message, status=400)


def _plain(files: Iterable[HubFile]) -> tuple[list[HubFile], list[tuple[str, str]]]:
    """What may be a file here, and what may not with the reason. Two names that differ in case are one."""
    plain: list[HubFile] = []
    skipped: list[tuple[str, str]] = []
    seen: set[str] = set()
    for file in files:
        why = paths.why_not(file) or _kind_refused(file.path)
        if why is None and file.path.casefold() in seen:
            why = _("another file has this name")
        if why is None and not _is_weights(file.path) and file.size > LARGEST_TEXT:
            why = _("too large to be what it says")
        if why is None:
            seen.add(file.path.casefold())
            plain.append(file)
        else:
            skipped.append((file.path, why))
    return plain, skipped


def _kind_refused(path: str) -> str | None:
    name = path.lower()
    if name.endswith((*CODE, ".ipynb", ".sh", ".bat", ".exe", ".js")):
        return _("code, which is never taken")
    if name.endswith((*PICKLES, ".pb", ".h5", ".npy", ".npz", ".joblib", ".msgpack", ".ot")):
        return _("a pickle or another format that can run code")
    return None


def _may_be_asked(path: str) -> bool:
    texts = (".json", ".txt", ".md", ".model", ".jinja")
    return _is_weights(path) or path.endswith(texts) or _LICENCE.fullmatch(path) is not None


def _is_weights(path: str) -> bool:
    return path.endswith((".safetensors", ".gguf"))


def _weights(plain: list[HubFile], asked: set[str] | None) -> list[HubFile]:
    if asked is not None:
        named = [file for file in plain if file.path in asked]
        ggufs = [file for file in named if file.path.endswith(".gguf")]
        if ggufs:
            return _parts(plain, ggufs[0].path)
        return [file for file in named if file.path.endswith(".safetensors")]
    folder = [file for file in plain if "/" not in file.path and file.path.endswith(".safetensors")]
    whole = [file for file in folder if file.path == "model.safetensors"]
    shards = [file for file in folder if _SHARD.fullmatch(file.path) and file.path.startswith("model-")]
    if chosen := whole or shards:
        return chosen
    others = [file for file in folder if not file.path.startswith(("consolidated", "adapter_"))]
    return others or _best_gguf(plain)


def _best_gguf(plain: list[HubFile]) -> list[HubFile]:
    """All parts of one file; what only sees (mmproj) or only steers (imatrix) is no model."""
    found = [file for file in plain if file.path.endswith(".gguf")]
    models = [file for file in found if not re.search(r"mmproj|imatrix", file.path, re.IGNORECASE)]
    if not models:
        return []
    rank = {name: place for place, name in enumerate(_QUANTISATIONS)}

    def order(file: HubFile) -> tuple[int, int, str]:
        return rank.get(quantization(file.path) or "", len(rank)), file.path.count("/"), file.path

    return _parts(plain, min(models, key=order).path)


def _parts(plain: list[HubFile], path: str) -> list[HubFile]:
    shard = _SHARD.fullmatch(path)
    if shard is None:
        return [file for file in plain if file.path == path]
    stem = (shard["base"], shard["count"], shard["end"])
    matches = [(file, _SHARD.fullmatch(file.path)) for file in plain]
    parts = [
        file for file, found in matches if found and (found["base"], found["count"], found["end"]) == stem
    ]
    return sorted(parts, key=lambda file: file.path)


def _incomplete(weights: list[HubFile]) -> str | None:
    """A sentence when a part of several is not in the list."""
    found = [_SHARD.fullmatch(file.path) for file in weights]
    shards = [shard for shard in found if shard is not None]
    if not shards:
        return None
    numbers = {int(shard["number"]) for shard in shards}
    count = int(shards[0]["count"])
    if len({shard["count"] for shard in shards}) == 1 and numbers == set(range(1, count + 1)):
        return None
    return _("The weights are not complete: there should be %(count)s parts.") % {"count": count}


def _beside(plain: list[HubFile], weights: list[HubFile], asked: set[str] | None) -> list[HubFile]:
    gguf = weights[0].path.endswith(".gguf")
    whole = weights[0].path == "model.safetensors"
    chosen = []
    for file in plain:
        wanted = _LICENCE.fullmatch(file.path) is not None
        if not gguf:
            wanted = wanted or (file.path in _BESIDE and not (whole and file.path == _INDEX))
        if asked is not None and not _is_weights(file.path):
            wanted = wanted or file.path in asked
        if wanted and file not in weights:
            chosen.append(file)
    return chosen


def _no_weights(files: tuple[HubFile, ...]) -> str:
    if any(file.path.lower().endswith(PICKLES) for file in files):
        return _("The weights are pickles, which can run code; such a model is not taken.")
    return _("There are no weights in it that can be used: no .safetensors and no .gguf.")
