"""The ASGI application: HTTP to Django, sockets to the consumers, and the turns that run beside both."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from conversations.routing import websocket_urlpatterns  # noqa: E402
from conversations.runner import runner  # noqa: E402


async def _no_such_socket(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.close", "code": 4404})


async def _lifespan(scope: Any, receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            runner.ensure_started()
            await send({"type": "lifespan.startup.complete"})
        else:
            await runner.shutdown()
            await send({"type": "lifespan.shutdown.complete"})
            return


_sockets = URLRouter([*websocket_urlpatterns])
_paths = {f"/{pattern.pattern}" for pattern in websocket_urlpatterns}


async def _websocket(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] in _paths:
        await _sockets(scope, receive, send)
    else:
        await _no_such_socket(scope, receive, send)


_router = ProtocolTypeRouter({"http": django_application, "websocket": _websocket, "lifespan": _lifespan})


async def application(scope: Any, receive: Any, send: Any) -> None:
    # daphne knows no lifespan: there the first connection starts what runs beside.
    if scope["type"] != "lifespan":
        runner.ensure_started()
    await _router(scope, receive, send)
