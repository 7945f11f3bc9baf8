"""`manage.py` by hand and `runserver` (which daphne serves)."""

from config.settings.base import *  # noqa: F403
from config.settings.base import INSTALLED_APPS

DEBUG = True
INSTALLED_APPS = ["daphne", *INSTALLED_APPS]
