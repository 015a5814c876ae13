"""Erasing one person from every table there is, with a proof; and what the register of processing says of each."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from fleet.app import retention_rules
from fleet.benefits.files import rebuild_files
from fleet.cases import history
from fleet.duplicates import queue
from fleet.errors import NotFound, Refused
from fleet.ingest.messages import Inbound
from fleet.privacy import consent, erasure
from fleet.privacy.erasure import Request, plan
from fleet.privacy.proof import Ground, read_proof, subject_sha256
from fleet.privacy.register import as_html, as_markdown, load_register, register_sha256
from fleet.privacy.retention import clean
from fleet.references import cards, enrol
from fleet.references.enrol import Enrolment
from fleet.status.doubts import keep_doubts
from fleet.store import acts, approvals, case_events, duplicates, life_events
from fleet.store import erasure as store
from fleet.store.acts import NewAct
from fleet.store.duplicates import NewHit
from fleet.store.life_events import NewLifeEvent
from protocol.capture import FeatureReport
from protocol.cases import CaseKind, CaseReason, CaseRecord, Photo, PhotoRole, Proxy, Relation
from protocol.documents import DocumentKind
from protocol.envelope import seal, sha256_of, verify
from protocol.errors import ProtocolError
from protocol.events import EventKind, ProposedReference
from protocol.keys import PrivateKey
from protocol.records import CertificationRecord, Claim, NetworkUse, SealedReference
from protocol.references import CaptureKind, LegalBasis, Reference
from protocol.rules.acts import ActKind, Channel
from protocol.rules.life import LifeEventKind
from protocol.topics import Kind

pytestmark = pytest.mark.integration
JPEG = b"\xff\xd8\xff\xe0 a picture"


def ask(office: Any, who: str, by: str, **changes: Any) -> erasure.Erased:
    request = Request(
        **{"ground": Ground.REQUEST, "by": by, "because": "asked in writing", "although_entitled": True, **changes}
    )
    return erasure.erase(
        office.database,
        office.keys,
        who,
        request,
        fleet_id="north",
        zone=office.settings.zone(),
        word_kept=timedelta(days=30),
        now=office.now,
    )


def erase(office: Any, who: str, **changes: Any) -> erasure.Erased:
    ask(office, who, "Zhao", **changes)
    return ask(office, who, "Qian", **changes)


def holding(office: Any, *needles: str) -> dict[str, set[str]]:
    """Every table and column in which one of these texts stands, whatever the column's type; what was signed is opened."""
    found: dict[str, set[str]] = {}
    with office.database.begin() as connection:
        for table, columns in store.tables(connection).items():
            for row in connection.execute(text(f'SELECT * FROM "{table}"')).mappings():
                for column in columns:
                    value = row[column]
                    plain = (
                        bytes(value)
                        if isinstance(value, bytes | memoryview)
                        else json.dumps(value, default=str).encode()
                    )
                    if isinstance(value, bytes | memoryview) and plain.startswith(b"ey") and plain.count(b".") == 2:
                        body = plain.split(b".")[1]
                        plain += base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))
                    if any(needle.encode() in plain for needle in needles):
                        found.setdefault(table, set()).add(column)
    return found


def seal_for(office: Any, features: bytes, *, kind: Any = "photo", reference_id: str = "9" * 32) -> SealedReference:
    reference = Reference(
        reference_id=reference_id,
        features=base64.b64encode(features).decode(),
        model_sha256=("d" if kind == "photo" else "e") * 64,
        runtime="test",
        key_domain="d1",
        quality=90.0,
        capture=CaptureKind.PHOTO if kind == "photo" else CaptureKind.LIVE,
        legal_basis=LegalBasis.CONSENT,
        captured_at=office.now,
        valid_until=date(2029, 1, 1),
    )
    sealed = seal(reference.model_dump_json().encode(), reader=office.keys.sealing_key().public()).decode()
    return SealedReference(kind=kind, reference_id=reference_id, legal_basis=LegalBasis.CONSENT, sealed=sealed)


def proposed(office: Any, record_id: str) -> dict[str, Any]:
    """What an event brings of a session that certified: a reference for a network that ran in the shadow."""
    sealed = seal_for(office, b"\x12" * 64, kind="refresh", reference_id=f"9{record_id[1:]}")
    network = NetworkUse(name="features_dlib", sha256="e" * 64, runtime="test")
    proposal = ProposedReference(session_record=record_id, network=network, reference=sealed)
    return {"kind": EventKind.REFERENCE_PROPOSED, "detail": {}, "proposal": proposal}


