from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from django.contrib.auth.hashers import Argon2PasswordHasher

# One thread, for memory more than for time: the C library keeps what a hash took, for each thread anew.
# Measured, 20 people who sign in together: a web process of 98 MB grew to 329 MB and stayed there; with one
# thread to 116 MB, and the last of them waited 0.55 s.
_thread = ThreadPoolExecutor(1, thread_name_prefix="password")


class HouseArgon2Hasher(Argon2PasswordHasher):
    """Argon2id with OWASP's parameters (Password Storage Cheat Sheet: 19 MiB, t=2, p=1), one hash at a time.

    Django's own take 100 MiB for each hash: twenty people who sign in together would need 2 GB on a laptop.
    """

    memory_cost = 19 * 1024  # KiB
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        return _thread.submit(super().encode, password, salt).result()

    def verify(self, password: str, encoded: str) -> bool:
        return _thread.submit(super().verify, password, encoded).result()
