"""The door for terminals, and for whoever sets them up; nothing else is behind this address.

It gives the fleet's root, and the claim of a code that was typed; it takes terminals in, renews their certificates, hears from one that has
erased itself, and gives bundles.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.concurrency import run_in_threadpool

from fleet.api.bodies import read_body
from fleet.api.bundle_files import Downloads
from fleet.api.problems import Refusal, add_problems
from fleet.clock import Clock
from fleet.errors import AuthorityEnded, NotFound, Refused
from fleet.keys import FleetKeys
from fleet.pki.authority import Authority
from fleet.pki.joining import Joined, Waits, claim_typed, join, renew, trusted_root
from fleet.settings import Settings
from fleet.store.database import Availability, Database
from fleet.terminals.changing import TerminalChanges
from fleet.updates.bundles import bundle_folder
from protocol.decommissioning import DECOMMISSION_PATH, DecommissionProof
from protocol.desired import BUNDLE_PATH
from protocol.errors import ProtocolError
from protocol.provisioning import (
    CLAIM_PATH,
    JOIN_PATH,
    MAX_REQUEST_BYTES,
    RENEW_PATH,
    ROOT_PATH,
    ClaimQuestion,
    JoinAnswer,
    JoinRequest,
    ProvisioningClaim,
)
from protocol.registration import FleetIdentity
from protocol.wire import WireMessage

logger = logging.getLogger(__name__)

ITSELF = "terminal"
"""Who stands in the audit log where a terminal spoke for itself."""
_BODY_WAIT_S = 20.0
"""A terminal on a bad link sends 4 KB within this; who sends half a body holds nothing up."""
_WRONG = {"claim_unknown", "not_registered", "proof_signature"}
"""Answers by which somebody could guess on; a renewal's signature nobody guesses."""


def provisioning_app(
    database: Database, keys: FleetKeys, settings: Settings, issuing: Authority, *, clock: Clock
) -> FastAPI:
    """Return the application behind the door."""
    app = FastAPI(title="Lifecert provisioning", docs_url=None, redoc_url=None, openapi_url=None)
    add_problems(app, Availability("database for provisioning"))
    limiter = MovingWindowRateLimiter(MemoryStorage())
    downloads = Downloads(bundle_folder(settings.data_dir), most=settings.provisioning.downloads_per_address)
    wrong = RateLimitItemPerMinute(settings.provisioning.wrong_codes_per_minute)
    identity = FleetIdentity(
        fleet_id=settings.fleet_id, signing_key=keys.signing.public(), sealing_key=keys.sealing_key().public()
    )

    def demand_room(address: str) -> None:
        if not limiter.test(wrong, address):
            raise Refusal(
                429, "too_many_failures", "too many wrong codes from this address", headers={"Retry-After": "60"}
            )

    async def answered(request: Request, work: Callable[[bytes], WireMessage]) -> Response:
        address = address_of(request)
        demand_room(address)
        body = await read_body(request, most=MAX_REQUEST_BYTES, within_s=_BODY_WAIT_S)
        try:
            found = await run_in_threadpool(work, body)
        except (NotFound, Refused, ProtocolError) as error:
            code = error.code or "malformed"
            if code in _WRONG:
                limiter.hit(wrong, address)
            raise Refusal(
                422 if isinstance(error, ProtocolError) else HTTPStatus.FORBIDDEN, code, str(error)
            ) from error
        except AuthorityEnded as error:
            # A terminal tries again; whoever sees to the fleet is told by its log.
            logger.error("door: %s", error)  # noqa: TRY400 - the message says all, a trace nothing
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "no certificates are issued now") from error
        return Response(found.to_bytes(), media_type="application/json")

    def joined(body: bytes) -> JoinAnswer:
        wish = JoinRequest.parse(body)
        with database.begin() as connection:
            found = join(connection, keys.cipher, issuing, wish, fleet_id=settings.fleet_id, now=clock())
        return _told(found, identity, settings)

    def decommissioned(body: bytes) -> DecommissionProof:
        with database.begin() as connection:
            # Nobody did this but the terminal itself, or whoever stood before it.
            changes = TerminalChanges(connection, keys.cipher, by=ITSELF, reason=None, now=clock())
            return changes.decommission(body, fleet_id=settings.fleet_id)

    def told(body: bytes) -> ProvisioningClaim:
        question = ClaimQuestion.parse(body)
        with database.begin() as connection:
            return claim_typed(connection, question, settings, now=clock())

    @app.get(ROOT_PATH)
    async def show_root() -> Response:
        # Whoever asks for it trusts nobody yet, and compares it with what stands on paper.
        try:
            root = await run_in_threadpool(trusted_root, settings)
        except Refused as error:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "no root certificate") from error
        return Response(root, media_type="application/x-pem-file")

    @app.post(CLAIM_PATH)
    async def tell_claim(request: Request) -> Response:
        return await answered(request, told)

    @app.post(JOIN_PATH)
    async def take_in(request: Request) -> Response:
        return await answered(request, joined)

    @app.post(RENEW_PATH + "/{terminal_id}")
    async def give_next(request: Request, terminal_id: str) -> Response:
        def renewed(body: bytes) -> JoinAnswer:
            with database.begin() as connection:
                found = renew(connection, issuing, terminal_id, body, fleet_id=settings.fleet_id, now=clock())
            return _told(found, identity, settings)

        return await answered(request, renewed)

    @app.post(DECOMMISSION_PATH)
    async def take_proof(request: Request) -> Response:
        return await answered(request, decommissioned)

    @app.get(BUNDLE_PATH + "/{bundle_id}")
    async def give_bundle(request: Request, bundle_id: str) -> Response:
        # No question to the database: an update is fetched while it is away as well. Wrong codes and this have nothing to do with one
        # another: a digest is not found by guessing, and terminals that ask for a bundle that is gone must not shut the door for those
        # behind the same router that come with a claim. `downloads` counts what an address has open.
        found = downloads.answer(address_of(request), bundle_id, request.headers)
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "bundle_unknown", "no bundle of this name")
        return found

    return app


def address_of(request: Request) -> str:
    """Return whom a request comes from."""
    return request.client.host if request.client else ""


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
