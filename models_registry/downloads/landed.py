"""What follows when all files are here: the model learns where they lie and what they are."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from config.errors import AppError
from models_registry import selectors
from models_registry.deadlock import retried
from models_registry.downloads.failure import Wanted
from models_registry.models import Download, Model
from models_registry.sources import Checked, source_check


def inspect(folder: Path, files: Sequence[Wanted]) -> Checked:
    """The facts, as for a folder or GGUF file that a person names. Raises AppError with what is wrong."""
    ggufs = sorted(file.path for file in files if file.path.endswith(".gguf"))
    weights = any(file.path.endswith(".safetensors") for file in files)
    if ggufs and not weights:
        return source_check({"kind": "gguf", "path": str(folder / ggufs[0])})
    return source_check({"kind": "folder", "path": str(folder)})


@retried
def land(download: Download, facts: Checked, owner: str) -> bool:
    """Write that the model is here, unless the download was paused or cancelled in this very moment.

    In the same transaction it becomes the default where there is none, or where the house brought it in for
    that: whoever reads that it is here reads that, too.
    """
    with transaction.atomic():
        mine = Download.objects.filter(
            pk=download.pk, owner=owner, state__in=(Download.State.RUNNING, Download.State.VERIFYING)
        )
        written = mine.update(
            state=Download.State.DONE,
            files=[{**line, "done": line["size"]} for line in download.files],
            bytes_done=download.bytes_total,
            speed=0.0,
            error=None,
            owner="",
            lease_until=None,
            finished=timezone.now(),
        )
        model = Model.objects.filter(pk=download.model_id).first() if written else None
        if model is None:
            return bool(written)
        model.source = {**_source(download), "path": facts.source["path"]}
        model.engine = _engine(model, facts, files_of(download))
        model.family = facts.family
        model.context_length = facts.context_length
        model.capabilities = facts.capabilities
        model.save(update_fields=["source", "engine", "family", "context_length", "capabilities"])
        _make_default(model)
    return True


def _make_default(model: Model) -> None:
    from models_registry.services import model_make_default

    none = not Model.objects.filter(is_default=True).exists()
    if model.enabled and (none or selectors.default_to_be() == model.pk):
        with contextlib.suppress(AppError):  # switched off in this moment
            model_make_default(model)


def _engine(model: Model, facts: Checked, files: Sequence[Wanted]) -> str:
    """What a person chose meanwhile, where it can run this; else what fits the files."""
    from models_registry.services import engine_check

    if model.engine != engine_expected(files):
        with contextlib.suppress(AppError):
            return engine_check(facts.source, model.engine)
    return facts.engine


def engine_expected(files: Sequence[Wanted]) -> str:
    """Until the files are here and say it themselves."""
    gguf = any(file.path.endswith(".gguf") for file in files)
    weights = any(file.path.endswith(".safetensors") for file in files)
    return Model.Engine.LLAMA_CPP if gguf and not weights else Model.Engine.TRANSFORMERS


def files_of(download: Download) -> list[Wanted]:
    return [
        Wanted(line["path"], line["size"], line.get("sha256"), line.get("sha1")) for line in download.files
    ]


def _source(download: Download) -> dict[str, str]:
    return {"kind": "hub", "hub": download.hub, "repo": download.repo, "revision": download.revision}
