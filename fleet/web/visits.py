"""One request of somebody who is signed in: who they are, what they sent, and how they are answered.

Every page asks for a permission: `visit: Annotated[Visit, needs(Permission.PEOPLE)]` to look, `sends(Permission.PEOPLE_CHANGE)` for a
form. Nothing else gives a page a visitor, so no page can forget to ask. Whether what is asked for lies within the visitor's areas the page
says itself, in its query (`Visit.tops`): what lies outside is answered as if it did not exist.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from fleet.accounts.roles import Permission
from fleet.accounts.sessions import resume, with_bounds
from fleet.accounts.visitor import Visitor
from fleet.audit.log import note
from fleet.errors import FleetError, Refused
from fleet.keys import FieldCipher, FleetKeys
from fleet.store.approvals import is_first_word
from fleet.store.areas import codes_below
from fleet.store.own_words import OwnWords, own_words
from fleet.web.console import Console, language_of
from fleet.web.cookies import session_of
from fleet.web.forms import FORM_TOKEN, MAX_FIELDS, MAX_OF_NOBODY_BYTES, Sent, is_from_here, reading
from fleet.web.navigation import Entry, entries_for
from fleet.web.texts import Texts

SHORTCUTS_COOKIE = "lifecert-shortcuts"
OFF = "off"
POLL = "poll"
"""Stands in the address of what a page asks for by itself, again and again: it keeps no session alive."""
MEANT = "meant"
"""Field by which a form says that whoever sends it was asked: `yes`, or `no` to go back."""
_LONGEST_QUERY = 2_000
"""Characters of an address that are repeated in links; a longer search is cut off in any case."""
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""Stands for what was stored under another key or altered: one row that does not open must not take the page away."""


class SignedOut(Exception):
    """Nobody is signed in, or the session is over; what was sent is kept for the same person."""

    def __init__(self, sent: Sent | None = None) -> None:
        super().__init__("nobody is signed in")
        self.sent = sent


class NotFresh(Exception):
    """A form that takes a sign-in of some minutes ago, of somebody who signed in before that; what was sent is kept."""

    def __init__(self, sent: Sent) -> None:
        super().__init__("the sign-in is too long ago")
        self.sent = sent


class OfAnotherSession(Exception):
    """A form that was opened in another session than the one that sends it: before the same person signed in again, or by somebody else."""

    def __init__(self, visit: Visit) -> None:
        super().__init__("the form is of another session")
        self.visit = visit


class NotSure(Exception):
    """A form that does what cannot be taken back, of somebody who has not said yet that they mean it; they are asked."""

    def __init__(self, visit: Visit, code: str, told: Sequence[tuple[str, str]], facts: Mapping[str, object]) -> None:
        super().__init__("not sure yet")
        self.visit = visit
        self.code = code
        self.told = told
        self.facts = facts


