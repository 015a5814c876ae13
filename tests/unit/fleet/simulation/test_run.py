"""The simulation: the same seed gives the same people, and every check of it can fail."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest
from typer.testing import CliRunner

from fleet.benefits.events import Approved, CarriedOut, StepTaken
from fleet.benefits.machine import Standing
from fleet.cli import app
from fleet.simulation.agency import Agency
from fleet.simulation.invariants import violations
from fleet.simulation.life import Arrival, live
from fleet.simulation.run import BEGIN, play_person, simulate
from fleet.simulation.world import REGIONS, Person, draw_person
from protocol.rules.acts import Act, ActKind, Channel

YEARS = 3
END = BEGIN.replace(year=BEGIN.year + YEARS)
PEOPLE = 600


def played(number: int, seed: int = 1) -> tuple[Person, Agency, list[Arrival]]:
    draw = Random(f"{seed}:{number}")
    person = draw_person(number, draw, BEGIN, YEARS)
    agency = Agency(person, draw, BEGIN, END)
    arrivals = live(person, agency, draw, BEGIN, END)
    agency.run()
    return person, agency, arrivals


def found(person: Person, agency: Agency, arrivals: list[Arrival]) -> list[str]:
    return list(violations(person, agency, arrivals, BEGIN, END, Random(1)))


@pytest.fixture(scope="module")
def stopped() -> Callable[[], tuple[Person, Agency, list[Arrival]]]:
    """Somebody who was stopped, restored and paid back."""
    number = next(number for number in range(PEOPLE) if played(number)[1].books.paid_back)
    return lambda: played(number)


def test_nothing_is_violated_and_everything_happens() -> None:
    done = simulate(PEOPLE, YEARS, 7, workers=1)
    assert done.violations == []
    assert done.counts["violations"] == 0
    assert done.counts["people"] == PEOPLE
    happened = ("died", "moved", "prison", "missing", "wrong_death", "appeals", "frozen", "restored", "recoveries")
    assert {name for name in happened if not done.counts[name]} == set()
    assert done.counts["arrivals"] > done.counts["acts"] - done.counts["stops proposed"], "some records arrived twice"
    assert all(done.counts[f"people {pack_id}"] for pack_id, _, _ in REGIONS)
    assert done.person_years_per_s > 0


def test_the_same_seed_gives_the_same_run_whatever_the_number_of_workers() -> None:
    alone, together = simulate(1100, 1, 3, workers=1), simulate(1100, 1, 3, workers=2)
    assert alone.counts == together.counts
    assert alone.counts != simulate(1100, 1, 4, workers=1).counts


def test_one_person_can_be_played_again_alone() -> None:
    one, other = Counter[str](), Counter[str]()
    assert play_person(17, years=YEARS, seed=7, counts=one) == play_person(17, years=YEARS, seed=7, counts=other)
    assert one == other


def test_late_records_arrive_out_of_order() -> None:
    disordered = 0
    for number in range(PEOPLE):
        days = [min(arrival.days) for arrival in played(number)[2]]
        disordered += days != sorted(days)
    assert disordered


def test_a_stop_without_a_step_is_found(stopped: Callable[[], tuple[Person, Agency, list[Arrival]]]) -> None:
    person, agency, arrivals = stopped()
    assert found(person, agency, arrivals) == []
    carried_out = next(event for event in agency.books.events if isinstance(event, CarriedOut))
    steps = (event for event in agency.books.events if isinstance(event, StepTaken))
    step = next(event for event in steps if event.stop_id == carried_out.stop_id)
    agency.books.events.remove(step)
    assert any("without the whole ladder" in what for what in found(person, agency, arrivals))


def test_a_stop_by_one_person_is_found(stopped: Callable[[], tuple[Person, Agency, list[Arrival]]]) -> None:
    person, agency, arrivals = stopped()
    agency.books.events[:] = [
        replace(event, person="first") if isinstance(event, Approved) else event for event in agency.books.events
    ]
    assert any("without two persons" in what for what in found(person, agency, arrivals))


def test_a_month_paid_twice_or_not_at_all_is_found(stopped: Callable[[], tuple[Person, Agency, list[Arrival]]]) -> None:
    person, agency, arrivals = stopped()
    agency.books.paid.append(agency.books.paid[0])
    assert "a month was paid twice" in found(person, agency, arrivals)
    person, agency, arrivals = stopped()
    agency.books.paid_back.pop()
    assert any("were not paid back" in what for what in found(person, agency, arrivals))
    person, agency, arrivals = stopped()
    agency.books.paid.pop()
    assert any("not those that no stop covers" in what for what in found(person, agency, arrivals))


def test_a_lost_or_an_invented_record_is_found(stopped: Callable[[], tuple[Person, Agency, list[Arrival]]]) -> None:
    person, agency, arrivals = stopped()
    extra = Act("act-99", BEGIN, ActKind.LIVE, Channel.TERMINAL)
    agency.books.acts[extra.act_id] = extra
    assert any("records were lost or invented" in what for what in found(person, agency, arrivals))


def test_somebody_left_stopped_is_found(stopped: Callable[[], tuple[Person, Agency, list[Arrival]]]) -> None:
    person, agency, arrivals = stopped()
    place = next(n for n, event in enumerate(agency.books.events) if isinstance(event, CarriedOut))
    agency.file = replace(
        agency.file, standing=Standing.PAUSED, stopped_from=agency.books.events[place].first_unpaid_month
    )
    agency.obligation = replace(agency.obligation, stop_from=END + timedelta(days=1))
    assert "came, and is stopped at the end" in found(person, agency, arrivals)
    assert "the rebuilt file is another than the live one" in found(person, agency, arrivals)


def test_a_status_that_a_rebuild_would_not_give_is_found(
    stopped: Callable[[], tuple[Person, Agency, list[Arrival]]],
) -> None:
    person, agency, arrivals = stopped()
    agency.obligation = replace(agency.obligation, due=date(2030, 1, 1))
    assert "the rebuilt status is another than the live one" in found(person, agency, arrivals)


def test_the_command_prints_counts_and_violations() -> None:
    done = CliRunner().invoke(app, ["simulate", "--people", "50", "--years", "1", "--seed", "2", "--json"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed["violations"] == []
    assert printed["person_years_per_s"] > 0
    assert printed["counts"]["people"] == 50
    assert CliRunner().invoke(app, ["simulate", "--people", "0"]).exit_code == 2
