"""Reading the models: which there are, who may use them, which one answers."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext as _

from accounts.models import User
from config.errors import AppError
from models_registry.models import Model, Once


def usable_by(user_id: str) -> Q:
    """Who may use a model: administrators all, others what is for everyone or granted to them."""
    granted = Model.users.through.objects.filter(model_id=OuterRef("pk"), user_id=user_id)
    administrator = User.objects.filter(pk=user_id, is_superuser=True)
    return Q(for_everyone=True) | Exists(granted) | Exists(administrator)


def model_list(user_id: str | None = None, *, everything: bool = False) -> QuerySet[Model]:
    """The models that this user may pick; with `everything` all, also those that are switched off."""
    models = Model.objects.order_by("name")
    if everything:
        return models
    models = models.filter(enabled=True)
    return models if user_id is None else models.filter(usable_by(user_id))


def model_visible(model_id: str, user_id: str) -> bool:
    """Whether the user's list of models has it; an administrator's also has what is switched off."""
    administrator = User.objects.filter(pk=user_id, is_superuser=True)
    may = (Q(enabled=True) & usable_by(user_id)) | Q(Exists(administrator))
    return Model.objects.filter(may, pk=model_id).exists()


def model_get(model_id: str, user_id: str | None = None, *, everything: bool = True) -> Model:
    """By id; without `everything` only one the user may pick. Raises AppError("model_not_found", 404)."""
    model = model_list(user_id, everything=everything).filter(pk=model_id).first()
    if model is None:
        raise _not_found(model_id)
    return model


def model_default(user_id: str) -> Model | None:
    """The user's own default if they may still use it, else the house's, else None. One query."""
    own = Subquery(User.objects.filter(pk=user_id).values("default_model")[:1])
    found = model_list(user_id).filter(Q(is_default=True) | Q(pk=own))
    rows = list(found.annotate(own=own))
    return next((row for row in rows if row.pk == row.own), rows[0] if rows else None)


def speaks_english_only(model: Model) -> bool:
    return model.languages == ["en"]


def default_to_be() -> str:
    """Id of the model that the house brings in for itself, as long as it is to become the default; else "".

    It makes room for whatever an administrator has chosen, and for any default that speaks more than English.
    """
    marks = dict(
        Once.objects.values_list("key", "model_id").filter(key__in=(Once.FIRST_MODEL, Once.DEFAULT_CHOSEN))
    )
    if not marks.get(Once.FIRST_MODEL) or Once.DEFAULT_CHOSEN in marks:
        return ""
    default = Model.objects.filter(is_default=True).first()
    return marks[Once.FIRST_MODEL] if default is None or speaks_english_only(default) else ""


def model_resolve(ref: str | None, user_id: str) -> Model:
    """The model with this id or name, if the user may use it; None is the default.

    Raises AppError: "model_not_found" (404), also for one that is another's, or "no_model" (409) when there
    is no default that the user may use.
    """
    if ref is None:
        default = model_default(user_id)
        if default is None:
            raise AppError("no_model", _("No model has been chosen as the default yet."), status=409)
        return default
    # What cannot be a name is not asked of the database, which may not even be able to encode it.
    if len(ref) > 128 or not ref.isprintable():
        raise _not_found(ref)
    # A name is never 32 hex characters, so at most one row fits.
    model = model_list(user_id).filter(Q(pk=ref) | Q(name=ref)).first()
    if model is None:
        raise _not_found(ref)
    return model


def model_usable(model: Model, user_id: str) -> Model:
    """`model` itself, which was chosen earlier. Raises AppError("model_denied", 403) when it was switched off
    or taken away from the user since."""
    if not model_list(user_id).filter(pk=model.pk).exists():
        message = _("You can no longer use the model %(name)s. Choose another one.") % {"name": model.name}
        raise AppError("model_denied", message, {"model": model.pk}, status=403)
    return model


def _not_found(ref: str) -> AppError:
    return AppError(
        "model_not_found",
        _("There is no such model."),
        {"model": ref[:128].encode(errors="replace").decode()},
        status=404,
    )