class MustSetUp(Exception):
    """Somebody who came by a link asks for a page before they have set up what they sign in with."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of one visitor."""

    console: Console
    request: Request
    visitor: Visitor
    language: str
    now: datetime
    own: OwnWords
    """The agency's own words."""
    sent: Sent = field(default_factory=Sent)

    @property
    def texts(self) -> Texts:
        """All texts in the visitor's language."""
        return self.console.renderer.texts(self.language).with_own(self.own)

    @property
    def keys(self) -> FleetKeys:
        """The fleet's keys."""
        return self.console.keys

    @property
    def cipher(self) -> FieldCipher:
        """What opens stored fields."""
        return self.console.keys.cipher

    @property
    def zone(self) -> tzinfo:
        """Where a day ends."""
        return self.console.zone

    @property
    def today(self) -> date:
        """The agency's calendar day."""
        return self.console.today(self.now)

    @property
    def cookie(self) -> str:
        """Value of the session's cookie."""
        return session_of(self.request, self.console.account_rules)

    @property
    def has_shortcuts(self) -> bool:
        """Whether single keys do something; who steers by voice may switch them off. Source: WCAG 2.1, 2.1.4."""
        return self.request.cookies.get(SHORTCUTS_COOKIE) != OFF

    def in_language(self, language: str) -> str:
        """Return the address of this page in another language; under an answer to a form that of the page where the form stood."""
        url = urlsplit(str(self.request.url))
        if self.request.method == "POST":
            url = urlsplit(self.request.headers.get("referer", ""))
            if url.netloc != self.request.url.netloc:
                url = urlsplit("/")
        asked = parse_qsl(url.query, max_num_fields=MAX_FIELDS) if len(url.query) <= _LONGEST_QUERY else []
        kept = [(name, value) for name, value in asked if name not in ("lang", "done")]
        return f"{url.path}?{urlencode([*kept, ('lang', language)])}"

    @property
    def here(self) -> str:
        """Address of this page in this site; under an answer to a form that of the page where the form stood."""
        address, _, query = self.in_language(self.language).partition("?")
        asked = [(name, value) for name, value in parse_qsl(query, max_num_fields=MAX_FIELDS) if name != "lang"]
        return f"{address}?{urlencode(asked)}" if asked else address

    @property
    def is_narrowed(self) -> bool:
        """Whether the address of a list asks for a part of it."""
        asked = self.request.query_params.items()
        return any(value for name, value in asked if name not in ("lang", "done", "after", "before"))

    @property
    def entries(self) -> list[Entry]:
        """What stands in the visitor's menu."""
        return entries_for(self.visitor)

    def make_sure(self, code: str, told: Sequence[tuple[str, str]] = (), **facts: object) -> None:
        """Go on with what cannot be taken back only if the visitor was asked and has said so; nothing may be done before.

        Args:
            code: of what is asked, a table of `texts.sure`.
            told: names and values of what was typed or is meant, to be looked at; those without a value are left out.
            facts: what the question names.

        Raises:
            NotSure: if they were not asked yet; a page asks them and sends the same form again.
            Refused: if they went back, with the code `not_meant`; the page where the form stood comes again with all that was typed.
        """
        said = self.sent.text(MEANT)
        if said == "no":
            raise Refused("not meant", code="not_meant")
        if said != "yes":
            raise NotSure(self, code, told, facts)

    def may(self, permission: str) -> bool:
        """Return whether the visitor has a permission somewhere; for templates, which show no button that would be refused."""
        return self.visitor.may(Permission(permission))

    def begin(self) -> AbstractContextManager[Connection]:
        """Give a transaction."""
        return self.console.begin()

    def tops(self, *permissions: Permission) -> frozenset[str] | None:
        """Return at the top of which areas the visitor has one of these permissions; None for the whole fleet."""
        found: set[str] = set()
        for permission in permissions:
            areas = self.visitor.areas_for(permission)
            if areas is None:
                return None
            found |= areas
        return frozenset(found)

    def codes(self, connection: Connection, *permissions: Permission) -> list[str] | None:
        """Return the codes of all areas where the visitor has one of these permissions; None for the whole fleet."""
        tops = self.tops(*permissions)
        if tops is None:
            return None
        return sorted({code for top in tops for code in codes_below(connection, top)})

    def whole_fleet(self, permission: Permission) -> None:
        """Answer that it is not permitted unless the visitor has the permission in the whole fleet."""
        if self.tops(permission) is not None:
            raise not_permitted()

    def opened(self, sealed: bytes | None, *, of: str, field_name: str = "name") -> str:
        """Return a sealed field, or a mark in place of what does not open."""
        if sealed is None:
            return ""
        try:
            return self.cipher.decrypt(sealed, subject_id=of, field_name=field_name)
        except FleetError:
            return _UNREADABLE

    def has_first_word(self, kind: str, object_id: str) -> bool:
        """Return whether a word of the visitor's about something waits for a second one; for the macro `take_back`."""
        with self.begin() as connection:
            return is_first_word(connection, self.cipher, kind, object_id, name=self.visitor.name)

    def page(self, template: str, *, status: int = 200, **contents: Any) -> HTMLResponse:
        """Return the answer with a page, or with a part of one."""
        # The page that answers a form cannot be opened at the form's address: the browser stays at the address before.
        headers = {"HX-Push-Url": "false"} if self.request.method == "POST" else None
        return self.console.renderer.page(
            template,
            self.language,
            contents={"visit": self, "visitor": self.visitor, "texts": self.texts, **contents},
            status=status,
            headers=headers,
        )

    @property
    def is_part(self) -> bool:
        """Whether a page asks for a part of itself; otherwise somebody opened the address, as it is done without scripts."""
        return "hx-request" in self.request.headers and "hx-boosted" not in self.request.headers

    def part(self, template: str, **contents: Any) -> HTMLResponse:
        """Return a part of a page, or to whoever opened its address a page with nothing else on it."""
        if self.is_part:
            return self.page(template, **contents)
        group = template.partition("/")[0]
        return self.page("part.html", part=template, group=group, t=self.texts[group], **contents)

    def done(self, path: str, code: str) -> RedirectResponse:
        """Send the visitor on to a page that says what was done.

        Args:
            path: of the page.
            code: of the sentence, one of `texts.done`.
        """
        mark = "&" if "?" in path else "?"
        return RedirectResponse(f"{path}{mark}done={quote(code)}", status_code=303)

    def note(
        self,
        connection: Connection,
        action: str,
        object_kind: str,
        object_id: str,
        *,
        about: Collection[str] = (),
        **detail: Any,
    ) -> None:
        """Write into the audit log what the visitor does, or whom they look at; last in its transaction, see `fleet.audit.log.note`."""
        note(
            connection,
            self.cipher,
            actor=self.visitor.name,
            action=action,
            object_kind=object_kind,
            object_id=object_id,
            detail=detail,
            about=about,
            now=self.now,
        )


