"""Lists of people as of a key date: kept as they were handed in, and compared with each other (R2-9, R2-10, R3-4 to R3-10)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.clock import day_of
from fleet.errors import NotFound, Refused
from fleet.intake.comparison import Comparison
from fleet.intake.people_table import PeopleList
from fleet.intake.preview import look
from fleet.intake.subjects import Imported, note_changes, store_rows
from fleet.keys import FleetKeys
from fleet.status.projection import project
from fleet.store import key_lists
from fleet.store.database import Database
from fleet.store.key_lists import KeyList, Member
from fleet.store.names import cleaned

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Compared:
    """What is on a later list and on an earlier one; each as (subject id, scheme)."""

    joined: tuple[tuple[str, str], ...]
    left: tuple[tuple[str, str], ...]
    changed: tuple[tuple[str, str], ...]
    """On both, with another region, category or first day."""
    same: int


def take_list(
    database: Database,
    keys: FleetKeys,
    people: PeopleList,
    *,
    name: str,
    as_of: date,
    by: str,
    now: datetime,
    zone: tzinfo,
    progress: Callable[[int], object] = lambda _: None,
) -> tuple[str, Imported]:
    """Import a list and keep who was on it, in one transaction; return its id and what the import did.

    `progress` is called now and then with how many rows are stored.

    The same file again is the same list. A list that is older than another one here says who was on it, and changes nobody who is known.

    Raises:
        Refused: if the key date is still to come, or a list of this name and day is here with other content.
        DatabaseUnavailable: nothing was stored.
    """
    called = cleaned(name)
    if as_of > day_of(now, zone):
        raise Refused(
            f"--as-of {as_of}: a day to come; a list says who was on it on a day that is over",
            code="key_day",
            day=as_of,
        )
    with database.begin() as connection:
        is_older = any(found.as_of > as_of for found in key_lists.lists(connection))
        people, held = look(connection, keys, people)
        done = store_rows(connection, keys, people.rows, now=now, zone=zone, only_new=is_older, progress=progress)
        # Of an older list nobody who is known is changed.
        changes = None if is_older else held
        known = key_lists.find_named(connection, called, as_of)
        if known is not None:
            if known.sha256 != people.sha256:
                raise Refused(
                    f"list {known.list_id} has this name and key date and another content; give the corrected one another name,"
                    " and compare them (`lifecert-fleet lists compare`)",
                    code="key_named",
                    list=known.list_id,
                )
            if changes is not None:
                note_changes(connection, keys, done.subject_ids, changes, by=by, now=now)
            return known.list_id, done
        list_id = _keep(connection, keys, people, done, changes, name=called, as_of=as_of, by=by, now=now, zone=zone)
        return list_id, done


def compare_lists(connection: Connection, earlier: str, later: str) -> Compared:
    """Compare two lists by their ids.

    Raises:
        NotFound: if there is no such list.
    """
    for list_id in (earlier, later):
        if key_lists.find_list(connection, list_id) is None:
            raise NotFound(f"list {list_id}: there is none of this id (`lifecert-fleet lists show`)", code="no_list")
    return compared(key_lists.members_of(connection, earlier), key_lists.members_of(connection, later))


def compared(earlier: Iterable[Member], later: Iterable[Member]) -> Compared:
    """Say who joined, who left and what changed between two lists."""
    before = {(member.subject_id, member.scheme): member for member in earlier}
    after = {(member.subject_id, member.scheme): member for member in later}
    both = sorted(before.keys() & after.keys())
    changed = tuple(key for key in both if before[key] != after[key])
    return Compared(
        joined=tuple(sorted(after.keys() - before.keys())),
        left=tuple(sorted(before.keys() - after.keys())),
        changed=changed,
        same=len(both) - len(changed),
    )


def _keep(
    connection: Connection,
    keys: FleetKeys,
    people: PeopleList,
    done: Imported,
    changes: Comparison | None,
    *,
    name: str,
    as_of: date,
    by: str,
    now: datetime,
    zone: tzinfo,
) -> str:
    list_id = os.urandom(8).hex()
    sealed = keys.cipher.encrypt(cleaned(by), subject_id=list_id, field_name="taken_by")
    found = KeyList(list_id, name, as_of, people.sha256, len(people.rows), now, sealed)
    key_lists.add_list(connection, found, _members(people, done))
    # Who is not on it is not asked for its period: their obligations follow from the list, too.
    covered = key_lists.covered_by(connection, list_id)
    for start in range(0, len(covered), _CHUNK):
        project(connection, covered[start : start + _CHUNK], zone=zone, today=day_of(now, zone))
    if changes is not None:
        note_changes(connection, keys, done.subject_ids, changes, by=by, now=now)
    note(
        connection,
        keys.cipher,
        actor=by,
        action="list.taken",
        object_kind="list",
        object_id=list_id,
        detail={"as_of": as_of.isoformat(), "rows": found.rows, "sha256": people.sha256, "encoding": people.encoding},
        now=now,
    )
    return list_id


def _members(people: PeopleList, done: Imported) -> list[Member]:
    return [
        Member(subject_id, row.benefit.scheme, row.benefit.region, row.benefit.category, row.benefit.started)
        for row, subject_id in zip(people.rows, done.subject_ids, strict=True)
    ]
