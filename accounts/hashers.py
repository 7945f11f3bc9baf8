from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class HouseArgon2Hasher(Argon2PasswordHasher):
    """Argon2id with OWASP's parameters (Password Storage Cheat Sheet: 19 MiB, t=2, p=1).

    Django's own take 100 MiB for each hash: twenty people who sign in together would need 2 GB on a laptop.
    """

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1
