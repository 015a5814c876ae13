"""One request of somebody who is signed in: who they are, what they sent, and how they are answered.

Every page asks for a permission: `visit: Annotated[Visit, needs(Permission.PEOPLE)]` to look, `sends(Permission.PEOPLE_CHANGE)` for a
form. Nothing else gives a page a visitor, so no page can forget to ask. Whether what is asked for lies within the visitor's areas the page
says itself, in its query (`Visit.tops`): what lies outside is answered as if it did not exist.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import Any
from urllib.parse import quote

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from fleet.accounts.roles import Permission
from fleet.accounts.sessions import resume
from fleet.accounts.visitor import Visitor
from fleet.audit.log import note
from fleet.errors import FleetError
from fleet.keys import FieldCipher, FleetKeys
from fleet.store.areas import codes_below
from fleet.web.console import Console, language_of
from fleet.web.navigation import Entry, entries_for
from fleet.web.texts import Texts

FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
_MAX_FIELDS = 400
_MAX_FILES = 2_000
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""Stands for what was stored under another key or altered: one row that does not open must not take the page away."""


class SignedOut(Exception):
    """Nobody is signed in, or the session is over; what was sent is kept for the same person."""

    def __init__(self, sent: Sent | None = None) -> None:
        super().__init__("nobody is signed in")
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Sent:
    """A form as it came: every field's last value, and its files."""

    fields: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """All values of each field, for fields that may be given more than once."""
    files: Mapping[str, tuple[UploadFile, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return what was typed into a field, without spaces around it; empty if it did not come."""
        return self.fields.get(name, "").strip()


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of one visitor."""

    console: Console
    request: Request
    visitor: Visitor
    language: str
    now: datetime
    sent: Sent = field(default_factory=Sent)

    @property
    def texts(self) -> Texts:
        """All texts in the visitor's language."""
        return self.console.renderer.texts(self.language)

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
    def entries(self) -> list[Entry]:
        """What stands in the visitor's menu."""
        return entries_for(self.visitor)

    def may(self, permission: str) -> bool:
        """Return whether the visitor has a permission somewhere; for templates, which show no button that would be refused."""
        return self.visitor.may(Permission(permission))

    def begin(self) -> AbstractContextManager[Connection]:
        """Give a transaction."""
        return self.console.begin()

    def tops(self, permission: Permission) -> frozenset[str] | None:
        """Return at the top of which areas the visitor has a permission; None for the whole fleet."""
        return self.visitor.areas_for(permission)

    def codes(self, connection: Connection, permission: Permission) -> list[str] | None:
        """Return the codes of all areas where the visitor has a permission; None for the whole fleet."""
        tops = self.tops(permission)
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

    def page(self, template: str, *, status: int = 200, **contents: Any) -> HTMLResponse:
        """Return the answer with a page, or with a part of one."""
        return self.console.renderer.page(
            template, self.language, contents={"visit": self, "visitor": self.visitor, **contents}, status=status
        )

    def done(self, path: str, code: str) -> RedirectResponse:
        """Send the visitor on to a page that says what was done.

        Args:
            path: of the page.
            code: of the sentence, one of `texts.done`.
        """
        mark = "&" if "?" in path else "?"
        return RedirectResponse(f"{path}{mark}done={quote(code)}", status_code=303)

    def note(self, connection: Connection, action: str, object_kind: str, object_id: str, **detail: Any) -> None:
        """Write into the audit log what the visitor does, or whom they look at; last in its transaction, see `fleet.audit.log.note`."""
        note(
            connection,
            self.cipher,
            actor=self.visitor.name,
            action=action,
            object_kind=object_kind,
            object_id=object_id,
            detail=detail,
            now=self.now,
        )


def not_permitted() -> HTTPException:
    """Return the answer for somebody who has not the permission."""
    return HTTPException(403)


def not_found() -> HTTPException:
    """Return the answer for what is not there, or not within the visitor's areas: nobody can tell one from the other."""
    return HTTPException(404)


def needs(permission: Permission | None) -> Any:
    """Give a page its visit; None where being signed in is enough."""

    def visit(request: Request) -> Visit:
        return _visit(request, permission, Sent())

    return Depends(visit)


def sends(permission: Permission | None) -> Any:
    """Give the receiver of a form its visit, with what was sent."""
    return Depends(_receiving(permission))


def _receiving(permission: Permission | None) -> Callable[[Request], Awaitable[Visit]]:
    async def visit(request: Request) -> Visit:
        sent = await read_form(request)
        made = await run_in_threadpool(_visit, request, permission, sent)
        given = sent.fields.get(FORM_TOKEN, "")
        if not hmac.compare_digest(given.encode(), made.visitor.form_token.encode()):
            # The form is of a session before this one, or of another site.
            raise SignedOut(sent)
        return made

    return visit


async def read_form(request: Request) -> Sent:
    """Return what was sent by a page of ours; another site's is refused."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise not_permitted()
    form = await request.form(max_files=_MAX_FILES, max_fields=_MAX_FIELDS)
    lists: dict[str, list[str]] = {}
    files: dict[str, list[UploadFile]] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            # A field for files that was left empty comes as a file without a name.
            if value.filename:
                files.setdefault(name, []).append(value)
        else:
            # PostgreSQL takes no zero byte, and nobody types one.
            lists.setdefault(name, []).append(value.replace("\0", ""))
    return Sent(
        {name: values[-1] for name, values in lists.items()},
        {name: tuple(values) for name, values in lists.items()},
        {name: tuple(values) for name, values in files.items()},
    )


SESSION_COOKIE = "lifecert-session"
LIVE = "live"
"""Stands in the address of what a page asks for by itself, again and again: it keeps no session alive."""


def _visit(request: Request, permission: Permission | None, sent: Sent) -> Visit:
    console: Console = request.app.state.console
    now = console.clock()
    with console.begin() as connection:
        visitor = resume(
            connection,
            console.keys.cipher,
            request.cookies.get(SESSION_COOKIE, ""),
            now=now,
            rules=console.account_rules,
            is_by_person=LIVE not in request.query_params,
        )
    if visitor is None:
        raise SignedOut(sent if request.method == "POST" else None)
    if permission is not None and not visitor.may(permission):
        raise not_permitted()
    return Visit(console, request, visitor, language_of(request), now, sent)
