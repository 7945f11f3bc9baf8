"""Whether a repository asks for code of its own, looked up before gigabytes are fetched for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from config.errors import AppError
from inference import bounded
from inference.model_folder import names_code
from models_registry.hubs.base import Hub, HubFile, RepoInfo

_CONFIGS = ("config.json", "tokenizer_config.json")


def code_check(hub: Hub, info: RepoInfo, files: Sequence[HubFile]) -> None:
    """Raises AppError("unsafe_repository") for auto_map, and what the hub raises.

    A first look only: what has come is checked as a whole folder before it becomes a model.
    """
    for file in files:
        if file.path not in _CONFIGS or file.size > bounded.LONGEST_JSON:
            continue
        try:
            asks = names_code(bounded.parse(hub.read(info.repo, info.revision, file.path, 0, file.size)))
        except (ValueError, RecursionError):
            continue  # no JSON: the folder's check says so in its words
        if asks:
            message = _("This model brings code of its own (%(what)s); such code is never run here.")
            raise AppError("unsafe_repository", message % {"what": "auto_map"})
