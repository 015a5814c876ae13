"""Stops of the made-up agency: proposed by the rules, carried as far as people got, undone, ended by a death, held up by a person alive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, text

from demo.agency.names import OPERATORS, REVIEWERS
from demo.agency.world import ZONE, Agenda, World
from fleet.app import Fleet, after_reports
from fleet.benefits.acts import take_acts
from fleet.benefits.due import propose_due_stops
from fleet.benefits.events import LADDER, RestoreReason, StepOutcome
from fleet.benefits.guard import StopGuard
from fleet.benefits.i_am_here import resolve
from fleet.clock import day_of
from fleet.store.acts import NewAct
from protocol.rules.acts import ActKind, Channel


class StopWork:
    """Puts everything that happens to benefits on the agenda. Deaths and passes against them come with the feeds."""

    def __init__(self, world: World, agenda: Agenda) -> None:
        self._world = world
        self._agenda = agenda

    def put_down(self) -> None:
        """Put everything on the agenda."""
        for days in (45, 18, 1):
            self._agenda.at(self._world.at(days, 6), self._propose)
        self._agenda.at(self._world.at(44, 7), self._work)
        self._agenda.at(self._world.at(6, 15), self._ended)
        self._agenda.at(self._world.at(2, 15), self._here)

    def _propose(self, now: datetime) -> None:
        world = self._world
        judging = after_reports(Fleet(world.settings, world.keys, world.database, lambda: now), now)
        propose_due_stops(world.database, world.keys.cipher, judging=judging, now=now, zone=ZONE)

    def _work(self, now: datetime) -> None:
        """Put down what is done about each stop that is proposed by then; most are left as they are."""
        del now
        # One of each first: a small agency has few.
        plans: list[Callable[[str, str, str], None]] = [
            *[self._carry_out, self._carry_out_and_restore, self._approve_once, self._notify] * 3,
            *[self._carry_out, self._carry_out, self._notify],
        ]
        found = self._stops("reason = 'overdue'")
        for plan, (stop_id, subject_id, scheme) in zip(plans, found, strict=False):
            plan(stop_id, subject_id, scheme)

    def _notify(self, stop_id: str, _subject_id: str, _scheme: str) -> None:
        self._agenda.at(self._world.at(42, 9), partial(self._steps, stop_id, 2))

    def _approve_once(self, stop_id: str, _subject_id: str, _scheme: str) -> None:
        self._agenda.at(self._world.at(41, 9), partial(self._steps, stop_id, 3))
        self._agenda.at(self._world.at(40, 9), partial(self._approve, stop_id, REVIEWERS[0]))

    def _carry_out(self, stop_id: str, subject_id: str, scheme: str) -> None:
        self._approve_once(stop_id, subject_id, scheme)
        self._agenda.at(self._world.at(39, 9), partial(self._approve, stop_id, REVIEWERS[1]))
        self._agenda.at(self._world.at(39, 10), partial(self._stop, stop_id))

    def _carry_out_and_restore(self, stop_id: str, subject_id: str, scheme: str) -> None:
        self._carry_out(stop_id, subject_id, scheme)
        self._agenda.at(self._world.at(4, 9), partial(self._came, subject_id))
        self._agenda.at(self._world.at(3, 9), partial(self._restore, subject_id, scheme))

    def _ended(self, now: datetime) -> None:
        """Carry one end by a death out; the others stay proposed."""
        for stop_id, _, _ in self._stops("reason = 'death' AND frozen_by = '{}'")[:2]:
            self._agenda.at(now, partial(self._steps, stop_id, 3))
            for place in range(2):
                self._agenda.at(now + timedelta(minutes=1 + place), partial(self._approve, stop_id, REVIEWERS[place]))
            self._agenda.at(now + timedelta(minutes=3), partial(self._stop, stop_id))

    def _here(self, now: datetime) -> None:
        """Let one person say of one who is alive that they are; a second must say so, too. Another one is decided."""
        with self._world.database.begin() as connection:
            found = (
                connection.execute(
                    text("SELECT subject_id FROM i_am_here WHERE resolved_at IS NULL ORDER BY subject_id")
                )
                .scalars()
                .all()
            )
        for subject_id, names in zip(found, (REVIEWERS[:1], REVIEWERS[:2]), strict=False):
            for place, by in enumerate(names):
                self._agenda.at(now + timedelta(minutes=place), partial(self._alive, str(subject_id), by))

    def _alive(self, subject_id: str, by: str, now: datetime) -> None:
        world = self._world
        judging = after_reports(Fleet(world.settings, world.keys, world.database, lambda: now), now)
        with world.database.begin() as connection:
            resolve(
                connection,
                world.keys.cipher,
                subject_id,
                "alive",
                by=by,
                why="Stood at the counter",
                judging=judging,
                now=now,
                zone=ZONE,
            )

    def _steps(self, stop_id: str, count: int, now: datetime) -> None:
        with self._world.database.begin() as connection:
            guard = self._guard(connection, now)
            needs = connection.execute(
                text("SELECT 'comparison' = ANY(missing) FROM benefit_files WHERE stop_id = :id"), {"id": stop_id}
            ).scalar_one()
            today = day_of(now, ZONE)
            if needs:
                guard.record_comparison(
                    stop_id, is_sign_found=False, day=today, by=OPERATORS[0], proof="Compared with four feeds: no trace"
                )
            for step in LADDER[:count]:
                guard.record_step(
                    stop_id,
                    step,
                    StepOutcome.NOT_REACHED,
                    day=today,
                    by=OPERATORS[0],
                    proof=f"The {step.value} of {today}",
                )

    def _approve(self, stop_id: str, by: str, now: datetime) -> None:
        with self._world.database.begin() as connection:
            self._guard(connection, now).approve(stop_id, by=by, why="Nobody was reached")

    def _stop(self, stop_id: str, now: datetime) -> None:
        with self._world.database.begin() as connection:
            self._guard(connection, now).carry_out(stop_id, by=REVIEWERS[2])

    def _came(self, subject_id: str, now: datetime) -> None:
        with self._world.database.begin() as connection:
            act = NewAct(
                subject_id, ActKind.ACCEPTED, Channel.APP, now, "partner:province-app", f"late-{subject_id[:8]}"
            )
            take_acts(connection, [act], now=now, zone=ZONE)

    def _restore(self, subject_id: str, scheme: str, now: datetime) -> None:
        with self._world.database.begin() as connection:
            self._guard(connection, now).restore(
                subject_id, scheme, because=RestoreReason.CERTIFIED, by=REVIEWERS[0], why="Certified again"
            )

    def _guard(self, connection: Connection, now: datetime) -> StopGuard:
        return StopGuard(connection, self._world.keys.cipher, now=now, zone=ZONE)

    def _stops(self, condition: str) -> list[tuple[str, str, str]]:
        with self._world.database.begin() as connection:
            rows = connection.execute(
                text(
                    f"SELECT stop_id, subject_id, scheme FROM benefit_files WHERE {condition}"  # noqa: S608 - our own text
                    " AND state IN ('pause_proposed', 'end_proposed') ORDER BY subject_id, scheme"
                )
            )
            return [(row.stop_id, row.subject_id, row.scheme) for row in rows]


def month_before(today: date, months: int) -> date:
    """Return the first day of a month so many before the one of a day."""
    number = today.year * 12 + today.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)
