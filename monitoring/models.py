"""Signs of life of processes that nobody can call."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Beat(models.Model):
    """A process says that it is alive by renewing its row every few seconds."""

    id = models.CharField(primary_key=True, max_length=64, help_text="role and process, unique per start")
    role = models.CharField(_("role"), max_length=16)
    pid = models.PositiveIntegerField("pid")
    rss_bytes = models.BigIntegerField(_("memory"), default=0)
    seen = models.DateTimeField(_("seen"), db_index=True)

    class Meta:
        verbose_name = _("process")
        verbose_name_plural = _("processes")

    def __str__(self) -> str:
        return f"{self.role} {self.pid}"
