"""Database, channel layer and broker: nothing to install on a laptop, servers where there are some."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import dj_database_url


def database(url: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=0))
    if found["ENGINE"].endswith("sqlite3"):
        found["ENGINE"] = "config.sqlite"
        found["OPTIONS"] = {
            **found.get("OPTIONS", {}),
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # WAL with NORMAL: a commit survives the death of the process; after a power cut the last ones
            # may be missing, the file is never damaged.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;",
        }
        # A test's threads must see one database, so it is a file, not memory.
        found["TEST"] = {"NAME": str(Path(found["NAME"]).with_suffix(".test.sqlite3"))}
    elif found["ENGINE"].endswith("mysql"):
        found["OPTIONS"] = {
            **found.get("OPTIONS", {}),
            "charset": "utf8mb4",
            "isolation_level": "read committed",
            "init_command": "SET sql_mode='STRICT_TRANS_TABLES', innodb_lock_wait_timeout=20",
        }
        # utf8mb4_bin: other collations fold case and accents in unique keys.
        found["TEST"] = {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_bin"}
    return found


def channel_layer(redis_url: str) -> dict[str, Any]:
    """Hints only: what must not be lost is in the database."""
    if redis_url:
        return {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [redis_url], "prefix": "hearth"},
        }
    return {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 1000}}


def broker(redis_url: str, data: Path) -> tuple[str, dict[str, Any]]:
    if redis_url:
        return redis_url, {"global_keyprefix": "hearth."}
    folder = data / "broker"
    names = {
        "data_folder_in": folder / "messages",
        "data_folder_out": folder / "messages",
        "processed_folder": folder / "done",
        "control_folder": folder / "control",
    }
    for path in names.values():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return "filesystem://", {name: str(path) for name, path in names.items()} | {"store_processed": False}


def own_names(host: str) -> list[str]:
    """The names this machine may be called by: loopback always, its addresses when it listens beyond."""
    names = {"localhost", "127.0.0.1", "[::1]"}
    if host in ("127.0.0.1", "::1", "localhost"):
        return sorted(names)
    import psutil

    names |= {socket.gethostname(), socket.getfqdn(), host}
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family == socket.AF_INET:
                names.add(address.address)
            elif address.family == socket.AF_INET6:
                names.add(f"[{address.address.partition('%')[0]}]")
    return sorted(names - {"0.0.0.0", "::", ""})
