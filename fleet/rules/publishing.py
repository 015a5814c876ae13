"""Rule packs on their way into force: proposed, checked against those that are, tried on everybody, approved by two persons, signed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from fleet.audit.log import entries, note
from fleet.errors import ImportRefused, NotFound, Refused
from fleet.keys import FleetKeys
from fleet.store import approvals, packs
from fleet.store.areas import parents_above
from fleet.store.database import Database, notify
from fleet.store.packs import StoredPack
from fleet.store.policies import POLICY_CHANNEL
from protocol.envelope import sha256_of, sign, verify
from protocol.errors import Malformed, Problem, ProtocolError
from protocol.keys import PublicJwk
from protocol.rules.pack import MAX_PACK_BYTES, PackMalformed, RulePack, parse_pack
from protocol.rules.shelf import ancestors_in, problems_of
from protocol.shipped_packs import SHIPPED, shipped_text

PACK_TYP = "lifecert-rule-pack"
"""`typ` in the signed header of a pack."""
OBJECT = "rule_pack"
_COMPACT_JWS = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
TRIED = "rule_pack.what_if"
"""Action in the audit log: somebody saw what a pack would do to everybody."""

WHY_NOBODY = "why_nobody"
"""In its detail, if the pack would hold for nobody: why."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A pack as somebody wrote it."""

    pack: RulePack
    text: str

    @property
    def sha256(self) -> str:
        """Digest of exactly this text."""
        return sha256_of(self.text.encode())


@dataclass(frozen=True, slots=True)
class Approved:
    """What an approval led to."""

    name: str
    approvals: int
    in_force: bool


def name_of(pack: RulePack) -> str:
    """Return by what a version of a pack is named: `LZ-2019/1`."""
    return f"{pack.pack_id}/{pack.version}"


def parse_name(name: str) -> tuple[str, int]:
    """Return pack id and version of a name; raises Refused if it is none."""
    pack_id, slash, version = name.partition("/")
    if not slash or not version.isascii() or not version.isdigit():
        raise Refused(f"{name}: a pack and its version expected, as in LZ-2019/1", code="no_pack_name")
    return pack_id, int(version)


def read_draft(source: str, *, signed_by: PublicJwk | None = None) -> Draft:
    """Read a pack: a file, or the id of one that is shipped.

    Args:
        source: path of a TOML file or of a signed pack, or an id such as `LZ-2019`.
        signed_by: the key of another fleet that signed it; None for a file that nobody signed.

    Raises:
        ImportRefused: with everything that is wrong with it.
    """
    if source in SHIPPED and not Path(source).exists():
        text = shipped_text(source)
        return Draft(parse_pack(text), text)
    try:
        raw = Path(source).read_bytes()
    except OSError as error:
        known = ", ".join(SHIPPED)
        sentence = f"{source}: cannot be read: {error.strerror}; shipped packs: {known}"
        raise ImportRefused([Problem(sentence, "unreadable")]) from error
    if len(raw) > 2 * MAX_PACK_BYTES:
        raise ImportRefused([_too_long(raw, 2 * MAX_PACK_BYTES).at(source)])
    if signed_by is None and _is_signed(raw):
        sentence = f"{source}: a signed pack; say whose with --signed-by and the identity file of that fleet"
        raise ImportRefused([Problem(sentence, "is_signed")])
    try:
        if signed_by is not None:
            raw = verify(raw.strip(), key_of=lambda _: signed_by, typ=PACK_TYP).payload
        return draft_of(raw)
    except ProtocolError as error:
        sentence = f"{source}: not signed by the key that was named: {error}"
        raise ImportRefused([Problem(sentence, "not_signed")]) from error
    except ImportRefused as error:
        raise ImportRefused([problem.at(source) for problem in error.problems]) from error


