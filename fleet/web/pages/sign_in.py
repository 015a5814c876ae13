"""Signing in and out: by password and code, by passkey, by a link."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from fleet.accounts.sessions import How, sign_out
from fleet.accounts.signing_in import CodeNeeded, Denied, SignedIn, Why
from fleet.web.arrivals import SIGN_IN, Way, address_of, arrive, own_path, sign_in_page, visit_by, way_of
from fleet.web.console import Console, language_of
from fleet.web.cookies import drop_session, session_of
from fleet.web.forms import Sent, read_form

router = APIRouter(include_in_schema=False)
Form = Annotated[Sent, Depends(read_form)]
"""What was sent by a page of ours; nobody is signed in yet, so it carries no token."""


@router.get(SIGN_IN)
def show(request: Request, next: str = "", again: str = "") -> Response:  # noqa: A002 - the name in addresses
    """Ask for name and password; who is signed in already goes on, unless they are to sign in again."""
    console, way = _console(request), Way(own_path(next))
    if not again and visit_by(console, request, session_of(request, console.account_rules)) is not None:
        return RedirectResponse(way.next, status_code=303)
    return sign_in_page(request, way)


@router.post(SIGN_IN)
def take_password(request: Request, sent: Form) -> Response:
    """Check name and password and ask for the second factor."""
    console, way = _console(request), way_of(sent)
    name, password = sent.fields.get("name", ""), sent.fields.get("password", "")
    done = console.sign_in.password(name, password, address=address_of(request), now=console.clock())
    if isinstance(done, Denied):
        return sign_in_page(request, way, status=401, name=name, problem=done.why.value)
    return _code_page(request, way, done)


@router.post(f"{SIGN_IN}/code")
def take_code(request: Request, sent: Form) -> Response:
    """Check a code of the generator or a recovery code."""
    console, way = _console(request), way_of(sent)
    pending = sent.text("pending")
    done = console.sign_in.code(pending, sent.text("code"), address=address_of(request), now=console.clock())
    if isinstance(done, SignedIn):
        said = "recovery_used" if done.how is How.RECOVERY_CODE else ""
        return arrive(console, request, done.session, way, done=said)
    if done.why is Why.WRONG:
        needed = CodeNeeded(pending, bool(sent.text("has_generator")), bool(sent.text("has_passkeys")))
        return _code_page(request, way, needed, status=401, problem="wrong_code")
    return _begin_anew(request, way, done)


@router.post(f"{SIGN_IN}/passkey/options")
def ask_for_passkey(request: Request, sent: Form) -> Response:
    """Say what to ask the browser for."""
    console = _console(request)
    asked = console.sign_in.passkey_options(now=console.clock(), pending=sent.text("pending") or None)
    return Response(json.dumps({"options": json.loads(asked)}), media_type="application/json")


@router.post(f"{SIGN_IN}/passkey")
def take_passkey(request: Request, sent: Form) -> Response:
    """Check a passkey's answer."""
    console, way = _console(request), way_of(sent)
    done = console.sign_in.passkey(sent.text("answer"), address=address_of(request), now=console.clock())
    if isinstance(done, SignedIn):
        return arrive(console, request, done.session, way)
    if done.why is Why.WRONG:
        return sign_in_page(request, way, status=401, problem="wrong_passkey")
    return _begin_anew(request, way, done)


@router.get(SIGN_IN + "/link/{token}")
def show_link(request: Request, token: str) -> Response:
    """Show a button: opening the address uses up nothing, or a preview of it would."""
    return _page(request, "sign_in/link.html", token=token)


@router.post(SIGN_IN + "/link/{token}")
def take_link(request: Request, token: str, sent: Form) -> Response:
    """Sign in by a link."""
    console = _console(request)
    done = console.sign_in.link(token, address=address_of(request), now=console.clock())
    if isinstance(done, SignedIn):
        return arrive(console, request, done.session, way_of(sent))
    return _begin_anew(request, Way(), done, problem="link_over")


@router.post("/sign-out")
def leave(request: Request, sent: Form) -> Response:
    """End the session, if there is one; a form of ours may end any session of its browser."""
    del sent
    console = _console(request)
    rules = console.account_rules
    with console.begin() as connection:
        sign_out(connection, session_of(request, rules), now=console.clock(), rules=rules)
    response = RedirectResponse(f"{SIGN_IN}?done=signed_out", status_code=303)
    drop_session(response, rules)
    return response


def _begin_anew(request: Request, way: Way, done: Denied, *, problem: str = "") -> Response:
    """Answer a step that came too late; a second click of one that was right came after the first."""
    console = _console(request)
    visit = visit_by(console, request, session_of(request, console.account_rules))
    if visit is not None and not way.kept:
        return RedirectResponse(way.next, status_code=303)
    return sign_in_page(request, way, status=401, problem=problem or done.why.value)


def _code_page(request: Request, way: Way, needed: CodeNeeded, *, status: int = 200, problem: str = "") -> Response:
    return _page(request, "sign_in/code.html", status=status, way=way, needed=needed, problem=problem)


def _page(request: Request, template: str, *, status: int = 200, **contents: Any) -> Response:
    console = _console(request)
    contents["url"] = console.account_rules.url
    return console.renderer.page(template, language_of(request), status=status, contents=contents)


def _console(request: Request) -> Console:
    console: Console = request.app.state.console
    return console
