"""The ways to one person, as a person at the agency writes them down: addresses, and what is not wanted (R8-14)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.keys import FleetKeys
from fleet.reminders.contacts_csv import CHECKS
from fleet.store.contacts import CHANNELS, NewContact, contact_field, contacts_of, save_contacts


def change_ways(
    connection: Connection,
    keys: FleetKeys,
    subject_id: str,
    *,
    addresses: Mapping[str, str],
    opted_out: Collection[str],
    told_by: str,
    by: str,
    now: datetime,
) -> bool:
    """Store new addresses and what somebody does not want to be told by; return whether anything was another before.

    Args:
        connection: a transaction.
        keys: the fleet's.
        subject_id: whose.
        addresses: by channel, as typed; of a channel that is empty or missing what is known stays.
        opted_out: channels by which they want nothing; the others they take.
        told_by: whose word it is, a code for the audit log.
        by: who writes it down.
        now: when.

    Raises:
        Refused: if an address is none; the message does not repeat it.
    """
    known = contacts_of(connection, [subject_id]).get(subject_id, {})
    new = []
    for channel in CHANNELS:
        typed, is_out = addresses.get(channel, ""), channel in opted_out
        address = CHECKS[channel](typed) if typed else None
        was_out = channel in known and known[channel].is_opted_out
        if address is None and is_out == was_out:
            continue
        sealed = (
            None
            if address is None
            else keys.cipher.encrypt(address, subject_id=subject_id, field_name=contact_field(channel))
        )
        new.append(NewContact(subject_id, channel, sealed, is_out))
    save_contacts(connection, new, source="console", now=now)
    if new:
        detail = {
            "addresses": [each.channel for each in new if each.address_sealed is not None],
            "opted_out": sorted(opted_out),
            "told_by": told_by,
        }
        note(
            connection,
            keys.cipher,
            actor=by,
            action="contacts.changed",
            object_kind="subject",
            object_id=subject_id,
            detail=detail,
            now=now,
        )
    return bool(new)
