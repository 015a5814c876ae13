"""The console's pages. Names are shown, document numbers never; there is no sign-in yet, so it is served to this machine only."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import tzinfo
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fleet.clock import Clock, day_of
from fleet.errors import DatabaseUnavailable
from fleet.keys import FieldCipher
from fleet.store import console
from fleet.store.database import Availability, Database
from fleet.store.links import gaps
from fleet.web.texts import LANGUAGES, Texts, load_texts
from fleet.web.views import SYMBOLS, person_row, record_row, terminal_row

logger = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_PEOPLE = 200
"""People on the page, those with the newest events first."""
_RECORDS = 50
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Console:
    """Renders the console's pages."""

    def __init__(self, database: Database, cipher: FieldCipher, *, fleet_id: str, zone: tzinfo, clock: Clock) -> None:
        self._database = database
        self._cipher = cipher
        self._fleet_id = fleet_id
        self._zone = zone
        self._clock = clock
        self._texts = load_texts()
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, template: str, language: str) -> str:
        """Return the whole page or its live part.

        Raises:
            DatabaseUnavailable: if there is nothing to read from.
        """
        return self._templates.get_template(template).render(self._contents(self.texts(language)))

    def render_unavailable(self, language: str) -> str:
        """Return the page that stands in while the database is away."""
        return self._templates.get_template("unavailable.html").render(texts=self.texts(language))

    def time_text(self) -> str:
        """Return the agency's time of day, to the second."""
        return self._clock().astimezone(self._zone).strftime("%H:%M:%S")

    def texts(self, language: str) -> Texts:
        """Return the texts of a language, or of the default one."""
        return self._texts.get(language) or next(iter(self._texts.values()))

    def _contents(self, texts: Texts) -> dict[str, Any]:
        now = self._clock()
        with self._database.begin() as connection:
            people = console.latest_subject_lines(connection, limit=_PEOPLE)
            records = console.record_lines(connection, limit=_RECORDS)
            terminals = console.terminal_lines(connection)
            missing = gaps(connection)
            unknown = console.unknown_senders(connection)
        today = day_of(now, self._zone)
        return {
            "texts": texts,
            "languages": LANGUAGES,
            "symbols": SYMBOLS,
            "fleet_id": self._fleet_id,
            "now": self.time_text(),
            "people": [person_row(p, cipher=self._cipher, today=today, zone=self._zone) for p in people],
            "records": [record_row(r, cipher=self._cipher, zone=self._zone) for r in records],
            "terminals": [terminal_row(t, missing, zone=self._zone) for t in terminals],
            "unknown_senders": unknown,
        }


def console_router(pages: Console) -> APIRouter:
    """Return the console's routes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def page(lang: str = "") -> HTMLResponse:
        """Return the console."""
        return HTMLResponse(pages.render("page.html", lang))

    @router.get("/fragment")
    def fragment(lang: str = "") -> HTMLResponse:
        """Return the live part, fetched again and again by the page."""
        return HTMLResponse(pages.render("fragment.html", lang), headers={"Lifecert-Time": pages.time_text()})

    return router


def add_console(app: FastAPI, pages: Console, *, api_problem: Callable[[int, str, str], Response]) -> None:
    """Add pages, static files, headers and the answer for a database that is away.

    Args:
        app: to what.
        pages: the console.
        api_problem: makes the open interface's answer of a status, a code and a sentence.
    """
    app.include_router(console_router(pages))
    app.mount("/static", StaticFiles(directory=_HERE / "static"))
    state = Availability("database for the console")

    @app.exception_handler(DatabaseUnavailable)
    def unavailable(request: Request, error: DatabaseUnavailable) -> Response:
        state.lost(error)
        if request.url.path.startswith("/api/"):
            answer = api_problem(503, "unavailable", "database unavailable")
            answer.headers["Retry-After"] = "5"
            return answer
        text = pages.render_unavailable(request.query_params.get("lang", ""))
        return HTMLResponse(text, status_code=503, headers={"Retry-After": "5"})

    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            response = await call_next(request)
        except Exception:
            # Top of a request: without an answer of ours the server would send one without these headers.
            logger.exception("page not made path=%r", request.url.path)
            if request.url.path.startswith("/api/"):
                response = api_problem(500, "fault", "a fault of ours; it is written down")
            else:
                response = PlainTextResponse("Internal Server Error", status_code=500)
        for name, value in _HEADERS.items():
            # A page that knows better, such as one that may be kept, says so itself.
            response.headers.setdefault(name, value)
        if response.status_code == 200 and request.url.path in ("/", "/fragment"):
            state.back()
        return response