@pytest.fixture
def everywhere(office: Any, terminal: Any, feature_report: Callable[[int], FeatureReport]) -> tuple[str, str]:
    """One person of two, with rows in every table that can hold one; returns them."""
    office.import_people(2)
    one, other = office.people
    token = office.people[one]
    office.assign_all(terminal.terminal_id)
    with office.database.begin() as connection:
        connection.execute(
            text("INSERT INTO assignments VALUES (:terminal, 'subject', :one)"),
            {"terminal": terminal.terminal_id, "one": one},
        )
    cards.rotate_key(office.database, office.keys, now=office.now - timedelta(hours=3))
    for seed, who in enumerate((one, other)):
        reference = enrol.enrol(
            office.database,
            office.keys,
            who,
            feature_report(seed),
            Enrolment(CaptureKind.PHOTO_CONFIRMED, LegalBasis.CONSENT, "Wang"),
            key_domain="d1",
            validity_months=36,
            now=office.now - timedelta(hours=2),
            zone=office.settings.zone(),
        )
        cards.issue_from_store(
            office.database,
            office.keys,
            who,
            fleet_id="north",
            forget=False,
            now=office.now,
            zone=office.settings.zone(),
        )
        given = consent.Given(
            list(consent.consent_texts().values())[-1], "zh", consent.Way.PAPER, office.now - timedelta(hours=2), "Wang"
        )
        consent.record(office.database, office.keys, who, given, by="Wang", now=office.now)
        compared = terminal.record().comparison.model_copy(
            update={"reference_id": reference.reference_id, "capture": CaptureKind.PHOTO_CONFIRMED}
        )
        picture = seal(JPEG + who.encode(), reader=office.keys.sealing_key().public())
        photo = Photo(role=PhotoRole.FACE, attachment=sha256_of(picture), width_px=640, height_px=480, image_bytes=9)
        claim = Claim(document=DocumentKind.RESIDENT_ID, token=office.people[who], subject_id=who)
        case = {
            "claim": claim,
            "photos": (photo,),
            "kind": CaseKind.PHOTO_ENROLMENT,
            "reason": CaseReason.NO_REFERENCE,
            "newspaper_date": None,
            "newspaper_age_days": None,
            "reference": seal_for(office, b"\x11" * 64) if who == one else None,
        }
        proxy = Proxy(document=DocumentKind.RESIDENT_ID, token=office.people[other], relation=Relation.CHILD)
        authority = photo.model_copy(update={"role": PhotoRole.AUTHORITY, "attachment": "a" * 64})
        messages = [
            (
                Kind.RECORD,
                terminal.next(subject_id=who, token=office.people[who], comparison=compared, record_id=f"a{seed:031x}"),
            ),
            (Kind.RECORD, terminal.next_event(**proposed(office, f"a{seed:031x}"))),
            (Kind.RECORD, terminal.next_case(record_id=f"{seed:032x}", **case)),
            (
                Kind.RECORD,
                terminal.next_case(
                    **{**case, "kind": CaseKind.PROXY, "photos": (authority,), "proxy": proxy, "reference": None}
                ),
            ),
            (Kind.ATTACHMENT, picture),
        ]
        verdicts = office.verdicts(
            office.handler.handle([Inbound(str(terminal.topic(kind)), data, office.now) for kind, data in messages])
        )
        assert [verdict for verdict, _ in verdicts] == ["stored"] * 5, verdicts
    # A fork: refused, and kept in quarantine as it came.
    terminal.counter, terminal.previous = 0, None
    assert office.verdicts(office.send(terminal, terminal.next(subject_id=one, token=token)))[0][0] == "refused"
    # Of a suspended terminal: held as it came.
    office.rows("UPDATE terminals SET suspended_at = :now WHERE terminal_id = 't-1' RETURNING 1", now=office.now)
    assert office.send(terminal, terminal.next(subject_id=one, token=token)) == []
    office.rows("UPDATE terminals SET suspended_at = NULL WHERE terminal_id = 't-1' RETURNING 1")
    with office.database.begin() as connection:
        act = NewAct(one, ActKind.SPECIAL, Channel.COUNTER, office.now, "case", "c-1")
        acts.add_acts(connection, [act], now=office.now)
        event = NewLifeEvent(one, LifeEventKind.HOSPITAL, date(2026, 11, 1), None, "feed:h", "h-1", confirmed=True)
        life_events.add_life_events(connection, [event], now=office.now)
        first, second = sorted((one, other))
        duplicates.add_hits(connection, [NewHit("same_face", (first, second), score=0.9)], now=office.now)
        connection.execute(
            text("INSERT INTO duplicate_searched SELECT subject_id, reference_id, 's', 0.7, :now FROM references_"),
            {"now": office.now},
        )
        connection.execute(
            text(
                "INSERT INTO withdrawals SELECT left(subject_id, 8), subject_id, :now, 'counter', 0, 0, ''::bytea FROM subjects"
            ),
            {"now": office.now},
        )
    office.rebuild()
    fill_other_tables(office)
    return one, other


