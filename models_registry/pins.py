"""Which models stay in memory. The list is ours; the model service forgets its own when it ends.

So the worker compares the two every few seconds, and nobody has to notice that the service is a new one.
"""

from __future__ import annotations

import asyncio

from django.conf import settings

from inference.client import InferenceClient
from inference.protocol import ModelSpec
from models_registry.models import Model


class Pins:
    """What one worker has told the model service. `due` reads the database, `tell` only the network."""

    def __init__(self) -> None:
        self._told: set[str] | None = None

    def due(self) -> set[str] | None:
        """Ids of the models that stay; None when nothing is to be told: a new service has no pins either."""
        wanted = set(Model.objects.filter(pinned=True).values_list("id", flat=True))
        return wanted if wanted or self._told != wanted else None

    def tell(self, wanted: set[str]) -> None:
        """Make the service's pins these. Raises InferenceError."""
        asyncio.run(_tell(wanted))
        self._told = wanted


async def _tell(wanted: set[str]) -> None:
    client = InferenceClient(settings.HEARTH_INFERENCE, settings.HEARTH_INFERENCE_SECRET or None)
    try:
        known = set((await client.state())["pins"])
        for model_id in known ^ wanted:
            # Pinned is an id: how the model is run does not matter, and a deleted one has no row.
            await client.pin(ModelSpec(model_id, model_id, ""), model_id in wanted)
    finally:
        await client.close()
