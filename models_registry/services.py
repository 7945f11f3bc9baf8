"""Writing the models: registering, changing, choosing the default; asking for loads and unloads."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import User
from config.errors import AppError
from inference.errors import InferenceError
from inference.protocol import ModelSpec
from models_registry import vault
from models_registry.deadlock import retried
from models_registry.deployment import settings_check
from models_registry.downloads.services import files_remove
from models_registry.jobs import job_enqueue
from models_registry.models import Job, Model, Once
from models_registry.sources import invalid, source_check

#: Which engines can run what; the first is what a source gets when none is asked for.
ENGINES: dict[str, tuple[str, ...]] = {
    "folder": ("transformers", "vllm", "sglang"),
    "gguf": ("llama_cpp", "transformers"),
    "hub": ("transformers", "vllm", "sglang", "llama_cpp"),
    "remote": ("openai",),
    "echo": ("echo",),
}


def model_spec(model: Model) -> ModelSpec:
    """What the inference process needs to run this model, the remote key in plain text included.

    Raises InferenceError("model_not_found") while the files of a hub's model are not here.
    """
    source = _source_here(model)
    if model.secret:
        source["api_key"] = vault.unseal(model.secret)
    return ModelSpec(
        id=model.id, name=model.name, engine=model.engine, source=source, settings=model.settings
    )


def _source_here(model: Model) -> dict[str, Any]:
    """The model service knows no hubs: it gets the folder or file that the hub's files have become."""
    if model.source.get("kind") != "hub":
        return dict(model.source)
    path = model.source.get("path")
    if not path:
        message = _("%(name)s has not been downloaded yet.") % {"name": model.name}
        raise InferenceError("model_not_found", message)
    return {"kind": "gguf" if path.endswith(".gguf") else "folder", "path": path}


def model_build(
    *,
    name: str,
    source: dict[str, Any],
    engine: str | None = None,
    settings: dict[str, Any] | None = None,
    languages: Sequence[str] = (),
) -> Model:
    """A checked model, not stored yet. Raises AppError: "invalid", "not_yet", "invalid_model_folder"."""
    name = name_check(name)
    checked = source_check(source)
    engine = engine_check(checked.source, engine) if engine else checked.engine
    return Model(
        name=name,
        family=checked.family,
        engine=engine,
        source=checked.source,
        secret=vault.seal(checked.secret),
        settings=settings_check(engine, {} if settings is None else settings),
        context_length=checked.context_length,
        capabilities=checked.capabilities,
        languages=list(languages),
    )


@retried
def model_add(model: Model, *, make_default: bool = False) -> None:
    """Store what `model_build` made. The first that is here becomes the default, so one can talk to it.

    Raises AppError("name_taken", 409).
    """
    with transaction.atomic():
        first = all(map(_is_coming, _lock_all())) and not _is_coming(model)
        _save(model)
        if make_default or first:
            model_make_default(model)


def model_create(
    *,
    name: str,
    source: dict[str, Any],
    engine: str | None = None,
    settings: dict[str, Any] | None = None,
    languages: Sequence[str] = (),
    make_default: bool = False,
) -> Model:
    """Register a model. Raises AppError: what `model_build` and `model_add` raise."""
    model = model_build(name=name, source=source, engine=engine, settings=settings, languages=languages)
    model_add(model, make_default=make_default)
    return model


def model_register_folder(*, name: str, path: Path, languages: Sequence[str] = ()) -> tuple[Model, bool]:
    """The model of this folder, and whether it was registered just now. It is the default if there is none.

    An administrator may have renamed it or chosen another default: both stay.
    """
    source = {"kind": "folder", "path": str(path.resolve())}
    with transaction.atomic():
        rows = _lock_all()
        model = next((row for row in rows if row.source == source), None)
        made = model is None
        if model is None:
            model = model_create(name=name, source=source, languages=languages)
        if model.enabled and not any(row.is_default for row in rows):
            model_make_default(model)
    return model, made


@retried
def model_update(model: Model, **changes: Any) -> Model:
    """Change `name`, `engine`, `settings`, `enabled`, `pinned`, `is_default` (True only gives, False takes
    away; the house chooses none by itself from then on), `for_everyone` or `users` (names).

    A running model takes new settings at its next load; the worker tells of pins (see `pins`); whoever may no
    longer use it is refused at their next turn. Raises AppError: "invalid", "name_taken" (409).
    """
    users = _users(changes["users"]) if "users" in changes else None
    with transaction.atomic():
        _lock_all()
        model.refresh_from_db()
        if "name" in changes:
            model.name = name_check(changes["name"])
        if changes.get("engine", model.engine) != model.engine:
            model.engine = engine_check(model.source, changes["engine"])
            model.settings = _settings_known(model)
        if "settings" in changes:
            model.settings = settings_check(model.engine, changes["settings"])
        for name in ("enabled", "pinned", "for_everyone"):
            if name in changes:
                setattr(model, name, changes[name])
        wants_default = changes.get("is_default")
        if wants_default is False or (not model.enabled and model.is_default):
            model.is_default = None
        if wants_default and not model.enabled:
            raise invalid("is_default", _("A model that is switched off cannot be the default."))
        _save(model)
        if users is not None:
            model.users.set(users)
        if wants_default:
            model_make_default(model)
        if wants_default is not None:
            once(Once.DEFAULT_CHOSEN)
    return model