def fill_other_tables(office: Any) -> None:
    statements = (Path(__file__).parent / "rows_about_somebody.sql").read_text(encoding="utf-8").split(";\n")
    with office.database.begin() as connection:
        for place, (who, token) in enumerate(office.people.items()):
            values = {"who": who, "token": token, "nth": str(place), "now": office.now}
            for statement in filter(str.strip, statements):
                bound = text(statement)
                connection.execute(bound, {name: values[name] for name in bound.compile().params})
        # A row of a feed has another name than the person.
        keep_doubts(connection, list(office.people), zone=office.settings.zone())


def test_two_persons_erase_on_one_ground_and_the_first_word_lapses(office: Any) -> None:
    office.import_people(1)
    one = next(iter(office.people))
    ask(office, one, "Zhao")
    for changes in ({"ground": Ground.UNLAWFUL}, {"although_entitled": False}):
        with pytest.raises(Refused) as refused:
            ask(office, one, "Qian", **changes)
        # Somebody who is paid is not erased at all without saying that they are.
        assert refused.value.code == ("still_paid" if "although_entitled" in changes else "another_ground")
    office.now += timedelta(days=31)
    # The first word is over: what it rested on may not be so any more.
    assert ask(office, one, "Qian", ground=Ground.UNLAWFUL).proof is None
    done = ask(office, one, "Sun", ground=Ground.UNLAWFUL)
    assert done.proof is not None
    assert done.proof.ground is Ground.UNLAWFUL


def test_a_word_of_before_grounds_were_kept_is_given_anew(office: Any) -> None:
    office.import_people(1)
    one = next(iter(office.people))
    erasure_id = subject_sha256(one)[:32]
    with office.database.begin() as connection:
        approvals.approve(
            connection, office.keys.cipher, "erasure", erasure_id, name="Zhao", reason="x", now=office.now
        )
    assert ask(office, one, "Qian").proof is None
    assert ask(office, one, "Zhao").proof is not None


def test_feature_112_the_register_names_every_table_there_is_and_no_other(office: Any) -> None:
    with office.database.begin() as connection:
        there = set(store.tables(connection))
    assert {entry.name for entry in load_register().table} == there


def test_every_column_that_can_hold_a_person_is_in_the_plan_of_erasure(office: Any) -> None:
    """Ids and tokens have these names in every table, so that a new one is noticed."""
    register = load_register()
    with office.database.begin() as connection:
        for table, columns in store.tables(connection).items():
            names = {name for name in columns if name.endswith(("subject_id", "_subject", "token"))}
            entry = register.entry(table)
            unplanned = names - set(entry.by)
            # Records are found by subject and token first, then by their own ids.
            assert not unplanned or (table in {"records", "case_records"} and entry.by == {"record_id": "record"}), (
                table
            )
            assert not names or entry.erase != "none", table
            assert set(entry.by) <= set(columns), table


def test_what_the_plan_names_can_be_found_by_something(office: Any) -> None:
    found_by_others = {
        *("attachments", "feed_delivery_rows", "held_messages", "partner_requests", "quarantine", "reminder_deliveries")
    }
    assert {entry.name for entry in plan() if not entry.by} == found_by_others


