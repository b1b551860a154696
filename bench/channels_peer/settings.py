"""Django's settings."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

_address = urlsplit(os.environ["CHANNELS_DATABASE_URL"])

SECRET_KEY = os.environ["HUB_KEYS"]
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["channels", "bench.channels_peer"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _address.path.lstrip("/"),
        "USER": _address.username,
        "PASSWORD": unquote(_address.password or ""),
        "HOST": _address.hostname,
        "PORT": _address.port,
        "CONN_MAX_AGE": None,
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [os.environ["REDIS_URL"]]},
    }
}
