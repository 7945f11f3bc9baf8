"""What follows from a saved user, whoever saved it: the page, the admin, a command."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth.hashers import is_password_usable
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import Signal, receiver

from accounts.models import TokenFamily, User

# Sent after the commit, with one of family_id, key_id, user_id (the others None): what lives by it must go.
credential_ended = Signal()


def announce_ended(
    *, family_id: str | None = None, key_id: str | None = None, user_id: str | None = None
) -> None:
    """Inside a transaction: after it commits. A receiver that fails must not undo what was ended."""
    send = partial(
        credential_ended.send_robust, sender=TokenFamily, family_id=family_id, key_id=key_id, user_id=user_id
    )
    transaction.on_commit(send)


@receiver(pre_save, sender=User)
def remember_password(sender: type[User], instance: User, raw: bool = False, **kwargs: Any) -> None:
    instance.password_changed_now = False
    if raw or instance._state.adding:
        return
    # A rehash on sign-in (stronger parameters) uses set_password too, but clears _password before it saves.
    if getattr(instance, "_password", None) is None and is_password_usable(instance.password):
        return
    stored = User.objects.filter(pk=instance.pk).values_list("password", flat=True).first()
    instance.password_changed_now = stored != instance.password


@receiver(post_save, sender=User)
def end_what_the_save_ended(
    sender: type[User], instance: User, created: bool, raw: bool = False, **kwargs: Any
) -> None:
    from accounts import services  # services imports this module

    if created or raw:
        return
    if not instance.may_enter:
        services.families_end(user_id=instance.pk)
        announce_ended(user_id=instance.pk)
    elif instance.password_changed_now:
        services.families_end(user_id=instance.pk, keep=instance.keep_family_id)


@receiver(post_delete, sender=User)
def user_deleted(sender: type[User], instance: User, **kwargs: Any) -> None:
    announce_ended(user_id=instance.pk)
