"""From a decision of two persons to an act, a status and an answer."""

from __future__ import annotations

import io
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from fleet.audit import log
from fleet.cases import history
from fleet.cases.answers import answers_for
from fleet.cases.catalogue import catalogue
from fleet.cases.deciding import Said, close, decide, take_up
from fleet.cases.desk import Request, open_request
from fleet.cases.files import Role, add_file, read_file, rules_of_case
from fleet.cases.letters import as_text, letter
from fleet.cases.machine import Case, Kind, NotAllowed, State, Verdict
from fleet.cases.opening import Registry, open_missing
from fleet.cases.pictures import open_picture
from fleet.errors import NotFound, Refused
from fleet.store.packs import put_in_force, save_proposal
from fleet.tables.words import Words
from protocol.cases import CaseKind, Photo, PhotoRole
from protocol.envelope import seal, sha256_of
from protocol.outcomes import Outcome
from protocol.rules.obligations import CertificationState, state_of
from protocol.shipped_packs import shipped_pack, shipped_text
from protocol.topics import Kind as Topic
from tests.pdfs import scan as signed_scan

pytestmark = pytest.mark.integration

REVIEWERS = ("An", "Bo")


def desk(office: Any) -> Registry:
    return Registry(office.keys.cipher, office.settings.zone())


@pytest.fixture
def subject_id(office: Any) -> str:
    office.import_people(1)
    return next(iter(office.people))


def the_case(office: Any) -> Case:
    (case_id,) = [row.case_id for row in office.rows("SELECT case_id FROM cases")]
    with office.database.begin() as connection:
        return history.read(connection, case_id)


def number(office: Any, case_id: str) -> str:
    return str(office.rows("SELECT number FROM cases WHERE case_id = :id", id=case_id)[0].number)


def letter_of(office: Any, case_id: str, language: str) -> str:
    agency = Words(zh="东城社会保险经办中心", en="East Centre of Social Insurance")
    with office.database.begin() as connection:
        return as_text(
            letter(connection, desk(office), case_id, agency=agency, language=language, by="Wu", now=office.now)
        )


def say(office: Any, case_id: str, verdict: Verdict, reason: str, *who: str) -> Case:
    for name in who:
        take_up(office.database, desk(office), case_id, by=name, now=office.now)
        case = decide(office.database, desk(office), case_id, Said(verdict, reason, name), now=office.now)
    return case


def asks(office: Any, asked: Request, by: str = "Wu") -> str:
    with office.database.begin() as connection:
        return open_request(connection, desk(office), asked, by=by, now=office.now)


def test_a_second_open_case_of_one_person_and_kind_is_refused_and_the_open_one_named(
    office: Any, subject_id: str
) -> None:
    asked = Request(
        Kind.SPECIAL, subject_id, next(iter(catalogue().opened_for[Kind.SPECIAL])), seen_on=office.now.date()
    )
    case_id = asks(office, asked)
    with pytest.raises(Refused, match=f"case {number(office, case_id)} of this person and kind is open"):
        asks(office, asked, by="Sun")
    field, other = list(catalogue().opened_for[Kind.WRONG_DATA])[:2]
    for reason in (field, other):
        asks(office, Request(Kind.WRONG_DATA, subject_id, reason, note="12333"))
    with pytest.raises(Refused, match="is open"):
        asks(office, Request(Kind.WRONG_DATA, subject_id, field, note="12333"))


def jpeg(path: Path, seed: int = 1, size: tuple[int, int] = (800, 600)) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=60)
    path.write_bytes(out.getvalue())
    return path


def hand_in(office: Any, case_id: str, role: Role, path: Path, by: str = "Wu", **more: Any) -> Case:
    checked = read_file(path, role, rules_of_case(office.database, case_id), None)
    return add_file(office.database, office.keys, desk(office), case_id, role, checked, by=by, now=office.now, **more)


def scan(tmp_path: Path, name: str = "form") -> Path:
    path = tmp_path / f"{name}.pdf"
    path.write_bytes(signed_scan(words=name))
    return path


