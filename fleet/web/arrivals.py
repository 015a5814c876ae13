"""Somebody comes in: where they were on the way to, what they had typed before, and what they see when a form is of another session."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from fleet.accounts.sessions import NewSession, account_of_form, resume, sign_out
from fleet.store.own_words import own_words
from fleet.web.console import Console, fault_page, language_of
from fleet.web.cookies import session_of, set_session
from fleet.web.forms import FORM_TOKEN, Sent
from fleet.web.kept import Kept, lines_of, seal, title_of, unseal
from fleet.web.visits import MEANT, POLL, MustSetUp, NotFresh, NotSure, OfAnotherSession, SignedOut, Visit

SIGN_IN = "/sign-in"
SET_UP = "/set-up"
HOME = "/"
_LONGEST = 2000
"""Characters of an address that is gone back to."""
_NOT_KEPT = (SIGN_IN, SET_UP, "/account", "/sign-out")
"""Forms with passwords and codes, which nothing keeps, and those that are quickly done again; `/accounts` is not among them."""
_NUMBER = re.compile(r"[0-9]{7}")
_WHOLE_PAGE = {"HX-Retarget": "body", "HX-Reswap": "innerHTML", "HX-Push-Url": "false"}
"""Takes the place of the page, whatever part of it the form was to change; the address stays, as a form's own cannot be opened again."""


@dataclass(frozen=True, slots=True)
class Way:
    """What a sign-in carries along from step to step."""

    next: str = HOME
    """Where it leads."""
    kept: str = ""
    """A sealed form; empty if there is none."""
    is_kept: bool = True
    """False if there was a form that is too long to be kept."""
    files: tuple[str, ...] = ()
    """Names of files that are to be chosen again."""


def own_path(wanted: str) -> str:
    """Return an address of ours that somebody may be led to, or the first page: never one of another host."""
    # Browsers read a backslash as a slash and drop line breaks.
    if len(wanted) > _LONGEST or "\\" in wanted or any(ord(each) < 0x21 for each in wanted):
        return HOME
    found = urlsplit(wanted)
    if found.scheme or found.netloc or not wanted.startswith("/") or wanted.startswith("//"):
        return HOME
    return HOME if _is_of(found.path, (SIGN_IN, SET_UP, "/sign-out")) else wanted


def way_of(sent: Sent) -> Way:
    """Return what the step before carried."""
    return Way(own_path(sent.text("next")), sent.text("kept"))


def address_of(request: Request) -> str:
    """Return the client's address; a trusted proxy's word for it is taken before it comes here."""
    return "" if request.client is None else request.client.host


def visit_by(console: Console, request: Request, cookie: str) -> Visit | None:
    """Return the visit of whoever has this cookie, or None."""
    now = console.clock()
    with console.begin() as connection:
        visitor = resume(connection, console.keys.cipher, cookie, now=now, rules=console.account_rules)
        own = own_words(connection)
    return None if visitor is None else Visit(console, request, visitor, language_of(request), now, own)


def arrive(console: Console, request: Request, session: NewSession, way: Way, *, done: str = "") -> Response:
    """Answer somebody who has just signed in: what they had typed before, or the page they wanted.

    Args:
        console: what pages work with.
        request: what is answered.
        session: theirs.
        way: where they were on the way to.
        done: one of `texts.done` that the page says.
    """
    before = session_of(request, console.account_rules)
    if before:
        # Its cookie is replaced: nobody could end it any more.
        with console.begin() as connection:
            sign_out(connection, before, now=console.clock(), rules=console.account_rules)
    response = _landing(console, request, session, way, done)
    set_session(response, console.account_rules, session.cookie)
    return response


def _landing(console: Console, request: Request, session: NewSession, way: Way, done: str) -> Response:
    if session.must_set_up:
        return RedirectResponse(SET_UP, status_code=303)
    visit = visit_by(console, request, session.cookie) if way.kept else None
    if visit is None:
        mark = "&" if "?" in way.next else "?"
        return RedirectResponse(f"{way.next}{mark}done={done}" if done else way.next, status_code=303)
    kept = unseal(console.keys.cipher, visit.visitor.account_id, way.kept, now=visit.now)
    if kept is None:
        return visit.page("sign_in/not_kept.html", status=409)
    return ask_to_send(visit, kept)


def ask_to_send(visit: Visit, kept: Kept, *, status: int = 200) -> Response:
    """Show somebody what they had typed, with a button that sends it now."""
    page = visit.page(
        "sign_in/kept.html",
        status=status,
        kept=kept,
        where=title_of(kept, visit.texts),
        lines=lines_of(kept, visit.texts),
    )
    page.headers.update(_WHOLE_PAGE)
    return page


