"""What every way of running shares. dev, test and prod change only what differs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from config import env as environment
from config.settings.parts.admin import UNFOLD as UNFOLD
from config.settings.parts.api import REST_FRAMEWORK as REST_FRAMEWORK
from config.settings.parts.api import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS
from config.settings.parts.security import CONTENT_SECURITY_POLICY as CONTENT_SECURITY_POLICY
from config.settings.parts.storage import broker, channel_layer, database, own_names

ENV = environment.read()
SECRETS = environment.read_secrets(ENV.data)
BASE_DIR = environment.ROOT

SECRET_KEY = SECRETS["secret_key"]
SIMPLE_JWT = {
    "SIGNING_KEY": SECRETS["signing_key"],
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=30),
}
DEBUG = False
ALLOWED_HOSTS = [*ENV.allowed_hosts, *own_names(ENV.host)]
CSRF_TRUSTED_ORIGINS = list(ENV.trusted_origins)

# It warns of unique texts past 255 characters, a limit of InnoDB's old row formats; those of the servers that
# `config.checks` lets in take 768, and the longest here (a user name's key) has 450.
SILENCED_SYSTEM_CHECKS = ["mysql.W003"]

INSTALLED_APPS = [
    "unfold",
    "config.apps.ConfigConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "accounts",
    "models_registry",
    "conversations",
    "monitoring",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.ContentSecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES: dict[str, dict[str, Any]] = {"default": database(ENV.database_url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {"default": channel_layer(ENV.redis_url)}
CELERY_BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS = broker(ENV.redis_url, ENV.data)
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CACHES: dict[str, dict[str, Any]] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if ENV.redis_url:
    CACHES["default"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": ENV.redis_url,
    }

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = ["accounts.backends.PasswordBackend"]
PASSWORD_HASHERS = [
    "accounts.hashers.HouseArgon2Hasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
TIME_ZONE = ENV.time_zone
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = ENV.data / "static"
PAGE_DIST = BASE_DIR / "frontend" / "dist"
STATICFILES_DIRS = [("page", PAGE_DIST)] if PAGE_DIST.exists() else []
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # The page's files carry a hash in their names from the build; those of the admin need none.
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/page/assets/.+[-.][A-Za-z0-9_-]{8,}\..+$"
MEDIA_ROOT = ENV.data / "files"

# A prompt may be long; a body past this is refused with 413 before it is read.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": ENV.log_level},
    "loggers": {"django.server": {"level": "WARNING"}, "daphne": {"level": "WARNING"}},
}

HEARTH_DATA = ENV.data
HEARTH_INFERENCE = ENV.inference
HEARTH_INFERENCE_SECRET = "" if ENV.inference.startswith("unix:") else SECRETS["inference_secret"]
HEARTH_LOGIN_LIMIT = ENV.login_limit
HEARTH_HUBS = {
    "modelscope": {"endpoint": ENV.modelscope_endpoint, "token": ENV.modelscope_token},
    "huggingface": {"endpoint": ENV.huggingface_endpoint, "token": ENV.huggingface_token},
}
HEARTH_HUB_CACHES = {"modelscope": ENV.modelscope_cache, "huggingface": ENV.huggingface_cache}
HEARTH_FIRST_DOWNLOAD = ENV.first_download