def state(office: Any, subject_id: str) -> CertificationState:
    (row,) = office.rows("SELECT * FROM statuses WHERE subject_id = :id", id=subject_id)
    today = office.now.astimezone(office.settings.zone()).date()
    return state_of(row.last_act is not None, row.asked, row.expiring, row.overdue, today)


def acts(office: Any) -> list[tuple[str, str, str, datetime]]:
    return [
        (row.subject_id, row.kind, row.channel, row.acted_at)
        for row in office.rows("SELECT * FROM acts WHERE source = 'case' AND withdrawn_at IS NULL")
    ]


def audited(office: Any) -> list[tuple[str, dict[str, Any]]]:
    with office.database.begin() as connection:
        return [(entry.action, entry.detail) for entry in log.entries(connection)]


@pytest.fixture
def appeal(office: Any, terminal: Any, subject_id: str) -> str:
    """An appeal whose record arrived; the session was two days ago."""
    at = office.now - timedelta(days=2)
    office.send(
        terminal,
        terminal.next(
            outcome=Outcome.REVIEW, subject_id=subject_id, token=office.people[subject_id], at=at, operator="w-204"
        ),
    )
    return str(the_case(office).case_id)


def test_r6_1_an_appeal_that_two_persons_pass_certifies_from_the_day_of_the_session(
    office: Any, appeal: str, subject_id: str
) -> None:
    assert state(office, subject_id) is CertificationState.NEVER_CERTIFIED
    assert say(office, appeal, Verdict.PASSED, "person_and_alive", "An").state is State.IN_REVIEW
    assert (acts(office), state(office, subject_id)) == ([], CertificationState.NEVER_CERTIFIED)
    assert say(office, appeal, Verdict.PASSED, "person_and_alive", "Bo").state is State.PASSED
    sample = office.now - timedelta(days=2, seconds=1)
    assert acts(office) == [(subject_id, "live", "terminal", sample)]
    assert state(office, subject_id) is CertificationState.CERTIFIED
    (row,) = office.rows("SELECT last_act_kind, certified_until FROM statuses")
    assert (row.last_act_kind, row.certified_until) == ("live", date(2027, 11, 18))
    before = office.rows("SELECT * FROM statuses")
    office.rebuild()
    assert office.rows("SELECT * FROM statuses") == before
    assert [action for action, _ in audited(office)] == ["case.taken_up", "case.decided"] * 2


def test_r6_1_a_late_decision_certifies_the_period_of_the_sample_not_its_own(
    office: Any, appeal: str, subject_id: str
) -> None:
    session = office.now - timedelta(days=2, seconds=1)
    office.now += timedelta(days=300)
    say(office, appeal, Verdict.PASSED, "person_and_alive", *REVIEWERS)
    assert acts(office)[0][3] == session
    assert [row.certified_until for row in office.rows("SELECT certified_until FROM statuses")] == [date(2027, 11, 18)]


def test_a_refused_appeal_certifies_nobody(office: Any, appeal: str, subject_id: str) -> None:
    case = say(office, appeal, Verdict.REFUSED, "other_person", *REVIEWERS)
    assert (case.state, acts(office)) == (State.REFUSED, [])
    assert state(office, subject_id) is CertificationState.NEVER_CERTIFIED


def test_the_operator_who_was_there_does_not_review_by_number_nor_by_name(office: Any, appeal: str) -> None:
    for name in ("w-204", "W-204"):
        with pytest.raises(NotAllowed, match="took it in"):
            take_up(office.database, desk(office), appeal, by=name, now=office.now)
    assert audited(office) == []


def test_a_record_at_which_the_chain_is_broken_certifies_nobody(office: Any, appeal: str) -> None:
    with office.database.begin() as connection:
        connection.execute(text("UPDATE links SET chain = 'broken'"))
    with pytest.raises(Refused, match="chain of its terminal is broken"):
        say(office, appeal, Verdict.PASSED, "person_and_alive", "An")
    assert say(office, appeal, Verdict.REFUSED, "cannot_be_told", "Bo").state is State.IN_REVIEW


