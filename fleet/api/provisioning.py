"""The door for new terminals: two questions over HTTPS, and nothing else behind this address (`protocol.provisioning`)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.concurrency import run_in_threadpool

from fleet.api.bodies import read_body
from fleet.api.problems import Refusal, add_problems
from fleet.clock import Clock
from fleet.errors import Refused
from fleet.keys import FleetKeys
from fleet.pki.authority import Authority
from fleet.pki.joining import Joined, Waits, join, renew
from fleet.settings import Settings
from fleet.store.database import Availability, Database
from protocol.errors import ProtocolError
from protocol.provisioning import JOIN_PATH, MAX_REQUEST_BYTES, RENEW_PATH, JoinAnswer, JoinRequest
from protocol.registration import FleetIdentity

_BODY_WAIT_S = 20.0
"""A terminal on a bad link sends 4 KB within this; who sends half a body holds nothing up."""
_WRONG = {"claim_unknown", "renewal"}
"""Answers by which somebody could guess on."""


def provisioning_app(
    database: Database, keys: FleetKeys, settings: Settings, issuing: Authority, *, clock: Clock
) -> FastAPI:
    """Return the application behind the door."""
    app = FastAPI(title="Lifecert provisioning", docs_url=None, redoc_url=None, openapi_url=None)
    add_problems(app, Availability("database for provisioning"))
    limiter = MovingWindowRateLimiter(MemoryStorage())
    wrong = RateLimitItemPerMinute(settings.provisioning.wrong_codes_per_minute)
    identity = FleetIdentity(
        fleet_id=settings.fleet_id, signing_key=keys.signing.public(), sealing_key=keys.sealing_key().public()
    )

    async def answered(request: Request, work: Callable[[bytes], Joined | Waits]) -> Response:
        address = request.client.host if request.client else ""
        if not limiter.test(wrong, address):
            raise Refusal(
                429, "too_many_failures", "too many wrong codes from this address", headers={"Retry-After": "60"}
            )
        body = await read_body(request, most=MAX_REQUEST_BYTES, within_s=_BODY_WAIT_S)
        try:
            found = await run_in_threadpool(work, body)
        except (Refused, ProtocolError) as error:
            code = error.code or "malformed"
            if code in _WRONG:
                limiter.hit(wrong, address)
            raise Refusal(HTTPStatus.FORBIDDEN if isinstance(error, Refused) else 422, code, str(error)) from error
        return Response(_told(found, identity, settings).to_bytes(), media_type="application/json")

    def joined(body: bytes) -> Joined | Waits:
        wish = JoinRequest.parse(body)
        with database.begin() as connection:
            return join(connection, keys.cipher, issuing, wish, fleet_id=settings.fleet_id, now=clock())

    @app.post(JOIN_PATH)
    async def take_in(request: Request) -> Response:
        return await answered(request, joined)

    @app.post(RENEW_PATH + "/{terminal_id}")
    async def give_next(request: Request, terminal_id: str) -> Response:
        def renewed(body: bytes) -> Joined:
            with database.begin() as connection:
                return renew(connection, issuing, terminal_id, body, fleet_id=settings.fleet_id, now=clock())

        return await answered(request, renewed)

    return app


def _told(found: Joined | Waits, identity: FleetIdentity, settings: Settings) -> JoinAnswer:
    if isinstance(found, Waits):
        return JoinAnswer(verdict="waits")
    return JoinAnswer(
        verdict="joined",
        certificate=found.certificate.chain.decode(),
        fleet_identity=identity.to_bytes().decode(),
        broker_host=settings.provisioning.broker_host,
        broker_port=settings.provisioning.broker_port,
    )
