"""What the open interface reads, on the real database."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from protocol.envelope import sign
from protocol.outcomes import Outcome, Reason
from protocol.presence import PRESENCE_TYP, OutboxCounts, PictureCounts, Presence
from protocol.topics import Kind

pytestmark = pytest.mark.integration


@pytest.fixture
def busy(office: Any, terminal: Any) -> Any:
    """A fleet with people in every state, a gap and a refused message."""
    office.import_people(3, name="王")
    office.hold_references()
    ids = list(office.people.items())
    passed = {"subject_id": ids[0][0], "token": ids[0][1]}
    late = {"subject_id": ids[1][0], "token": ids[1][1]}
    office.send(terminal, terminal.next(**passed))
    office.send(terminal, terminal.next(**late, at=office.now - timedelta(days=400)))
    decision = terminal.record(**late).decision.model_copy(
        update={"outcome": Outcome.PRESENTATION_ATTACK, "reasons": (Reason.EVIDENCE_FAILED,)}
    )
    office.send(terminal, terminal.next(**late, decision=decision))
    terminal.next()
    office.send(terminal, terminal.next(outcome=Outcome.NO_REFERENCE))
    office.send(terminal, b"nonsense")
    presence = Presence(
        fleet_id="north",
        terminal_id="t-1",
        state="online",
        boot_id="b" * 32,
        connection=1,
        said_at=office.now,
        software="1.0",
        policy_version="2026.11.1",
        roster_version=0,
        outbox=OutboxCounts(pending=7, published=9, acknowledged=31, refused=0),
        pictures=PictureCounts(waiting=5, refused=2),
    )
    office.send(terminal, sign(presence.to_bytes(), key=terminal.signing, typ=PRESENCE_TYP), kind=Kind.PRESENCE)
    return office


def test_subjects_are_served_by_pages_without_names(busy: Any, web: httpx.Client) -> None:
    first = web.get("/api/v1/subjects", params={"limit": 2}).json()
    second = web.get("/api/v1/subjects", params={"limit": 2, "after": first["next"]}).json()
    subjects = first["subjects"] + second["subjects"]
    assert second["next"] is None
    assert {subject["subject_id"] for subject in subjects} == set(busy.people)
    assert sorted(subject["state"] for subject in subjects) == ["certified", "never_certified", "overdue"]
    assert "王" not in json.dumps(subjects, ensure_ascii=False)


@pytest.mark.parametrize("name", ["after", "area"])
def test_what_the_database_cannot_take_is_answered_as_wrong(web: httpx.Client, name: str) -> None:
    assert web.get("/api/v1/subjects?" + name + "=%00").status_code == 422


def test_records_and_terminals_are_served(busy: Any, web: httpx.Client) -> None:
    records = web.get("/api/v1/records", params={"terminal_id": "t-1"}).json()
    assert [record["counter"] for record in records] == [5, 3, 2, 1]
    assert [record["counts"] for record in records] == [False, False, True, True]
    assert records[1]["reasons"] == ["evidence_failed"]
    (terminal,) = web.get("/api/v1/terminals").json()
    assert terminal["gaps"] == [[4, 4]]
    assert (terminal["outbox_pending"], terminal["quarantined"], terminal["state"]) == (7, 1, "online")
    assert (terminal["pictures_waiting"], terminal["pictures_refused"]) == (5, 2)
    person = next(iter(busy.people))
    assert len(web.get("/api/v1/records", params={"subject_id": person}).json()) == 1


def test_the_evidence_of_a_record_is_served_in_words(busy: Any, web: httpx.Client) -> None:
    record_id = web.get("/api/v1/records", params={"terminal_id": "t-1"}).json()[-1]["record_id"]
    found = web.get(f"/api/v1/records/{record_id}/evidence", params={"language": "en"}).json()
    depth = next(one for one in found if one["kind"] == "planarity")
    assert (depth["status"], depth["score"]) == ("passed", depth["threshold"])
    assert "all_right" in depth["sentence"]
    assert depth["measures"][0] == "frames turned far enough: 3"
    in_chinese = web.get(f"/api/v1/records/{record_id}/evidence").json()
    assert in_chinese[0]["kind"] == found[0]["kind"]
    assert web.get(f"/api/v1/records/{'0' * 32}/evidence").status_code == 404
    assert web.get(f"/api/v1/records/{record_id}/evidence", params={"language": "fr"}).status_code == 422


@pytest.mark.parametrize("query", ["limit=0", "limit=100000", "subject_id=%27;DROP"])
def test_unusable_questions_are_refused(web: httpx.Client, query: str) -> None:
    assert web.get(f"/api/v1/records?{query}").status_code == 422


@pytest.mark.parametrize(("broker", "status"), [("connected", 200), ("not run here", 200), ("disconnected", 503)])
def test_health_tells_of_the_broker(office: Any, open_web: Any, broker: str, status: int) -> None:
    answer = open_web(office, broker).get("/healthz")
    assert answer.status_code == status
    assert answer.json() == {"database": "ok", "broker": broker, "ingest": "ok"}