def test_what_must_stay_does_not_go_with_the_row_of_the_person(office: Any) -> None:
    gone = office.rows(
        "WITH RECURSIVE gone AS (SELECT CAST('subjects' AS regclass)::oid AS id UNION"
        " SELECT c.conrelid FROM pg_constraint c JOIN gone ON gone.id = c.confrelid WHERE c.contype = 'f' AND c.confdeltype = 'c')"
        " SELECT CAST(CAST(id AS regclass) AS text) AS name FROM gone"
    )
    register = load_register()
    assert {"subjects", "consents", "feed_delivery_rows"} <= {row.name for row in gone}
    assert {register.entry(row.name).erase for row in gone} == {"delete"}


def test_feature_21_an_erasure_goes_through_all_tables(office: Any, everywhere: tuple[str, str]) -> None:
    one, other = everywhere
    token = office.people[one]
    before = holding(office, one, token)
    planned = {entry.name for entry in plan()}
    # The fixture fills every table that the plan changes; only tables without a column for it are found another way.
    by_others = {
        "links",
        "terminal_events",
        "attachments",
        "case_photos",
        "case_files",
        "feed_delivery_rows",
        "reminder_deliveries",
    }
    assert planned - set(before) <= by_others
    untouched = holding(office, other)
    done = erase(office, one)
    kept = {entry.name for entry in load_register().table if entry.erase == "keep"}
    assert set(holding(office, one, token)) <= kept
    assert set(holding(office, one, token)) == {"roster_entries", "audit_log"}
    assert done.proof is not None
    counts = {table.table: table.rows for table in done.proof.erased}
    assert set(counts) == planned
    assert all(rows > 0 for rows in counts.values()), counts
    # Whoever else there is lost nothing but what was about both.
    assert {t for t, c in untouched.items()} - {t for t, c in holding(office, other).items()} == {"duplicate_hits"}
    assert office.rows("SELECT count(*) FROM attachments") == [(1,)]


def test_records_stay_whole_and_lead_to_nobody(office: Any, everywhere: tuple[str, str]) -> None:
    one, _ = everywhere
    mine = [row.record_id for row in office.rows("SELECT record_id FROM records WHERE subject_id = :id", id=one)]
    links = office.rows("SELECT record_id, sha256, previous, counter, chain FROM links ORDER BY counter")
    reference = office.rows("SELECT reference_id FROM references_ WHERE subject_id = :id", id=one)[0].reference_id
    erase(office, one)
    assert office.rows("SELECT record_id, sha256, previous, counter, chain FROM links ORDER BY counter") == links
    for row in office.rows("SELECT * FROM records WHERE record_id = ANY(:ids)", ids=mine):
        record = CertificationRecord.model_validate(row.payload)
        assert (record.claim.subject_id, record.claim.token) == (None, row.claim_token)
        assert record.comparison is not None
        assert record.comparison.reference_id != reference
        assert record.decision.outcome.value == row.outcome
    cases = office.rows("SELECT * FROM case_records WHERE subject_id IS NULL ORDER BY counter")
    tokens = [row.claim_token for row in cases]
    assert len(cases) == len(set(tokens)) == 2
    for row in cases:
        case = CaseRecord.model_validate(row.payload)
        assert case.claim.token == row.claim_token
        assert case.proxy is None or case.proxy.token not in office.people.values()
        assert row.closed_at == office.now
    assert office.rows("SELECT count(*) FROM links WHERE envelope = ''::bytea") == [(4,)]
    proposals = office.rows("SELECT payload ->> 'proposal' FROM terminal_events ORDER BY counter")
    assert [row[0] is None for row in proposals] == [True, False]
    assert office.rebuild() == 1


def test_decisions_about_payments_stay_and_lead_to_nobody(office: Any, everywhere: tuple[str, str]) -> None:
    one, other = everywhere
    wanted = (
        "SELECT subject_id, scheme, number, kind, body FROM benefit_events WHERE subject_id <> :other ORDER BY 2, 3"
    )
    before, others = office.rows(wanted, other=other), office.rows(wanted, other=one)
    mine = [row.case_id for row in office.rows("SELECT case_id FROM cases WHERE subject_id = :one", one=one)]
    steps = "SELECT case_id, number, step, data - 'subject_id' AS data FROM case_events WHERE step <> 'closed' ORDER BY 1, 2"
    history_before = office.rows(steps)
    erase(office, one)
    after = office.rows(wanted, other=other)
    assert [row[1:] for row in after] == [row[1:] for row in before]
    ids = {(row.scheme, row.subject_id) for row in after}
    assert len(ids) == len({subject_id for _, subject_id in ids}) == 2
    assert all(row in office.rows(wanted, other=one) for row in others)
    assert office.rows("SELECT subject_id FROM benefit_events WHERE text_sealed IS NOT NULL") == [(other,)]
    assert office.rows(steps) == history_before
    left = office.rows("SELECT subject_id, state FROM cases WHERE case_id = ANY(:ids)", ids=mine)
    assert [tuple(row) for row in left] == [(None, "closed")] * len(mine)
    assert mine
    # What is worked out anew is the same, and nothing is opened again.
    assert rebuild_files(office.database) == 2
    with office.database.begin() as connection:
        assert history.reproject(connection)[1] == 0
        assert case_events.candidates(connection, None, accept_simulated=True, limit=9) == []
        assert case_events.known_now(connection) == []


