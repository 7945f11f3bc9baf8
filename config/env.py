"""The environment, read once and typed. A bad value stops the start and says what would be right."""

from __future__ import annotations

import json
import os
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from environ import Env, ImproperlyConfigured

from system import address

ROOT = Path(__file__).resolve().parent.parent
_SECRETS = ("secret_key", "signing_key", "inference_secret")


@dataclass(frozen=True)
class Environment:
    """What this installation is told from outside; docs/reference/settings.md lists the variables."""

    data: Path
    run: Path
    host: str
    port: int
    database_url: str
    redis_url: str
    inference: str
    server: str
    allowed_hosts: tuple[str, ...]
    trusted_origins: tuple[str, ...]
    time_zone: str
    login_limit: str
    log_level: str
    modelscope_endpoint: str
    huggingface_endpoint: str
    modelscope_cache: Path
    huggingface_cache: Path
    first_download: bool
    modelscope_token: str = field(repr=False)
    huggingface_token: str = field(repr=False)

    @property
    def listens_beyond_loopback(self) -> bool:
        return self.host not in ("127.0.0.1", "::1", "localhost")


def read() -> Environment:
    env = Env()
    try:
        data = Path(env.str("HEARTH_DATA", default=str(ROOT / "data"))).expanduser().resolve()
        face = env.str("HF_HOME", default="~/.cache/huggingface")
        run = Path(env.str("HEARTH_RUN", default=str(data / "run")))
        return Environment(
            data=data,
            run=run,
            host=env.str("HEARTH_HOST", default="127.0.0.1"),
            port=env.int("HEARTH_PORT", default=8000),
            database_url=env.str("DATABASE_URL", default=f"sqlite:///{data / 'hearth.sqlite3'}"),
            redis_url=env.str("REDIS_URL", default=""),
            inference=env.str("HEARTH_INFERENCE", default=address.default(run)),
            server=_one_of(env.str("SERVER", default="uvicorn"), "SERVER", ("uvicorn", "daphne")),
            allowed_hosts=tuple(env.list("HEARTH_ALLOWED_HOSTS", default=[])),
            trusted_origins=tuple(env.list("HEARTH_TRUSTED_ORIGINS", default=[])),
            time_zone=env.str("HEARTH_TIME_ZONE", default="UTC"),
            login_limit=env.str("HEARTH_LOGIN_LIMIT", default="10/300"),
            log_level=_one_of(
                env.str("HEARTH_LOG_LEVEL", default="INFO"),
                "HEARTH_LOG_LEVEL",
                ("DEBUG", "INFO", "WARNING", "ERROR"),
            ),
            modelscope_endpoint=_hub(
                "https://modelscope.cn",
                env.str("HEARTH_MODELSCOPE_ENDPOINT", default=""),
                env.str("MODELSCOPE_ENDPOINT", default=""),
                env.str("MODELSCOPE_DOMAIN", default=""),
            ),
            huggingface_endpoint=_hub(
                "https://huggingface.co",
                env.str("HEARTH_HF_ENDPOINT", default=""),
                env.str("HF_ENDPOINT", default=""),
            ),
            modelscope_cache=Path(env.str("MODELSCOPE_CACHE", default="~/.cache/modelscope")).expanduser(),
            huggingface_cache=Path(env.str("HF_HUB_CACHE", default="") or f"{face}/hub").expanduser(),
            first_download=_one_of(
                env.str("HEARTH_FIRST_DOWNLOAD", default="") or "0", "HEARTH_FIRST_DOWNLOAD", ("0", "1")
            )
            == "1",
            modelscope_token=env.str("MODELSCOPE_API_TOKEN", default="").strip(),
            huggingface_token=env.str("HF_TOKEN", default="").strip(),
        )
    except (ImproperlyConfigured, ValueError) as error:
        sys.exit(f"A setting in the environment is wrong: {error}")


def _hub(usual: str, *values: str) -> str:
    """The address of a hub or its mirror, the first that is set; a bare host is taken as https."""
    value = next((value for value in map(str.strip, values) if value), usual).rstrip("/")
    address = value if "://" in value else f"https://{value}"
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
        raise ValueError(f"a hub's address is {value!r}; it can be one like {usual} or https://hf-mirror.com")
    return address


def _one_of(value: str, name: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it can be {', '.join(allowed)}")
    return value


def read_secrets(data: Path) -> dict[str, str]:
    """The keys of this installation, made on first use and readable by its owner only (0600).

    Two processes may start at the same moment on an empty folder: the file is made aside and linked into
    place, so the first one wins and both read the same keys.
    """
    path = data / "secrets.json"
    if not path.exists():
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = data / f"secrets.{os.getpid()}.part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({name: secrets.token_urlsafe(48) for name in _SECRETS}, file, indent=1)
        try:
            os.link(part, path)
        except FileExistsError:
            pass
        finally:
            part.unlink()
    found = json.loads(path.read_text())
    missing = [name for name in _SECRETS if not found.get(name)]
    if missing:
        sys.exit(f"{path} lacks {', '.join(missing)}; restore the file, or remove it to make new keys")
    return {name: str(found[name]) for name in _SECRETS}
