"""The tests: everything real, except that a password is hashed fast and data lives in a temporary folder."""

import os
import tempfile

if "HEARTH_DATA" not in os.environ:
    os.environ["HEARTH_DATA"] = tempfile.mkdtemp(prefix="hearth-test-")

from config.settings.base import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Whatever the shell says: no test asks a hub that it did not start.
HEARTH_FIRST_DOWNLOAD = False