def draft_of(raw: bytes) -> Draft:
    """Read a pack that nobody signed from its text.

    Raises:
        ImportRefused: with everything that is wrong with it, each a `Problem`.
    """
    if len(raw) > MAX_PACK_BYTES:
        raise ImportRefused([_too_long(raw, MAX_PACK_BYTES)])
    if _is_signed(raw):
        raise ImportRefused(
            [Problem("a signed pack; `lifecert-fleet rules propose --signed-by` takes it", "is_signed")]
        )
    try:
        text = raw.decode("utf-8-sig")
        return Draft(parse_pack(text), text)
    except UnicodeDecodeError as error:
        raise ImportRefused([Problem(f"not UTF-8 from byte {error.start}", "not_utf8", byte=error.start)]) from error
    except PackMalformed as error:
        raise ImportRefused(list(error.problems)) from error
    except Malformed as error:
        place = _PLACE.search(str(error))
        line, column = (0, 0) if place is None else (int(place[1]), int(place[2]))
        raise ImportRefused([Problem(str(error), "not_toml", line=line, column=column)]) from error


def _too_long(raw: bytes, most: int) -> Problem:
    return Problem(f"{len(raw)} bytes, at most {most} are taken", "too_long", bytes=len(raw), most=most)


_PLACE = re.compile(r"at line (\d+), column (\d+)")


def warning_of(pack: RulePack, today: date) -> Problem | None:
    """Return what whoever proposes a pack is to know although it fits; None if there is nothing."""
    if pack.valid_from >= today:
        return None
    return Problem(
        f"{name_of(pack)} begins on {pack.valid_from}, which is over: people are judged by it as if it had held since;"
        " it stops nobody by itself",
        "begins_in_the_past",
        begins=pack.valid_from,
    )


def _is_signed(raw: bytes) -> bool:
    """Return whether this looks like a signed message: three parts of base64url, and nothing else."""
    return _COMPACT_JWS.fullmatch(raw.strip()) is not None


def check(connection: Connection, draft: Draft) -> None:
    """Check a pack against those in force.

    Raises:
        ImportRefused: with everything for which it cannot come into force beside them.
    """
    shelf = packs.shelf_of(connection)
    regions = {draft.pack.region, *(pack.region for pack in shelf.packs)}
    problems = problems_of(draft.pack, shelf, ancestors_in(parents_above(connection, regions)))
    if problems:
        raise ImportRefused(problems)


def propose(
    database: Database, keys: FleetKeys, draft: Draft, *, by: str, now: datetime, replaces: str | None = None
) -> str:
    """Store a pack as a proposal; return its name. Another text under the same name takes its place, and needs approvals of its own.

    Args:
        database: the fleet's.
        keys: its keys.
        draft: the pack.
        by: who proposes it.
        now: when.
        replaces: digest of the text that it may take the place of, empty for none; any if not given.

    Raises:
        ImportRefused: as `check`.
        Refused: if it would take the place of another text.
    """
    name = name_of(draft.pack)
    with database.begin() as connection:
        packs.lock_packs(connection)
        check(connection, draft)
        stored = packs.find_pack(connection, draft.pack.pack_id, draft.pack.version)
        if replaces is not None and stored is not None and stored.sha256 not in (draft.sha256, replaces):
            raise Refused(f"rule pack {name}: is proposed with another text", code="other_proposal", name=name)
        if stored is None or stored.sha256 != draft.sha256:
            approvals.withdraw_approvals(connection, OBJECT, name)
            packs.save_proposal(connection, draft.pack, draft.text, draft.sha256, now=now)
        note(
            connection,
            keys.cipher,
            actor=by,
            action="rule_pack.proposed",
            object_kind=OBJECT,
            object_id=name,
            detail={"sha256": draft.sha256},
            now=now,
        )
    return name


