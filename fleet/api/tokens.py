"""Access tokens by the OAuth2 client-credentials grant. Source: RFC 6749 sections 2.3.1, 4.4 and 5."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from fleet.api.access import Office
from fleet.api.guard import FORM, TOKEN_PATH
from fleet.api.problems import described, problem_response
from fleet.api.rates import Rates
from fleet.partners.credentials import Caller, Issuer, check_key, issue_token
from fleet.store.partners import Scope

GRANT = "client_credentials"
_MAX_FIELDS = 16


class Token(BaseModel):
    """An access token."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a kind of token
    expires_in: int = Field(ge=1)
    scope: str


class TokenRefused(BaseModel):
    """Why there is none (RFC 6749 section 5.2)."""

    error: Literal["invalid_request", "invalid_client", "invalid_scope", "unsupported_grant_type"]
    error_description: str


class _NoToken(Exception):
    def __init__(self, error: str, description: str, *, is_basic: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.is_basic = is_basic

    def response(self) -> JSONResponse:
        headers = {"Cache-Control": "no-store"}
        if self.is_basic:
            headers["WWW-Authenticate"] = 'Basic realm="lifecert", charset="UTF-8"'
        status = 401 if self.error == "invalid_client" else 400
        return JSONResponse({"error": self.error, "error_description": self.description}, status, headers)


def issuer_of(office: Office) -> Issuer:
    """Return what makes and checks access tokens of a fleet."""
    lifetime = timedelta(minutes=office.settings.api.token_minutes)
    return Issuer(office.settings.fleet_id, office.keys.signing, lifetime)


def tokens_router(office: Office, rates: Rates) -> APIRouter:
    """Return the route that sells access tokens."""
    router = APIRouter(tags=["access"])
    issuer = issuer_of(office)

    @router.post(
        TOKEN_PATH,
        operation_id="issue_token",
        response_model=Token,
        responses={
            400: {"model": TokenRefused},
            401: {"model": TokenRefused},
            **described(408, 413, 415, 429, 503),
        },
        openapi_extra={"requestBody": {"required": True, "content": {FORM: {"schema": _FORM}}}, "security": [{}]},
    )
    def issue(request: Request) -> Response:
        """Return an access token for a partner's id and an API key; they come in the header (Basic) or in the body."""
        try:
            form = _form(request.state.body)
            caller = _client(office, request.headers.get("authorization", ""), form)
            room = rates.hit(caller.partner)
            if not room.is_open:
                return problem_response(
                    429, "too_many_requests", "more requests than agreed; wait", headers=room.headers()
                )
            scopes = _granted(caller, form)
        except _NoToken as error:
            return error.response()
        token = Token(
            access_token=issue_token(issuer, caller, scopes, now=office.clock()),
            expires_in=int(issuer.lifetime.total_seconds()),
            scope=" ".join(sorted(scopes)),
        )
        return JSONResponse(token.model_dump(), headers={"Cache-Control": "no-store"})

    return router


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise _NoToken("invalid_request", "a form in ASCII with few fields expected") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise _NoToken("invalid_request", "no field may come twice")
    return form


def _client(office: Office, authorization: str, form: dict[str, str]) -> Caller:
    kind, _, given = authorization.partition(" ")
    is_basic = kind.lower() == "basic"
    if is_basic and "client_secret" in form:
        raise _NoToken("invalid_request", "credentials in the header or in the body, not in both")
    if is_basic:
        client_id, secret = _basic(given.strip())
    else:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    with office.database.begin() as connection:
        caller = check_key(connection, secret, now=office.clock(), zone=office.zone)
    if caller is None or caller.partner.partner_id != client_id:
        raise _NoToken("invalid_client", "no partner with this key", is_basic=is_basic)
    return caller


def _basic(given: str) -> tuple[str, str]:
    """Return id and secret, each of them form-encoded before they were joined (RFC 6749 section 2.3.1)."""
    try:
        client_id, _, secret = base64.b64decode(given, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError) as error:
        raise _NoToken("invalid_client", "no partner with this key", is_basic=True) from error
    return unquote_plus(client_id), unquote_plus(secret)


def _granted(caller: Caller, form: dict[str, str]) -> frozenset[Scope]:
    """Return the scopes of the token that a form asks for."""
    if "grant_type" not in form:
        raise _NoToken("invalid_request", f"grant_type={GRANT} expected")
    if form["grant_type"] != GRANT:
        raise _NoToken("unsupported_grant_type", f"grant_type={GRANT} expected")
    asked = form.get("scope", "").split()
    wanted = {scope for scope in Scope if scope.value in asked}
    if len(wanted) < len(set(asked)) or not wanted <= caller.scopes:
        raise _NoToken("invalid_scope", f"this partner may have: {' '.join(sorted(caller.scopes))}")
    return frozenset(wanted) or caller.scopes


_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"type": "string", "enum": [GRANT]},
        "scope": {"type": "string", "description": "Scopes with spaces between them; without it all of the partner's."},
        "client_id": {"type": "string", "description": "The partner's id, unless it is in the header."},
        "client_secret": {"type": "string", "description": "An API key, unless it is in the header."},
    },
}
