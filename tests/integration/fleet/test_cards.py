"""Reference cards on the real database, and what a terminal makes of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import pytest

from device.adapters.references_sqlite import SqliteReferenceStore
from device.runner.claims import Claimed, ClaimUnfit, look_up
from device.simulated.clock import SteppedClock
from device.uplink.inbox import Inbox
from device.vision.comparison import compare
from device.vision.features import FeatureVector
from fleet.errors import NotFound, Refused
from fleet.references import cards
from fleet.references.card_picture import card_code, save_code
from fleet.references.enrol import Enrolment, enrol
from fleet.store import cards as ledger
from protocol.capture import FeatureReport
from protocol.envelope import sign
from protocol.reference_card import CardKeys
from protocol.references import CaptureKind, LegalBasis, protect
from protocol.roster import ROSTER_REQUEST_TYP, RosterRequest
from protocol.topics import Kind

pytestmark = pytest.mark.integration
LIVE = Enrolment(CaptureKind.LIVE, LegalBasis.CONSENT)
CONFIRMED = Enrolment(CaptureKind.PHOTO_CONFIRMED, LegalBasis.CONSENT, "clerk")
MODEL = "d" * 64


def enrolled(office: Any, who: str, report: FeatureReport, what: Enrolment = LIVE, now: datetime | None = None) -> str:
    done = enrol(
        office.database,
        office.keys,
        who,
        report,
        what,
        key_domain="d1",
        validity_months=36,
        now=now or office.now,
        zone=office.settings.zone(),
    )
    return done.reference_id


def issued(office: Any, who: str, *, forget: bool = False) -> cards.IssuedCard:
    return cards.issue_from_store(
        office.database,
        office.keys,
        who,
        fleet_id="north",
        forget=forget,
        now=office.now,
        zone=office.settings.zone(),
    )


def of_picture(office: Any, who: str, report: FeatureReport, what: Enrolment = CONFIRMED) -> cards.IssuedCard:
    return cards.issue_from_picture(
        office.database,
        office.keys,
        who,
        report,
        what,
        fleet_id="north",
        validity_months=36,
        now=office.now,
        zone=office.settings.zone(),
    )


def inbox(office: Any, terminal: Any) -> Inbox:
    return Inbox(
        fleet_id="north",
        terminal_id=terminal.terminal_id,
        fleet_key=office.keys.signing.public(),
        sealing_key=terminal.sealing,
    )


def keys_sent(office: Any, terminal: Any, answers: Any = None) -> list[CardKeys]:
    found = office.handler.push_card_keys() if answers is None else answers
    mine = [a for a in found if a.topic.kind is Kind.CARD_KEYS and a.topic.terminal_id == terminal.terminal_id]
    read = [inbox(office, terminal).read(str(answer.topic), answer.payload) for answer in mine]
    return [message for message in read if isinstance(message, CardKeys)]


@pytest.fixture
def who(office: Any) -> str:
    """Somebody who is known and not enrolled, in a fleet that has card keys."""
    cards.rotate_key(office.database, office.keys, now=office.now - timedelta(hours=1))
    return str(office.import_people(1).subject_ids[0])


class Field:
    """A terminal far from everything: no roster, no network, and the card keys that came before it left."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self.clock = SteppedClock(now)
        self.store = SqliteReferenceStore(folder / "references.sqlite", folder / "storage.key", self.clock)

    def look(self, text: str, today: date) -> Claimed | None:
        return look_up(text, self.store, model_sha256=MODEL, today=today)


@pytest.fixture
def field(office: Any, tmp_path: Path) -> Any:
    made = Field(tmp_path / "field", office.now)
    yield made
    made.store.close()


def similarity(claimed: Claimed, report: FeatureReport) -> float:
    reference = claimed.features()
    assert reference is not None
    probe = FeatureVector(protect(report.vector(), claimed.key), MODEL, reference.key_domain)
    return compare(probe, reference).similarity


def test_a_terminal_without_roster_and_network_compares_with_a_card_alone(
    office: Any, terminal: Any, who: str, field: Field, feature_report: Callable[[int], FeatureReport], tmp_path: Path
) -> None:
    enrolled(office, who, feature_report(1))
    made = issued(office, who, forget=True)
    assert made.forgotten == 1
    assert office.rows("SELECT features FROM references_") == [(b"",)], "the fleet keeps no reference"
    assert office.rows("SELECT count(*) FROM cards WHERE subject_id = :who", who=who) == [(1,)]

    save_code(card_code(made.text), tmp_path / "card.png")
    read = cv2.QRCodeDetectorAruco().detectAndDecode(cv2.imread(str(tmp_path / "card.png")))[0]
    (keys,) = keys_sent(office, terminal)
    assert field.store.apply_card_keys(keys)
    claimed = field.look(read, office.now.date())
    assert claimed is not None
    assert (claimed.subject_id, claimed.token) == (who, office.people[who])
    assert similarity(claimed, feature_report(1)) > 0.999
    assert similarity(claimed, feature_report(2)) < 0.3, "the card alone certifies nobody"

    compared = terminal.record().comparison.model_copy(update={"reference_id": made.card.card_id})
    office.send(terminal, terminal.next(subject_id=who, token=claimed.token, comparison=compared))
    assert office.rows("SELECT flags FROM records") == [([],)]
    assert office.rows("SELECT last_pass_record IS NOT NULL FROM statuses") == [(True,)]


