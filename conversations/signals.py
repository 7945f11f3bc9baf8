"""What follows for conversations when something else changes."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import pre_delete
from django.dispatch import receiver

from conversations.models import Conversation


@receiver(pre_delete, sender="models_registry.Model", dispatch_uid="conversations.model_lost")
def model_lost(instance: Any, **kwargs: Any) -> None:
    """Conversations for which it was chosen remember its name; the foreign key is about to become NULL."""
    Conversation.objects.filter(model_id=instance.pk).update(lost_model=instance.name)