def test_terminals_are_told_and_cards_are_revoked(office: Any, terminal: Any, everywhere: tuple[str, str]) -> None:
    one, other = everywhere
    card = office.rows("SELECT card_id FROM cards WHERE subject_id = :id", id=one)[0].card_id
    office.handler.push_rosters()
    proof = erase(office, one).proof
    assert proof is not None
    assert proof.terminals == 1
    (page,) = [office.page(out.payload, terminal) for out in office.handler.push_rosters()]
    assert [(entry.subject_id, entry.removed, entry.references) for entry in page.entries] == [(one, True, ())]
    removed = office.rows("SELECT removed FROM roster_entries WHERE subject_id = :id", id=one)
    assert removed == [(True,)]
    (row,) = office.rows("SELECT subject_id, revoked_at, officer_sealed FROM cards WHERE card_id = :id", id=card)
    assert tuple(row) == (None, office.now, None)
    assert office.rows("SELECT count(*) FROM cards WHERE subject_id = :id AND revoked_at IS NULL", id=other) == [(1,)]


def test_feature_21_the_proof_is_signed_says_what_went_and_names_nobody(
    office: Any, everywhere: tuple[str, str]
) -> None:
    one, _ = everywhere
    done = erase(office, one)
    public = office.keys.signing.public()
    proof = read_proof(done.token, lambda _: public)
    assert proof == done.proof
    assert (proof.subject_sha256, proof.register_sha256) == (subject_sha256(one), register_sha256())
    said = verify(done.token, key_of=lambda _: public, typ="lifecert-erasure-proof").payload.decode()
    assert one not in said
    assert office.people[one] not in said
    assert "Zhao" not in said
    assert {table.table for table in proof.kept} >= {"audit_log", "roster_entries", "approvals"}
    assert [row.proof for row in office.rows("SELECT proof FROM erasures")] == [done.token]
    other = PrivateKey.generate().public()
    with pytest.raises(ProtocolError):
        read_proof(done.token, lambda _: other)
    head, body, signature = done.token.split(b".")
    forged = b".".join(
        [head, base64.urlsafe_b64encode(said.replace('"rows":1', '"rows":0').encode()).rstrip(b"="), signature]
    )
    with pytest.raises(ProtocolError):
        read_proof(forged, lambda _: public)
    assert body


def test_two_persons_must_say_so_and_one_word_changes_nothing(office: Any, everywhere: tuple[str, str]) -> None:
    one, _ = everywhere
    before = holding(office, one)
    first = ask(office, one, "Zhao")
    assert (first.words, first.proof) == (1, None)
    assert holding(office, one) == before
    with pytest.raises(Refused, match="second person"):
        ask(office, one, " zhao")
    assert ask(office, one, "Qian").proof is not None
    with pytest.raises(NotFound):
        ask(office, one, "Sun")
    actions = [
        row.action for row in office.rows("SELECT action FROM audit_log WHERE object_kind = 'erasure' ORDER BY entry")
    ]
    assert actions == ["subject.erasure_asked", "subject.erased"]


def test_who_is_paid_is_erased_only_if_payments_are_proven_elsewhere(office: Any) -> None:
    office.import_people(2)
    one, other = office.people
    with pytest.raises(Refused, match="--although-entitled"):
        ask(office, one, "Zhao", although_entitled=False)
    assert office.rows("SELECT 1 FROM approvals") == []
    with office.database.begin() as connection:
        events = [
            NewLifeEvent(one, LifeEventKind.DEATH, date(2026, 10, 1), None, "feed:police", "d-1", confirmed=True),
            NewLifeEvent(other, LifeEventKind.DEATH, date(2026, 10, 1), None, "family", "d-2", confirmed=False),
        ]
        life_events.add_life_events(connection, events, now=office.now)
    assert erase(office, one, although_entitled=False).proof is not None
    with pytest.raises(Refused, match="nothing confirmed"):
        ask(office, other, "Zhao", although_entitled=False)


