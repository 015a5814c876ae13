"""How terminals come: claims are made, a terminal joins with one, and renews what it was given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.errors import NotFound, Refused
from fleet.keys import FieldCipher
from fleet.pki.authority import Authority, Issued, issue_client, request_key
from fleet.pki.files import ROOT
from fleet.settings import Settings
from fleet.store import certificates, claims, terminals
from fleet.store.certificates import StoredCertificate
from fleet.store.claims import StoredClaim, WaitsFor
from fleet.store.names import cleaned
from fleet.terminals.changing import TerminalChanges, demand_place, registration_in
from protocol.errors import ProtocolError
from protocol.provisioning import ClaimQuestion, JoinRequest, ProvisioningClaim, new_code, read_renewal
from protocol.registration import TerminalRegistration

ANSWERED_AGAIN = timedelta(hours=24)
"""So long a terminal with the same keys gets its answer once more: the first one may not have reached it."""
LONGEST_HOURS = 30 * 24


@dataclass(frozen=True, slots=True)
class Joined:
    """What a terminal gets."""

    terminal_id: str
    certificate: Issued


@dataclass(frozen=True, slots=True)
class Waits:
    """A person at the fleet must let the terminal in."""

    terminal_id: str
    waits_for: WaitsFor


def make_claim(
    connection: Connection,
    cipher: FieldCipher,
    *,
    terminal_id: str | None,
    area: str,
    has_people: bool,
    needs_approval: bool,
    hours: int,
    by: str,
    now: datetime,
    replaces: str | None = None,
    again: bool = False,
) -> tuple[str, StoredClaim]:
    """Make a claim; return its code, which is kept nowhere, and what is kept.

    Args:
        connection: where to.
        cipher: the fleet's.
        terminal_id: which terminal it is for; None where that is said on the spot.
        area: where the terminal will serve.
        has_people: whether the people of the area come onto its roster.
        needs_approval: whether a person must let it in.
        hours: how long it is good for.
        by: who makes it.
        now: the time.
        replaces: whose place the new terminal takes: area, standing orders and roster are then that one's, as they are when it comes.
        again: whether it is made in place of one for the same terminal that nobody came with, which is taken back.

    Raises:
        NotFound: if there is no terminal whose place could be taken.
        Refused: if it cannot be made so, or there is one for this terminal already.
    """
    if replaces is not None:
        old = terminals.find_terminals(connection, [replaces]).get(replaces)
        if old is None:
            raise NotFound(f"terminal {replaces}: not registered", code="not_registered")
        demand_place(old)
        area = old.area
    wanted = [(terminal_id, area)]
    (made,) = make_claims(
        connection,
        cipher,
        wanted,
        has_people=has_people,
        needs_approval=needs_approval,
        hours=hours,
        by=by,
        now=now,
        replaces=replaces,
        again=again,
    )
    return made


def make_claims(
    connection: Connection,
    cipher: FieldCipher,
    wanted: Sequence[tuple[str | None, str]],
    *,
    has_people: bool,
    needs_approval: bool,
    hours: int,
    by: str,
    now: datetime,
    replaces: str | None = None,
    again: bool = False,
) -> list[tuple[str, StoredClaim]]:
    """Make a claim for each of several terminals and the area it will serve, in this order; all else as for `make_claim`.

    Raises:
        Refused: if one of them cannot be made so; then none may be kept.
    """
    if not 1 <= hours <= LONGEST_HOURS:
        raise Refused(f"hours: 1 to {LONGEST_HOURS} expected", code="claim_hours", most=LONGEST_HOURS)
    # All that they end is held before the audit log: a terminal that comes holds its claims when it waits for that.
    instead = _room_for(connection, [name for name, _ in wanted if name is not None], again=again, now=now)
    made = []
    for terminal_id, area in wanted:
        code = new_code()
        claim_id = claim_id_of(code)
        claim = StoredClaim(
            claim_id,
            terminal_id,
            area,
            has_people,
            needs_approval,
            cipher.encrypt(cleaned(by), subject_id=claim_id, field_name="claim_by"),
            now,
            now + timedelta(hours=hours),
            replaces=replaces,
        )
        claims.add_claim(connection, claim)
        made.append((code, claim))
    for each in instead:
        _note(connection, cipher, by, "terminal.claim_taken_back", each, {}, now)
    whose = {} if replaces is None else {"terminal": replaces}
    for _, claim in made:
        told: dict[str, str | int] = {"area": claim.area, "hours": hours, **whose}
        _note(connection, cipher, by, "terminal.claim_made", claim.claim_id, told, now)
    return made


def _room_for(connection: Connection, terminal_ids: Sequence[str], *, again: bool, now: datetime) -> list[str]:
    """Take back what keeps terminals from having new claims; return which. Raises `Refused` where that may not be."""
    if not terminal_ids:
        return []
    claims.lock_making(connection)
    there = claims.unused_claims(connection, terminal_ids, lock=True)
    for terminal_id in terminal_ids:
        _demand_none(terminal_id, (each for each in there if each.is_of(terminal_id)), again=again, now=now)
    # Asked after they are held: who came with another one meanwhile is registered by now.
    for terminal_id in terminals.find_terminals(connection, terminal_ids):
        raise _registered(terminal_id)
    return _taken_back(connection, there, now=now)


def demand_no_claim(connection: Connection, terminal_id: str, *, again: bool, now: datetime) -> None:
    """Go on only if no claim that is there keeps a terminal from having another one.

    Args:
        connection: where to look.
        terminal_id: which terminal.
        again: whether one that nobody came with may be taken back for it.
        now: the time.

    Raises:
        Refused: if there is one.
    """
    _demand_none(terminal_id, claims.unused_claims(connection, [terminal_id]), again=again, now=now)


def _demand_none(terminal_id: str, known: Iterable[StoredClaim], *, again: bool, now: datetime) -> None:
    there = [each for each in known if each.is_good(now)]
    came = next((each for each in there if each.asked_at is not None), None)
    if came is not None:
        # Another claim would turn a terminal away that is at the door.
        raise Refused(
            f"terminal {terminal_id}: has come with a claim; `pki approve {came.claim_id}` lets it in, `pki take-back` turns it away",
            code="claim_came",
            terminal=terminal_id,
        )
    if there and not again:
        raise Refused(
            f"terminal {terminal_id}: has an open claim already; --again takes that one back and makes another",
            code="claim_open",
            terminal=terminal_id,
        )


def carried(code: str, claim: StoredClaim, settings: Settings) -> ProvisioningClaim:
    """Return a new claim as a technician takes it to the terminal.

    Raises:
        Refused: if the fleet has no door for new terminals, or no authority.
    """
    wanted, trusted = settings.provisioning, trusted_root(settings)
    if wanted.port is None:
        raise Refused("provisioning.port: set it first, that there is a door for new terminals", code="no_door")
    return ProvisioningClaim(
        fleet_id=settings.fleet_id,
        url=f"https://{wanted.names[0]}:{wanted.port}",
        root=trusted,
        code=code,
        terminal_id=claim.terminal_id,
        expires_at=claim.expires_at,
    )


def trusted_root(settings: Settings) -> str:
    """Return the fleet's root certificate in PEM.

    Raises:
        Refused: if the fleet has no authority.
    """
    root = settings.data_dir / "pki" / ROOT
    try:
        return root.read_text()
    except OSError as error:
        raise Refused(
            f"{root}: {error.strerror}; make the authority with `lifecert-fleet pki init`", code="no_authority"
        ) from error


def claim_id_of(code: str) -> str:
    """Return the digest by which a claim is known."""
    return hashlib.sha256(f"lifecert-claim {code}".encode()).hexdigest()[:32]


def claim_typed(
    connection: Connection, question: ClaimQuestion, settings: Settings, *, now: datetime
) -> ProvisioningClaim:
    """Return the claim whose code somebody typed, as a file of it would be. It stays as good as it was.

    Raises:
        Refused: if it cannot be used any more, or the fleet has no door or authority.
    """
    claim = _known(connection, question.code)
    _demand_standing(connection, claim)
    _demand_good(claim, now)
    return carried(question.code, claim, settings)


def join(
    connection: Connection,
    cipher: FieldCipher,
    issuing: Authority,
    wish: JoinRequest,
    *,
    fleet_id: str,
    now: datetime,
) -> Joined | Waits:
    """Take a terminal in by its claim. The same terminal may ask again: an answer can be lost, and who waits comes back.

    Raises:
        Refused: if it is not taken in; the code says why.
    """
    known = _known(connection, wish.code)
    key = request_key(wish.request.encode())
    registration = registration_in(wish.registration.encode())
    keys = _keys_of(key, registration)
    terminal_id = registration.terminal_id
    # With all that end once this one is used, in one order for all: two that come at once must not wait for each other.
    held = claims.unused_claims(connection, [terminal_id], replaces=known.replaces, but_also=known.claim_id, lock=True)
    claim = next((each for each in held if each.claim_id == known.claim_id), known)
    _demand_standing(connection, claim)
    if claim.asked_keys is not None and (claim.asked_as, claim.asked_keys) != (terminal_id, keys):
        raise Refused("claim: another terminal came with it", code="claim_used")
    _demand_good(claim, now)
    if claim.terminal_id not in (None, terminal_id):
        raise Refused(
            f"claim: for terminal {claim.terminal_id}, this is {terminal_id}",
            code="claim_other_terminal",
            wanted=claim.terminal_id or "",
            found=terminal_id,
        )
    waits_for = _reason_to_wait(connection, claim, terminal_id, wish.board_serial)
    if claim.asked_at is None:
        claims.note_asked(
            connection,
            claim.claim_id,
            terminal_id=terminal_id,
            keys=keys,
            board_serial=wish.board_serial,
            waits_for=waits_for,
            now=now,
        )
    if waits_for is not None and claim.approved_at is None:
        return Waits(terminal_id, waits_for)
    others = [each for each in held if each.claim_id != claim.claim_id]
    return _taken_in(connection, cipher, issuing, claim, others, registration, key, fleet_id=fleet_id, now=now)


def _known(connection: Connection, code: str) -> StoredClaim:
    claim = claims.find_claim(connection, claim_id_of(code))
    if claim is None:
        raise Refused("claim: none with this code is known", code="claim_unknown")
    return claim


def _demand_standing(connection: Connection, claim: StoredClaim) -> None:
    """Go on only if a claim was not taken back. Where it was, a reason that another claim would not cure is told first."""
    if claim.revoked_at is not None:
        _demand_place_of(connection, claim)
        if claim.terminal_id is not None and terminals.find_terminals(connection, [claim.terminal_id]):
            raise _registered(claim.terminal_id)
        raise Refused("claim: was taken back", code="claim_revoked")


def _demand_good(claim: StoredClaim, now: datetime) -> None:
    if claim.used_at is not None and now >= claim.used_at + ANSWERED_AGAIN:
        raise Refused("claim: was used", code="claim_used")
    # Who asked in time and waits for a person is not turned away because that person had no time.
    if claim.asked_at is None and now >= claim.expires_at:
        raise Refused(f"claim: its time was over at {claim.expires_at.isoformat()}", code="claim_expired")


def renew(
    connection: Connection, issuing: Authority, terminal_id: str, token: bytes, *, fleet_id: str, now: datetime
) -> Joined:
    """Give a terminal its next certificate, for the key in its request.

    Raises:
        Refused: if it is not in service, or the request does not hold.
    """
    known = terminals.find_terminals(connection, [terminal_id], lock=True).get(terminal_id)
    # Whoever asks learns nothing of which terminals there are.
    refusal = Refused("renewal: not signed by a terminal in service", code="renewal")
    if known is None or not known.is_in_service:
        raise refusal
    try:
        renewal = read_renewal(token, known.signing_key)
    except ProtocolError as error:
        raise refusal from error
    if (renewal.fleet_id, renewal.terminal_id) != (fleet_id, terminal_id):
        raise refusal
    key = request_key(renewal.request.encode())
    return Joined(terminal_id, _certified(connection, issuing, terminal_id, key, now=now))


def approve_claim(connection: Connection, cipher: FieldCipher, claim_id: str, *, by: str, now: datetime) -> None:
    """Let the terminal in that came with a claim; it learns of it when it asks again.

    Raises:
        NotFound: if none waits with this claim.
    """
    if not claims.approve_claim(connection, claim_id, now=now):
        raise NotFound(f"claim {claim_id}: no terminal waits with it", code="claim_not_waiting")
    _note(connection, cipher, by, "terminal.claim_approved", claim_id, {}, now)


def take_back_claim(connection: Connection, cipher: FieldCipher, claim_id: str, *, by: str, now: datetime) -> None:
    """Take a claim back before it was used.

    Raises:
        NotFound: if there is none that could still be used.
    """
    if not claims.revoke_claim(connection, claim_id, now=now):
        raise NotFound(f"claim {claim_id}: none that could still be used", code="claim_over")
    _note(connection, cipher, by, "terminal.claim_taken_back", claim_id, {}, now)


def _reason_to_wait(
    connection: Connection, claim: StoredClaim, terminal_id: str, board_serial: str | None
) -> WaitsFor | None:
    if claim.asked_at is not None:
        return claim.waits_for
    if board_serial is not None:
        other = claims.served_by_board(connection, board_serial, but=terminal_id)
        # A board that takes the place of itself, with new keys, is no second one.
        if other not in (None, claim.replaces):
            return "same_board"
    return "approval" if claim.needs_approval else None


def _taken_in(
    connection: Connection,
    cipher: FieldCipher,
    issuing: Authority,
    claim: StoredClaim,
    others: Sequence[StoredClaim],
    registration: TerminalRegistration,
    key: ec.EllipticCurvePublicKey,
    *,
    fleet_id: str,
    now: datetime,
) -> Joined:
    terminal_id = registration.terminal_id
    if claim.used_at is None:
        by = cipher.decrypt(bytes(claim.by_sealed), subject_id=claim.claim_id, field_name="claim_by")
        claims.note_used(connection, claim.claim_id, now=now)
        # Nobody can come any more with another one for this name or this place.
        ended = _taken_back(connection, others, now=now)
        changes = TerminalChanges(connection, cipher, by=by, reason=None, now=now)
        is_new = changes.register(registration, _area_of(connection, claim), fleet_id=fleet_id)
        if not is_new:
            raise _registered(terminal_id)
        if claim.replaces is not None:
            changes.replace(claim.replaces, by=terminal_id)
        elif claim.has_people:
            changes.assign(terminal_id, "area", claim.area)
        for each in ended:
            _note(connection, cipher, by, "terminal.claim_taken_back", each, {"terminal": terminal_id}, now)
    # The first answer may have been lost: who asks again gets what it was given, however often it asks.
    issued = _certified(connection, issuing, terminal_id, key, now=now, again=claim.used_at is not None)
    return Joined(terminal_id, issued)


def _taken_back(connection: Connection, held: Iterable[StoredClaim], *, now: datetime) -> list[str]:
    """Take back what is still good of claims that are held; return which."""
    good = [each.claim_id for each in held if each.is_good(now)]
    return [each for each in good if claims.revoke_claim(connection, each, now=now)]


def _registered(terminal_id: str) -> Refused:
    return Refused(
        f"terminal {terminal_id}: is registered already; another name for a new one, or `terminals swap`",
        code="claim_known",
        terminal=terminal_id,
    )


def _demand_place_of(connection: Connection, claim: StoredClaim) -> None:
    """Say who has the place that a claim was for, where that is why it was taken back. Raises `Refused` then."""
    if claim.replaces is not None:
        for old in terminals.find_terminals(connection, [claim.replaces]).values():
            demand_place(old)


def _area_of(connection: Connection, claim: StoredClaim) -> str:
    """Return where the new terminal will serve: the one whose place it takes may have been moved since the claim was made."""
    if claim.replaces is None:
        return claim.area
    return terminals.find_terminals(connection, [claim.replaces], lock=True)[claim.replaces].area


def _certified(
    connection: Connection,
    issuing: Authority,
    terminal_id: str,
    key: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
    again: bool = False,
) -> Issued:
    """Certify the key of a terminal in service.

    The terminal is held, after its claims where there are any: who takes it out of service comes before, and nothing is issued,
    or after, and takes back what was issued.

    Args:
        connection: a transaction.
        issuing: by whom.
        terminal_id: whose key it is.
        key: the public key.
        now: the time.
        again: whether the newest certificate for this key that still holds is given once more, and another one only where there is none.

    Raises:
        Refused: if the terminal is not in service, or another terminal has this key.
    """
    known = terminals.find_terminals(connection, [terminal_id], lock=True).get(terminal_id)
    if known is None or not known.is_in_service:
        raise Refused(f"terminal {terminal_id}: was taken out of service", code="out_of_service", terminal=terminal_id)
    digest = _digest(key)
    if certificates.key_is_anothers(connection, digest, terminal_id):
        raise Refused("certificate request: another terminal has this key", code="request_key_known")
    if again and (given := _given_before(connection, issuing, terminal_id, digest, key, now=now)) is not None:
        return given
    issued = issue_client(issuing, terminal_id, key, now=now)
    end = issued.certificate.not_valid_after_utc
    certificates.add_certificate(connection, StoredCertificate(issued.serial, terminal_id, digest, now, end))
    return issued


def _given_before(
    connection: Connection,
    issuing: Authority,
    terminal_id: str,
    digest: str,
    key: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
) -> Issued | None:
    """Return the newest certificate for a key that holds, signed anew; None where there is none that says the same."""
    for known in certificates.certificates_of(connection, terminal_id):
        if known.key_sha256 == digest and known.revoked_at is None and now < known.expires_at:
            given = issue_client(issuing, terminal_id, key, now=known.issued_at, serial=known.serial)
            # By an issuing authority of before it ended at another moment.
            return given if given.certificate.not_valid_after_utc == known.expires_at else None
    return None


def _keys_of(key: ec.EllipticCurvePublicKey, registration: TerminalRegistration) -> str:
    named = f"{_digest(key)} {registration.signing_key.key_id} {registration.sealing_key.key_id}"
    return hashlib.sha256(named.encode()).hexdigest()


def _digest(key: ec.EllipticCurvePublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _note(
    connection: Connection,
    cipher: FieldCipher,
    by: str,
    action: str,
    claim_id: str,
    detail: dict[str, str | int],
    now: datetime,
) -> None:
    note(
        connection,
        cipher,
        actor=by,
        action=action,
        object_kind="provisioning_claim",
        object_id=claim_id,
        detail=detail,
        now=now,
    )
