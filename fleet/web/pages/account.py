"""One's own account: what one signs in with, roles, sessions; and the page on which that is set up at first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import Connection

from fleet.accounts import totp
from fleet.accounts.factors import Changed, GeneratorOffer, NotChanged, Problem
from fleet.accounts.passwords import LONGEST, PasswordProblem
from fleet.accounts.roles import Grant
from fleet.accounts.sessions import OwnSession, end_own, own_sessions
from fleet.errors import Refused
from fleet.store.areas import area_names
from fleet.web.arrivals import HOME, SET_UP
from fleet.web.codes import qr_of
from fleet.web.cookies import set_session
from fleet.web.visits import OFF, SHORTCUTS_COOKIE, SignedOut, Visit, needs, sends

router = APIRouter(include_in_schema=False)
ACCOUNT = "/account"
Looks = Annotated[Visit, needs(None)]
Sends = Annotated[Visit, sends(None)]
SetsUp = Annotated[Visit, sends(None, while_setting_up=True)]
_A_YEAR_S = 365 * 86_400
_NOT_REPEATED = "not_repeated"


@dataclass(frozen=True, slots=True)
class Held:
    """A role as it is shown."""

    role: str
    area: str | None
    """Code; None for the whole fleet."""
    area_name: str


@router.get(ACCOUNT)
def show(visit: Looks) -> Response:
    """Show one's own account."""
    return _page(visit)


@router.get(SET_UP)
def set_up(visit: Annotated[Visit, needs(None, while_setting_up=True)]) -> Response:
    """Show what is to be set up, to somebody who came by a link; others have it behind them."""
    return _page(visit) if visit.visitor.must_set_up else RedirectResponse(ACCOUNT, status_code=303)


@router.post(f"{ACCOUNT}/password")
def set_password(visit: SetsUp) -> Response:
    """Set a password."""
    new, current = visit.sent.fields.get("new", ""), visit.sent.fields.get("current")
    if new != visit.sent.fields.get("again", ""):
        return _page(visit, status=422, problems=(_NOT_REPEATED,), at="password")
    done = visit.console.factors.set_password(visit.cookie, new, current=current, now=visit.now)
    return _answer(visit, done, "password_changed", at="password")


@router.post(f"{ACCOUNT}/generator")
def offer_generator(visit: SetsUp) -> Response:
    """Show a new secret for a code generator."""
    done = visit.console.factors.offer_generator(visit.cookie, now=visit.now)
    if isinstance(done, NotChanged):
        return _answer(visit, done, "", at="generator")
    return _generator_page(visit, done)


@router.post(f"{ACCOUNT}/generator/confirm")
def confirm_generator(visit: SetsUp) -> Response:
    """Take the first code of a new generator."""
    done = visit.console.factors.confirm_generator(visit.cookie, visit.sent.text("code"), now=visit.now)
    secret = visit.sent.text("secret")
    if isinstance(done, NotChanged) and done.problems == (Problem.WRONG_CODE,) and totp.is_secret(secret):
        uri = totp.uri_of(secret, name=visit.visitor.name, service=visit.console.account_rules.service)
        return _generator_page(visit, GeneratorOffer(secret, uri), status=422, problem=Problem.WRONG_CODE.value)
    return _answer(visit, done, "generator_changed", at="generator")


@router.post(f"{ACCOUNT}/passkeys/options")
def ask_for_passkey(visit: SetsUp) -> Response:
    """Say what to ask the browser for."""
    done = visit.console.factors.passkey_options(visit.cookie, now=visit.now)
    if isinstance(done, NotChanged):
        body = {"problem": " ".join(_sentences(visit, done.problems))}
        return Response(json.dumps(body), status_code=409, media_type="application/json")
    return Response(json.dumps({"options": json.loads(done)}), media_type="application/json")


@router.post(f"{ACCOUNT}/passkeys")
def add_passkey(visit: SetsUp) -> Response:
    """Take a new passkey."""
    label = visit.sent.text("label") or visit.texts["account"]["passkey"]
    done = visit.console.factors.add_passkey(visit.cookie, visit.sent.text("answer"), label=label, now=visit.now)
    return _answer(visit, done, "passkey_added", at="passkey")


@router.post(ACCOUNT + "/passkeys/{passkey_id}/remove")
def remove_passkey(passkey_id: str, visit: Sends) -> Response:
    """Delete a passkey."""
    try:
        visit.make_sure("remove_passkey")
    except Refused:
        return _page(visit, at="passkey")
    done = visit.console.factors.remove_passkey(visit.cookie, passkey_id, now=visit.now)
    return _answer(visit, done, "passkey_removed", at="passkey")