def test_a_card_of_a_picture_leaves_neither_picture_nor_features_at_the_fleet(
    office: Any, terminal: Any, who: str, field: Field, feature_report: Callable[[int], FeatureReport]
) -> None:
    made = of_picture(office, who, feature_report(3))
    assert office.rows("SELECT 1 FROM references_") == []
    (row,) = office.rows("SELECT * FROM cards")
    features = made.card.reference.vector().tobytes()
    assert not any(isinstance(value, bytes | memoryview) and features in bytes(value) for value in row)
    assert row.capture == "photo_confirmed"
    (keys,) = keys_sent(office, terminal)
    assert field.store.apply_card_keys(keys)
    claimed = field.look(made.text, office.now.date())
    assert claimed is not None
    assert similarity(claimed, feature_report(3)) > 0.999
    assert made.text not in repr(made)
    with pytest.raises(Refused, match="nobody has confirmed"):
        of_picture(office, who, feature_report(3), Enrolment(CaptureKind.PHOTO, LegalBasis.CONSENT))


def test_the_number_on_the_document_must_be_the_cards_own(
    office: Any, terminal: Any, who: str, field: Field, feature_report: Callable[[int], FeatureReport]
) -> None:
    enrolled(office, who, feature_report(1))
    (keys,) = keys_sent(office, terminal)
    assert field.store.apply_card_keys(keys)
    row = office.rows("SELECT document_sealed FROM subjects WHERE subject_id = :who", who=who)[0]
    own = office.keys.cipher.decrypt(bytes(row.document_sealed), subject_id=who, field_name="document")
    other = str(office.import_people(1, first=2).subject_ids[0])
    row = office.rows("SELECT document_sealed FROM subjects WHERE subject_id = :who", who=other)[0]
    foreign = office.keys.cipher.decrypt(bytes(row.document_sealed), subject_id=other, field_name="document")
    text = issued(office, who).text
    assert field.look(f"{text}#{own}", office.now.date()) is not None
    with pytest.raises(ClaimUnfit) as refused:
        field.look(f"{text}#{foreign}", office.now.date())
    assert refused.value.problem == "card_of_another"


def test_a_revoked_card_is_known_to_terminals_and_counts_no_more(
    office: Any, terminal: Any, who: str, field: Field, feature_report: Callable[[int], FeatureReport]
) -> None:
    enrolled(office, who, feature_report(1))
    made, other = issued(office, who), issued(office, who)
    (before,) = keys_sent(office, terminal)
    assert field.store.apply_card_keys(before)
    office.now += timedelta(hours=1)
    assert (
        cards.revoke(office.database, office.keys, made.card.card_id, now=office.now, zone=office.settings.zone())
        == who
    )
    with pytest.raises(NotFound):
        cards.revoke(office.database, office.keys, made.card.card_id, now=office.now, zone=office.settings.zone())
    (after,) = keys_sent(office, terminal)
    assert after.revoked == (made.card.card_id,)
    assert field.store.apply_card_keys(after)
    with pytest.raises(ClaimUnfit) as refused:
        field.look(made.text, office.now.date())
    assert refused.value.problem == "card_revoked"
    assert field.look(other.text, office.now.date()) is not None

    # A terminal that had not heard of it is believed for the time before, and for nothing after.
    compared = terminal.record().comparison.model_copy(update={"reference_id": made.card.card_id})
    for at in (office.now - timedelta(minutes=30), office.now + timedelta(minutes=1)):
        record = terminal.next(subject_id=who, token=office.people[who], comparison=compared, at=at)
        office.now = max(office.now, at + timedelta(seconds=5))
        office.send(terminal, record)
    assert office.rows("SELECT flags FROM records ORDER BY counter") == [([],), (["reference_unfit"],)]


