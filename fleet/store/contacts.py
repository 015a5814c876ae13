"""Where people can be told things, and what they do not want to be told by; as SQL. Addresses are encrypted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import Connection, text

CHANNELS = ("sms", "wechat", "email")
PHONE_FIELD = "phone"
"""Field name under which `subjects.phone_sealed` is encrypted."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One way to somebody."""

    subject_id: str
    channel: str
    address_sealed: bytes | None = field(repr=False)
    is_opted_out: bool
    is_doubtful: bool
    """Whether a gateway or a caller found that nobody is there."""
    field_name: str
    """Under which the address is encrypted."""


@dataclass(frozen=True, slots=True)
class NewContact:
    """What a list says about one way to somebody."""

    subject_id: str
    channel: str
    address_sealed: bytes | None = field(repr=False)
    """None where the list has none: what is known stays."""
    is_opted_out: bool | None
    """None where the list does not say."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How many of those who are asked to come can be told so (R8-14)."""

    asked: int
    no_address: int
    doubtful: int
    opted_out: int


def contact_field(channel: str) -> str:
    """Return the field name under which an address in `contacts` is encrypted."""
    return f"contact_{channel}"


def contacts_of(connection: Connection, subject_ids: Collection[str]) -> dict[str, dict[str, Contact]]:
    """Return the ways to these people, by subject and channel; the telephone of a subject stands in where no row has a number."""
    rows = connection.execute(
        text(
            "SELECT s.subject_id, c.channel, c.address_sealed, c.opted_out_at IS NOT NULL AS is_out,"
            " c.doubtful_at IS NOT NULL AS is_doubtful, s.phone_sealed"
            " FROM subjects s LEFT JOIN contacts c USING (subject_id) WHERE s.subject_id = ANY(:ids)"
        ),
        {"ids": sorted(subject_ids)},
    )
    found: dict[str, dict[str, Contact]] = {}
    for row in rows:
        ways = found.setdefault(row.subject_id, {})
        if row.channel is not None:
            sealed = None if row.address_sealed is None else bytes(row.address_sealed)
            ways[row.channel] = Contact(
                row.subject_id, row.channel, sealed, row.is_out, row.is_doubtful, contact_field(row.channel)
            )
        known = ways.get("sms")
        if row.phone_sealed is not None and (known is None or known.address_sealed is None):
            is_out, is_doubtful = (known.is_opted_out, known.is_doubtful) if known else (False, False)
            ways["sms"] = Contact(row.subject_id, "sms", bytes(row.phone_sealed), is_out, is_doubtful, PHONE_FIELD)
    return found


def save_contacts(connection: Connection, contacts: Sequence[NewContact], *, source: str, now: datetime) -> None:
    """Insert or update ways to people; a new address is not doubtful any more."""
    if contacts:
        connection.execute(
            text(
                "INSERT INTO contacts (subject_id, channel, address_sealed, source, recorded_at, opted_out_at)"
                " VALUES (:subject, :channel, :sealed, :source, :now, CASE WHEN :out THEN CAST(:now AS timestamptz) END)"
                " ON CONFLICT (subject_id, channel) DO UPDATE SET"
                " address_sealed = coalesce(EXCLUDED.address_sealed, contacts.address_sealed), source = EXCLUDED.source,"
                " recorded_at = EXCLUDED.recorded_at,"
                " doubtful_at = CASE WHEN EXCLUDED.address_sealed IS NULL THEN contacts.doubtful_at END,"
                " opted_out_at = CASE WHEN CAST(:out AS boolean) IS NULL THEN contacts.opted_out_at"
                " WHEN :out THEN coalesce(contacts.opted_out_at, EXCLUDED.opted_out_at) END"
            ),
            [
                {
                    "subject": contact.subject_id,
                    "channel": contact.channel,
                    "sealed": contact.address_sealed,
                    "source": source,
                    "now": now,
                    "out": contact.is_opted_out,
                }
                for contact in contacts
            ],
        )


def doubt(connection: Connection, subject_id: str, channel: str, *, now: datetime) -> None:
    """Mark a way as one at which nobody was found, until there is a new address."""
    connection.execute(
        text(
            "INSERT INTO contacts (subject_id, channel, source, recorded_at, doubtful_at)"
            " VALUES (:subject, :channel, 'gateway', :now, :now)"
            " ON CONFLICT (subject_id, channel) DO UPDATE SET doubtful_at = :now"
        ),
        {"subject": subject_id, "channel": channel, "now": now},
    )


def reach(connection: Connection, today: date) -> Reach:
    """Return how many of those who are asked to come today can be told so."""
    row = connection.execute(
        text(
            "SELECT count(*) AS asked, count(*) FILTER (WHERE s.phone_sealed IS NULL AND NOT EXISTS"
            " (SELECT 1 FROM contacts c WHERE c.subject_id = t.subject_id AND c.address_sealed IS NOT NULL)) AS no_address,"
            " count(*) FILTER (WHERE EXISTS (SELECT 1 FROM contacts c WHERE c.subject_id = t.subject_id"
            " AND c.doubtful_at IS NOT NULL)) AS doubtful,"
            " count(*) FILTER (WHERE EXISTS (SELECT 1 FROM contacts c WHERE c.subject_id = t.subject_id"
            " AND c.opted_out_at IS NOT NULL)) AS opted_out"
            " FROM statuses t JOIN subjects s USING (subject_id) WHERE t.asked <= :today"
        ),
        {"today": today},
    ).one()
    return Reach(row.asked, row.no_address, row.doubtful, row.opted_out)
