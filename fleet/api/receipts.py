"""Where gateways call back and say what became of messages: `POST /hooks/reminders/{channel}`, signed with the gateway's own secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import tzinfo

from fastapi import APIRouter, HTTPException, Request
from starlette.concurrency import run_in_threadpool

from fleet.api.bodies import read_body
from fleet.clock import Clock
from fleet.errors import DatabaseUnavailable, Refused
from fleet.reminders.receipts import MAX_BYTES, Callback, apply_receipts, parse_callback
from fleet.reminders.webhook import SIGNATURE, TIMESTAMP, verify_callback
from fleet.store.database import Database

_BODY_WAIT_S = 10.0
"""As for partners: a gateway that sends half a body holds nothing up."""


def receipts_router(database: Database, keys: Mapping[str, bytes], *, zone: tzinfo, clock: Clock) -> APIRouter:
    """Return the routes for gateways.

    Args:
        database: where the outbox is.
        keys: secret of each channel's gateway.
        zone: where a day ends.
        clock: tells a new callback from a recorded one.
    """
    router = APIRouter()

    @router.post("/hooks/reminders/{channel}", include_in_schema=False)
    async def take(channel: str, request: Request) -> dict[str, int]:
        """Take receipts; 401 with a wrong signature, 422 where nothing can be read, 503 where they must be sent again."""
        key = keys.get(channel)
        if key is None:
            raise HTTPException(404, "no gateway of this name")
        body = await read_body(request, most=MAX_BYTES, within_s=_BODY_WAIT_S)
        stamp, said = request.headers.get(TIMESTAMP, ""), request.headers.get(SIGNATURE, "")
        try:
            verify_callback(key, stamp, said, body, now=clock())
        except Refused as error:
            raise HTTPException(401, str(error)) from error
        try:
            found: Callback = parse_callback(body)
        except Refused as error:
            raise HTTPException(422, str(error)) from error
        try:
            done = await run_in_threadpool(apply_receipts, database, channel, found.receipts, zone=zone, now=clock())
        except DatabaseUnavailable as error:
            raise HTTPException(503, "try again later") from error
        return asdict(done)

    return router
