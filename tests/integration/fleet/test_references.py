"""Enrolment, rosters and withdrawal on the real database."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet.admission import ROSTER_VALIDITY
from fleet.errors import FleetError, NotFound, PictureRefused, Refused
from fleet.references import rosters as issuing
from fleet.references.enrol import Enrolment, enrol, features_of_file, read_features, read_picture, withdraw
from fleet.settings import ReferenceSettings, Settings
from fleet.store import rosters
from protocol.documents import check_digit
from protocol.envelope import sign, unseal
from protocol.errors import NotForUs
from protocol.references import CaptureKind, LegalBasis
from protocol.roster import PAGE_ENTRIES, ROSTER_REQUEST_TYP, RosterPage, RosterRequest
from protocol.topics import Kind

pytestmark = pytest.mark.integration
LIVE = Enrolment(CaptureKind.LIVE, LegalBasis.CONSENT)


def take(office: Any, who: str, report: Any, what: Enrolment = LIVE, now: datetime | None = None) -> Any:
    return enrol(
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


def ask(office: Any, terminal: Any, have: int) -> list[RosterPage]:
    request = RosterRequest(fleet_id="north", terminal_id=terminal.terminal_id, have=have, asked_at=office.now)
    token = sign(request.to_bytes(), key=terminal.signing, typ=ROSTER_REQUEST_TYP)
    answers = office.send(terminal, token, kind=Kind.ROSTER_REQUEST)
    return [office.page(answer.payload, terminal) for answer in answers if answer.topic.kind is Kind.ROSTER]


def pushed(office: Any, terminal: Any) -> list[RosterPage]:
    return [office.page(answer.payload, terminal) for answer in office.handler.push_rosters()]


def test_the_feature_program_gets_the_picture_and_its_report_is_read(
    feature_program: tuple[str, ...], tmp_path: Path
) -> None:
    picture = tmp_path / "p.ppm"
    picture.write_bytes(b"P6 1 1 255 abc")
    report = read_features(read_picture(picture), (*feature_program, "features", "-", "--json"), timeout_s=30)
    assert report.overall_quality == 80.0
    assert np.linalg.norm(report.vector()) == pytest.approx(1.0, abs=1e-5)


def test_a_picture_without_a_face_is_refused_in_the_programs_words(feature_program: tuple[str, ...]) -> None:
    with pytest.raises(PictureRefused, match="no face found"):
        read_features(b"no picture", (*feature_program, "features", "-", "--json"), timeout_s=30)


@pytest.mark.parametrize(
    ("command", "timeout_s", "message"),
    [
        (("/nonexistent/program",), 30, "cannot be started"),
        ((sys.executable, "-c", "print('nonsense')"), 30, "no feature report"),
        ((sys.executable, "-c", "import time; time.sleep(60)"), 0.5, "no answer within"),
    ],
)
def test_a_program_that_fails_is_named(command: tuple[str, ...], timeout_s: float, message: str) -> None:
    with pytest.raises(FleetError, match=message):
        read_features(b"P6", command, timeout_s=timeout_s)


def test_an_empty_or_missing_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureRefused, match="empty"):
        read_features(b"", ("unused",), timeout_s=1)
    with pytest.raises(PictureRefused, match="cannot be read"):
        read_picture(tmp_path / "none.jpg")


def test_a_simulated_person_is_named_to_the_program_and_only_in_a_fleet_that_accepts_them(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("lifecert-terminal"))
    settings = Settings(
        fleet_id="north", data_dir=tmp_path, accept_simulated=True, references=ReferenceSettings(command=(program,))
    )
    cedar = Path("demo/people/cedar.toml")
    assert features_of_file(cedar, settings).overall_quality > 50
    with pytest.raises(Refused, match="accept_simulated"):
        features_of_file(cedar, settings.model_copy(update={"accept_simulated": False}))
    with pytest.raises(PictureRefused, match="no such file"):
        features_of_file(tmp_path / "none.toml", settings)


def test_only_protected_features_are_stored(office: Any, feature_report: Callable[[int], Any]) -> None:
    (subject_id,) = office.import_people(1).subject_ids
    report = feature_report(1)
    take(office, subject_id, report)
    (row,) = office.rows("SELECT * FROM references_")
    plain = report.vector()
    stored = np.frombuffer(row.features, dtype=np.int8).astype(np.float64)
    assert abs(float(stored @ plain) / float(np.linalg.norm(stored))) < 0.5, "turned away from the plain features"
    assert str(row.valid_until) == "2029-11-20"


def test_references_of_one_person_still_compare_and_of_two_domains_do_not(
    office: Any, feature_report: Callable[[int], Any]
) -> None:
    (subject_id,) = office.import_people(1).subject_ids
    take(office, subject_id, feature_report(1))
    take(office, subject_id, feature_report(1))
    first, second = (
        np.frombuffer(row.features, dtype=np.int8) for row in office.rows("SELECT features FROM references_")
    )
    assert np.array_equal(first, second)


def test_a_subject_is_found_by_id_or_document_number_and_never_repeated(
    office: Any, feature_report: Callable[[int], Any]
) -> None:
    (subject_id,) = office.import_people(1).subject_ids
    digits = "99999919400101001"
    number = digits + check_digit(digits)
    assert take(office, number, feature_report(1)).subject_id == subject_id
    unknown = "99999919400101999"
    with pytest.raises(NotFound) as caught:
        take(office, unknown + check_digit(unknown), feature_report(1))
    assert unknown not in str(caught.value)


def test_a_confirmed_photo_needs_its_officer() -> None:
    with pytest.raises(Refused, match="officer"):
        Enrolment(CaptureKind.PHOTO_CONFIRMED, LegalBasis.STATUTE)
    with pytest.raises(Refused, match="officer"):
        Enrolment(CaptureKind.PHOTO, LegalBasis.STATUTE, officer="someone")


def test_a_terminal_gets_its_roster_with_keys_and_references(
    office: Any, terminal: Any, feature_report: Callable[[int], Any]
) -> None:
    first, second = office.import_people(2).subject_ids
    office.assign_all("t-1")
    take(office, first, feature_report(1))
    (page,) = ask(office, terminal, 0)
    assert page.after == 0
    assert page.complete
    assert page.upto == 3
    assert {entry.subject_id: len(entry.references) for entry in page.entries} == {first: 1, second: 0}
    assert {entry.claim_token for entry in page.entries} == set(office.people.values())
    assert page.expires_at - page.issued_at == ROSTER_VALIDITY
    assert set(page.feature_keys) == {"d1"}


def test_r4_12_r4_17_r4_22_r4_25_whoever_lives_in_an_area_is_on_the_roster_of_every_outlet_there(
    office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any]
) -> None:
    bank = make_fleet_terminal(terminal_id="bank-1")
    office.register(bank, area="east-market")
    here = set(office.import_people(2, area="east").subject_ids)
    elsewhere = set(office.import_people(1, area="west", first=3).subject_ids)
    office.assign_area("t-1", "east")
    office.assign_area("bank-1", "east")
    for outlet in (terminal, bank):
        (page,) = ask(office, outlet, 0)
        assert {entry.subject_id for entry in page.entries} == here
    office.assign_area("bank-1", "west")
    (page,) = ask(office, bank, 0)
    assert {entry.subject_id for entry in page.entries} == here | elsewhere


def test_a_roster_request_is_receipted_with_the_time(office: Any, terminal: Any) -> None:
    request = RosterRequest(fleet_id="north", terminal_id="t-1", have=0, asked_at=office.now)
    token = sign(request.to_bytes(), key=terminal.signing, typ=ROSTER_REQUEST_TYP)
    answers = office.send(terminal, token, kind=Kind.ROSTER_REQUEST)
    assert office.verdicts(answers) == [("stored", None)]


def test_another_terminal_cannot_open_the_roster(
    office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any]
) -> None:
    other = make_fleet_terminal(terminal_id="t-2")
    office.register(other)
    office.import_people(1)
    office.assign_all("t-1")
    (answer,) = office.handler.push_rosters()
    assert office.page(answer.payload, terminal).entries
    with pytest.raises(NotForUs):
        unseal(answer.payload, key=other.sealing)


def test_only_changes_are_sent_after_a_version_and_removals_as_tombstones(
    office: Any, terminal: Any, feature_report: Callable[[int], Any]
) -> None:
    east = office.import_people(2, area="east").subject_ids
    west = office.import_people(1, area="west", first=10).subject_ids
    with office.database.begin() as connection:
        for area in ("east", "west"):
            rosters.assign(connection, "t-1", "area", area)
        rosters.refresh(connection, ["t-1"])
    assert {entry.subject_id for entry in pushed(office, terminal)[0].entries} == {*east, *west}
    assert pushed(office, terminal) == []
    take(office, east[0], feature_report(1))
    (page,) = pushed(office, terminal)
    assert (page.after, page.upto, [entry.subject_id for entry in page.entries]) == (3, 4, [east[0]])
    with office.database.begin() as connection:
        assert rosters.unassign(connection, "t-1", "area", "west")
        assert rosters.refresh(connection, ["t-1"]) == 1
    (page,) = pushed(office, terminal)
    assert [(entry.subject_id, entry.removed, entry.references) for entry in page.entries] == [(west[0], True, ())]
    (whole,) = ask(office, terminal, 0)
    assert {entry.subject_id for entry in whole.entries} == set(east)


def test_people_imported_later_come_on_the_roster_by_themselves(office: Any, terminal: Any) -> None:
    office.assign_all("t-1")
    (subject_id,) = office.import_people(1).subject_ids
    assert [entry.subject_id for entry in pushed(office, terminal)[0].entries] == [subject_id]
    office.import_people(1)
    assert pushed(office, terminal) == [], "an import that changes nothing is no news"


def test_a_large_roster_comes_in_consecutive_pages(office: Any, terminal: Any) -> None:
    office.import_people(PAGE_ENTRIES + 50)
    office.assign_all("t-1")
    first, second = ask(office, terminal, 0)
    assert (first.after, first.upto, first.complete, len(first.entries)) == (0, PAGE_ENTRIES, False, PAGE_ENTRIES)
    assert (second.after, second.upto, second.complete, len(second.entries)) == (PAGE_ENTRIES, 250, True, 50)


def test_pages_also_end_by_size(
    office: Any, terminal: Any, feature_report: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuing, "_PAGE_BYTES", 2000)
    for subject_id in office.import_people(6).subject_ids:
        take(office, subject_id, feature_report(1))
    office.assign_all("t-1")
    pages = ask(office, terminal, 0)
    assert len(pages) > 1
    assert [page.after for page in pages[1:]] == [page.upto for page in pages[:-1]]
    assert sum(len(page.entries) for page in pages) == 6
    assert [page.complete for page in pages] == [False] * (len(pages) - 1) + [True]


def test_a_terminal_that_has_everything_gets_a_new_expiry(office: Any, terminal: Any) -> None:
    office.import_people(1)
    office.assign_all("t-1")
    (page,) = ask(office, terminal, 0)
    office.now += timedelta(days=5)
    (again,) = ask(office, terminal, page.upto)
    assert (again.after, again.upto, again.entries) == (page.upto, page.upto, ())
    assert again.expires_at == page.expires_at + timedelta(days=5)


def test_a_version_this_fleet_never_gave_is_answered_with_the_whole_roster(office: Any, terminal: Any) -> None:
    office.import_people(1)
    office.assign_all("t-1")
    (page,) = ask(office, terminal, 99)
    assert (page.after, page.upto, len(page.entries)) == (0, 1, 1)


def test_a_withdrawn_reference_is_erased_here_and_taken_from_terminals(
    office: Any, terminal: Any, feature_report: Callable[[int], Any]
) -> None:
    (subject_id,) = office.import_people(1).subject_ids
    office.assign_all("t-1")
    done = take(office, subject_id, feature_report(1))
    assert len(pushed(office, terminal)[0].entries[0].references) == 1
    assert withdraw(office.database, office.keys, done.reference_id, now=office.now) == subject_id
    assert bytes(office.rows("SELECT features FROM references_")[0].features) == b""
    (page,) = pushed(office, terminal)
    assert page.entries[0].references == ()
    with pytest.raises(NotFound):
        withdraw(office.database, office.keys, done.reference_id, now=office.now)


def test_an_expired_reference_is_not_issued(office: Any, terminal: Any, feature_report: Callable[[int], Any]) -> None:
    (subject_id,) = office.import_people(1).subject_ids
    office.assign_all("t-1")
    take(office, subject_id, feature_report(1), now=office.now - timedelta(days=4 * 366))
    (page,) = ask(office, terminal, 0)
    assert page.entries[0].references == ()