def test_somebody_unknown_is_not_certified(office: Any, terminal: Any) -> None:
    office.send(terminal, terminal.next(outcome=Outcome.REVIEW))
    with pytest.raises(Refused, match="nobody known here is meant"):
        say(office, the_case(office).case_id, Verdict.PASSED, "person_and_alive", "An")


def test_a_reason_that_is_none_of_the_verdict_is_refused_with_those_that_are(office: Any, appeal: str) -> None:
    take_up(office.database, desk(office), appeal, by="An", now=office.now)
    for verdict, reason in ((Verdict.PASSED, "other_person"), (Verdict.REFUSED, "newspaper_too_old")):
        with pytest.raises(Refused, match="one of: "):
            decide(office.database, desk(office), appeal, Said(verdict, reason, "An"), now=office.now)


def test_an_act_and_its_decision_are_one_transaction(office: Any, appeal: str) -> None:
    say(office, appeal, Verdict.PASSED, "person_and_alive", "An")
    take_up(office.database, desk(office), appeal, by="Bo", now=office.now)
    with office.database.begin() as connection:
        connection.execute(text("ALTER TABLE acts ADD CONSTRAINT none CHECK (false)"))
    with pytest.raises(Exception, match="none"):
        decide(office.database, desk(office), appeal, Said(Verdict.PASSED, "person_and_alive", "Bo"), now=office.now)
    assert (the_case(office).state, acts(office)) == (State.IN_REVIEW, [])


def special_at_terminal(office: Any, terminal: Any, subject_id: str) -> str:
    key = office.keys.sealing_key().public()
    sealed = [seal(b"\xff\xd8\xff" + bytes([n]), reader=key) for n in range(2)]
    roles = (PhotoRole.IDENTITY_CARD, PhotoRole.WITH_NEWSPAPER)
    photos = tuple(
        Photo(role=role, attachment=sha256_of(each), width_px=1280, height_px=960, image_bytes=100)
        for role, each in zip(roles, sealed, strict=True)
    )
    example = terminal.record(subject_id=subject_id, token=office.people[subject_id])
    office.send(terminal, terminal.next_case(record_id="e" * 32, photos=photos, claim=example.claim))
    office.send(terminal, *sealed, kind=Topic.ATTACHMENT)
    return "e" * 32


def test_r1_18_r6_6_a_special_case_of_a_terminal_certifies_from_the_day_of_its_photographs(
    office: Any, terminal: Any, subject_id: str
) -> None:
    case_id = special_at_terminal(office, terminal, subject_id)
    (row,) = office.rows("SELECT event_at FROM case_records")
    say(office, case_id, Verdict.PASSED, "person_and_alive", *REVIEWERS)
    assert acts(office) == [(subject_id, "special", "photographs", row.event_at)]
    assert state(office, subject_id) is CertificationState.CERTIFIED


@pytest.mark.parametrize("kind", [CaseKind.PHOTO_ENROLMENT, CaseKind.PROXY])
def test_r1_19_r1_20_a_photograph_or_a_proxy_never_certifies(
    office: Any, terminal: Any, subject_id: str, kind: CaseKind
) -> None:
    role = {CaseKind.PHOTO_ENROLMENT: PhotoRole.FACE, CaseKind.PROXY: PhotoRole.AUTHORITY}[kind]
    sealed = seal(b"\xff\xd8\xff", reader=office.keys.sealing_key().public())
    photo = Photo(role=role, attachment=sha256_of(sealed), width_px=1280, height_px=960, image_bytes=100)
    claim = terminal.record(subject_id=subject_id, token=office.people[subject_id]).claim
    proxy = {"document": "resident_id", "token": "B" * 43, "relation": "child"} if kind is CaseKind.PROXY else None
    office.send(
        terminal,
        terminal.next_case(
            kind=kind, photos=(photo,), newspaper_date=None, newspaper_age_days=None, claim=claim, proxy=proxy
        ),
    )
    office.send(terminal, sealed, kind=Topic.ATTACHMENT)
    case = say(office, the_case(office).case_id, Verdict.PASSED, "documents_in_order", *REVIEWERS)
    assert (case.state, acts(office)) == (State.PASSED, [])
    assert state(office, subject_id) is CertificationState.NEVER_CERTIFIED


