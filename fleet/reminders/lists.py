"""Lists of people to call and to visit, for the staff of a unit or a village (feature 82): a table that can be read back, and a page."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, StrictUndefined
from sqlalchemy import Connection

from fleet.audit.log import mark_of, note
from fleet.errors import NotFound
from fleet.keys import FieldCipher, FleetKeys
from fleet.reminders.composing import load_texts
from fleet.reminders.people import known_people, rules_of
from fleet.reminders.planner import why_not
from fleet.settings import ReminderSettings
from fleet.store import contacts, reminders
from fleet.store.areas import area_names, codes_below
from fleet.store.contacts import Contact
from fleet.store.database import Database
from fleet.store.reminders import Reminder
from fleet.tables.words import written_day
from fleet.tables.writing import to_csv, write_new

_SLIP = ("result", "worker", "day", "new_phone")
"""Columns that whoever did it fills in."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which list."""

    area: str | None
    """Code of an area, with all below it."""
    unit: str | None
    is_again: bool
    """Whether those on earlier lists stand on it, too, of whom no result came."""
    language: Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class ListRow:
    """One person on a list."""

    subject_id: str
    code: str
    step: str
    name: str = field(repr=False)
    phone: str = field(repr=False)
    due: str
    reason: str
    area: str
    unit: str


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list became."""

    list_id: str
    people: int
    cancelled: int
    """Steps that nobody needs any more, left out."""


@dataclass(frozen=True, slots=True)
class Made:
    """A list, as a table to be filled in and as a page to be printed."""

    listed: Listed
    table: bytes = field(repr=False)
    page: bytes = field(repr=False)


def make_list(
    database: Database,
    keys: FleetKeys,
    settings: ReminderSettings,
    wanted: Wanted,
    *,
    csv_path: Path | None,
    html_path: Path | None,
    by: str,
    zone: tzinfo,
    now: datetime,
) -> Listed:
    """Write a list of calls and visits, and note who had it: it has names and telephone numbers.

    Raises:
        NotFound: if there is nobody to be listed.
        Refused: if a file cannot be written, or nothing is left of the name of whoever asks.
    """
    written: list[Path] = []

    def write(made: Made) -> None:
        for path, text in ((csv_path, made.table), (html_path, made.page)):
            if path is not None:
                write_new(path, text)
                written.append(path)

    try:
        return list_out(database, keys, settings, wanted, hand_over=write, by=by, zone=zone, now=now).listed
    except BaseException:
        # Nothing is listed that the outbox does not know of.
        for path in written:
            path.unlink(missing_ok=True)
        raise


def list_out(
    database: Database,
    keys: FleetKeys,
    settings: ReminderSettings,
    wanted: Wanted,
    *,
    hand_over: Callable[[Made], None] = lambda _made: None,
    within: Sequence[str] | None = None,
    by: str,
    zone: tzinfo,
    now: datetime,
) -> Made:
    """Make a list of calls and visits, and note who had it: it has names and telephone numbers.

    Args:
        database: where.
        keys: the fleet's.
        settings: when steps are needed.
        wanted: which list.
        hand_over: what is done with it before anything is stored.
        within: only people of these areas; None for everybody.
        by: who asks.
        zone: where a day ends.
        now: when.

    Raises:
        NotFound: if there is nobody to be listed.
        Refused: if nothing is left of the name of whoever asks.
    """
    list_id = os.urandom(8).hex()
    made: Made | None = None
    with database.begin() as connection:
        rows, cancelled = _rows(connection, keys.cipher, settings, wanted, within, zone=zone, now=now)
        if rows:
            at = f"{now.astimezone(zone):%Y-%m-%d %H:%M}"
            listed = Listed(list_id, len(rows), cancelled)
            made = Made(listed, _table(rows, wanted.language), _page(rows, wanted.language, at))
            hand_over(made)
            reminders.mark_sent(connection, [row.code for row in rows], list_id=list_id, now=now)
            # What a unit is called may name a person, and the log's detail stands in the open.
            unit = mark_of(keys.cipher, wanted.unit) if wanted.unit else ""
            detail = {"people": len(rows), "area": wanted.area or "", "unit": unit}
            _note(connection, keys.cipher, list_id, detail, {row.subject_id for row in rows}, by=by, now=now)
    if made is None:
        raise NotFound(
            "nobody is to be called or visited there now; `lifecert-fleet reminders plan` looks who is",
            code="nobody_to_call",
        )
    return made


def _note(
    connection: Connection,
    cipher: FieldCipher,
    list_id: str,
    detail: Mapping[str, Any],
    about: Collection[str],
    *,
    by: str,
    now: datetime,
) -> None:
    note(
        connection,
        cipher,
        actor=by,
        action="reminders.listed",
        object_kind="reminder_list",
        object_id=list_id,
        detail=detail,
        about=about,
        now=now,
    )


def _rows(
    connection: Connection,
    cipher: FieldCipher,
    settings: ReminderSettings,
    wanted: Wanted,
    within: Sequence[str] | None,
    *,
    zone: tzinfo,
    now: datetime,
) -> tuple[list[ListRow], int]:
    areas = within if wanted.area is None else codes_below(connection, wanted.area)
    if areas is not None and within is not None:
        areas = [code for code in areas if code in within]
    found = reminders.lock_for_list(connection, areas=areas, unit=wanted.unit, is_again=wanted.is_again)
    ids = {row.subject_id for row in found}
    rules = rules_of(settings)
    people = {
        known.person.subject_id: known.person
        for known in known_people(connection, reminders.people(connection, ids), zone=zone)
    }
    ways = contacts.contacts_of(connection, ids)
    names = area_names(connection, {row.area for row in found})
    rows, cancelled = [], 0
    for row in found:
        step = Reminder(row.reminder_id, row.subject_id, row.kind, row.occasion, row.step, row.state, row.tries)
        code = why_not(step, people.get(row.subject_id), rules, now, zone)
        if code is not None:
            reminders.cancel(connection, row.reminder_id, code)
            cancelled += 1
            continue
        rows.append(_row(row, cipher, ways.get(row.subject_id, {}), names, wanted.language))
    return rows, cancelled


def _row(
    row: Any, cipher: FieldCipher, ways: Mapping[str, Contact], names: Mapping[str, str], language: str
) -> ListRow:
    texts = load_texts(language)
    way = ways.get("sms")
    phone = ""
    if way is not None and way.address_sealed is not None:
        phone = cipher.decrypt(way.address_sealed, subject_id=row.subject_id, field_name=way.field_name)
        phone += " (?)" if way.is_doubtful else ""
    return ListRow(
        subject_id=row.subject_id,
        code=row.reminder_id,
        step=texts["list"][f"for_{row.step}"],
        name=cipher.decrypt(bytes(row.name_sealed), subject_id=row.subject_id, field_name="name"),
        phone=phone,
        due=written_day(row.due, texts["frame"]),
        reason=texts["kinds"][row.kind]["title"],
        area=names.get(row.area, row.area),
        unit=row.unit or "",
    )


def _table(rows: Sequence[ListRow], language: str) -> bytes:
    texts = load_texts(language)["list"]
    columns = ("code", "unit", "area", "step", "name", "phone", "due", "reason")
    heading = [texts[name] for name in (*columns, *_SLIP)]
    return to_csv((heading, ([*(getattr(row, name) for name in columns), *("" for _ in _SLIP)] for row in rows)))


def _page(rows: Sequence[ListRow], language: str, made: str) -> bytes:
    template = files("fleet.reminders").joinpath("templates", "list.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    ordered = sorted(rows, key=lambda row: (row.unit, row.area))
    groups = [
        {"unit": unit, "area": area, "people": list(group)}
        for (unit, area), group in itertools.groupby(ordered, key=lambda row: (row.unit, row.area))
    ]
    page = environment.from_string(template).render(
        language=language, t=load_texts(language)["list"], groups=groups, made=made
    )
    return page.encode()
