"""Reading the models."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from config.errors import AppError
from models_registry.models import Model


def model_list(*, everything: bool = False) -> QuerySet[Model]:
    """The models that users may pick; with `everything` also those that are switched off."""
    models = Model.objects.order_by("name")
    return models if everything else models.filter(enabled=True)


def model_get(model_id: str, *, everything: bool = True) -> Model:
    """By id; without `everything` only one that users may pick. Raises AppError("model_not_found", 404)."""
    model = model_list(everything=everything).filter(pk=model_id).first()
    if model is None:
        raise _not_found(model_id)
    return model


def model_resolve(ref: str | None) -> Model:
    """The model with this id or name; None is the default.

    Raises AppError: "model_not_found" (404), or "no_model" (409) when there is no default.
    """
    if ref is None:
        default = Model.objects.filter(is_default=True, enabled=True).first()
        if default is None:
            raise AppError("no_model", _("No model has been chosen as the default yet."), status=409)
        return default
    # What cannot be a name is not asked of the database, which may not even be able to encode it.
    if len(ref) > 128 or not ref.isprintable():
        raise _not_found(ref)
    # A name is never 32 hex characters, so at most one row fits.
    model = Model.objects.filter(Q(pk=ref) | Q(name=ref), enabled=True).first()
    if model is None:
        raise _not_found(ref)
    return model


def _not_found(ref: str) -> AppError:
    return AppError(
        "model_not_found",
        _("There is no such model."),
        {"model": ref[:128].encode(errors="replace").decode()},
        status=404,
    )