def test_r1_18_r6_5_two_photographs_at_the_desk(office: Any, subject_id: str, tmp_path: Path) -> None:
    newspaper = date(2026, 11, 16)
    case_id = asks(office, Request(Kind.SPECIAL, subject_id, "paralysed", seen_on=newspaper))
    assert hand_in(office, case_id, Role.IDENTITY_CARD, jpeg(tmp_path / "1.jpg", 1)).state is State.OPENED
    assert hand_in(office, case_id, Role.WITH_NEWSPAPER, jpeg(tmp_path / "2.jpg", 2)).state is State.EVIDENCE_COMPLETE
    with pytest.raises(NotAllowed, match="took it in"):
        take_up(office.database, desk(office), case_id, by="  WU ", now=office.now)
    say(office, case_id, Verdict.PASSED, "person_and_alive", *REVIEWERS)
    # Noon of the newspaper's day: nobody can tell that the person was alive on a later one.
    assert acts(office) == [(subject_id, "special", "photographs", datetime(2026, 11, 16, 4, tzinfo=UTC))]


def test_r1_18_the_newspaper_is_never_of_a_day_to_come_and_its_age_is_for_the_reviewers(
    office: Any, subject_id: str
) -> None:
    for day, message in (
        (date(2026, 11, 21), "still to come"),
        (date(2025, 1, 1), "more than a year"),
        (None, "the day of"),
    ):
        with pytest.raises(Refused, match=message):
            asks(office, Request(Kind.SPECIAL, subject_id, "paralysed", seen_on=day))
    assert office.rows("SELECT 1 FROM cases") == []
    asks(office, Request(Kind.SPECIAL, subject_id, "paralysed", seen_on=date(2026, 6, 1)))
    assert the_case(office).facts["newspaper_date"] == "2026-06-01"


@pytest.mark.parametrize("reason", ["distance", "no_network", "paralysed", "bedridden", "mental_illness"])
def test_r6_5_who_may_ask_for_a_special_certification(office: Any, subject_id: str, reason: str) -> None:
    asks(office, Request(Kind.SPECIAL, subject_id, reason, seen_on=date(2026, 11, 16)))
    with pytest.raises(Refused, match="reason: one of"):
        asks(office, Request(Kind.SPECIAL, subject_id, "holiday", seen_on=date(2026, 11, 16)))


def test_r4_8_r4_13_r6_8_an_assistance_form_certifies_from_the_day_it_was_signed(
    office: Any, subject_id: str, tmp_path: Path
) -> None:
    signed = date(2026, 11, 2)
    asked = Request(Kind.REMOTE_FORM, subject_id, "distance", body="talent_centre", seen_on=signed)
    case_id = asks(office, asked)
    assert hand_in(office, case_id, Role.FORM, scan(tmp_path)).state is State.EVIDENCE_COMPLETE
    say(office, case_id, Verdict.PASSED, "documents_in_order", *REVIEWERS)
    assert acts(office) == [(subject_id, "special", "remote_form", datetime(2026, 11, 2, 4, tzinfo=UTC))]


def test_r2_13_a_form_signed_by_the_twentieth_of_december_serves_the_window_however_late_it_is_decided(
    office: Any, subject_id: str, tmp_path: Path
) -> None:
    office.now = datetime(2020, 12, 19, 9, tzinfo=UTC)
    pack = shipped_pack("HZ-2020")
    with office.database.begin() as connection:
        save_proposal(connection, pack, shipped_text("HZ-2020"), "0" * 64, now=office.now)
        put_in_force(connection, pack.pack_id, pack.version, b"signed", now=office.now)
        connection.execute(
            text("UPDATE benefits SET region = :region, scheme = :scheme, category = :category"),
            {"region": pack.region, "scheme": pack.schemes[0], "category": next(iter(pack.categories), "retired")},
        )
    office.list_since("2001-07-01")
    office.rebuild()
    assert [row.due for row in office.rows("SELECT due FROM obligations")] == [date(2020, 12, 20)]
    signed = date(2020, 12, 18)
    case_id = asks(office, Request(Kind.REMOTE_FORM, subject_id, "distance", body="former_unit", seen_on=signed))
    hand_in(office, case_id, Role.FORM, scan(tmp_path))
    office.now = datetime(2020, 12, 28, 9, tzinfo=UTC)
    say(office, case_id, Verdict.PASSED, "documents_in_order", *REVIEWERS)
    (row,) = office.rows("SELECT pack_id, due, last_day FROM obligations")
    assert (row.pack_id, row.last_day, row.due) == ("HZ-2020", signed, date(2021, 12, 20))


