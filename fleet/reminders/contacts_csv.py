"""Imports where people can be told things, and what they do not want (R8-14): all of a file or nothing, and again without harm."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.errors import FleetError, ImportRefused, Refused
from fleet.keys import FieldCipher, FleetKeys
from fleet.reminders.results import normal_phone
from fleet.store.contacts import CHANNELS, Contact, NewContact, contact_field, contacts_of, save_contacts
from fleet.store.database import Database
from fleet.store.subject_areas import outside_of
from fleet.store.subjects import find_by_tokens
from fleet.tables.places import at_line, in_column
from fleet.tables.reading import Column, Shape, Source, TableRow, read_table, refuse
from protocol.documents import claim_token, parse_document
from protocol.errors import Problem, ProtocolError

_COLUMNS = {
    "document_number": Column(("document number", "证件号码", "身份证号"), Shape.NUMBER),
    "sms": Column(("phone", "telephone", "手机号", "手机号码", "电话", "联系电话"), Shape.NUMBER, is_required=False),
    "wechat": Column(("openid", "微信", "微信号"), is_required=False),
    "email": Column(("e-mail", "邮箱", "电子邮箱"), is_required=False),
    "opt_out": Column(("opt out", "不接收"), is_required=False),
}
_OUT_WORDS = {"sms": "sms", "短信": "sms", "wechat": "wechat", "微信": "wechat", "email": "email", "邮件": "email"}
_OPENID = re.compile(r"^[A-Za-z0-9_\-]{6,64}$")
"""OpenIDs have 28 characters, account names 6 to 20; longer ones are of other gateways."""
_NONE = frozenset({"-", "none", "无"})
"""Takes an opt-out back."""
_AT_ONCE = 2_000
"""People whose ways are compared and stored by one statement each."""


@dataclass(frozen=True, slots=True)
class ContactRow:
    """One row that passed all checks."""

    line: int
    token: str
    addresses: dict[str, str] = field(repr=False)
    opted_out: frozenset[str] | None
    """None where the row does not say."""


@dataclass(frozen=True, slots=True)
class ContactList:
    """A file that passed all checks by itself."""

    rows: tuple[ContactRow, ...]
    encoding: str
    left_out: tuple[Problem, ...]
    """A sentence for each column that nobody looks for."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file did; counts of people."""

    new: int
    """Of whom nothing was known by any way that the file names."""
    changed: int
    unchanged: int

    @property
    def people(self) -> int:
        """All whom the file names."""
        return self.new + self.changed + self.unchanged


def read_contacts(path: Source, keys: FleetKeys) -> ContactList:
    """Read and check a file; nothing is stored.

    Args:
        path: CSV or XLSX.
        keys: the fleet's.

    Raises:
        ImportRefused: with every problem and its line; no message repeats a number or an address.
    """
    table = read_table(path, _COLUMNS)
    rows: list[ContactRow] = []
    problems = list(table.problems)
    lines: dict[str, int] = {}
    for row in table.rows:
        found = None if row.faults else _row(row, keys.claim_key, problems)
        if found is None:
            continue
        if found.token in lines:
            before = at_line(lines[found.token])
            twice = Problem(f"same document number as {before}", "same_number", other=before)
            problems.append(twice.within(at_line(row.line)))
        lines.setdefault(found.token, row.line)
        rows.append(found)
    if problems:
        refuse(path, problems)
    return ContactList(tuple(rows), table.encoding, table.left_out)


def import_contacts(
    database: Database,
    keys: FleetKeys,
    found: ContactList,
    *,
    by: str,
    now: datetime,
    within: frozenset[str] | None = None,
    progress: Callable[[int], None] = lambda _stored: None,
) -> Imported:
    """Store the contacts of a file, all of it or nothing; what is known already is not written again.

    Args:
        database: where.
        keys: the fleet's.
        found: the file.
        by: who brings it.
        now: when.
        within: codes of the areas whose people may be named; others are answered like somebody who is not known. None for all.
        progress: called now and then with how many people are stored.

    Raises:
        ImportRefused: with the line of everybody who is not known.
        Refused: if nothing is left of the name of whoever brings it.
    """
    counts = {"new": 0, "changed": 0, "unchanged": 0}
    with database.begin() as connection:
        known = find_by_tokens(connection, [row.token for row in found.rows])
        ids = {token: subject.subject_id for token, subject in known.items()}
        elsewhere = frozenset[str]() if within is None else outside_of(connection, list(ids.values()), within)
        unknown = [row.line for row in found.rows if row.token not in ids or ids[row.token] in elsewhere]
        if unknown:
            nobody = Problem("nobody here has this document number", "number_unknown")
            raise ImportRefused([nobody.within(at_line(line)) for line in unknown])
        for start in range(0, len(found.rows), _AT_ONCE):
            part = [(ids[row.token], row) for row in found.rows[start : start + _AT_ONCE]]
            _save(connection, keys.cipher, part, counts, now)
            progress(start + len(part))
        note(
            connection,
            keys.cipher,
            actor=by,
            action="contacts.imported",
            object_kind="contacts",
            object_id="file",
            detail={"people": len(found.rows), **counts},
            now=now,
        )
    return Imported(**counts)


