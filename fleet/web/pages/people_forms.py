"""The shape of every form about a person: shown with what it needs, received in one transaction, shown again with what is wrong.

Every form carries a version of the person (`fleet.store.person.version_of`) and when it was shown; where somebody changed something since,
it comes back with all that was typed and with what happened meanwhile. So a form that is sent twice does its work once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from fleet.accounts.roles import Permission
from fleet.audit.log import Question, newest, open_actor
from fleet.errors import NotFound, Refused
from fleet.people.person import identity_of
from fleet.store.people import may_see
from fleet.store.person import lock_changes, version_of
from fleet.web.saying import said
from fleet.web.visits import Visit, not_found

_MEANWHILE = 20
_LOOKS = frozenset(
    {"subject.viewed", "subject.history_viewed", "subject.form_viewed", "subject.record_viewed", "subject.slip_viewed"}
)
_CHANGED = frozenset({"changed", "same_person", "two_have_approved", "no_report", "no_step", "no_case", "here_already"})
"""What is refused because of what happened meanwhile, not for what was typed."""
_ASKED = frozenset({"same_kind_stands", "pass_since"})
"""What is done once whoever sends it says that they know what follows."""


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """Something that was done about the person since a form was shown."""

    at: datetime
    who: str
    action: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One form about one person, in a transaction."""

    visit: Visit
    connection: Connection
    subject_id: str
    event_id: str = ""
    """Of the report that it is about; empty where it is about none."""


@dataclass(frozen=True, slots=True)
class PersonForm:
    """One kind of form about a person."""

    permission: Permission
    """That it takes where the person lives."""
    template: str
    fill: Callable[[Asked], dict[str, Any]]
    """Return what its template shows beside the person and what was typed."""
    work: Callable[[Asked], str]
    """Do what it says; return the code of the sentence that says so, one of `texts.done`."""

    def show(
        self,
        visit: Visit,
        subject_id: str,
        event_id: str = "",
        *,
        problems: Sequence[str] = (),
        status: int = 200,
        refused: str | None = None,
    ) -> HTMLResponse:
        """Show it, with what was typed if it was sent, and by which code it was refused; who looks is written down."""
        try:
            with visit.begin() as connection:
                self._within(visit, connection, subject_id)
                filled = self.fill(Asked(visit, connection, subject_id, event_id))
                version = version_of(connection, subject_id)
                meanwhile = _meanwhile(visit, connection, subject_id) if status == 409 else []
                identity = identity_of(
                    connection,
                    visit.cipher,
                    subject_id,
                    tops=visit.tops(self.permission),
                    by=visit.visitor.name,
                    now=visit.now,
                )
        except NotFound as error:
            raise not_found() from error
        return visit.page(
            self.template,
            status=status,
            identity=identity,
            subject_id=subject_id,
            version=version,
            seen_at=visit.now.isoformat(),
            problems=problems,
            asks_sure=refused in _ASKED or "sure" in visit.sent.fields,
            meanwhile=meanwhile,
            fields=visit.sent.fields,
            **filled,
        )

    def receive(self, visit: Visit, subject_id: str, event_id: str = "") -> Response:
        """Do what it says in one transaction with the check of the version; else show it again with what is wrong."""
        try:
            with visit.begin() as connection:
                self._within(visit, connection, subject_id)
                lock_changes(connection, subject_id)
                _refuse_changed(connection, subject_id, visit.sent.text("version"))
                done = self.work(Asked(visit, connection, subject_id, event_id))
        except (Refused, NotFound) as error:
            problems = [said(visit.texts["people"], error)]
            status = 409 if error.code in _CHANGED else 422
            return self.show(visit, subject_id, event_id, problems=problems, status=status, refused=error.code)
        return visit.done(f"/people/{subject_id}", done)

    def _within(self, visit: Visit, connection: Connection, subject_id: str) -> None:
        if not may_see(connection, subject_id, visit.tops(self.permission)):
            raise not_found()


def _refuse_changed(connection: Connection, subject_id: str, version: str) -> None:
    if version_of(connection, subject_id) != version:
        raise Refused("the person was changed since the form was shown", code="changed")


def _meanwhile(visit: Visit, connection: Connection, subject_id: str) -> list[Meanwhile]:
    try:
        since = datetime.fromisoformat(visit.sent.text("seen_at"))
    except ValueError:
        return []
    if since.tzinfo is None:
        return []
    question = Question(object_kind="subject", object_id=subject_id, since=since)
    return [
        Meanwhile(each.entry.at, open_actor(visit.cipher, each), each.entry.action)
        for each in newest(connection, visit.cipher, question, limit=_MEANWHILE)
        if each.entry.action not in _LOOKS
    ]