@pytest.mark.parametrize(
    "body",
    ["macao_social_security_fund", "macao_federation_of_trade_unions", "macao_civic_affairs", "macao_district_office"],
)
def test_r4_18_four_bodies_of_macao_may_confirm_a_form(office: Any, subject_id: str, tmp_path: Path, body: str) -> None:
    case_id = asks(office, Request(Kind.REMOTE_FORM, subject_id, "distance", body=body, seen_on=date(2026, 11, 2)))
    assert hand_in(office, case_id, Role.FORM, scan(tmp_path)).state is State.EVIDENCE_COMPLETE
    with pytest.raises(Refused, match="body: one of"):
        asks(office, Request(Kind.REMOTE_FORM, subject_id, "distance", body="casino", seen_on=date(2026, 11, 2)))


@pytest.mark.parametrize(
    ("body", "roles", "channel"),
    [
        ("proxy_elsewhere", (Role.IDENTITY_CARD, Role.PROXY_CARD, Role.PROOF), "remote_form"),
        ("managing_unit", (Role.HANDLER_CARD, Role.VERIFIED_LIST, Role.HOUSEHOLD_COPY), "unit"),
        ("street_retirement_office", (Role.FORM,), "counter"),
    ],
    ids=["r4_19_proxy", "r4_20_unit", "r4_22_street_office"],
)
def test_r4_19_r4_20_r4_22_each_body_brings_its_documents(
    office: Any, subject_id: str, tmp_path: Path, body: str, roles: tuple[Role, ...], channel: str
) -> None:
    case_id = asks(office, Request(Kind.REMOTE_FORM, subject_id, "distance", body=body, seen_on=date(2026, 11, 2)))
    for number, role in enumerate(roles):
        assert the_case(office).state is State.OPENED
        path = jpeg(tmp_path / "card.jpg") if role is Role.IDENTITY_CARD else scan(tmp_path, str(number))
        hand_in(office, case_id, role, path)
    say(office, case_id, Verdict.PASSED, "documents_in_order", *REVIEWERS)
    assert [(act[1], act[2]) for act in acts(office)] == [("special", channel)]


def test_r4_21_a_units_certificate_is_enough_for_the_injured_and_for_dependants_only(
    office: Any, subject_id: str, tmp_path: Path
) -> None:
    asked = Request(Kind.REMOTE_FORM, subject_id, "distance", body="certifying_unit", seen_on=date(2026, 11, 2))
    with pytest.raises(Refused, match="R4-21"):
        asks(office, asked)
    with office.database.begin() as connection:
        connection.execute(text("UPDATE benefits SET category = '1~4级工残人员'"))
    case_id = asks(office, asked)
    hand_in(office, case_id, Role.UNIT_CERTIFICATE, scan(tmp_path))
    say(office, case_id, Verdict.PASSED, "documents_in_order", *REVIEWERS)
    assert [act[2] for act in acts(office)] == ["unit"]