def _save(
    connection: Connection,
    cipher: FieldCipher,
    part: Sequence[tuple[str, ContactRow]],
    counts: dict[str, int],
    now: datetime,
) -> None:
    """Store what differs from what is known of some people, and count them."""
    ways = contacts_of(connection, [subject_id for subject_id, _ in part])
    new: list[NewContact] = []
    for subject_id, row in part:
        known = ways[subject_id]
        differing = [
            each for each in _contacts(row, subject_id, cipher) if _differs(row, known.get(each.channel), each, cipher)
        ]
        is_known = any(channel in known for channel in row.addresses) or (not row.addresses and bool(known))
        counts["changed" if differing and is_known else "new" if differing else "unchanged"] += 1
        new += differing
    save_contacts(connection, new, source="import", now=now)


def _differs(row: ContactRow, known: Contact | None, new: NewContact, cipher: FieldCipher) -> bool:
    """Return whether a row says anything of a way that is not known; an address that was doubted is believed anew."""
    if known is None:
        return new.address_sealed is not None or bool(new.is_opted_out)
    if new.is_opted_out is not None and new.is_opted_out != known.is_opted_out:
        return True
    if new.address_sealed is None:
        return False
    if known.address_sealed is None or known.is_doubtful:
        return True
    try:
        address = cipher.decrypt(known.address_sealed, subject_id=known.subject_id, field_name=known.field_name)
    except FleetError:
        # Stored under other keys, or damaged.
        return True
    return address != row.addresses[new.channel]


def _row(row: TableRow, key: bytes, problems: list[Problem]) -> ContactRow | None:
    wrong: list[Problem] = []
    token, addresses = "", {}
    try:
        token = claim_token(parse_document(row.cells["document_number"]), key)
    except ProtocolError as error:
        wrong.append(error.problem.within(in_column("document_number")))
    for channel, check in CHECKS.items():
        if written := row.cells.get(channel):
            try:
                addresses[channel] = check(written)
            except Refused as error:
                wrong.append(error.problem.within(in_column("phone" if channel == "sms" else channel)))
    words = [word for word in re.split(r"[\s,;,;、]+", row.cells.get("opt_out", "").lower()) if word]
    out: frozenset[str] | None = None
    if words and set(words) <= _NONE:
        out = frozenset()
    elif words and set(words) <= set(_OUT_WORDS):
        out = frozenset(_OUT_WORDS[word] for word in words)
    elif words:
        some = Problem(f"some of {', '.join(CHANNELS)} expected, or none", "some_expected", expected=list(CHANNELS))
        wrong.append(some.within(in_column("opt_out")))
    if not addresses and out is None and not wrong:
        wrong.append(Problem("neither an address nor an opt-out", "says_nothing"))
    problems += [problem.within(at_line(row.line)) for problem in wrong]
    return None if wrong else ContactRow(row.line, token, addresses, out)


def _contacts(row: ContactRow, subject_id: str, cipher: FieldCipher) -> Sequence[NewContact]:
    channels = set(row.addresses) | (set(CHANNELS) if row.opted_out is not None else set())
    return [
        NewContact(
            subject_id,
            channel,
            cipher.encrypt(row.addresses[channel], subject_id=subject_id, field_name=contact_field(channel))
            if channel in row.addresses
            else None,
            None if row.opted_out is None else channel in row.opted_out,
        )
        for channel in sorted(channels)
    ]


def _openid(text: str) -> str:
    if not _OPENID.match(text):
        raise Refused("6 to 64 letters, digits, dashes or underscores expected", code="wechat_unusable")
    return text


def _email(text: str) -> str:
    try:
        found = Address(addr_spec=text)
    except ValueError as error:
        raise Refused("an address like name@example.org expected", code="email_unusable") from error
    if not found.domain or not text.isascii():
        raise Refused("an address like name@example.org expected", code="email_unusable")
    return text


CHECKS: Mapping[str, Callable[[str], str]] = {"sms": normal_phone, "wechat": _openid, "email": _email}
"""By channel: what makes an address of what was written, or refuses it."""
