"""What the idle web process should not carry (a fresh Python tells)."""

from __future__ import annotations

import os
import subprocess
import sys

HEAVY = ["torch", "transformers", "cryptography.fernet", "celery", "pynvml", "psutil"]


def test_the_apps_import_nothing_heavy() -> None:
    script = f"""
import sys, django
django.setup()
import models_registry.urls, monitoring.urls
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