def test_r8_14_a_telephone_number_that_two_persons_confirm_is_taken_over(office: Any, subject_id: str) -> None:
    case_id = asks(office, Request(Kind.WRONG_DATA, subject_id, "phone", note="13800000000"))
    (event,) = office.rows("SELECT data, note_sealed FROM case_events")
    assert b"13800000000" not in bytes(event.note_sealed)
    assert "13800000000" not in str(event.data)
    say(office, case_id, Verdict.PASSED, "data_confirmed", *REVIEWERS)
    (row,) = office.rows("SELECT phone_sealed FROM subjects")
    cipher = office.keys.cipher
    assert cipher.decrypt(bytes(row.phone_sealed), subject_id=subject_id, field_name="phone") == "13800000000"
    assert acts(office) == []
    for wrong in (None, "call my son", "1" * 20, "+", "12345"):
        with pytest.raises(Refused, match="telephone number"):
            asks(office, Request(Kind.WRONG_DATA, subject_id, "phone", note=wrong))


def test_r7_15_data_that_disagree_are_a_case_of_two_persons_that_changes_no_list(office: Any, subject_id: str) -> None:
    before = office.rows("SELECT * FROM subjects")
    case_id = asks(office, Request(Kind.WRONG_DATA, subject_id, "birth_date", note="the household register differs"))
    assert say(office, case_id, Verdict.PASSED, "data_confirmed", *REVIEWERS).state is State.PASSED
    assert office.rows("SELECT * FROM subjects") == before


def test_r6_2_r9_4_the_person_can_see_the_answer_and_not_who_gave_it(office: Any, appeal: str, subject_id: str) -> None:
    def answer() -> Any:
        with office.database.begin() as connection:
            (found,) = answers_for(connection, desk(office), subject_id)
            return found

    first = answer()
    assert (first.state, first.asked_on, first.due_on) == (
        State.EVIDENCE_COMPLETE,
        date(2026, 11, 18),
        date(2026, 12, 2),
    )
    say(office, appeal, Verdict.PASSED, "person_and_alive", "An")
    say(office, appeal, Verdict.REFUSED, "cannot_be_told", "Bo")
    assert the_case(office).state is State.DISAGREED
    assert (answer().state, answer().reason) == (State.IN_REVIEW, None)
    say(office, appeal, Verdict.REFUSED, "cannot_be_told", "Chen")
    told = answer()
    assert (told.state, told.reason, told.answered_on) == (State.REFUSED, "cannot_be_told", date(2026, 11, 20))
    close(office.database, desk(office), appeal, by="An", reason="finished", now=office.now)
    assert answer() == told, "what was decided is told after it was closed, too"


def test_r6_3_r6_4_a_refusal_says_why_and_what_other_ways_there_are(office: Any, appeal: str) -> None:
    say(office, appeal, Verdict.REFUSED, "other_person", *REVIEWERS)
    zh, en = (letter_of(office, appeal, language) for language in ("zh", "en"))
    for said in ("审核未通过。", "照片与本人不一致", "单位组织的集中认证", "上门认证", "12333", "甲1："):
        assert said in zh
    for said in ("could not be accepted", "did not find the same person", "joint certification of your unit", "12333"):
        assert said in en
    assert zh.splitlines()[:3] == ["东城社会保险经办中心", "告知书", "个案编号：2026-000001"]
    assert zh.splitlines()[-4:-2] == ["东城社会保险经办中心", "（盖章处）"]
    assert zh.splitlines()[-1] == "2026年11月20日"
    assert (en.splitlines()[1:3], en.splitlines()[-1]) == (
        ["Notice of decision", "Case number: 2026-000001"],
        "20 November 2026",
    )
    assert [line for line in zh.splitlines() if re.match("[一二三四五]、", line)] == [
        "一、办理结果",
        "二、依据",
        "三、后续办理",
        "四、救济途径",
    ]
    assert "第八十三条" in zh
    assert "rests on the rules “Shanxi, social-insurance benefits” (SX-2018, version 1)" in en
    assert appeal not in zh + en, "the id is for addresses"
    assert [entry for entry in audited(office) if entry[0] == "case.letter"] == [
        ("case.letter", {"language": language, "state": "refused"}) for language in ("zh", "en")
    ]


