"""Stands before every route under `/api/`: who asks, how often, and whether the request is whole and small enough to be looked at.

An ASGI application, because all of this comes before a body is read and parsed: whoever has no credential costs one look into the
database, and nobody holds a worker by sending half a body.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qsl

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleet.api.problems import PREFIX, FieldProblem, Refusal, invalid_request
from fleet.api.rates import Rates
from fleet.errors import DatabaseUnavailable
from fleet.partners.credentials import Caller

TOKEN_PATH = "/api/v1/oauth/token"  # noqa: S105 - a path
FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_MAX_DEPTH = 32
"""Levels of a JSON body; the deepest one that makes sense has five."""


class Guard:
    """Lets whole requests of known callers through, and says to all others why not.

    Args:
        app: what it stands before.
        find_caller: gives who a bearer credential belongs to; None for nobody.
        rates: counters.
        body_bytes: largest body.
        body_wait_s: longest a body may take to arrive.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        find_caller: Callable[[str], Caller | None],
        rates: Rates,
        body_bytes: int,
        body_wait_s: float,
    ) -> None:
        self._app = app
        self._find_caller = find_caller
        self._rates = rates
        self._body_bytes = body_bytes
        self._body_wait_s = body_wait_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else ""

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                self._rates.note_failure(address)
            await send(message)

        try:
            await self._serve(scope, receive, counting, address)
        except Refusal as refusal:
            await refusal.response()(scope, receive, counting)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, address: str) -> None:
        wait_s = self._rates.wait_s(address)
        if wait_s:
            raise Refusal(
                429,
                "too_many_failures",
                "too many wrong credentials from this address; wait",
                headers={"Retry-After": str(wait_s)},
            )
        headers = Headers(scope=scope)
        if scope["path"] == TOKEN_PATH:
            body = await self._body(headers, receive, FORM)
            await self._app({**scope, "state": {**scope.get("state", {}), "body": body}}, _given(body, receive), send)
            return
        given = _bearer(headers)
        held_s = self._rates.held_s(given)
        if held_s:
            raise _too_many({"Retry-After": str(held_s)})
        caller = await self._caller(given)
        room = self._rates.hit(caller.partner)
        if not room.is_open:
            self._rates.hold(given, room)
            raise _too_many(room.headers())
        if not self._rates.begin(caller.partner):
            busy = {**room.headers(), "Retry-After": "1"}
            raise Refusal(
                429, "too_many_at_once", "too many requests at once; send them one after another", headers=busy
            )

        async def limited(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(room.headers())
            await send(message)

        try:
            _check_query(scope["query_string"])
            body = await self._body(headers, receive, _JSON)
            state = {**scope.get("state", {}), "caller": caller, "body": body}
            await self._app({**scope, "state": state}, _given(body, receive), limited)
        except Refusal as refusal:
            await refusal.response()(scope, receive, limited)
        finally:
            self._rates.end(caller.partner)

    async def _caller(self, given: str) -> Caller:
        try:
            found = await anyio.to_thread.run_sync(self._find_caller, given)
        except DatabaseUnavailable as error:
            raise Refusal(503, "unavailable", "database unavailable", headers={"Retry-After": "5"}) from error
        if found is None:
            raise unauthorised("this credential is not, or no longer, one of ours", error="invalid_token")
        return found

    async def _body(self, headers: Headers, receive: Receive, content_type: str) -> bytes:
        """Return the whole body, which is empty or of the one content type."""
        body = await self._read(headers, receive)
        if not body:
            return body
        if headers.get("content-type", "").partition(";")[0].strip().lower() != content_type:
            raise Refusal(415, "unsupported_media_type", f"{content_type} expected")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refusal(415, "unsupported_media_type", "a body without content encoding expected")
        if content_type == _JSON:
            _check_json(body)
        return body

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
        said = headers.get("content-length", "")
        if said.isdecimal() and (len(said) > 12 or int(said) > self._body_bytes):
            raise _too_large(self._body_bytes)
        body = bytearray()
        try:
            with anyio.fail_after(self._body_wait_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(400, "incomplete", "the request ended before its body did")
                    body += message.get("body", b"")
                    if len(body) > self._body_bytes:
                        raise _too_large(self._body_bytes)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError as error:
            late = "the rest of the request did not come in time"
            raise Refusal(408, "request_timeout", late, headers={"Connection": "close"}) from error


def unauthorised(detail: str, *, error: str | None = None) -> Refusal:
    """Return the refusal of somebody unknown. Source: RFC 6750 section 3."""
    challenge = 'Bearer realm="lifecert"' + (f', error="{error}"' if error else "")
    return Refusal(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})


def _bearer(headers: Headers) -> str:
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not given.strip():
        raise unauthorised("a bearer credential is needed: an API key or an access token")
    return given.strip()


def _too_many(headers: dict[str, str]) -> Refusal:
    return Refusal(429, "too_many_requests", "more requests than agreed; wait", headers=headers)


def _check_query(query: bytes) -> None:
    """Refuse a question that says one thing twice: which of them is meant is not ours to guess."""
    names = Counter(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    twice = [
        FieldProblem(pointer=f"query {name[:64]}", detail="given twice") for name, times in names.items() if times > 1
    ]
    if twice:
        raise invalid_request(twice)


def _too_large(most: int) -> Refusal:
    return Refusal(413, "too_large", f"{most} bytes at most", headers={"Connection": "close"})


def _check_json(body: bytes) -> None:
    """Refuse what cannot be read, or is nested deeper than anything here is."""
    if max(body.count(b"["), body.count(b"{")) > _MAX_DEPTH and _depth(body) > _MAX_DEPTH:
        raise Refusal(400, "not_json", f"JSON with at most {_MAX_DEPTH} levels expected")
    try:
        json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "not_json", "the body is not JSON in UTF-8, or not whole") from error


def _depth(body: bytes) -> int:
    """Return how deep JSON is nested, brackets in strings left out."""
    deepest = depth = 0
    is_text = is_escaped = False
    for byte in body:
        if is_text:
            if is_escaped:
                is_escaped = False
            elif byte == 0x5C:
                is_escaped = True
            elif byte == 0x22:
                is_text = False
        elif byte == 0x22:
            is_text = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _given(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read already."""
    is_given = False

    async def again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
