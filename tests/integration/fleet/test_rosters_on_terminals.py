"""A fleet's roster pages on a terminal's own store: both ends must mean the same by a version."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device.adapters.references_sqlite import SqliteReferenceStore
from device.simulated.clock import SteppedClock
from fleet.references import rosters as issuing
from protocol.envelope import sign
from protocol.roster import ROSTER_REQUEST_TYP, RosterPage, RosterRequest
from protocol.topics import Kind

pytestmark = pytest.mark.integration


@pytest.fixture
def store(office: Any, tmp_path: Path) -> Iterator[SqliteReferenceStore]:
    made = SqliteReferenceStore(tmp_path / "references.sqlite", tmp_path / "storage.key", SteppedClock(office.now))
    yield made
    made.close()


def ask(office: Any, terminal: Any, have: int) -> list[RosterPage]:
    request = RosterRequest(fleet_id="north", terminal_id=terminal.terminal_id, have=have, asked_at=office.now)
    token = sign(request.to_bytes(), key=terminal.signing, typ=ROSTER_REQUEST_TYP)
    answers = office.send(terminal, token, kind=Kind.ROSTER_REQUEST)
    return [office.page(answer.payload, terminal) for answer in answers if answer.topic.kind is Kind.ROSTER]


def test_a_fleet_that_was_put_back_to_an_older_state_gives_its_roster_and_goes_on(
    office: Any, terminal: Any, store: SqliteReferenceStore
) -> None:
    office.import_people(2)
    office.assign_all("t-1")
    (page,) = ask(office, terminal, 0)
    lost = page.model_copy(update={"upto": 5, "issued_at": office.now - timedelta(days=1)})
    assert store.apply(lost), "what the fleet gave before it was put back"
    (page,) = ask(office, terminal, store.received())
    assert store.apply(page)
    assert (store.version(), store.received()) == (2, 2)
    assert all(store.find(token) is not None for token in office.people.values())
    office.now += timedelta(hours=1)
    (page,) = ask(office, terminal, store.received())
    assert store.apply(page)
    assert page.entries == ()


def test_a_lost_page_is_asked_for_and_the_roster_is_in_force_after_it(
    office: Any, terminal: Any, store: SqliteReferenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuing, "_PAGE_BYTES", 300)
    office.import_people(6)
    office.assign_all("t-1")
    first, _, third, *_ = ask(office, terminal, 0)
    assert store.apply(first)
    assert not store.apply(third)
    assert store.claim_key() is None
    for page in ask(office, terminal, store.received()):
        assert store.apply(page)
    assert store.version() == 6
    assert all(store.find(token) is not None for token in office.people.values())
