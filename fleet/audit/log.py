"""Writes into the append-only, hash-linked log, and checks it.

An entry's digest covers all it says and the digest of the entry before it, so that nothing can be changed, left out or put in between
afterwards without every later digest being wrong. Who did it stands encrypted; an export names persons by keyed hashes only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from sqlalchemy import Connection, Row, text

from fleet.errors import CheckFailed, FleetError, Refused
from fleet.keys import FieldCipher
from fleet.store.names import cleaned

_LOCK = 0x6C636175
"""Advisory lock number of the log: "lcau" in ASCII."""
UNNAMED = "command-line"
"""Who did something, where a command was given without a name."""
LONGEST_TEXT = 500
"""Characters of one text of an entry: ids, days, codes. Whatever is longer was typed by somebody, and has no place there."""
START = "0" * 64
"""What the first entry names as the digest before it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as it is exported: without names."""

    entry: int
    at: datetime
    action: str
    actor_hash: str
    object_kind: str
    object_id: str
    detail: dict[str, Any]
    previous: str
    sha256: str


def note(
    connection: Connection,
    cipher: FieldCipher,
    *,
    actor: str,
    action: str,
    object_kind: str,
    object_id: str,
    detail: Mapping[str, Any] | None = None,
    about: Collection[str] = (),
    reason: str | None = None,
    now: datetime,
) -> None:
    """Write one entry. Call it last in a transaction: it waits for everybody else who writes one, until they commit.

    Args:
        connection: where; the entry exists if and only if the transaction is committed.
        cipher: the fleet's.
        actor: who did it, as they are known: a person's name, or `fleet`, `feed:<name>`, `partner:<id>`.
        action: what was done, as `<object>.<verb>` (`case.decided`, `picture.viewed`).
        object_kind: what kind of thing it was done to.
        object_id: its id.
        detail: what else is worth knowing: ids, days, counts, codes; no name, no document number, no picture.
        about: whom it is about, where the object is not the person: everybody who was named, so that they can be told who looked
            (`fleet.audit.looks`). `subject_id` and `subjects` in the detail count as well.
        reason: why somebody looked, in words; it may hold anything and is kept encrypted, for each of whom it is about.
        now: when.

    Raises:
        Refused: if nothing is left of the actor's name, or it is too long.
        TypeError: for a detail with a number that is no integer: the database may write it in another way, and the digest would not hold.
        ValueError: for a text that is longer than any id, day or code is; it is never cut short.
    """
    who = cleaned(actor)
    _refuse_unfit([object_kind, object_id, detail or {}])
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    last = connection.execute(text("SELECT entry, sha256 FROM audit_log ORDER BY entry DESC LIMIT 1")).one_or_none()
    number, previous = (1, START) if last is None else (last.entry + 1, last.sha256)
    actor_hash = _actor_hash(cipher, who)
    found = dict(detail or {})
    # PostgreSQL keeps microseconds.
    digest = _digest(number, now, action, actor_hash.hex(), object_kind, object_id, found, previous)
    connection.execute(
        text(
            "INSERT INTO audit_log (entry, at, action, actor_sealed, actor_hash, object_kind, object_id, detail, previous,"
            " sha256) VALUES (:entry, :at, :action, :actor, :hash, :kind, :id, CAST(:detail AS jsonb), :previous, :sha256)"
        ),
        {
            "entry": number,
            "at": now,
            "action": action,
            "actor": cipher.encrypt(who, subject_id="audit", field_name="actor"),
            "hash": actor_hash,
            "kind": object_kind,
            "id": object_id,
            "detail": _canonical(found),
            "previous": previous,
            "sha256": digest,
        },
    )
    people = {*about, *found.get("subjects", ()), *([found["subject_id"]] if found.get("subject_id") else [])}
    _note_about(connection, cipher, number, people, reason)


def _note_about(
    connection: Connection, cipher: FieldCipher, entry: int, people: Collection[str], reason: str | None
) -> None:
    if not people:
        return
    ids = sorted(people)
    reasons = [
        None if reason is None else cipher.encrypt(reason, subject_id=subject_id, field_name="view_reason")
        for subject_id in ids
    ]
    # Who is not listed any more, or never was, is nobody to be answered.
    connection.execute(
        text(
            "INSERT INTO audit_about (subject_id, entry, reason_sealed) SELECT s.subject_id, :entry, named.reason"
            " FROM unnest(CAST(:ids AS text[]), CAST(:reasons AS bytea[])) AS named (id, reason)"
            " JOIN subjects s ON s.subject_id = named.id"
        ),
        {"entry": entry, "ids": ids, "reasons": reasons},
    )


def entries(
    connection: Connection, *, object_kind: str | None = None, object_id: str | None = None
) -> Generator[Entry]:
    """Give the entries in order, all of them or those about one object."""
    # By statement: asked of the connection, it would hold for all that comes after.
    statement = text(
        "SELECT entry, at, action, actor_hash, object_kind, object_id, detail, previous, sha256 FROM audit_log"
        " WHERE (CAST(:kind AS text) IS NULL OR object_kind = :kind) AND (CAST(:id AS text) IS NULL OR object_id = :id)"
        " ORDER BY entry"
    ).execution_options(yield_per=1000)
    with connection.execute(statement, {"kind": object_kind, "id": object_id}) as rows:
        for row in rows:
            yield _entry(row)


@dataclass(frozen=True, slots=True)
class Named:
    """One entry with who did it, still sealed."""

    entry: Entry
    actor_sealed: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """Which entries somebody looks for; empty means any."""

    actor: str = ""
    """Name of who did it, whole."""
    action: str = ""
    """The whole action, or with a full stop at its end how it begins."""
    object_kind: str = ""
    object_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    """The moment after the last."""


def newest(
    connection: Connection,
    cipher: FieldCipher,
    question: Question,
    *,
    below: int | None = None,
    above: int | None = None,
    limit: int,
) -> list[Named]:
    """Return entries, the newest first; those of a span of time by their moment.

    Args:
        connection: where to read.
        cipher: the fleet's.
        question: which.
        below: only those before this one.
        above: only those after this one, and of those the oldest.
        limit: most entries.
    """
    try:
        actor = _actor_hash(cipher, cleaned(question.actor)) if question.actor.strip() else None
    except Refused:
        # Nobody has a name that long.
        return []
    place, sign, way = (above, ">", "ASC") if above is not None else (below, "<", "DESC")
    # Only what is asked for stands in the statement, so that the index of it is found. An entry's moment is that at which what it is
    # about began, so moments are nearly, and not quite, in the order of the entries: by a span of time the index of moments is followed.
    is_span = question.since is not None or question.until is not None
    order = f"l.at {way}, l.entry {way}" if is_span else f"l.entry {way}"
    before = (
        "(l.at, l.entry) {} ((SELECT at FROM audit_log WHERE entry = :place), :place)"
        if is_span
        else "l.entry {} :place"
    )
    conditions = {
        before.format(sign): place is not None,
        "l.actor_hash = :actor": actor is not None,
        "l.action = ANY(:actions)": bool(question.action),
        "l.object_kind = :kind": bool(question.object_kind),
        "l.object_id = :id": bool(question.object_id),
        "l.at >= :since": question.since is not None,
        "l.at < :until": question.until is not None,
    }
    where = " AND ".join(["true", *(condition for condition, is_asked in conditions.items() if is_asked)])
    values = {
        "place": place,
        "actor": actor,
        "kind": question.object_kind,
        "id": question.object_id,
        "since": question.since,
        "until": question.until,
        "actions": _actions(connection, question.action) if question.action else [],
        "limit": limit,
    }
    statement = f"SELECT l.* FROM audit_log l WHERE {where} ORDER BY {order} LIMIT :limit"  # noqa: S608 - our own fragments
    rows = connection.execute(text(statement), values).all()
    found = [Named(_entry(row), bytes(row.actor_sealed)) for row in rows]
    return found if above is None else found[::-1]


def _actions(connection: Connection, begin: str) -> list[str]:
    """Return the action, or those that begin with what ends in a dot; of the some hundred there are each is found by one look."""
    return list(connection.execute(text(_ACTIONS), {"begin": begin}).scalars())


_ACTIONS = """
WITH RECURSIVE done AS (
    (SELECT action FROM audit_log ORDER BY action LIMIT 1)
    UNION ALL SELECT (SELECT n.action FROM audit_log n WHERE n.action > done.action ORDER BY n.action LIMIT 1) FROM done
    WHERE done.action IS NOT NULL
)
SELECT action FROM done WHERE action = :begin OR (:begin LIKE '%.' AND starts_with(action, :begin))
"""


def open_actor(cipher: FieldCipher, named: Named) -> str:
    """Return the name of who did something."""
    return open_sealed_actor(cipher, named.actor_sealed)


def open_sealed_actor(cipher: FieldCipher, sealed: bytes) -> str:
    """Return the name of who did something, as it stands in an entry; a mark where it does not open: the rest is still to be read."""
    try:
        return cipher.decrypt(sealed, subject_id="audit", field_name="actor")
    except FleetError:
        return "\N{REPLACEMENT CHARACTER}"


def to_line(entry: Entry) -> str:
    """Return one line of an exported log: JSON, its keys in order."""
    return _canonical(
        {
            "entry": entry.entry,
            "at": _moment(entry.at),
            "action": entry.action,
            "actor": entry.actor_hash,
            "object_kind": entry.object_kind,
            "object_id": entry.object_id,
            "detail": entry.detail,
            "previous": entry.previous,
            "sha256": entry.sha256,
        }
    )


Tell = Callable[[int], object]
"""Told now and then how many entries were read."""
_TELL_EVERY = 5_000


def export(connection: Connection, out: TextIO, *, tell: Tell = lambda _: None) -> tuple[int, str]:
    """Write the whole log, checked while it is written; return how many entries it has and the digest of the last.

    Raises:
        CheckFailed: with the line at which it stops being the log that was written; what comes before stands in `out`.
    """
    with closing(entries(connection)) as found:
        return verify_lines(_copied((to_line(entry) for entry in _told(found, tell)), out))


def verify(connection: Connection, *, tell: Tell = lambda _: None) -> tuple[int, str]:
    """Check the whole log where it is; return and raise as `export`."""
    with closing(entries(connection)) as found:
        return verify_lines(to_line(entry) for entry in _told(found, tell))


def count(connection: Connection) -> int:
    """Return the number of the newest entry, which is how many there are."""
    return int(connection.execute(text("SELECT coalesce(max(entry), 0) FROM audit_log")).scalar_one())


def _told(found: Iterable[Entry], tell: Tell) -> Iterator[Entry]:
    for done, entry in enumerate(found):
        if done % _TELL_EVERY == 0:
            tell(done)
        yield entry


def _copied(lines: Iterable[str], out: TextIO) -> Iterator[str]:
    for line in lines:
        out.write(line + "\n")
        yield line


def verify_lines(lines: Iterable[str]) -> tuple[int, str]:
    """Check an exported log from its first entry; return how many entries it has and the digest of the last.

    The last digest is what tells a shortened log from a whole one: compare it with one that was noted down before.

    Raises:
        CheckFailed: with the line at which it stops being the log that was written.
    """
    number, previous = 0, START
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
            at = datetime.fromisoformat(found["at"])
            said = found["sha256"]
            digest = _digest(
                found["entry"],
                at,
                found["action"],
                found["actor"],
                found["object_kind"],
                found["object_id"],
                found["detail"],
                found["previous"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CheckFailed(f"line {number}: no entry of an audit log", code="no_entry", line=number) from error
        if found["entry"] != number:
            raise CheckFailed(
                f"line {number}: entry {found['entry']} found, {number} expected: something was left out or put in",
                code="entry_missing",
                line=number,
                found=found["entry"],
            )
        if found["previous"] != previous:
            raise CheckFailed(f"line {number}: does not follow the entry before it", code="entry_follows", line=number)
        if digest != said:
            raise CheckFailed(f"line {number}: was changed after it was written", code="entry_changed", line=number)
        previous = digest
    return number, previous


def mark_of(cipher: FieldCipher, words: str) -> str:
    """Return what stands in an entry for words that somebody typed, which may name anybody: a keyed hash, the same for the same words."""
    return cipher.digest(words, subject_id="audit", field_name="words").hex()[:32]


def _actor_hash(cipher: FieldCipher, name: str) -> bytes:
    return cipher.digest(name.casefold(), subject_id="audit", field_name="actor")


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        row.entry,
        row.at,
        row.action,
        bytes(row.actor_hash).hex(),
        row.object_kind,
        row.object_id,
        row.detail,
        row.previous,
        row.sha256,
    )


def _refuse_unfit(found: object) -> None:
    if isinstance(found, float):
        raise TypeError("audit detail: integers, texts, lists and tables expected")
    if isinstance(found, str) and len(found) > LONGEST_TEXT:
        raise ValueError(f"audit entry: a text of {len(found)} characters, {LONGEST_TEXT} at most")
    if isinstance(found, Mapping):
        for value in found.values():
            _refuse_unfit(value)
    elif isinstance(found, list | tuple):
        for value in found:
            _refuse_unfit(value)


def _digest(
    entry: int,
    at: datetime,
    action: str,
    actor: str,
    object_kind: str,
    object_id: str,
    detail: Mapping[str, Any],
    previous: str,
) -> str:
    said = _canonical([entry, _moment(at), action, actor, object_kind, object_id, detail, previous])
    return hashlib.sha256(said.encode()).hexdigest()


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _canonical(found: Any) -> str:
    return json.dumps(found, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
