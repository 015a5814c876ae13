"""What may be reached from outside through a reverse proxy: the open interface under its names, the console under its own and no other."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_SERVED = ("/api/", "/openapi.json", "/slip")
_SIGNS_OF_A_PROXY = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


class PublicPart:
    """Serves only the open interface to whoever comes under a public name, or by a proxy under another name than the console's.

    Args:
        app: what it stands before.
        names: the public host names of the open interface.
        console: the host name of the console.
    """

    def __init__(self, app: ASGIApp, *, names: Collection[str], console: str) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)
        self._console = console.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not scope["path"].startswith(_SERVED) and self._is_from_outside(scope):
            await PlainTextResponse("Not Found", status_code=404)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_from_outside(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        name = (headers.get("host", "").rpartition(":")[0] or headers.get("host", "")).lower()
        if name == self._console and name not in self._names:
            return False
        return name in self._names or any(sign in headers for sign in _SIGNS_OF_A_PROXY)