def engine_check(source: dict[str, Any], engine: str) -> str:
    """`engine`, when it can run such a source. Raises AppError("invalid")."""
    able = ENGINES.get(str(source.get("kind")), ())
    if engine not in able:
        engines = ", ".join(able)
        raise invalid("engine", _("This source is run by %(engine)s.") % {"engine": engines})
    return engine


def _settings_known(model: Model) -> dict[str, Any]:
    """What the new engine knows too; a setting of the old one must not stop the model from loading."""
    kept: dict[str, Any] = {}
    for name, value in model.settings.items():
        with suppress(AppError):
            kept |= settings_check(model.engine, {name: value})
    return kept


def _users(names: list[str]) -> list[User]:
    """Raises AppError("invalid") for a name that nobody has."""
    found = {user.username: user for user in User.objects.filter(username__in=names)}
    unknown = next((name for name in names if name not in found), None)
    if unknown is not None:
        raise invalid("users", _("There is no user %(name)s.") % {"name": unknown[:150]})
    return list(found.values())


def once(key: str, model_id: str = "") -> bool:
    """Note that this was done; False when it was already."""
    return Once.objects.get_or_create(key=key, defaults={"model_id": model_id})[1]


@retried
def model_make_default(model: Model) -> None:
    """This model and no other. Raises AppError: "invalid" when it is switched off, "model_not_found"."""
    with transaction.atomic():
        current = {row.pk: row for row in _lock_all()}
        if model.pk not in current:
            raise AppError("model_not_found", _("There is no such model."), status=404)
        if not current[model.pk].enabled:
            raise invalid("is_default", _("A model that is switched off cannot be the default."))
        Model.objects.filter(is_default=True).exclude(pk=model.pk).update(is_default=None)
        Model.objects.filter(pk=model.pk).update(is_default=True)
    model.is_default = True


@retried
def model_delete(model: Model, *, files: bool = False) -> None:
    """Forget the model and free its memory. Its files stay where they are; with `files` those go that a
    download brought and no other model needs."""
    with transaction.atomic():
        job_enqueue(Job.Kind.UNLOAD, model.id)
        if files:
            files_remove(model)
        model.delete()


def model_load(model: Model) -> Job:
    """Ask the worker to make the model ready; a load that is already asked for is answered again."""
    return job_enqueue(Job.Kind.LOAD, model.id)


def model_unload(model: Model) -> Job:
    """Ask the worker to free the model's memory; loads that still wait are cancelled."""
    return job_enqueue(Job.Kind.UNLOAD, model.id)


def _is_coming(model: Model) -> bool:
    """Its files are being downloaded."""
    return model.source.get("kind") == "hub" and "path" not in model.source


def _lock_all() -> list[Model]:
    """Lock the (few) rows in one order: two who choose a default at once come one after the other."""
    return list(Model.objects.select_for_update().order_by("pk"))


def _save(model: Model) -> None:
    try:
        with transaction.atomic():
            model.save()
    except IntegrityError:
        if not Model.objects.filter(name=model.name).exclude(pk=model.pk).exists():
            raise
        message = _("Another model has this name.")
        raise AppError("name_taken", message, {"fields": {"name": [message]}}, status=409) from None


def name_check(name: str) -> str:
    """Any script, at most 128 characters; not what could be an id, as `model` is an id or a name."""
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > 128 or not name.isprintable():
        raise invalid("name", _("A name has 1 to 128 printable characters."))
    if re.fullmatch(r"[0-9a-f]{32}", name):
        raise invalid("name", _("A name must not look like an id."))
    return name


def name_free(plain: str) -> str:
    """`plain`, or with a number where it is taken. Raises AppError("invalid")."""
    plain = name_check(plain[:120])
    taken = set(Model.objects.filter(name__startswith=plain).values_list("name", flat=True))
    numbers = (f"{plain} ({number})" for number in range(2, len(taken) + 3))
    return next(one for one in (plain, *numbers) if one not in taken)