@pytest.mark.parametrize(("day", "may"), [(date(2026, 11, 19), True), (date(2026, 11, 20), False)])
@pytest.mark.parametrize("by", ["list", "stop"])
def test_whose_benefits_have_all_ended_may_be_erased(office: Any, by: str, day: date, may: bool) -> None:
    office.import_people(1)
    (one,) = office.people
    with office.database.begin() as connection:
        connection.execute(
            text("INSERT INTO benefits SELECT subject_id, 'allowance', region, category, started FROM benefits")
        )
    end_benefit(office, one, "allowance", date(2020, 1, 1), by="list")
    with pytest.raises(Refused, match="nothing confirmed"):
        ask(office, one, "Zhao", although_entitled=False)
    end_benefit(office, one, "pension", day, by=by)
    if may:
        assert erase(office, one, although_entitled=False).proof is not None
    else:
        with pytest.raises(Refused, match="nothing confirmed"):
            ask(office, one, "Zhao", although_entitled=False)


def end_benefit(office: Any, who: str, scheme: str, last: date, *, by: str) -> None:
    """End a benefit after its last day: as lists of people say it, or by a stop that was carried out."""
    statements = {
        "list": "UPDATE benefits SET ended = :last WHERE subject_id = :who AND scheme = :scheme",
        "stop": "INSERT INTO benefit_files VALUES (:who, :scheme, 'ended', 'ended', CAST(:last AS date) + 1, 's', 'death', 'end', 'b',"
        " CAST(:last AS date) + 1, :last, 3, '{}', 0, '{}', '{}', 0, '{}', 7)",
    }
    with office.database.begin() as connection:
        connection.execute(text(statements[by]), {"who": who, "scheme": scheme, "last": last})


def test_who_comes_back_with_a_backup_is_erased_again(office: Any, everywhere: tuple[str, str]) -> None:
    one, other = everywhere
    done = erase(office, one)
    token = office.people[one]
    assert erasure.reapply(office.database, office.keys, [done.proof], fleet_id="north", by="Sun", now=office.now) == []
    with office.database.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO subjects SELECT :one, :token, area, name_sealed, document_sealed, created_at FROM subjects"
                " WHERE subject_id = :other"
            ),
            {"one": one, "token": token, "other": other},
        )
    (again,) = erasure.reapply(office.database, office.keys, [done.proof], fleet_id="north", by="Sun", now=office.now)
    assert again.proof is not None
    assert (again.proof.ground, again.proof.subject_sha256) == (Ground.RESTORED, done.proof.subject_sha256)
    assert [row.subject_id for row in office.rows("SELECT subject_id FROM subjects")] == [other]


def test_a_record_that_comes_late_waits_for_nobody_for_ever(office: Any, terminal: Any) -> None:
    office.import_people(1)
    (one,) = office.people
    erase(office, one)
    office.send(terminal, terminal.next(subject_id=one, token=office.people[one]))
    assert "records" in holding(office, office.people[one])
    rules, zone = retention_rules(office.settings), office.settings.zone()
    clean(office.database, rules, zone=zone, now=office.now + timedelta(days=364))
    assert "records" in holding(office, office.people[one])
    found = clean(office.database, rules, zone=zone, now=office.now + timedelta(days=366))
    assert found == {"records": 1, "links": 1}
    assert "records" not in holding(office, office.people[one])
    assert clean(office.database, rules, zone=zone, now=office.now + timedelta(days=367)) == {}


def test_a_decision_about_somebody_who_was_erased_is_not_found_any_more(
    office: Any, everywhere: tuple[str, str]
) -> None:
    erase(office, everywhere[0])
    with office.database.begin() as connection:
        assert queue.open_hits(connection) == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_feature_112_the_register_is_a_page_in_two_languages(language: Any) -> None:
    register = load_register()
    page, markup = as_markdown(register, language), as_html(register, language)
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(register.table)
    assert len({line.count("|") for line in rows}) == 1
    assert markup.count("<tr>") == 1 + len(register.table)
    assert register.words.title.in_(language) in markup
