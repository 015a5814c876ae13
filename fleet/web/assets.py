"""Scripts and style sheets: ours, and the one file of htmx that its package ships. Each is named by its digest and kept by browsers."""

from __future__ import annotations

import hashlib
from importlib.metadata import files as files_of
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

_HERE = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HTMX = "htmx-2.min.js"
SHEET = "console.css"
PARTS = ("base", "frame", "tables", "words", "forms", "accounts", "people", "cases", "rules", "figures", "print")
"""Of the console's style sheet, in `static/console/`, in the order in which they hold: a later one has the last word."""
_FOR_EVER = "public, max-age=31536000, immutable"
_DIGITS = 12


class Assets:
    """Everything that pages load beside themselves."""

    def __init__(self) -> None:
        found = {path.name: path for path in _HERE.iterdir() if path.suffix in _TYPES}
        # By its list of files: importing the package would import Django.
        htmx = next(each for each in files_of("django-htmx") or () if each.name == _HTMX)
        found[_HTMX] = Path(str(htmx.locate()))
        self._bytes = {name: path.read_bytes() for name, path in found.items()}
        self._bytes[SHEET] = b"\n".join((_HERE / "console" / f"{part}.css").read_bytes() for part in PARTS)
        self._digests = {name: hashlib.sha256(body).hexdigest()[:_DIGITS] for name, body in self._bytes.items()}

    def url(self, name: str) -> str:
        """Return the address of a file; another content has another address."""
        return f"/static/{self._digests[name]}/{name}"

    def router(self) -> APIRouter:
        """Return the route that serves them."""
        router = APIRouter(include_in_schema=False)

        @router.get("/static/{digest}/{name}")
        def asset(digest: str, name: str) -> Response:
            """Return one file."""
            if self._digests.get(name) != digest:
                return PlainTextResponse("Not Found", status_code=404)
            return Response(
                self._bytes[name], media_type=_TYPES[Path(name).suffix], headers={"Cache-Control": _FOR_EVER}
            )

        return router
