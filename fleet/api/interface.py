"""The whole open interface: its routes, what stands before them, and its description for other programs (`/openapi.json`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from fleet.api.access import Office
from fleet.api.certifications import certifications_router
from fleet.api.guard import Guard
from fleet.api.life_events import life_events_router
from fleet.api.problems import Problem, add_problems
from fleet.api.public import PublicPart
from fleet.api.rates import Rates
from fleet.api.routes import health_router, reading_router
from fleet.api.standing import standing_router
from fleet.api.tokens import issuer_of, tokens_router
from fleet.api.webhooks import webhooks_router
from fleet.errors import DatabaseUnavailable
from fleet.partners.credentials import Caller, check_bearer
from fleet.store.database import Availability

_VERSION = "1"
_REF = "#/components/schemas/{model}"


def add_interface(
    app: FastAPI, office: Office, *, broker_state: Callable[[], str], ingest_state: Callable[[], str]
) -> None:
    """Add the open interface to an application, before anything that stands in front of it is added.

    Args:
        app: the application.
        office: what routes work with.
        broker_state: as for `health_router`.
        ingest_state: as for `health_router`.
    """
    settings = office.settings.api
    rates = Rates(concurrent=settings.concurrent, failures_per_minute=settings.failures_per_minute)
    for router in (
        reading_router(office),
        certifications_router(office),
        standing_router(office),
        life_events_router(office),
        webhooks_router(office),
        tokens_router(office, rates),
        health_router(office, broker_state=broker_state, ingest_state=ingest_state),
    ):
        app.include_router(router)
    database_state = Availability("database for the open interface")
    add_problems(app, database_state)
    issuer = issuer_of(office)

    def find_caller(given: str) -> Caller | None:
        try:
            with office.database.begin() as connection:
                caller = check_bearer(connection, issuer, given, now=office.clock(), zone=office.zone)
        except DatabaseUnavailable as error:
            database_state.lost(error)
            raise
        database_state.back()
        return caller

    app.add_middleware(
        Guard,
        find_caller=find_caller,
        rates=rates,
        body_bytes=settings.body_kib * 1024,
        body_wait_s=settings.body_wait_s,
    )
    app.add_middleware(PublicPart, names=settings.public_names, console=office.settings.console_host)
    app.openapi = lambda: _description(app)  # type: ignore[method-assign]  # the framework's own way to do it


def _description(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=_VERSION, routes=app.routes, description=_ABOUT)
        schemas = found.setdefault("components", {}).setdefault("schemas", {})
        problem = Problem.model_json_schema(ref_template=_REF)
        schemas.update(problem.pop("$defs", {}))
        schemas["Problem"] = problem
        app.openapi_schema = found
    return app.openapi_schema


_ABOUT = (
    "Other systems post what they certified, ask where people stand, and are told what changes. Every route under"
    " `/api/v1` needs an API key or an access token as bearer credential; errors are problem details after RFC 9457."
)
