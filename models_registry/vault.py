"""Keys of remote endpoints, encrypted at rest with a key that follows from SECRET_KEY.

Does not protect against somebody who has both the database and the settings.
"""

from __future__ import annotations

import base64
import hashlib

from django.conf import settings
from django.utils.translation import gettext as _

from config.errors import AppError


def _key() -> bytes:
    digest = hashlib.sha256(b"hearth.models_registry.vault\0" + str(settings.SECRET_KEY).encode()).digest()
    return base64.urlsafe_b64encode(digest)


def seal(text: str) -> str:
    """The ciphertext of `text`; nothing stays nothing."""
    from cryptography.fernet import Fernet

    return Fernet(_key()).encrypt(text.encode()).decode() if text else ""


def unseal(sealed: str) -> str:
    """Raises AppError("secret_unreadable") when SECRET_KEY is another one than at `seal`."""
    from cryptography.fernet import Fernet, InvalidToken

    if not sealed:
        return ""
    try:
        return Fernet(_key()).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise AppError(
            "secret_unreadable",
            _("The stored API key of this model cannot be read any more. Register the model again."),
            status=409,
        ) from None
