"""What start.py and containers run."""

from config.settings.base import *  # noqa: F403
