"""What routes ask of a request: a scope, and an answer that is the same when the request comes again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Annotated, Any

from fastapi import Header, Request, Response, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import HTTPBearer, OAuth2, SecurityScopes
from pydantic import BaseModel
from sqlalchemy import Connection

from fleet.api.guard import TOKEN_PATH, unauthorised
from fleet.api.problems import Refusal
from fleet.audit.log import note
from fleet.clock import Clock, day_of
from fleet.keys import FleetKeys
from fleet.partners.credentials import Caller
from fleet.settings import Settings
from fleet.store.certifications import lock_partner
from fleet.store.database import Database
from fleet.store.partners import Scope
from fleet.store.replays import Answer, find_answer, save_answer

_KEY = HTTPBearer(scheme_name="key", description="An API key, `lck_...`.", auto_error=False)
_TOKEN = OAuth2(
    scheme_name="oauth2",
    description="An access token, bought with the partner's id and an API key.",
    flows=OAuthFlows(
        clientCredentials=OAuthFlowClientCredentials(
            tokenUrl=TOKEN_PATH, scopes={scope.value: scope.name.lower().replace("_", " ") for scope in Scope}
        )
    ),
    auto_error=False,
)
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9._:-]+$",
        description="The same request with the same key has one effect and one answer, for a day.",
    ),
]


@dataclass(frozen=True, slots=True)
class Office:
    """What routes work with."""

    database: Database
    keys: FleetKeys
    settings: Settings
    clock: Clock
    after_reports: Callable[[datetime], object]
    """Called with the moment at which reports about people's lives were stored, once they are."""

    @property
    def zone(self) -> tzinfo:
        """Where a day ends."""
        return self.settings.zone()

    def note(
        self,
        connection: Connection,
        caller: Caller,
        action: str,
        *,
        subject_id: str | None = None,
        detail: Mapping[str, Any] | None = None,
        now: datetime,
    ) -> None:
        """Write down, last in a transaction, that a partner looked at somebody or changed something about them.

        Args:
            connection: the transaction.
            caller: who.
            action: what, as `<object>.<verb>`.
            subject_id: about whom; None for a request about many, which `detail` names or counts.
            detail: what else.
            now: when.
        """
        note(
            connection,
            self.keys.cipher,
            actor=caller.partner.source,
            action=action,
            object_kind="partner" if subject_id is None else "subject",
            object_id=caller.partner.partner_id if subject_id is None else subject_id,
            detail={"key": caller.key_id, **(detail or {})},
            now=now,
        )

    def today(self) -> date:
        """Return the agency's day."""
        return day_of(self.clock(), self.zone)


def authorised(
    needed: SecurityScopes,
    request: Request,
    _key: Annotated[object, Security(_KEY)],
    _token: Annotated[object, Security(_TOKEN)],
) -> Caller:
    """Return who asks, if that one may; the two schemes are parameters so that the description names them."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        raise unauthorised("a bearer credential is needed: an API key or an access token")
    missing = sorted(set(needed.scopes) - caller.scopes)
    if missing:
        challenge = f'Bearer realm="lifecert", error="insufficient_scope", scope="{" ".join(needed.scopes)}"'
        raise Refusal(
            403,
            "insufficient_scope",
            f"the scope {', '.join(missing)} is needed",
            headers={"WWW-Authenticate": challenge},
        )
    return caller


def answer_once(
    office: Office,
    connection: Connection,
    caller: Caller,
    request: Request,
    key: str | None,
    make: Callable[[], tuple[int, BaseModel]],
) -> Response:
    """Return the answer to a request that changes something: made now, or the one it got before under the same key.

    Args:
        office: what routes work with.
        connection: the transaction of the change; what refuses the request undoes both.
        caller: who asks.
        request: the request.
        key: its `Idempotency-Key`; without one the request is carried out as it stands.
        make: carries it out and gives status and answer.

    Raises:
        Refused: as `make`, or if the key stands for another request.
    """
    lock_partner(connection, caller.partner.partner_id)
    if key is None:
        status, answer = make()
        return Response(answer.model_dump_json(), status_code=status, media_type="application/json")
    now = office.clock()
    said = f"{request.method} {request.url.path} ".encode() + request.state.body
    digest = office.keys.cipher.digest(said.hex(), subject_id=caller.partner.source, field_name="request")
    since = now - timedelta(hours=office.settings.api.replay_hours)
    known = find_answer(connection, caller.partner.partner_id, key, since=since)
    if known is None:
        status, answer = make()
        known = Answer(digest, status, answer.model_dump_json())
        save_answer(connection, caller.partner.partner_id, key, known, now=now)
        return Response(known.text, status_code=status, media_type="application/json")
    if known.digest != digest:
        raise Refusal(422, "idempotency_key_reused", "this Idempotency-Key came with another request; use a new one")
    headers = {"Idempotency-Replayed": "true"}
    return Response(known.text, status_code=known.status, headers=headers, media_type="application/json")