def add_arrivals(app: FastAPI) -> None:
    """Answer requests of nobody, of a session before this one, of somebody who has yet to set up, or is to be asked first."""

    @app.exception_handler(SignedOut)
    def signed_out(request: Request, error: SignedOut) -> Response:
        return _to_sign_in(request) if error.sent is None else _keep(request, error.sent)

    @app.exception_handler(NotFresh)
    def not_fresh(request: Request, error: NotFresh) -> Response:
        return _keep(request, error.sent, is_stale=True)

    @app.exception_handler(OfAnotherSession)
    def of_another_session(request: Request, error: OfAnotherSession) -> Response:
        visit = error.visit
        with visit.begin() as connection:
            owner = account_of_form(connection, visit.sent.text(FORM_TOKEN))
        if owner is None:
            return fault_page(visit.console, request, 403, "foreign_form")
        if owner != visit.visitor.account_id:
            return fault_page(visit.console, request, 409, "form_of_another")
        if _is_of(request.url.path, _NOT_KEPT):
            return fault_page(visit.console, request, 409, "old_form")
        return ask_to_send(visit, _kept(request, visit.sent), status=409)

    @app.exception_handler(NotSure)
    def not_sure(request: Request, error: NotSure) -> Response:
        visit, words = error.visit, error.visit.texts["sure"][error.code]
        kept = _kept(request, visit.sent)
        page = visit.page(
            "sure.html",
            group=request.url.path.split("/")[1],
            words=words,
            says=words["says"].format(**error.facts),
            told=[(name, value) for name, value in error.told if value],
            kept={name: values for name, values in kept.lists.items() if name != MEANT},
            path=kept.path,
        )
        page.headers.update(_WHOLE_PAGE)
        return page

    @app.exception_handler(MustSetUp)
    def must_set_up(_request: Request, _error: MustSetUp) -> Response:
        return RedirectResponse(SET_UP, status_code=303)


def _to_sign_in(request: Request) -> Response:
    """Answer somebody who wants to see a page."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = SIGN_IN if wanted == HOME else f"{SIGN_IN}?{urlencode({'next': wanted})}"
    if POLL in request.query_params:
        # A page that asks by itself stays as it is, with what is being typed into it; it tells its reader.
        return Response(status_code=401, headers={"HX-Reswap": "none", "HX-Trigger": "signed-out"})
    if "hx-request" in request.headers and "hx-boosted" not in request.headers:
        # A part of a page: the whole of it must go.
        return Response(status_code=401, headers={"HX-Redirect": address})
    return RedirectResponse(address, status_code=303)


def _keep(request: Request, sent: Sent, *, is_stale: bool = False) -> Response:
    """Answer somebody whose form came too late, or so long after they signed in: with signing in, and with what they typed."""
    console: Console = request.app.state.console
    way = Way()
    if not _is_of(request.url.path, _NOT_KEPT):
        with console.begin() as connection:
            owner = account_of_form(connection, sent.text(FORM_TOKEN))
        if owner is not None:
            kept = _kept(request, sent)
            sealed = seal(console.keys.cipher, owner, kept, now=console.clock())
            way = Way(
                kept=sealed or "", is_kept=sealed is not None, files=tuple(name for _field, name in kept.files if name)
            )
    return sign_in_page(request, way, status=401, is_ended=True, is_stale=is_stale, headers=_WHOLE_PAGE)


def sign_in_page(
    request: Request,
    way: Way,
    *,
    status: int = 200,
    name: str = "",
    problem: str = "",
    is_ended: bool = False,
    is_stale: bool = False,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return the page of the first step.

    Args:
        request: what is answered.
        way: what it carries along.
        status: of HTTP.
        name: as it was typed.
        problem: one of `texts.sign_in.problems`.
        is_ended: whether somebody comes here because a session is over, or began too long ago.
        is_stale: whether it is the latter.
        headers: of HTTP, more of them.
    """
    console: Console = request.app.state.console
    return console.renderer.page(
        "sign_in/password.html",
        language_of(request),
        status=status,
        headers=headers,
        contents={
            "way": way,
            "name": name,
            "problem": problem,
            "is_ended": is_ended,
            "is_stale": is_stale,
            "fresh_minutes": int(console.account_rules.fresh.total_seconds() // 60),
            "is_signed_out": request.query_params.get("done") == "signed_out",
            "url": console.account_rules.url,
        },
    )


def _kept(request: Request, sent: Sent) -> Kept:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    files = tuple((field, _file_name(file.filename or "")) for field, given in sent.files.items() for file in given)
    return Kept(path, {name: values for name, values in sent.lists.items() if name != FORM_TOKEN}, files)


def _file_name(name: str) -> str:
    """Return what a file is called, unless it says whose document it is: whoever is at the browser may be another person by now."""
    return "" if _NUMBER.search(name) else name


def _is_of(path: str, tops: tuple[str, ...]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in tops)