@router.post(f"{ACCOUNT}/recovery-codes")
def new_codes(visit: Sends) -> Response:
    """Make new recovery codes and show them."""
    try:
        visit.make_sure("recovery_codes")
    except Refused:
        return _page(visit, at="recovery")
    done = visit.console.factors.new_recovery_codes(visit.cookie, now=visit.now)
    return _answer(visit, done, "", at="recovery")


@router.post(ACCOUNT + "/sessions/{session_id}/end")
def end_session(session_id: str, visit: Sends) -> Response:
    """End one of one's own sessions."""
    return _end(visit, session_id, "session_ended")


@router.post(f"{ACCOUNT}/sessions/end-others")
def end_others(visit: Sends) -> Response:
    """End all of one's own sessions but this one."""
    return _end(visit, None, "sessions_ended")


@router.post(f"{ACCOUNT}/shortcuts")
def set_shortcuts(visit: Sends) -> Response:
    """Switch single keys on or off, in this browser."""
    response = visit.done(ACCOUNT, "shortcuts_set")
    if visit.sent.text("shortcuts") == OFF:
        response.set_cookie(SHORTCUTS_COOKIE, OFF, max_age=_A_YEAR_S, httponly=True, samesite="lax")
    else:
        response.delete_cookie(SHORTCUTS_COOKIE, httponly=True, samesite="lax")
    return response


def held_by(connection: Connection, grants: tuple[Grant, ...]) -> list[Held]:
    """Return roles with the names of their areas."""
    names = area_names(connection, {grant.area for grant in grants if grant.area is not None})
    return [Held(grant.role.value, grant.area, names.get(grant.area or "", "")) for grant in grants]


def _end(visit: Visit, session_id: str | None, code: str) -> Response:
    rules = visit.console.account_rules
    with visit.begin() as connection:
        end_own(connection, visit.cookie, now=visit.now, rules=rules, session_id=session_id)
    return visit.done(ACCOUNT, code)


def _page(visit: Visit, *, status: int = 200, problems: tuple[str, ...] = (), at: str = "") -> Response:
    """Return the account's page, or the one that is set up on.

    Args:
        visit: whose.
        status: of HTTP.
        problems: why nothing was changed; codes of `texts.account.problems`.
        at: which part they belong to.
    """
    ways = visit.console.factors.ways(visit.cookie, now=visit.now)
    if ways is None:
        raise SignedOut
    rules = visit.console.account_rules
    with visit.begin() as connection:
        sessions = own_sessions(connection, visit.cookie, now=visit.now, rules=rules)
        held = held_by(connection, visit.visitor.grants)
    return visit.page(
        "account/set_up.html" if visit.visitor.must_set_up else "account/page.html",
        status=status,
        ways=ways,
        sessions=sessions,
        held=held,
        is_fresh=visit.visitor.must_set_up or _is_fresh(visit, sessions),
        problems=_sentences(visit, problems),
        at=at,
        by_link=any(each.is_this and each.how == "link" for each in sessions),
        least=rules.password_min,
        most=LONGEST,
        url=rules.url,
    )


def _is_fresh(visit: Visit, sessions: list[OwnSession]) -> bool:
    return any(each.is_this and visit.now - each.signed_in_at <= visit.console.account_rules.fresh for each in sessions)


def _generator_page(visit: Visit, offer: GeneratorOffer, *, status: int = 200, problem: str = "") -> Response:
    groups = [offer.secret[at : at + 4] for at in range(0, len(offer.secret), 4)]
    return visit.page(
        "account/generator.html",
        status=status,
        picture=qr_of(offer.uri),
        secret=offer.secret,
        groups=groups,
        problems=_sentences(visit, (problem,) if problem else ()),
    )


def _answer(visit: Visit, done: Changed | NotChanged, code: str, *, at: str) -> Response:
    if isinstance(done, NotChanged):
        if Problem.SIGNED_OUT in done.problems:
            raise SignedOut
        return _page(visit, status=422, problems=tuple(each.value for each in done.problems), at=at)
    was_setting_up = visit.visitor.must_set_up
    is_set_up = was_setting_up and not done.session.must_set_up
    response: Response
    if done.recovery_codes:
        response = visit.page(
            "account/codes.html", codes=done.recovery_codes, go_on=HOME if was_setting_up else ACCOUNT
        )
    elif is_set_up:
        response = visit.done(HOME, "set_up")
    else:
        response = visit.done(SET_UP if was_setting_up else ACCOUNT, code)
    set_session(response, visit.console.account_rules, done.session.cookie)
    return response


def _sentences(visit: Visit, problems: tuple[str | Problem | PasswordProblem, ...]) -> list[str]:
    table = visit.texts["account"]["problems"]
    facts = {"least": visit.console.account_rules.password_min, "most": LONGEST}
    return [table[str(each)].format(**facts) for each in problems]
