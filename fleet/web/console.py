"""The console: an application of its own, with its pages, its answers to what goes wrong, and what each page works with."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from functools import cached_property, partial

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy import Connection, text
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from fleet.accounts.factors import Factors
from fleet.accounts.passwords import Passwords
from fleet.accounts.rules import AccountRules
from fleet.accounts.signing_in import SignIn
from fleet.accounts.turns import TooBusy
from fleet.clock import Clock, day_of
from fleet.errors import DatabaseUnavailable
from fleet.keys import FleetKeys
from fleet.settings import Settings
from fleet.status.projection import Judging
from fleet.status.trials import Trials
from fleet.store.database import Availability, Database
from fleet.web.assets import Assets
from fleet.web.beside import Runs
from fleet.web.rendering import Renderer
from fleet.web.texts import LANGUAGES, load_texts

logger = logging.getLogger(__name__)

_PROGRAMS = ("/api/", "/openapi.json", "/healthz", "/slip", "/hooks/")
"""Addresses that programs and telephones ask; all others are the console's."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
"""`data:` is for charts, which are pictures made here. A referrer goes to ourselves only, and never with a person's address elsewhere."""


@dataclass(frozen=True)
class Console:
    """What pages work with."""

    database: Database
    keys: FleetKeys
    settings: Settings
    clock: Clock
    account_rules: AccountRules
    after_reports: Callable[[datetime], object]
    """Called with the moment at which reports about people's lives were stored, once they are."""
    judging: Callable[[datetime], Judging]
    """Gives what judges people's passes anew at a moment, for work on reports and on passes that contradict them."""
    assets: Assets = field(default_factory=Assets)

    @property
    def zone(self) -> tzinfo:
        """Where a day ends."""
        return self.settings.zone()

    @cached_property
    def renderer(self) -> Renderer:
        """What makes pages of templates and texts."""
        return Renderer(load_texts(), self.assets, fleet_id=self.settings.fleet_id, zone=self.zone)

    @cached_property
    def sign_in(self) -> SignIn:
        """The steps of signing in."""
        return SignIn(self.database, self.keys.cipher, self._passwords, self.account_rules)

    @cached_property
    def factors(self) -> Factors:
        """What changes the ways of signing in."""
        return Factors(self.database, self.keys.cipher, self._passwords, self.account_rules)

    @cached_property
    def _passwords(self) -> Passwords:
        return Passwords()

    @cached_property
    def trials(self) -> Trials:
        """What works out trials of rule packs beside the pages."""
        return Trials(self.database, self.keys.cipher, zone=self.zone, clock=self.clock)

    @cached_property
    def runs(self) -> Runs:
        """What does beside the pages what takes longer than one may."""
        return Runs(self.database, self.keys.cipher, clock=self.clock)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Give a transaction; see `fleet.store.database.Database.begin`. Each statement is planned for what it asks for.

        A plan for any filter and any number of areas looks through a long list of areas for every row, in place of into a hash table.
        """
        with self.database.begin() as connection:
            connection.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
            yield connection

    def today(self, now: datetime) -> date:
        """Return the agency's calendar day."""
        return day_of(now, self.zone)


def language_of(request: Request) -> str:
    """Return the language of a request: as it asks, as chosen before, as the browser prefers, or the default."""
    asked = (request.query_params.get("lang", ""), request.cookies.get(LANGUAGE_COOKIE, ""))
    preferred = (each.partition(";")[0].strip()[:2] for each in request.headers.get("accept-language", "").split(","))
    return next((each for each in (*asked, *preferred) if each in LANGUAGES), next(iter(LANGUAGES)))


LANGUAGE_COOKIE = "lifecert-language"
_A_YEAR_S = 365 * 86_400


def make_console(console: Console, add_pages: Callable[[FastAPI], None]) -> FastAPI:
    """Return the application.

    Args:
        console: what pages work with.
        add_pages: adds every page.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.console = console
    app.include_router(console.assets.router())
    add_pages(app)
    _add_faults(app, console)

    @app.middleware("http")
    async def around(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        # No text of the database has one, and no address of ours.
        if "\0" in request.url.path or "%00" in request.url.query:
            return fault_page(console, request, 404, "not_found")
        response = await call_next(request)
        if console.account_rules.is_secure:
            response.headers["Strict-Transport-Security"] = f"max-age={_A_YEAR_S}"
        asked = request.query_params.get("lang", "")
        if asked in LANGUAGES and request.cookies.get(LANGUAGE_COOKIE) != asked:
            response.set_cookie(LANGUAGE_COOKIE, asked, max_age=_A_YEAR_S, httponly=True, samesite="lax")
        return response

    return app


def fault_page(
    console: Console,
    request: Request,
    status: int,
    code: str,
    headers: dict[str, str] | None = None,
    *,
    facts: Mapping[str, str] | None = None,
) -> Response:
    """Return the page that stands in for one that cannot be shown; `code` is one of `texts.fault`, which names the facts."""
    contents = {"code": code, "facts": facts or {}}
    return console.renderer.page("fault.html", language_of(request), status=status, headers=headers, contents=contents)


def _add_faults(app: FastAPI, console: Console) -> None:
    """Answer what goes wrong with a page that says what to do."""
    state = Availability("database for the console")

    fault = partial(fault_page, console)

    @app.exception_handler(DatabaseUnavailable)
    def unavailable(request: Request, error: DatabaseUnavailable) -> Response:
        state.lost(error)
        return fault(request, 503, "unavailable", {"Retry-After": "5"})

    @app.exception_handler(TooBusy)
    def busy(request: Request, _error: TooBusy) -> Response:
        return fault(request, 503, "busy", {"Retry-After": "10"})

    @app.exception_handler(RequestValidationError)
    def unusable(request: Request, _error: RequestValidationError) -> Response:
        return fault(request, 400, "unusable")

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        known = {403: "not_permitted", 404: "not_found", 405: "not_found", 413: "too_large", 415: "wrong_kind"}
        # Where something is too large, it says how large it may be.
        facts = {"most": error.detail} if error.status_code == 413 else {}
        return fault(request, error.status_code, known.get(error.status_code, "unusable"), facts=facts)

    @app.middleware("http")
    async def broken(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            response = await call_next(request)
        except Exception:
            # Top of a request; only which page it was is written down, because an address may hold a name or the token of a link.
            logger.exception("page not made route=%r", getattr(request.scope.get("route"), "path", None))
            return fault(request, 500, "broken")
        if response.status_code == 200 and not request.url.path.startswith("/static/"):
            state.back()
        return response


class ConsolePart:
    """Gives the console what is for people; the open interface and all else that programs ask goes on to the other application."""

    def __init__(self, app: ASGIApp, *, console: ASGIApp) -> None:
        self._app = app
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_page = scope["type"] == "http" and not scope["path"].startswith(_PROGRAMS)
        await (self._console if is_page else self._app)(scope, receive, send)


def with_headers(app: FastAPI, *, fault: Callable[[], Response]) -> None:
    """Have every answer of an application carry what browsers are to refuse; a page that knows better says so itself.

    Args:
        app: the application.
        fault: makes the answer to a program where we failed; without one of ours the server would send one without these headers.
    """

    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            response = await call_next(request)
        except Exception:
            # Top of a request.
            logger.exception("request not answered path=%r", request.url.path)
            response = fault()
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response
