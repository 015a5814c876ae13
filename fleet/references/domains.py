"""Key domains: which secrets there are, which one is in use, and how all references move to a new one without a new capture.

A rotation makes a domain that replaces another, and brings every reference of the old one to it (`protocol.references.rekey`) under a new
id; the old one keeps its place without its features, so that records which name it stay what they were. Terminals get the change with the
next delta of their roster: an entry brings all references of a subject, so the old ones go with it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fleet.audit.log import UNNAMED, note
from fleet.errors import FleetError, NotFound, Refused
from fleet.keys import FleetKeys
from fleet.store import lives, rosters
from fleet.store.database import Database
from fleet.store.terminals import find_terminals
from protocol import base64url
from protocol.references import KEY_BYTES, MAX_REKEYS, Reference, encode_features, rekey

CHUNK = 200
"""Subjects in one transaction: what a roster page holds, and a lock of the terminals for well under a second."""
_GENERATION = re.compile(r"-r(\d+)$")


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did."""

    domain: str
    """The new domain."""
    moved: int
    """References brought to it."""
    left: int
    """References that stay in the old one: they were re-keyed so often that they must be made anew."""


def feature_keys(connection: Connection, keys: FleetKeys) -> dict[str, bytes]:
    """Return the rotation secret of every key domain: those in files and those in the database."""
    return keys.feature_keys | {
        stored.domain: base64url.decode(
            keys.cipher.decrypt(stored.secret_sealed, subject_id=stored.domain, field_name="feature_key")
        )
        for stored in lives.domains(connection)
    }


def current_domain(connection: Connection, named: str) -> str:
    """Return the domain in use for the one that the settings name: itself, or what replaced it."""
    following = {stored.replaces: stored.domain for stored in lives.domains(connection)}
    while named in following:
        named = following[named]
    return named


def in_current_domain(connection: Connection, keys: FleetKeys, reference: Reference) -> Reference:
    """Return a reference as it is in the domain in use; one that a terminal made under a domain since replaced is re-keyed.

    Raises:
        FleetError: if its domain is unknown.
        ValueError: if its features are empty.
    """
    known = feature_keys(connection, keys)
    wanted = current_domain(connection, reference.key_domain)
    if wanted == reference.key_domain and wanted in known:
        return reference
    if reference.key_domain not in known:
        raise FleetError(f"key domain {reference.key_domain}: no key of this name; restore the keys from a backup")
    features = rekey(reference.vector(), known[reference.key_domain], known[wanted])
    return reference.model_copy(update={"features": encode_features(features), "key_domain": wanted})


def rotate(database: Database, keys: FleetKeys, domain: str, *, now: datetime, by: str = UNNAMED) -> Rotated:
    """Make a domain that replaces another, and bring its references there; run again it goes on where it was cut off.

    Raises:
        NotFound: if there is no such domain.
        Refused: if the domain was replaced before and has nothing left that could move.
    """
    with database.begin() as connection:
        find_terminals(connection, lock=True)
        new = _successor(connection, keys, domain, by=by, now=now)
    moved = 0
    while True:
        with database.begin() as connection:
            # As everything that changes rosters, see `fleet.references.enrol.enrol`.
            find_terminals(connection, lock=True)
            known = feature_keys(connection, keys)
            who = lives.subjects_in(connection, domain, most_rekeyed=MAX_REKEYS, limit=CHUNK)
            if not who:
                return Rotated(new, moved, lives.count_in(connection, domain))
            here = sum(_move(connection, subject_id, domain, new, known) for subject_id in who)
            _note(connection, keys, by, "rotated", new, now, replaces=domain, references=here)
        moved += here


def _successor(connection: Connection, keys: FleetKeys, domain: str, *, by: str, now: datetime) -> str:
    stored = lives.domains(connection)
    if domain not in keys.feature_keys and domain not in {known.domain for known in stored}:
        raise NotFound(f"key domain {domain}: there is none of this name")
    for known in stored:
        if known.replaces == domain:
            if not lives.subjects_in(connection, domain, most_rekeyed=MAX_REKEYS, limit=1):
                raise Refused(f"key domain {domain}: was replaced by {known.domain}; rotate that one")
            return known.domain
    found = _GENERATION.search(domain)
    new = f"{domain[: found.start()]}-r{int(found[1]) + 1}" if found else f"{domain}-r1"
    secret = base64url.encode(os.urandom(KEY_BYTES))
    sealed = keys.cipher.encrypt(secret, subject_id=new, field_name="feature_key")
    lives.add_domain(connection, lives.StoredDomain(new, sealed, domain), now=now)
    _note(connection, keys, by, "added", new, now, replaces=domain)
    return new


def _note(
    connection: Connection, keys: FleetKeys, by: str, verb: str, domain: str, now: datetime, **detail: str | int
) -> None:
    note(
        connection,
        keys.cipher,
        actor=by,
        action=f"key_domain.{verb}",
        object_kind="key_domain",
        object_id=domain,
        detail=detail,
        now=now,
    )


def _move(connection: Connection, subject_id: str, old: str, new: str, known: dict[str, bytes]) -> int:
    moved = 0
    found = lives.kept(connection, [subject_id], states=("proposed", "active", "set_aside"))
    for kept in found.get(subject_id, ()):
        reference = kept.reference
        if reference.key_domain != old or kept.rekeyed >= MAX_REKEYS or not reference.features:
            continue
        features = encode_features(rekey(reference.vector(), known[old], known[new]))
        fresh = reference.model_copy(
            update={"reference_id": os.urandom(16).hex(), "features": features, "key_domain": new}
        )
        lives.add_rekeyed(connection, kept, fresh)
        lives.replace(connection, reference.reference_id, by=fresh.reference_id)
        moved += 1
    if moved:
        rosters.touch(connection, subject_id)
    return moved
