"""Issues rosters: pages of changes, signed by the fleet and sealed to the one terminal that may read them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from sqlalchemy import Connection

from fleet.admission import ROSTER_VALIDITY
from fleet.keys import FleetKeys
from fleet.references.domains import current_domain, feature_keys
from fleet.references.labels import labels_of
from fleet.store.entitlements import told_of
from fleet.store.rosters import RosterChange, changes_after, has_names, renumber_outdated, set_pushed
from fleet.store.subjects import usable_references
from fleet.store.terminals import StoredTerminal
from protocol import base64url
from protocol.entitlements import Entitlement
from protocol.envelope import seal, sign
from protocol.references import Reference
from protocol.roster import PAGE_ENTRIES, ROSTER_TYP, RosterEntry, RosterPage, SubjectLabel

_PAGE_BYTES = 384 * 1024
"""Aim for the JSON of a page's entries: signing and sealing grow it by 16/9, which stays under the message limit of 1 MiB."""


class RosterIssuer:
    """Makes roster pages for terminals of one fleet."""

    def __init__(self, fleet_id: str, keys: FleetKeys, *, key_domain: str | None = None) -> None:
        """Prepare.

        Args:
            fleet_id: the fleet.
            keys: its keys.
            key_domain: the domain that the settings name for new references; None where terminals are to make none.
        """
        self._fleet_id = fleet_id
        self._keys = keys
        self._key_domain = key_domain

    def pages(
        self, connection: Connection, terminal: StoredTerminal, *, have: int, now: datetime, today: date
    ) -> list[bytes]:
        """Return the sealed pages that bring a terminal from the version it has to the newest, at least one.

        A terminal that has everything gets an empty page with a new expiry. One that names a version this fleet never
        gave gets the whole roster, from version 0. The caller has locked the terminal.
        """
        newest = renumber_outdated(connection, terminal.terminal_id)
        after = have if have <= newest else 0
        pages: list[bytes] = []
        secrets = {name: base64url.encode(secret) for name, secret in feature_keys(connection, self._keys).items()}
        domain = None if self._key_domain is None else current_domain(connection, self._key_domain)
        says_names = has_names(connection, terminal.terminal_id)
        while True:
            found = changes_after(connection, terminal.terminal_id, after, PAGE_ENTRIES)
            held = [change.subject_id for change in found if not change.removed]
            references = usable_references(connection, held, today=today)
            labels = labels_of(connection, self._keys.cipher, held) if says_names else {}
            told = told_of(connection, held)
            entries = list(_fitting(found, references, labels, told))
            complete = len(entries) == len(found) < PAGE_ENTRIES
            upto = newest if complete else entries[-1].roster_version
            page = RosterPage(
                fleet_id=self._fleet_id,
                terminal_id=terminal.terminal_id,
                issued_at=now,
                expires_at=now + ROSTER_VALIDITY,
                after=after,
                upto=upto,
                complete=complete,
                claim_key=base64url.encode(self._keys.claim_key),
                feature_keys=secrets,
                enrolment_domain=domain,
                entries=tuple(entries),
            )
            pages.append(self._sealed(page, terminal))
            if complete:
                set_pushed(connection, terminal.terminal_id, upto)
                return pages
            after = upto

    def _sealed(self, page: RosterPage, terminal: StoredTerminal) -> bytes:
        signed = sign(page.to_bytes(), key=self._keys.signing, typ=ROSTER_TYP)
        return seal(signed, reader=terminal.sealing_key)


def _fitting(
    changes: list[RosterChange],
    references: dict[str, tuple[Reference, ...]],
    labels: dict[str, SubjectLabel],
    told: dict[str, tuple[Entitlement, ...]],
) -> Iterator[RosterEntry]:
    size = 0
    for change in changes:
        entry = RosterEntry(
            roster_version=change.version,
            subject_id=change.subject_id,
            claim_token=change.claim_token or _NOBODY,
            removed=change.removed,
            label=labels.get(change.subject_id),
            references=() if change.removed else references.get(change.subject_id, ()),
            entitlements=() if change.removed else told.get(change.subject_id, ()),
        )
        length = len(entry.model_dump_json())
        if size and size + length > _PAGE_BYTES:
            return
        size += length
        yield entry


_NOBODY = "A" * 43
"""Claim token in the tombstone of a subject that no longer exists: stands for no document (a keyed hash of all zero bits)."""