def approve(
    database: Database,
    keys: FleetKeys,
    name: str,
    *,
    by: str,
    reason: str,
    now: datetime,
    although_nobody: bool = False,
    sha256: str | None = None,
) -> Approved:
    """Approve a proposal; the second person's word signs it and puts it in force.

    Args:
        database: the fleet's.
        keys: its keys.
        name: of the proposal.
        by: who approves.
        reason: why.
        now: when.
        although_nobody: whether it is meant, where the last try showed that it would hold for nobody.
        sha256: digest of the text that was read; whatever is proposed now if not given.

    Raises:
        NotFound: if there is no such proposal.
        Refused: if it is in force, was approved by this person, nobody has tried it on everybody yet, or it would hold for nobody.
        ImportRefused: if it does not fit those that came into force meanwhile.
    """
    pack_id, version = parse_name(name)
    with database.begin() as connection:
        # What is approved is what was read, and fits what came into force just now.
        packs.lock_packs(connection)
        stored = packs.find_pack(connection, pack_id, version)
        if stored is None:
            raise NotFound(
                f"rule pack {name}: not proposed; `lifecert-fleet rules propose FILE` first", code="pack_unknown"
            )
        if sha256 is not None and stored.sha256 != sha256:
            raise Refused(f"rule pack {name}: has another text than the one that was read", code="text_changed")
        if stored.in_force_at is not None:
            raise Refused(
                f"rule pack {name}: is in force since {stored.in_force_at:%Y-%m-%d}",
                code="in_force",
                since=stored.in_force_at.date(),
            )
        tried = _last_try(connection, stored)
        if tried is None:
            raise Refused(
                f"rule pack {name}: nobody has seen yet whom it changes; `lifecert-fleet what-if {name}` first",
                code="not_tried",
            )
        if WHY_NOBODY in tried and not although_nobody:
            raise Refused(
                f"rule pack {name}: would hold for nobody on {tried.get('on')}: {tried[WHY_NOBODY]}; if that is meant, give"
                " --although-nobody",
                code="for_nobody",
            )
        check(connection, Draft(stored.pack, stored.text))
        count = approvals.approve(connection, keys.cipher, OBJECT, name, name=by, reason=reason, now=now)
        is_in_force = count == approvals.NEEDED
        if is_in_force:
            signed = sign(stored.text.encode(), key=keys.signing, typ=PACK_TYP)
            packs.put_in_force(connection, pack_id, version, signed, now=now)
            # Whoever hears this sends the terminals what they are always to have.
            notify(connection, POLICY_CHANNEL)
        note(
            connection,
            keys.cipher,
            actor=by,
            action="rule_pack.put_in_force" if is_in_force else "rule_pack.approved",
            object_kind=OBJECT,
            object_id=name,
            detail={"sha256": stored.sha256, "approvals": count},
            now=now,
        )
    return Approved(name, count, is_in_force)


def verify_stored(connection: Connection, key: PublicJwk) -> list[Problem]:
    """Return what is wrong with packs in force: a text that is not the one that was signed, or a signature that is not the fleet's."""
    problems = []
    for stored in packs.packs(connection):
        if stored.envelope is None:
            continue
        name = name_of(stored.pack)
        try:
            signed = verify(stored.envelope, key_of=lambda _: key, typ=PACK_TYP).payload
        except ProtocolError:
            problems.append(Problem(f"rule pack {name}: its signature is not this fleet's", "pack_not_ours", pack=name))
            continue
        if signed != stored.text.encode():
            sentence = f"rule pack {name}: its text is not the one that was signed"
            problems.append(Problem(sentence, "pack_changed", pack=name))
    return problems


def _last_try(connection: Connection, stored: StoredPack) -> Mapping[str, Any] | None:
    """Return what was written down of the last try of exactly this text; None if nobody tried it."""
    found = entries(connection, object_kind=OBJECT, object_id=name_of(stored.pack))
    tries = [entry.detail for entry in found if entry.action == TRIED and entry.detail.get("sha256") == stored.sha256]
    return tries[-1] if tries else None
