"""Reports of commissionings at the fleet: stored once, answered, refused where they are somebody else's, and shown in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from fleet.terminals.commissioned import commissionings
from protocol.commissioning import COMMISSIONING_TYP, CommissioningCheck, CommissioningReport, Part
from protocol.envelope import sign
from protocol.examples import examples
from protocol.keys import PrivateKey
from protocol.topics import Kind

pytestmark = [pytest.mark.integration, pytest.mark.provisioning]


def checks(*open_parts: Part) -> tuple[CommissioningCheck, ...]:
    return tuple(
        CommissioningCheck(
            part=part,
            status="failed" if part in open_parts else "passed",
            is_required=True,
            reason="no_target" if part in open_parts else "confirmed",
        )
        for part in Part
    )


def report_of(office: Any, terminal: Any, *, key: PrivateKey | None = None, **changes: Any) -> bytes:
    example = examples()[COMMISSIONING_TYP]
    assert isinstance(example, CommissioningReport)
    known = {"fleet_id": "north", "terminal_id": terminal.terminal_id, "finished_at": office.now, "checks": checks()}
    report = example.model_copy(update={**known, **changes})
    return sign(report.to_bytes(), key=key or terminal.signing, typ=COMMISSIONING_TYP)


def listed(office: Any) -> tuple[Any, Any]:
    (row,) = office.rows("SELECT commissioned_at, commissioning_passed FROM terminals")
    return row.commissioned_at, row.commissioning_passed


@pytest.fixture
def terminal(office: Any, make_fleet_terminal: Callable[..., Any]) -> Any:
    made = make_fleet_terminal()
    office.register(made)
    return made


def test_a_report_is_kept_once_and_the_newest_is_what_the_list_says(office: Any, terminal: Any) -> None:
    assert listed(office) == (None, None)
    early = office.now
    first = report_of(office, terminal, checks=checks(Part.FOCUS))
    for verdict in ("stored", "repeated"):
        assert office.verdicts(office.send(terminal, first, kind=Kind.COMMISSIONING)) == [(verdict, None)]
    assert listed(office) == (early, False)
    office.now += timedelta(hours=1)
    office.send(terminal, report_of(office, terminal), kind=Kind.COMMISSIONING)
    assert listed(office) == (office.now, True)
    # One that was long on its way changes nothing of that.
    late = report_of(office, terminal, finished_at=early - timedelta(days=1), checks=checks(Part.SEAT))
    assert office.verdicts(office.send(terminal, late, kind=Kind.COMMISSIONING)) == [("stored", None)]
    assert listed(office) == (office.now, True)
    with office.database.begin() as connection:
        newest, middle, oldest = commissionings(connection, "t-1", "en")
    assert (newest.open, middle.open, oldest.open) == (0, 1, 1)
    (bad,) = [line for line in middle.lines if line.status == "failed"]
    assert bad.part == "Focus"
    assert "lifecert-provision target" in bad.sentence


def test_simulated_parts_do_not_commission_a_terminal(office: Any, terminal: Any) -> None:
    office.send(terminal, report_of(office, terminal, is_simulated=True), kind=Kind.COMMISSIONING)
    assert listed(office) == (office.now, False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"terminal_id": "t-9"}, "wrong_terminal"),
        ({"fleet_id": "south"}, "wrong_fleet"),
        ({"key": PrivateKey.generate()}, "signature"),
    ],
)
def test_what_is_not_the_terminals_own_has_no_effect(
    office: Any, terminal: Any, changes: dict[str, Any], reason: str
) -> None:
    sent = report_of(office, terminal, **changes)
    assert office.verdicts(office.send(terminal, sent, kind=Kind.COMMISSIONING)) == [("refused", reason)]
    assert office.rows("SELECT 1 FROM terminal_commissionings") == []
    assert listed(office) == (None, None)