def not_permitted() -> HTTPException:
    """Return the answer for somebody who has not the permission."""
    return HTTPException(403)


def not_found() -> HTTPException:
    """Return the answer for what is not there, or not within the visitor's areas: nobody can tell one from the other."""
    return HTTPException(404)


def needs(*permissions: Permission | None, while_setting_up: bool = False) -> Any:
    """Give a page its visit, to whoever has one of these permissions; None where being signed in is enough.

    Args:
        permissions: what it takes.
        while_setting_up: whether it is also for somebody who came by a link and has yet to set up what they sign in with.
    """

    def visit(request: Request) -> Visit:
        console: Console = request.app.state.console
        visitor, own = _resumed(console, request)
        if visitor is None:
            raise SignedOut
        _demand(visitor, permissions, while_setting_up=while_setting_up)
        return Visit(console, request, visitor, language_of(request), console.clock(), own)

    return Depends(visit)


def sends(
    *permissions: Permission | None, while_setting_up: bool = False, is_fresh: bool = False, files: int = 0
) -> Any:
    """Give the receiver of a form its visit, with what was sent. Of somebody who may not send it nothing is read.

    Args:
        permissions: as of `needs`.
        while_setting_up: as of `needs`.
        is_fresh: whether it takes a sign-in of some minutes ago, as changing what one signs in with does: a screen that was left alone
            gives nobody the powers of an administrator. Source: OWASP ASVS 5.0, 7.5.3.
        files: bytes of files that come with it at most; a form for none takes none.
    """

    async def visit(request: Request) -> AsyncIterator[Visit]:
        if not is_from_here(request):
            raise not_permitted()
        console: Console = request.app.state.console
        visitor, own = await run_in_threadpool(_resumed, console, request)
        if visitor is not None:
            _demand(visitor, permissions, while_setting_up=while_setting_up)
        async with reading(request, most=files if visitor is not None else min(files, MAX_OF_NOBODY_BYTES)) as sent:
            if visitor is None:
                raise SignedOut(sent)
            made = Visit(console, request, visitor, language_of(request), console.clock(), own, sent)
            given = sent.fields.get(FORM_TOKEN, "")
            if not hmac.compare_digest(given.encode(), visitor.form_token.encode()):
                raise OfAnotherSession(made)
            if is_fresh and made.now - visitor.signed_in_at > console.account_rules.fresh:
                raise NotFresh(sent)
            yield made

    return Depends(visit)


def _resumed(console: Console, request: Request) -> tuple[Visitor | None, OwnWords]:
    rules, now = console.account_rules, console.clock()
    with console.begin() as connection:
        visitor = resume(
            connection,
            console.keys.cipher,
            session_of(request, rules),
            now=now,
            rules=rules,
            is_by_person=POLL not in request.query_params,
        )
        if visitor is None:
            return None, OwnWords()
        if request.method == "POST":
            visitor = with_bounds(connection, visitor, rules=rules, now=now)
        return visitor, own_words(connection)


def _demand(visitor: Visitor, permissions: Sequence[Permission | None], *, while_setting_up: bool) -> None:
    if visitor.must_set_up and not while_setting_up:
        raise MustSetUp
    if not any(permission is None or visitor.may(permission) for permission in permissions):
        raise not_permitted()
