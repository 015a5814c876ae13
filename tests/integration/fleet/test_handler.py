"""Signed messages against the real database, without a broker."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from fleet.errors import DatabaseUnavailable
from fleet.ingest.handler import Handler
from fleet.ingest.messages import Inbound
from fleet.store import interface_lists, links, quarantine, terminals
from protocol.documents import DocumentKind
from protocol.envelope import sha256_of, sign
from protocol.examples import examples
from protocol.keys import PrivateKey
from protocol.outcomes import Outcome
from protocol.presence import PRESENCE_TYP, OutboxCounts, PictureCounts, Presence
from protocol.records import RECORD_TYP, Claim
from protocol.topics import Kind

pytestmark = pytest.mark.integration


@pytest.fixture
def person(office: Any) -> dict[str, str]:
    """The claim of one imported person."""
    office.import_people(1)
    office.hold_references()
    subject_id, token = next(iter(office.people.items()))
    return {"subject_id": subject_id, "token": token}


def test_a_record_is_stored_certifies_and_is_receipted(office: Any, terminal: Any, person: dict[str, str]) -> None:
    answers = office.send(terminal, terminal.next(**person))
    assert office.verdicts(answers) == [("stored", None)]
    assert str(answers[0].topic) == "lifecert/v1/north/t-1/down/receipt"
    (status,) = office.statuses()
    assert status.last_outcome == "certified"
    assert str(status.last_pass_day) == "2026-11-20"
    assert str(status.certified_until) == "2027-11-20"
    assert status.rule_pack == "SX-2018"


def test_the_envelope_is_kept_byte_for_byte(office: Any, terminal: Any, person: dict[str, str]) -> None:
    envelope = terminal.next(**person)
    office.send(terminal, envelope)
    assert [bytes(row.envelope) for row in office.rows("SELECT envelope FROM links")] == [envelope]


def test_the_day_of_a_pass_is_the_agencys_day(office: Any, terminal: Any, person: dict[str, str]) -> None:
    office.send(terminal, terminal.next(**person, at=datetime(2026, 11, 19, 20, tzinfo=UTC)))
    assert str(office.statuses()[0].last_pass_day) == "2026-11-20"


def test_a_repeated_record_changes_nothing(office: Any, terminal: Any, person: dict[str, str]) -> None:
    envelope = terminal.next(**person)
    office.send(terminal, envelope)
    before = office.statuses()
    assert office.verdicts(office.send(terminal, envelope, envelope)) == [("repeated", None)] * 2
    assert office.statuses() == before
    assert len(office.rows("SELECT 1 FROM records")) == 1


def test_a_record_twice_in_one_batch_is_stored_once(office: Any, terminal: Any, person: dict[str, str]) -> None:
    envelope = terminal.next(**person)
    assert office.verdicts(office.send(terminal, envelope, envelope)) == [("stored", None), ("repeated", None)]


def test_a_wrong_signature_is_refused_and_kept_in_quarantine(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    forged = sign(terminal.record(**person).to_bytes(), key=PrivateKey.generate(), typ=RECORD_TYP)
    answers = office.send(terminal, forged)
    assert office.verdicts(answers) == [("refused", "signature")]
    assert office.quarantine() == [("t-1", True, "signature", 1)]
    assert not office.statuses()


def test_another_type_of_signed_message_is_no_record(office: Any, terminal: Any) -> None:
    wrong = sign(terminal.record().to_bytes(), key=terminal.signing, typ=PRESENCE_TYP)
    assert office.verdicts(office.send(terminal, wrong)) == [("refused", "signature")]


def test_an_unknown_terminal_gets_no_receipt(office: Any, make_fleet_terminal: Callable[..., Any]) -> None:
    stranger = make_fleet_terminal(terminal_id="t-9")
    assert office.send(stranger, stranger.next()) == []
    assert office.quarantine() == [("t-9", False, "unknown_terminal", 1)]


def test_a_record_on_another_terminals_topic_is_refused(
    office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any]
) -> None:
    other = make_fleet_terminal(terminal_id="t-2")
    office.register(other)
    topic = str(other.topic(Kind.RECORD))
    own_key = office.handler.handle([Inbound(topic, terminal.next(), office.now)])
    assert office.verdicts(own_key) == [("refused", "signature")]
    liar = sign(terminal.record().to_bytes(), key=other.signing, typ=RECORD_TYP)
    assert office.verdicts(office.handler.handle([Inbound(topic, liar, office.now)])) == [("refused", "wrong_terminal")]


def test_a_record_of_another_fleet_is_refused(office: Any, terminal: Any) -> None:
    assert office.verdicts(office.send(terminal, terminal.next(fleet_id="south"))) == [("refused", "wrong_fleet")]


def test_a_retired_terminal_has_no_effect_but_its_old_records_stay_confirmed(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    old = terminal.next(**person)
    office.send(terminal, old)
    with office.database.begin() as connection:
        assert terminals.retire(connection, "t-1", now=office.now)
    before = office.statuses()
    office.now += timedelta(minutes=1)
    answers = office.send(terminal, terminal.next(**person, at=office.now), old)
    assert sorted(office.verdicts(answers)) == [("refused", "retired_terminal"), ("repeated", None)]
    assert office.statuses() == before


def test_cases_and_events_are_links_of_the_same_chain_and_are_receipted(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    sent = [terminal.next(**person), terminal.next_case(), terminal.next_event(), terminal.next(**person)]
    assert office.verdicts(office.send(terminal, *sent)) == [("stored", None)] * 4
    assert office.verdicts(office.send(terminal, *sent)) == [("repeated", None)] * 4
    links_ = office.rows("SELECT kind, chain, envelope FROM links ORDER BY counter")
    assert [(row.kind, row.chain) for row in links_] == [
        (kind, "linked") for kind in ("record", "case", "event", "record")
    ]
    assert [bytes(row.envelope) for row in links_] == sent
    (case,) = office.rows("SELECT kind, claim_token, payload FROM case_records")
    assert (case.kind, case.claim_token, case.payload["reason"]) == ("special", "A" * 43, "bedridden")
    assert office.rows("SELECT kind, payload -> 'detail' ->> 'attempts' FROM terminal_events") == [
        ("sign_in_locked", "5")
    ]
    assert office.rows("SELECT last_counter FROM terminals") == [(4,)]


def test_status_console_and_counts_look_at_certification_records_only(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    claim = Claim(document=DocumentKind.RESIDENT_ID, token=person["token"], subject_id=person["subject_id"])
    office.send(terminal, terminal.next_case(claim=claim), terminal.next_event())
    assert office.statuses() == []
    office.send(terminal, terminal.next(**person), terminal.next_case(claim=claim))
    assert [(status.records, status.last_outcome) for status in office.statuses()] == [(1, "certified")]
    with office.database.begin() as connection:
        assert [line.records for line in interface_lists.terminal_lines(connection)] == [1]
        assert [line.counter for line in interface_lists.record_lines(connection, limit=10)] == [3]


def test_a_record_after_another_case_than_it_names_does_not_certify(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    terminal.next_event()
    after = terminal.next(**person)
    terminal.counter, terminal.previous = 0, None
    office.send(terminal, after)
    assert office.statuses()[0].last_pass_day is not None
    office.send(terminal, terminal.next_case())
    assert office.rows("SELECT chain FROM links ORDER BY counter") == [("linked",), ("broken",)]
    assert office.statuses()[0].last_pass_day is None


@pytest.mark.parametrize("make", ["next_case", "next_event"])
def test_refusals_hold_for_links_of_every_kind(office: Any, terminal: Any, make: str) -> None:
    office.send(terminal, getattr(terminal, make)(record_id="e" * 32))
    reused = getattr(terminal, make)(record_id="e" * 32)
    assert office.verdicts(office.send(terminal, reused)) == [("refused", "record_id_reused")]
    terminal.counter, terminal.previous = 0, None
    assert office.verdicts(office.send(terminal, terminal.next())) == [("refused", "fork")]
    other = getattr(terminal, make)(terminal_id="t-2")
    assert office.verdicts(office.send(terminal, other)) == [("refused", "wrong_terminal")]
    foreign = getattr(terminal, make)(fleet_id="south")
    assert office.verdicts(office.send(terminal, foreign)) == [("refused", "wrong_fleet")]


def test_a_case_under_the_type_of_a_record_is_malformed(office: Any, terminal: Any) -> None:
    lie = sign(examples()["lifecert-case"].to_bytes(), key=terminal.signing, typ=RECORD_TYP)
    assert office.verdicts(office.send(terminal, lie)) == [("refused", "malformed")]


def test_a_fork_has_no_effect_and_is_kept(office: Any, terminal: Any, person: dict[str, str]) -> None:
    first = terminal.record(**person, outcome=Outcome.CANCELLED)
    second = terminal.record(**person)
    office.send(terminal, terminal.signed(first))
    assert office.verdicts(office.send(terminal, terminal.signed(second))) == [("refused", "fork")]
    assert office.statuses()[0].last_pass_day is None
    assert office.quarantine() == [("t-1", True, "fork", 1)]


def test_a_reused_record_id_is_refused(office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any]) -> None:
    other = make_fleet_terminal(terminal_id="t-2")
    office.register(other)
    office.send(terminal, terminal.next(record_id="e" * 32))
    assert office.verdicts(office.send(other, other.next(record_id="e" * 32))) == [("refused", "record_id_reused")]


def test_a_gap_is_shown_until_it_is_filled(office: Any, terminal: Any, person: dict[str, str]) -> None:
    envelopes = [terminal.next(**person, at=office.now - timedelta(hours=5 - i)) for i in range(5)]

    def shown() -> list[tuple[int, int]]:
        with office.database.begin() as connection:
            return [(gap.first, gap.last) for gap in links.gaps(connection)]

    office.send(terminal, envelopes[0], envelopes[4])
    assert shown() == [(2, 4)]
    office.send(terminal, envelopes[2])
    assert shown() == [(2, 2), (4, 4)]
    office.send(terminal, envelopes[1], envelopes[3])
    assert shown() == []
    assert {row.chain for row in office.rows("SELECT chain FROM links")} == {"linked"}


@pytest.mark.parametrize("late_first", [False, True])
def test_a_broken_chain_does_not_certify_in_whatever_order_it_arrives(
    office: Any, terminal: Any, person: dict[str, str], late_first: bool
) -> None:
    first = terminal.next(**person, outcome=Outcome.CANCELLED)
    second = terminal.next(**person, previous="f" * 64)
    for envelope in (second, first) if late_first else (first, second):
        office.send(terminal, envelope)
    assert [row.chain for row in office.rows("SELECT chain FROM links ORDER BY counter")] == ["linked", "broken"]
    assert office.statuses()[0].last_pass_day is None


def test_a_record_with_another_persons_claim_does_not_certify(office: Any, terminal: Any) -> None:
    office.import_people(2)
    office.hold_references()
    (first, _), (_, other_token) = office.people.items()
    assert office.verdicts(office.send(terminal, terminal.next(subject_id=first, token=other_token))) == [
        ("stored", None)
    ]
    assert office.statuses()[0].last_pass_day is None


def test_a_record_of_nobody_known_is_stored(office: Any, terminal: Any) -> None:
    answers = office.send(terminal, terminal.next(outcome=Outcome.NO_REFERENCE), terminal.next(subject_id="9" * 32))
    assert office.verdicts(answers) == [("stored", None)] * 2
    assert not office.statuses()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"software": "a\x00b"}, "not_storable"),
        ({"counter": 2**70, "previous": "0" * 64}, "out_of_range"),
    ],
)
def test_what_the_database_cannot_hold_is_refused_and_stops_nothing(
    office: Any, terminal: Any, person: dict[str, str], changes: dict[str, Any], reason: str
) -> None:
    bad = sign(terminal.record(**changes).to_bytes(), key=terminal.signing, typ=RECORD_TYP)
    good = terminal.next(**person)
    answers = office.send(terminal, bad, good)
    assert sorted(office.verdicts(answers), key=str) == [("refused", reason), ("stored", None)]
    assert office.statuses()[0].last_outcome == "certified"


def test_a_fault_of_the_fleet_itself_refuses_nothing(office: Any, terminal: Any, person: dict[str, str]) -> None:
    envelope = terminal.next(**person)
    with office.database.begin() as connection:
        connection.execute(text("ALTER TABLE records RENAME COLUMN flags TO other"))
    with pytest.raises(ProgrammingError):
        office.send(terminal, envelope)
    assert office.quarantine() == []
    with office.database.begin() as connection:
        connection.execute(text("ALTER TABLE records RENAME COLUMN other TO flags"))
    assert office.verdicts(office.send(terminal, envelope)) == [("stored", None)]


def test_nonsense_of_every_kind_is_refused_and_stops_nothing(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    good = terminal.next(**person)
    signed_nonsense = sign(b'{"type": "certification-record", "version": 1}', key=terminal.signing, typ=RECORD_TYP)
    future = sign(b'{"type": "certification-record", "version": 99}', key=terminal.signing, typ=RECORD_TYP)
    payloads = [b"", b"\xff" * 50, b"a.b.c", b"x" * 200_000, signed_nonsense, future, good]
    messages = [Inbound(str(terminal.topic(Kind.RECORD)), payload, office.now) for payload in payloads]
    messages += [
        Inbound(topic, b"x", office.now)
        for topic in (
            "",
            "other",
            "lifecert/v1/north/t-1/up/nothing",
            "lifecert/v1/south/t-1/up/record",
            "lifecert/v1/north/t-1/down/receipt",
            "lifecert/v1/north/t-1/up/presence",
            "lifecert/v1/north/t-1/up/roster-request",
            "lifecert/v1/north/T\x00/up/record",
        )
    ]
    verdicts = office.verdicts(office.handler.handle(messages))
    assert verdicts.count(("stored", None)) == 1
    assert len(verdicts) == len(payloads)
    assert {reason for _, reason in verdicts} == {None, "malformed", "too_large", "unsupported_version"}
    assert office.statuses()[0].last_outcome == "certified"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    payload=st.binary(max_size=300),
    kind=st.sampled_from([Kind.RECORD, Kind.PRESENCE, Kind.ROSTER_REQUEST, Kind.ATTACHMENT]),
)
def test_any_bytes_are_taken_without_harm(office: Any, terminal: Any, payload: bytes, kind: Kind) -> None:
    answers = office.send(terminal, payload, kind=kind)
    # Records and pictures alone are answered; an empty presence is a retained one taken away; everything else is kept.
    refused = [verdict for verdict, _ in office.verdicts(answers)]
    assert refused == (["refused"] if kind in (Kind.RECORD, Kind.ATTACHMENT) else [])
    is_kept = kind is not Kind.PRESENCE or payload != b""
    assert (sha256_of(payload) in {row.sha256 for row in office.rows("SELECT sha256 FROM quarantine")}) is is_kept
    assert not office.rows("SELECT 1 FROM records")
    with office.database.begin() as connection:
        connection.execute(text("TRUNCATE quarantine"))


def test_the_quarantine_is_bounded_for_a_terminal_and_for_all_strangers(
    office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MAX_PER_TERMINAL", 3)
    monkeypatch.setattr(quarantine, "MAX_UNKNOWN", 4)
    answers = office.send(terminal, *[f"nonsense {i}".encode() for i in range(6)])
    assert office.verdicts(answers) == [("refused", "malformed")] * 6
    for serial in range(6):
        stranger = make_fleet_terminal(terminal_id=f"x-{serial}")
        office.send(stranger, b"nonsense")
    kept = office.quarantine()
    assert sum(row.known for row in kept) == 3
    assert sum(not row.known for row in kept) == 4


def test_the_same_refused_message_only_counts_up(office: Any, terminal: Any) -> None:
    for _ in range(3):
        office.send(terminal, b"nonsense")
    assert office.quarantine() == [("t-1", True, "malformed", 3)]


def test_the_quarantine_can_be_counted(office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any]) -> None:
    office.send(terminal, b"nonsense", b"nonsense", b"other")
    stranger = make_fleet_terminal(terminal_id="t-9")
    office.send(stranger, b"nonsense")
    with office.database.begin() as connection:
        found = [(c.terminal_id, c.known, c.reason, c.messages, c.times) for c in quarantine.counts(connection)]
    assert found == [("t-1", True, "malformed", 2, 3), ("t-9", False, "unknown_terminal", 1, 1)]


def presence(terminal: Any, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "fleet_id": "north",
        "terminal_id": terminal.terminal_id,
        "state": "online",
        "boot_id": "b" * 32,
        "connection": 5,
        "said_at": datetime(2026, 11, 20, 8, tzinfo=UTC),
        "software": "1.0",
        "policy_version": None,
        "roster_version": 0,
        "outbox": OutboxCounts(pending=16, published=0, acknowledged=31, refused=0),
    }
    message = Presence.model_validate({**fields, **changes})
    return sign(message.to_bytes(), key=terminal.signing, typ=PRESENCE_TYP)


def test_presence_is_kept_and_a_will_of_an_older_connection_is_not(office: Any, terminal: Any) -> None:
    office.send(terminal, presence(terminal), presence(terminal, connection=4, state="offline"), kind=Kind.PRESENCE)
    rows = office.rows("SELECT presence_state, outbox_pending, outbox_acknowledged FROM terminals")
    assert rows == [("online", 16, 31)]
    office.send(terminal, presence(terminal, state="offline"), b"", kind=Kind.PRESENCE)
    assert office.rows("SELECT presence_state FROM terminals") == [("offline",)]


def test_presence_says_which_pictures_have_not_arrived_or_nothing_about_them(office: Any, terminal: Any) -> None:
    said = presence(terminal, pictures=PictureCounts(waiting=4, refused=1))
    office.send(terminal, said, kind=Kind.PRESENCE)
    assert office.rows("SELECT pictures_waiting, pictures_refused FROM terminals") == [(4, 1)]
    office.send(terminal, presence(terminal, connection=6), kind=Kind.PRESENCE)
    assert office.rows("SELECT pictures_waiting, pictures_refused FROM terminals") == [(None, None)]


def test_presence_numbers_beyond_the_database_are_refused(office: Any, terminal: Any) -> None:
    office.send(terminal, presence(terminal, connection=2**80), kind=Kind.PRESENCE)
    assert office.quarantine() == [("t-1", True, "not_storable", 1)]


def test_a_record_decided_before_its_terminal_was_retired_still_counts(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    with office.database.begin() as connection:
        assert terminals.retire(connection, "t-1", now=office.now - timedelta(minutes=30))
    assert office.verdicts(office.send(terminal, terminal.next(**person))) == [("stored", None)]
    assert office.statuses()[0].last_pass_day is not None


def test_an_older_pass_of_a_terminal_without_network_takes_nothing_from_a_newer_one(
    office: Any, terminal: Any, make_fleet_terminal: Callable[..., Any], person: dict[str, str]
) -> None:
    van = make_fleet_terminal("north", "t-2")
    office.register(van)
    office.send(terminal, terminal.next(**person, at=office.now - timedelta(days=1)))
    (before,) = office.statuses()
    assert office.verdicts(office.send(van, van.next(**person, at=office.now - timedelta(days=9)))) == [
        ("stored", None)
    ]
    (after,) = office.statuses()
    assert (after.last_pass_day, after.certified_until) == (before.last_pass_day, before.certified_until)
    assert (before.records, after.records) == (1, 2)


def test_a_pass_under_a_policy_that_was_never_issued_counts_once_the_policy_is_known(
    office: Any, terminal: Any, person: dict[str, str]
) -> None:
    with office.database.begin() as connection:
        connection.execute(text("CREATE TABLE lost AS TABLE policies"))
        connection.execute(text("DELETE FROM policies"))
    assert office.verdicts(office.send(terminal, terminal.next(**person))) == [("stored", None)]
    assert office.statuses()[0].last_pass_day is None
    assert office.rows("SELECT flags FROM records") == [(["policy_unknown"],)]
    with office.database.begin() as connection:
        connection.execute(text("INSERT INTO policies SELECT * FROM lost"))
    office.rebuild()
    assert str(office.statuses()[0].last_pass_day) == "2026-11-20"
    assert office.rows("SELECT flags FROM records") == [([],)]


def test_a_pass_by_a_reference_the_fleet_does_not_hold_does_not_count(office: Any, terminal: Any) -> None:
    office.import_people(1)
    (claim,) = office.people.items()
    office.send(terminal, terminal.next(subject_id=claim[0], token=claim[1]))
    assert office.statuses()[0].last_pass_day is None
    assert office.rows("SELECT flags FROM records") == [(["reference_unfit"],)]


OUTCOMES = st.sampled_from([Outcome.CERTIFIED, Outcome.REVIEW, Outcome.TIME_UNCERTAIN, Outcome.CANCELLED])
_STORY = st.lists(
    st.tuples(
        st.sampled_from(["record", "record", "case", "event"]),
        st.integers(0, 1),
        st.integers(0, 1),
        OUTCOMES,
        st.integers(0, 400),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=_STORY, seed=st.integers(0, 2**16))
def test_ingest_is_idempotent_and_blind_to_order(
    office: Any, make_fleet_terminal: Callable[..., Any], story: list[tuple[str, int, int, Outcome, int]], seed: int
) -> None:
    with office.database.begin() as connection:
        connection.execute(text("TRUNCATE links, statuses, terminals, subjects CASCADE"))
    office.people.clear()
    office.import_people(2)
    office.hold_references()
    two = [make_fleet_terminal(terminal_id="t-1"), make_fleet_terminal(terminal_id="t-2")]
    for terminal in two:
        office.register(terminal)
    people = list(office.people.items())
    messages = []
    for kind, which, who, outcome, days in story:
        subject_id, token = people[who]
        at = office.now - timedelta(days=days)
        if kind == "record":
            envelope = two[which].next(subject_id=subject_id, token=token, outcome=outcome, at=at)
        else:
            envelope = two[which].next_case() if kind == "case" else two[which].next_event()
        messages.append(Inbound(str(two[which].topic(Kind.RECORD)), envelope, office.now))

    def result() -> tuple[list[Any], ...]:
        chain = office.rows("SELECT record_id, chain, kind FROM links ORDER BY record_id")
        seen = [
            office.rows(f"SELECT * FROM {table} ORDER BY record_id") for table in ("case_records", "terminal_events")
        ]
        return (
            office.statuses(),
            chain,
            *seen,
            office.rows(
                "SELECT record_id, chain, pass_at FROM records JOIN links USING (record_id) ORDER BY record_id"
            ),
        )

    office.handler.handle(messages)
    expected = result()
    with office.database.begin() as connection:
        connection.execute(text("TRUNCATE links, statuses CASCADE"))
    chance = random.Random(seed)
    again = messages + chance.sample(messages, chance.randint(0, len(messages)))
    chance.shuffle(again)
    while again:
        size = chance.randint(1, 4)
        office.handler.handle(again[:size])
        again = again[size:]
    assert result() == expected


def test_a_rebuild_gives_what_ingest_projected(office: Any, terminal: Any) -> None:
    office.import_people(5)
    office.hold_references()
    chance = random.Random(3)
    for _ in range(30):
        subject_id, token = chance.choice(list(office.people.items()))
        outcome = chance.choice(list(Outcome))
        at = office.now - timedelta(days=chance.randint(0, 500))
        office.send(terminal, terminal.next(subject_id=subject_id, token=token, outcome=outcome, at=at))
    before = office.statuses()
    assert any(status.last_pass_day for status in before)
    with office.database.begin() as connection:
        connection.execute(text("UPDATE statuses SET last_outcome = 'cancelled', certified_until = NULL"))
    assert office.rebuild() == len(before)
    assert office.statuses() == before


def test_a_daily_job_that_fails_keeps_no_other_waiting(office: Any, caplog: pytest.LogCaptureFixture) -> None:
    ran: list[str] = []

    def broken() -> dict[str, int]:
        raise ValueError("a fault of ours")

    def sound() -> dict[str, int]:
        ran.append("sound")
        return {"rows": 2}

    handler = office.make_handler(partial(Handler, timers=(broken, sound)))
    handler.clean()
    assert ran == ["sound"]
    assert "daily job failed" in caplog.text

    def unreachable() -> dict[str, int]:
        raise DatabaseUnavailable("database: away")

    with pytest.raises(DatabaseUnavailable):
        office.make_handler(partial(Handler, timers=(unreachable,))).clean()
