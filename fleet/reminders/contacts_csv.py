"""Imports where people can be told things, and what they do not want (R8-14): all of a file or nothing, and again without harm."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from pathlib import Path

from fleet.audit.log import note
from fleet.errors import ImportRefused, Refused
from fleet.keys import FieldCipher, FleetKeys
from fleet.reminders.results import normal_phone
from fleet.store.contacts import CHANNELS, NewContact, contact_field, save_contacts
from fleet.store.database import Database
from fleet.store.subjects import find_by_tokens
from fleet.tables.reading import Column, Shape, TableRow, read_table, refuse
from protocol.documents import claim_token, parse_document
from protocol.errors import ProtocolError

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


@dataclass(frozen=True, slots=True)
class ContactRow:
    """One row that passed all checks."""

    line: int
    token: str
    addresses: dict[str, str] = field(repr=False)
    opted_out: frozenset[str] | None
    """None where the row does not say."""


def import_contacts(database: Database, keys: FleetKeys, path: Path, *, by: str, now: datetime) -> int:
    """Store the contacts of a file; return how many people it named.

    Raises:
        ImportRefused: with every problem and its line; no message repeats a number, an address or a name.
        Refused: if nothing is left of the name of whoever brings it.
    """
    rows = _read(path, keys.claim_key)
    with database.begin() as connection:
        known = find_by_tokens(connection, [row.token for row in rows])
        unknown = [row.line for row in rows if row.token not in known]
        if unknown:
            raise ImportRefused([f"{path}: line {line}: nobody here has this document number" for line in unknown])
        new = [contact for row in rows for contact in _contacts(row, known[row.token].subject_id, keys.cipher)]
        save_contacts(connection, new, source="import", now=now)
        note(
            connection,
            keys.cipher,
            actor=by,
            action="contacts.imported",
            object_kind="contacts",
            object_id="file",
            detail={"people": len(rows), "ways": len(new)},
            now=now,
        )
    return len(rows)


def _read(path: Path, key: bytes) -> list[ContactRow]:
    table = read_table(path, _COLUMNS)
    rows: list[ContactRow] = []
    problems = list(table.problems)
    lines: dict[str, int] = {}
    for row in table.rows:
        found = None if row.faults else _row(row, key, problems)
        if found is None:
            continue
        if found.token in lines:
            problems.append(f"line {row.line}: same document number as line {lines[found.token]}")
        lines.setdefault(found.token, row.line)
        rows.append(found)
    if problems:
        refuse(path, problems)
    return rows


def _row(row: TableRow, key: bytes, problems: list[str]) -> ContactRow | None:
    wrong: list[str] = []
    token, addresses = "", {}
    try:
        token = claim_token(parse_document(row.cells["document_number"]), key)
    except ProtocolError as error:
        wrong.append(f"document_number: {error}")
    for channel, check in CHECKS.items():
        if written := row.cells.get(channel):
            try:
                addresses[channel] = check(written)
            except Refused as error:
                wrong.append(f"{'phone' if channel == 'sms' else channel}: {error}")
    words = [word for word in re.split(r"[\s,;,;、]+", row.cells.get("opt_out", "").lower()) if word]
    out: frozenset[str] | None = None
    if words and set(words) <= _NONE:
        out = frozenset()
    elif words and set(words) <= set(_OUT_WORDS):
        out = frozenset(_OUT_WORDS[word] for word in words)
    elif words:
        wrong.append(f"opt_out: some of {', '.join(CHANNELS)} expected, or none")
    if not addresses and out is None and not wrong:
        wrong.append("neither an address nor an opt-out")
    problems += [f"line {row.line}: {problem}" for problem in wrong]
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
