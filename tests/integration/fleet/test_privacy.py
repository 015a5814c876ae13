"""Consent and its withdrawal, what goes when its time is over, the count of faces, and other ways than the face."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from fleet.app import Fleet, make_handler, retention_rules
from fleet.errors import NotFound, Refused
from fleet.exchange.reports import take_in
from fleet.privacy import consent, filing, retention, ways
from fleet.privacy.consent import Given, Way, consent_texts
from fleet.references import cards, enrol
from fleet.references.enrol import Enrolment
from fleet.store import consents
from fleet.store.life_events import NewLifeEvent
from protocol.capture import FeatureReport
from protocol.cases import CaseKind, CaseReason, OtherWay
from protocol.references import CaptureKind, LegalBasis
from protocol.rules.life import LifeEventKind
from protocol.topics import Kind

pytestmark = pytest.mark.integration


def give(
    office: Any, who: str, report: FeatureReport, basis: LegalBasis = LegalBasis.CONSENT, *, months: int = 36
) -> str:
    return enrol.enrol(
        office.database,
        office.keys,
        who,
        report,
        Enrolment(CaptureKind.PHOTO_CONFIRMED, basis, "Wang"),
        key_domain="d1",
        validity_months=months,
        now=office.now - timedelta(hours=2),
        zone=office.settings.zone(),
    ).reference_id


def agree(office: Any, who: str, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "text": list(consent_texts().values())[-1],
        "language": "zh",
        "way": Way.PAPER,
        "given_at": office.now - timedelta(days=1),
        "witness": "Wang",
    }
    return consent.record(office.database, office.keys, who, Given(**{**fields, **changes}), by="Li", now=office.now)


def withdraw(office: Any, who: str, at: datetime | None = None) -> consent.Withdrawn:
    return consent.withdraw(
        office.database, office.keys, who, other_way=OtherWay.COUNTER, by="Li", now=at or office.now
    )


def clean(office: Any, later: timedelta = timedelta()) -> dict[str, int]:
    rules, zone = retention_rules(office.settings), office.settings.zone()
    return retention.clean(office.database, rules, zone=zone, now=office.now + later)


@pytest.fixture
def who(office: Any, feature_report: Callable[[int], FeatureReport]) -> str:
    """Somebody with a reference on consent and a card."""
    office.import_people(1)
    (one,) = office.people
    cards.rotate_key(office.database, office.keys, now=office.now - timedelta(hours=3))
    give(office, one, feature_report(1))
    cards.issue_from_store(
        office.database, office.keys, one, fleet_id="north", forget=False, now=office.now, zone=office.settings.zone()
    )
    return str(one)


def test_feature_21_a_consent_says_to_which_words_when_how_and_before_whom(office: Any, who: str) -> None:
    agree(office, who)
    (found,) = office.rows("SELECT * FROM consents")
    words = list(consent_texts().values())[-1].zh
    assert (found.way, found.language, found.given_at) == ("paper", "zh", office.now - timedelta(days=1))
    assert found.text_sha256 == hashlib.sha256(words.encode()).hexdigest()
    sealed = bytes(found.witness_sealed)
    assert office.keys.cipher.decrypt(sealed, subject_id=who, field_name="consent_witness") == "Wang"
    with pytest.raises(Refused, match="future"):
        agree(office, who, given_at=office.now + timedelta(days=1))
    assert [row.action for row in office.rows("SELECT action FROM audit_log WHERE action LIKE 'consent.%'")] == [
        "consent.recorded"
    ]


def test_the_status_counts_references_on_a_consent_that_nobody_recorded(office: Any, who: str) -> None:
    with office.database.begin() as connection:
        assert consents.bases(connection) == consents.Basis(statute=0, consent=0, unrecorded=1)
    agree(office, who)
    with office.database.begin() as connection:
        assert consents.bases(connection) == consents.Basis(statute=0, consent=1, unrecorded=0)


def test_r6_4_feature_111_a_withdrawal_erases_revokes_and_offers_another_way(
    office: Any, terminal: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    agree(office, who)
    office.assign_all(terminal.terminal_id)
    office.handler.push_rosters()
    done = withdraw(office, who)
    assert (done.consents, done.references, done.cards, done.terminals, done.left) == (1, 1, 1, 1, 0)
    assert office.rows("SELECT 1 FROM references_ WHERE features <> ''::bytea OR withdrawn_at IS NULL") == []
    assert office.rows("SELECT 1 FROM cards WHERE revoked_at IS NULL") == []
    (page,) = [office.page(out.payload, terminal) for out in office.handler.push_rosters()]
    assert [(entry.subject_id, entry.references) for entry in page.entries] == [(who, ())]
    (row,) = office.rows("SELECT other_way, references_erased, cards_revoked FROM withdrawals")
    assert tuple(row) == ("counter", 1, 1)
    (ended,) = office.rows("SELECT * FROM consents")
    assert ended.withdrawn_at == office.now
    with pytest.raises(NotFound, match="nothing rests on consent"):
        withdraw(office, who)
    # Who agrees anew is enrolled anew.
    give(office, who, feature_report(2))
    assert withdraw(office, who).references == 1


def test_what_rests_on_statute_stays(office: Any, feature_report: Callable[[int], FeatureReport]) -> None:
    office.import_people(1)
    (one,) = office.people
    kept = give(office, one, feature_report(1), LegalBasis.STATUTE)
    with pytest.raises(NotFound):
        withdraw(office, one)
    give(office, one, feature_report(2))
    done = withdraw(office, one)
    assert (done.references, done.left) == (1, 1)
    left = office.rows("SELECT reference_id FROM references_ WHERE withdrawn_at IS NULL")
    assert [row.reference_id for row in left] == [kept]


def confirm_death(office: Any, who: str, on: date, *, confirmed: bool = True) -> None:
    with office.database.begin() as connection:
        event = NewLifeEvent(who, LifeEventKind.DEATH, on, None, "feed:police", f"d-{who}", confirmed=confirmed)
        take_in(connection, [event], now=office.now, zone=office.settings.zone())


def test_feature_112_references_go_some_time_after_a_confirmed_death(office: Any, who: str) -> None:
    confirm_death(office, who, date(2026, 11, 1))
    assert clean(office, timedelta(days=11)) == {}
    assert clean(office, timedelta(days=12)) == {"references_": 1}
    assert office.rows("SELECT 1 FROM references_ WHERE features <> ''::bytea") == []
    assert clean(office, timedelta(days=13)) == {}


def test_nobody_who_passed_after_the_reported_death_and_no_unconfirmed_report_loses_a_reference(
    office: Any, terminal: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    reference = office.rows("SELECT reference_id FROM references_")[0].reference_id
    compared = terminal.record().comparison.model_copy(
        update={"reference_id": reference, "capture": CaptureKind.PHOTO_CONFIRMED}
    )
    office.send(terminal, terminal.next(subject_id=who, token=office.people[who], comparison=compared))
    assert office.rows("SELECT count(*) FROM records WHERE pass_at IS NOT NULL") == [(1,)]
    confirm_death(office, who, date(2026, 11, 1))
    office.import_people(1, first=2)
    other = list(office.people)[-1]
    give(office, other, feature_report(7))
    confirm_death(office, other, date(2026, 11, 1), confirmed=False)
    assert clean(office, timedelta(days=100)) == {}


def test_feature_112_references_go_some_time_after_the_last_day_of_the_last_benefit(office: Any, who: str) -> None:
    with office.database.begin() as connection:
        connection.execute(
            text("INSERT INTO benefits SELECT subject_id, 'allowance', region, category, started FROM benefits")
        )
        connection.execute(text("UPDATE benefits SET ended = '2026-10-01' WHERE scheme = 'allowance'"))
    assert clean(office, timedelta(days=60)) == {}
    with office.database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO benefit_files VALUES (:who, 'pension', 'ended', 'ended', '2026-12-01', 's', 'sentence', 'end', 'b',"
                " '2026-12-01', '2026-11-02', 3, '{}', 0, '{}', '{}', 0, '{}', 7)"
            ),
            {"who": who},
        )
    # Paid to the end of November; kept for 30 days after.
    assert clean(office, datetime(2026, 12, 30, 9, tzinfo=office.now.tzinfo) - office.now) == {}
    with office.database.begin() as connection:
        connection.execute(text("UPDATE benefit_files SET state = 'paused', standing = 'paused'"))
    assert clean(office, timedelta(days=60)) == {}
    with office.database.begin() as connection:
        connection.execute(text("UPDATE benefit_files SET state = 'ended', standing = 'ended'"))
    assert clean(office, datetime(2026, 12, 31, 9, tzinfo=office.now.tzinfo) - office.now) == {"references_": 1}


def test_who_passed_after_the_last_day_keeps_the_reference(
    office: Any, terminal: Any, who: str, feature_report: Callable[[int], FeatureReport]
) -> None:
    reference = office.rows("SELECT reference_id FROM references_")[0].reference_id
    compared = terminal.record().comparison.model_copy(
        update={"reference_id": reference, "capture": CaptureKind.PHOTO_CONFIRMED}
    )
    office.send(terminal, terminal.next(subject_id=who, token=office.people[who], comparison=compared))
    (passed,) = office.rows("SELECT pass_at FROM records WHERE pass_at IS NOT NULL")
    day = passed.pass_at.astimezone(office.settings.zone()).date()
    for last, found in ((day - timedelta(days=1), {}), (day, {"references_": 1})):
        with office.database.begin() as connection:
            connection.execute(text("UPDATE benefits SET ended = :last"), {"last": last})
        assert clean(office, timedelta(days=60)) == found


def test_feature_112_what_was_told_and_heard_goes_after_its_time(office: Any) -> None:
    office.import_people(1)
    (one,) = office.people
    kept = {"feed_rows": 400, "webhook_messages": 30, "partner_requests": 1, "reminders": 1095, "photo_imports": 1095}
    statements = {
        "feeds": "INSERT INTO feeds VALUES ('f', '{}', '2026-10-01', NULL, :now)",
        "feed_rows": "INSERT INTO feed_rows (row_key, feed, claim_token, subject_id, name_state, kind, since, detail, makes_event,"
        " received_at) SELECT x, 'f', 'token', nullif(x, 'stranger'), 'none', 'travel', '2026-10-20', '{}', true, :now"
        " FROM unnest(ARRAY['stranger', :one]) AS x",
        "partners": "INSERT INTO partners VALUES ('p', 'sealed', 'agency', NULL, '{}', 60, '2099-01-01', :now)",
        "partner_requests": "INSERT INTO partner_requests VALUES ('p', 'key', sha256(''), 200, '{}', :now)",
        "webhooks": "INSERT INTO webhooks VALUES ('w', 'p', 'https://partner.example', '{}', 'sealed', :now)",
        "webhook_messages": "INSERT INTO webhook_messages (message_id, webhook_id, event, payload, delivered_at)"
        " VALUES ('told', 'w', 'status.changed', '{}', :now), ('waits', 'w', 'status.changed', '{}', NULL)",
        "photo_imports": "INSERT INTO photo_imports VALUES ('i', NULL, 'none', :now, 'sealed', 1, 0, 0)",
        "reminder_occasions": "INSERT INTO reminder_occasions VALUES (:one, 'appeal_answered', '2026-11-01', :now)",
        "reminders": "INSERT INTO reminders (reminder_id, subject_id, kind, occasion, step, state, priority, not_before, planned_at,"
        " settled_at, outcome) SELECT s || o, :one, 'due', o, s, CASE s WHEN 'call' THEN 'pending' ELSE 'delivered' END, 1, :now, :now,"
        " CASE s WHEN 'call' THEN NULL ELSE :now END, CASE s WHEN 'call' THEN NULL ELSE 'reached' END"
        " FROM unnest(ARRAY['message', 'call']) AS s, (SELECT DATE '2025-01-01' AS o UNION SELECT due FROM statuses) AS days",
    }
    with office.database.begin() as connection:
        for statement in statements.values():
            bound = text(statement)
            values = {"now": office.now, "one": one}
            connection.execute(bound, {name: values[name] for name in bound.compile().params})
    for days in sorted(set(kept.values())):
        term = timedelta(days=days)
        assert clean(office, term) == {}
        due = {table: 1 for table, term_days in kept.items() if term_days == days}
        assert clean(office, term + timedelta(seconds=1)) == due
    # What is still to be done, the present period, and who is known stay.
    left = office.rows("SELECT step, occasion = (SELECT due FROM statuses) AS present FROM reminders ORDER BY 1, 2")
    assert [tuple(row) for row in left] == [("call", False), ("call", True), ("message", True)]
    assert office.rows("SELECT subject_id FROM feed_rows") == [(one,)]
    assert office.rows("SELECT message_id FROM webhook_messages") == [("waits",)]
    assert office.rows("SELECT 1 FROM reminder_occasions") == []


def test_feature_112_expired_references_go(office: Any, feature_report: Callable[[int], FeatureReport]) -> None:
    office.import_people(1)
    give(office, next(iter(office.people)), feature_report(1), months=1)
    # Valid until 2026-12-20, kept for 90 days after.
    assert clean(office, datetime.combine(date(2027, 3, 20), time(9), office.now.tzinfo) - office.now) == {}
    assert clean(office, datetime.combine(date(2027, 3, 21), time(9), office.now.tzinfo) - office.now) == {
        "references_": 1
    }


def test_feature_112_old_records_are_parted_from_people_but_for_what_a_status_rests_on(
    office: Any, terminal: Any
) -> None:
    office.import_people(1)
    office.hold_references()
    (one,) = office.people
    for days in (2, 1):
        record = terminal.next(subject_id=one, token=office.people[one], at=office.now - timedelta(days=days))
        office.send(terminal, record)
    before = office.statuses()
    # References of the fixture end meanwhile, too.
    found = clean(office, timedelta(days=3660))
    assert (found["records"], found["links"]) == (1, 1)
    (left,) = office.rows("SELECT record_id FROM records WHERE subject_id = :one", one=one)
    (after,) = office.statuses()
    assert (after.last_record, after.certified_until) == (left.record_id, before[0].certified_until)
    office.rebuild()
    assert office.statuses() == [after]


def test_refused_messages_and_tombstones_go(office: Any, terminal: Any) -> None:
    office.import_people(1)
    office.assign_all(terminal.terminal_id)
    office.send(terminal, terminal.next(fleet_id="south"))
    with office.database.begin() as connection:
        connection.execute(text("UPDATE roster_entries SET removed = true"))
        connection.execute(text("DELETE FROM subjects"))
        connection.execute(text("UPDATE terminals SET roster_have = 0"))
    assert clean(office, timedelta(days=89)) == {}
    with office.database.begin() as connection:
        connection.execute(text("UPDATE terminals SET roster_have = roster_version"))
    assert clean(office, timedelta(days=91)) == {"quarantine": 1, "roster_entries": 1}


def test_the_service_cleans_once_on_each_day(office: Any) -> None:
    office.import_people(1)
    office.hold_references()
    handler = make_handler(Fleet(office.settings, office.keys, office.database, office.clock))
    office.now += timedelta(days=365 * 4)
    handler.clean()
    assert office.rows("SELECT count(*) FROM references_ WHERE withdrawn_at IS NOT NULL") == [(1,)]
    office.import_people(1, first=2)
    with office.database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO references_ (subject_id, reference_id, features, model_sha256, runtime, key_domain, quality, capture,"
                " legal_basis, captured_at, valid_until) VALUES (:who, repeat('9', 32), 'f', 'd', 't', 'd1', 80, 'live',"
                " 'consent', :at, '2027-01-01')"
            ),
            {"who": list(office.people)[-1], "at": office.now},
        )
    handler.clean()
    assert office.rows("SELECT count(*) FROM references_ WHERE withdrawn_at IS NOT NULL") == [(1,)]
    office.now += timedelta(days=1)
    handler.clean()
    assert office.rows("SELECT count(*) FROM references_ WHERE withdrawn_at IS NOT NULL") == [(2,)]


def count(office: Any) -> filing.Filing:
    with office.database.begin() as connection:
        persons = filing.count(connection, today=office.now.date())
        return filing.filing(persons, consents.marks(connection), filing.Calendar(), today=office.now.date())


def test_feature_112_persons_with_a_face_are_counted_once_and_the_day_of_the_crossing_is_kept(
    office: Any, who: str, monkeypatch: Any, feature_report: Callable[[int], FeatureReport]
) -> None:
    give(office, who, feature_report(3))
    assert (count(office).persons, count(office).state) == (1, "below")
    monkeypatch.setattr(filing, "PERSONS", 2)
    office.import_people(1, first=2)
    give(office, list(office.people)[-1], feature_report(4))
    found = count(office)
    assert (found.persons, found.state, found.reached_on, found.deadline) == (
        2,
        "due",
        date(2026, 11, 20),
        date(2027, 1, 1),
    )
    with pytest.raises(Refused, match="name"):
        filing.note_filed(office.database, office.keys, on=date(2026, 12, 1), by=" ", now=office.now)
    withdraw(office, who)
    office.now += timedelta(days=60)
    later = count(office)
    assert (later.persons, later.state, later.reached_on) == (1, "overdue", date(2026, 11, 20))
    filing.note_filed(office.database, office.keys, on=date(2026, 12, 1), by="Li", now=office.now)
    assert count(office).state == "filed"


def test_nothing_is_filed_that_need_not_be(office: Any) -> None:
    with pytest.raises(Refused, match="never reached"):
        filing.note_filed(office.database, office.keys, on=date(2026, 12, 1), by="Li", now=office.now)


def test_r6_4_feature_111_other_ways_are_counted_and_terminals_that_never_offered_are_named(
    office: Any, terminal: Any, make_fleet_terminal: Any, who: str
) -> None:
    other = make_fleet_terminal(terminal_id="t-2")
    office.register(other)
    quiet = make_fleet_terminal(terminal_id="t-3")
    office.register(quiet)
    office.send(other, other.next())
    exception = {
        "kind": CaseKind.EXCEPTION,
        "reason": CaseReason.DECLINED,
        "photos": (),
        "newspaper_date": None,
        "newspaper_age_days": None,
        "reference": None,
    }
    for way in (OtherWay.COUNTER, OtherWay.HOME_VISIT, OtherWay.COUNTER):
        (verdict,) = office.verdicts(
            office.send(terminal, terminal.next_case(**exception, other_way=way), kind=Kind.RECORD)
        )
        assert verdict[0] == "stored"
    withdraw(office, who)
    (event_at,) = office.rows("SELECT min(event_at) AS at FROM case_records")
    since = min(event_at.at, office.now) - timedelta(days=1)
    until = max(event_at.at, office.now) + timedelta(days=1)
    with office.database.begin() as connection:
        found = ways.offered(
            consents.ways_offered(connection, since, until), consents.withdrawal_ways(connection, since, until)
        )
    assert found.ways == {"counter": 2, "home_visit": 1}
    assert found.withdrawals == {"counter": 1}
    assert (found.terminals, found.never) == ({"t-1": 3, "t-2": 0}, ("t-2",))