def test_a_card_of_somebody_else_or_of_nobody_does_not_count(
    office: Any, terminal: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    enrolled(office, who, feature_report(1))
    made = issued(office, who)
    other = str(office.import_people(1, first=2).subject_ids[0])
    compared = terminal.record().comparison.model_copy(update={"reference_id": made.card.card_id})
    office.send(terminal, terminal.next(subject_id=other, token=office.people[other], comparison=compared))
    unknown = compared.model_copy(update={"reference_id": "e" * 32})
    office.send(terminal, terminal.next(subject_id=who, token=office.people[who], comparison=unknown))
    assert office.rows("SELECT flags FROM records") == [(["reference_unfit"],)] * 2


def test_cards_of_older_keys_stay_good_until_their_generation_is_given_up(
    office: Any, terminal: Any, who: str, field: Field, feature_report: Callable[[int], FeatureReport]
) -> None:
    enrolled(office, who, feature_report(1))
    old = issued(office, who)
    new_key = cards.rotate_key(office.database, office.keys, now=office.now)
    new = issued(office, who)
    assert (new.key_id, old.key_id != new_key) == (new_key, True)
    (keys,) = keys_sent(office, terminal)
    assert [key.key_id for key in keys.keys] == [new_key, old.key_id]
    assert field.store.apply_card_keys(keys)
    assert all(field.look(card.text, office.now.date()) for card in (old, new))

    office.now += timedelta(hours=1)
    cards.retire_key(office.database, office.keys, old.key_id, now=office.now)
    assert office.rows("SELECT secret_sealed FROM card_keys WHERE key_id = :id", id=old.key_id) == [(b"",)]
    (keys,) = keys_sent(office, terminal)
    assert field.store.apply_card_keys(keys)
    with pytest.raises(ClaimUnfit) as refused:
        field.look(old.text, office.now.date())
    assert refused.value.problem == "card_foreign"
    assert field.look(new.text, office.now.date()) is not None
    with pytest.raises(NotFound):
        cards.retire_key(office.database, office.keys, old.key_id, now=office.now)


def test_the_best_reference_goes_on_the_card(
    office: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    with pytest.raises(NotFound, match="no live or confirmed reference"):
        issued(office, who)
    enrolled(office, who, feature_report(1), Enrolment(CaptureKind.PHOTO, LegalBasis.CONSENT))
    with pytest.raises(NotFound, match="no live or confirmed reference"):
        issued(office, who)
    enrolled(office, who, feature_report(2), LIVE, office.now - timedelta(days=9))
    enrolled(office, who, feature_report(3), LIVE, office.now - timedelta(days=5))
    enrolled(office, who, feature_report(4), CONFIRMED)
    made = issued(office, who).card.reference
    assert (made.capture, made.captured_at) == (
        CaptureKind.LIVE,
        (office.now - timedelta(days=5)).replace(microsecond=0),
    )


def test_without_card_keys_no_card_is_made_and_terminals_hear_nothing(office: Any, terminal: Any) -> None:
    who = str(office.import_people(1).subject_ids[0])
    office.hold_references()
    with pytest.raises(Refused, match="rotate-key"):
        issued(office, who)
    assert office.handler.push_card_keys() == []


def test_more_generations_than_terminals_take_are_refused(office: Any) -> None:
    for hour in range(16):
        cards.rotate_key(office.database, office.keys, now=office.now + timedelta(hours=hour))
    with pytest.raises(Refused, match="retire-key"):
        cards.rotate_key(office.database, office.keys, now=office.now)


def ask(office: Any, terminal: Any, have: int) -> list[CardKeys]:
    request = RosterRequest(fleet_id="north", terminal_id=terminal.terminal_id, have=have, asked_at=office.now)
    token = sign(request.to_bytes(), key=terminal.signing, typ=ROSTER_REQUEST_TYP)
    return keys_sent(office, terminal, office.send(terminal, token, kind=Kind.ROSTER_REQUEST))


def test_a_terminal_in_touch_gets_card_keys_anew_before_their_time_is_over(
    office: Any, terminal: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    office.assign_all(terminal.terminal_id)
    assert len(ask(office, terminal, 1)) == 1, "never sent before"
    assert ask(office, terminal, 1) == []
    assert len(ask(office, terminal, 0)) == 1, "a terminal that has nothing may have lost its database"
    office.now += timedelta(days=8)
    (again,) = ask(office, terminal, 1)
    assert again.expires_at == office.now + cards.CARD_KEYS_VALIDITY
    office.now += timedelta(minutes=1)
    enrolled(office, who, feature_report(1))
    made = issued(office, who)
    cards.revoke(office.database, office.keys, made.card.card_id, now=office.now, zone=office.settings.zone())
    office.now += timedelta(minutes=1)
    assert [len(found.revoked) for found in ask(office, terminal, 1)] == [1]


def test_retired_terminals_get_no_card_keys(office: Any, terminal: Any, who: str) -> None:
    office.rows("UPDATE terminals SET retired_at = :now RETURNING 1", now=office.now)
    assert office.handler.push_card_keys() == []


def test_the_ledger_of_a_person_who_is_no_longer_kept_still_revokes_the_card(
    office: Any, terminal: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    enrolled(office, who, feature_report(1))
    made = issued(office, who)
    office.rows("DELETE FROM subjects RETURNING 1")
    (keys,) = keys_sent(office, terminal)
    assert keys.revoked == (made.card.card_id,)
    with office.database.begin() as connection:
        assert [card.subject_id for card in ledger.find_cards(connection, limit=9)] == [None]