def test_more_evidence_says_what_is_asked(office: Any, subject_id: str, tmp_path: Path) -> None:
    case_id = asks(office, Request(Kind.SPECIAL, subject_id, "paralysed", seen_on=date(2026, 11, 16)))
    hand_in(office, case_id, Role.IDENTITY_CARD, jpeg(tmp_path / "1.jpg", 1))
    hand_in(office, case_id, Role.WITH_NEWSPAPER, jpeg(tmp_path / "2.jpg", 2))
    assert say(office, case_id, Verdict.MORE_EVIDENCE, "newer_newspaper", "An").state is State.MORE_EVIDENCE
    asked = letter_of(office, case_id, "en")
    assert "Request for further evidence" in asked
    assert "with a newspaper of these days" in asked
    assert "by 4 December 2026" in asked
    assert "court" not in asked, "nothing was decided yet"
    again = hand_in(office, case_id, Role.WITH_NEWSPAPER, jpeg(tmp_path / "3.jpg", 3), sampled_at=office.now)
    assert (again.state, again.sample_at) == (State.EVIDENCE_COMPLETE, office.now)


def test_files_lie_sealed_are_opened_with_name_and_reason_and_deleted_by_the_timer(
    office: Any, subject_id: str, tmp_path: Path
) -> None:
    asked = Request(Kind.REMOTE_FORM, subject_id, "distance", body="former_unit", seen_on=date(2026, 11, 2))
    case_id = asks(office, asked)
    path = scan(tmp_path)
    hand_in(office, case_id, Role.FORM, path)
    (row,) = office.rows("SELECT sealed, media FROM case_files")
    assert b"sealed" not in bytes(row.sealed)
    with pytest.raises(Refused, match="has this file"):
        hand_in(office, case_id, Role.FORM, path)

    def look() -> bytes:
        return open_picture(
            office.database, office.keys, case_id, "form", reader="Li Na", reason="Review", now=office.now
        )

    assert look() == path.read_bytes()
    assert [entry[0] for entry in audited(office)][-1] == "picture.viewed"
    assert len(office.rows("SELECT 1 FROM picture_views")) == 1
    say(office, case_id, Verdict.REFUSED, "documents_not_in_order", *REVIEWERS)
    start = office.now
    for days, is_here in ((89, True), (90, False)):
        office.now = start + timedelta(days=days, seconds=1)
        office.handler.clean()
        assert [row.sealed is not None for row in office.rows("SELECT sealed FROM case_files")] == [is_here]
    with pytest.raises(NotFound, match="was deleted"):
        look()


def test_a_decision_begins_the_timer_of_a_terminals_pictures(office: Any, terminal: Any, subject_id: str) -> None:
    case_id = special_at_terminal(office, terminal, subject_id)
    say(office, case_id, Verdict.PASSED, "person_and_alive", *REVIEWERS)
    office.now += timedelta(days=89)
    office.handler.clean()
    assert len(office.rows("SELECT 1 FROM attachments")) == 2
    office.now += timedelta(days=1, seconds=1)
    office.handler.clean()
    assert office.rows("SELECT 1 FROM attachments") == []


def test_names_and_notes_stand_nowhere_in_the_open(office: Any, appeal: str) -> None:
    take_up(office.database, desk(office), appeal, by="Zhang Wei", now=office.now)
    said = Said(Verdict.REFUSED, "other_person", "Zhang Wei", note="ears differ")
    decide(office.database, desk(office), appeal, said, now=office.now)
    stored = str(office.rows("SELECT * FROM case_events")) + str(office.rows("SELECT * FROM audit_log"))
    assert "Zhang" not in stored
    assert "ears" not in stored
    with office.database.begin() as connection:
        last = history.told(connection, office.keys.cipher, appeal)[-1]
    assert (last.name, last.note) == ("Zhang Wei", "ears differ")


def test_opening_what_was_missed_does_not_touch_what_was_decided(office: Any, appeal: str) -> None:
    say(office, appeal, Verdict.PASSED, "person_and_alive", *REVIEWERS)
    before = office.rows("SELECT * FROM cases")
    assert open_missing(office.database, desk(office), accept_simulated=False, clock=office.clock) == 0
    assert office.rows("SELECT * FROM cases") == before
