"""The stop guard on the real database: proposals by the machine, ladder, two persons, stop, way back, recovery."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleet.audit.log import entries
from fleet.benefits import due
from fleet.benefits.events import (
    LADDER,
    LadderStep,
    RecoveryReason,
    RestoreReason,
    StepOutcome,
    StopEffect,
    StopReason,
)
from fleet.benefits.files import file_of, open_text, rebuild_files
from fleet.benefits.guard import StopGuard
from fleet.benefits.i_am_here import look_again
from fleet.benefits.machine import BenefitFile, BenefitState, NotAllowed
from fleet.benefits.recovery import open_recovery
from fleet.benefits.reporting import ReportDesk
from fleet.benefits.standing import status_of_person
from fleet.errors import NotFound, Refused
from fleet.status.projection import project
from fleet.store import packs
from fleet.store.acts import NewAct, add_acts, withdraw_act
from fleet.store.life_events import NewLifeEvent, add_life_events, withdraw_life_event
from protocol.rules.acts import ActKind, Channel
from protocol.rules.life import LifeEventKind
from protocol.rules.obligations import CertificationState
from protocol.rules.pack import parse_pack
from protocol.shipped_packs import shipped_text

pytestmark = pytest.mark.integration


class Desk:
    """What the tests do at the agency."""

    def __init__(self, office: Any, subject_id: str) -> None:
        self.office = office
        self.subject_id = subject_id

    @property
    def zone(self) -> Any:
        return self.office.settings.zone()

    @property
    def today(self) -> date:
        return self.office.now.astimezone(self.zone).date()  # type: ignore[no-any-return]

    @contextmanager
    def guard(self) -> Iterator[StopGuard]:
        with self.office.database.begin() as connection:
            yield StopGuard(connection, self.office.keys.cipher, now=self.office.now, zone=self.zone)

    def on(self, day: str) -> None:
        """Go to noon of a day, and project as the nightly run does."""
        self.office.now = datetime.fromisoformat(f"{day}T04:00:00+00:00")
        self.project()

    def project(self) -> None:
        with self.office.database.begin() as connection:
            project(connection, [self.subject_id], zone=self.zone, today=self.today)

    def put_in_force(self, pack_id: str) -> None:
        """Put a shipped pack in force, for the area and all schemes of these tests."""
        written = shipped_text(pack_id)
        for pattern, value in ((r"region = .*", 'region = "east"'), (r"schemes = \[[^]]*\]", 'schemes = ["*"]')):
            written, count = re.subn(pattern, value, written, count=1)
            assert count == 1
        written = re.sub(r"categories = \[[^]]*\]", "", written, count=1)
        pack = parse_pack(written)
        with self.office.database.begin() as connection:
            packs.save_proposal(connection, pack, written, pack_id.rjust(64, "0"), now=self.office.now)
            packs.put_in_force(connection, pack.pack_id, pack.version, b"signed", now=self.office.now)
        self.project()

    def certify(self, day: str) -> None:
        at = datetime.fromisoformat(f"{day}T04:00:00+00:00")
        with self.office.database.begin() as connection:
            act = NewAct(self.subject_id, ActKind.SPECIAL, Channel.COUNTER, at, "case", day)
            add_acts(connection, [act], now=self.office.now)
            project(connection, [self.subject_id], zone=self.zone, today=self.today)

    def report(self, kind: LifeEventKind, since: str, until: str | None = None, *, confirmed: bool = True) -> str:
        with self.office.database.begin() as connection:
            said = NewLifeEvent(
                self.subject_id,
                kind,
                date.fromisoformat(since),
                None if until is None else date.fromisoformat(until),
                "feed:civil-affairs",
                f"{kind}-{since}-{until}",
                confirmed,
            )
            (event_id,) = add_life_events(connection, [said], now=self.office.now)
            look_again(connection, [self.subject_id], judging=self.judging, now=self.office.now, zone=self.zone)
        return event_id

    def judging(self, connection: Any, who: Any) -> None:
        self.office.settling.judge_anew(connection, who, now=self.office.now)

    def propose(self) -> due.Proposed:
        return due.propose_due_stops(
            self.office.database,
            self.office.keys.cipher,
            judging=self.judging,
            now=self.office.now,
            zone=self.zone,
        )

    @property
    def file(self) -> BenefitFile:
        with self.office.database.begin() as connection:
            return file_of(connection, self.subject_id, "pension")

    @property
    def stop_id(self) -> str:
        proposal = self.file.proposal
        assert proposal is not None
        return proposal.stop.stop_id

    def ladder(self, stop_id: str) -> None:
        for step in LADDER:
            with self.guard() as guard:
                guard.record_step(
                    stop_id, step, StepOutcome.NOT_REACHED, day=self.today, by="Zhao Min", proof=f"{step}: note 7"
                )

    def approve(self, stop_id: str) -> None:
        for name in ("Li Na", "Wang Fang"):
            with self.guard() as guard:
                guard.approve(stop_id, by=name, why="nobody came")

    def stop(self) -> BenefitFile:
        """Go the whole way of the stop that is proposed."""
        stop_id = self.stop_id
        self.ladder(stop_id)
        self.approve(stop_id)
        with self.guard() as guard:
            return guard.carry_out(stop_id, by="Li Na")

    def restore(self, because: RestoreReason, by: str = "Li Na", **more: Any) -> Any:
        with self.guard() as guard:
            return guard.restore(self.subject_id, "pension", because=because, by=by, why="explained", **more)

    def actions(self) -> list[str]:
        with self.office.database.begin() as connection:
            return [entry.action for entry in entries(connection)]


@pytest.fixture
def desk(office: Any) -> Desk:
    office.import_people(1)
    office.list_since("2001-07-01")
    return Desk(office, next(iter(office.people)))


def test_r7_3_from_1_december_a_pause_is_proposed_and_carried_out_only_after_ladder_and_two_persons(desk: Desk) -> None:
    desk.on("2017-11-30")
    desk.put_in_force("SJZ-2017")
    assert desk.propose() == due.Proposed(0, 0, 0, 0)
    desk.on("2017-12-01")
    assert desk.propose() == due.Proposed(1, 0, 0, 0)
    assert desk.propose() == due.Proposed(0, 0, 0, 0)
    file = desk.file
    assert file.proposal is not None
    stop = file.proposal.stop
    assert (stop.reason, stop.effect, stop.from_month) == (StopReason.OVERDUE, StopEffect.PAUSE, date(2017, 12, 1))
    assert stop.basis == "SJZ-2017/1/2017-12-01"

    with desk.guard() as guard, pytest.raises(NotAllowed, match="still missing: message, call, visit"):
        guard.approve(stop.stop_id, by="Li Na", why="nobody came")
    with desk.guard() as guard, pytest.raises(NotAllowed, match="still missing"):
        guard.carry_out(stop.stop_id, by="Li Na")
    desk.ladder(stop.stop_id)
    with desk.guard() as guard:
        assert guard.approve(stop.stop_id, by="Li Na", why="nobody came") == 1
    with desk.guard() as guard, pytest.raises(Refused, match="second person"):
        guard.approve(stop.stop_id, by="LI  na", why="nobody came")
    with desk.guard() as guard, pytest.raises(NotAllowed, match="1 more person"):
        guard.carry_out(stop.stop_id, by="Li Na")
    with desk.guard() as guard:
        assert guard.approve(stop.stop_id, by="Wang Fang", why="nobody came") == 2
    with desk.guard() as guard:
        file = guard.carry_out(stop.stop_id, by="Li Na")
    assert (file.state, file.stopped_from) == (BenefitState.PAUSED, date(2017, 12, 1))
    assert desk.actions()[-3:] == ["benefit.stop_approved", "benefit.stop_approved", "benefit.stopped"]


@pytest.mark.parametrize(
    ("pack_id", "stop_day", "month"),
    [("LZ-2019", "2019-12-21", date(2020, 1, 1)), ("GZ-2018", "2018-07-01", date(2018, 7, 1))],
)
def test_r7_1_r7_4_stop_days_of_other_regions(desk: Desk, pack_id: str, stop_day: str, month: date) -> None:
    before = date.fromisoformat(stop_day) - timedelta(days=1)
    desk.on(str(before))
    desk.put_in_force(pack_id)
    assert desk.propose().overdue == 0
    desk.on(stop_day)
    assert desk.propose().overdue == 1
    proposal = desk.file.proposal
    assert proposal is not None
    assert proposal.stop.from_month == month


def test_r7_2_who_certified_in_time_is_not_proposed(desk: Desk) -> None:
    desk.on("2017-12-01")
    desk.certify("2017-09-10")
    desk.put_in_force("SJZ-2017")
    assert desk.propose().overdue == 0


def test_r7_3_a_certification_that_is_taken_back_leaves_the_stop_as_due_as_it_was(desk: Desk) -> None:
    desk.on("2017-12-01")
    desk.put_in_force("SJZ-2017")
    assert desk.propose().overdue == 1
    desk.certify("2017-11-20")
    assert desk.propose().withdrawn == 1
    with desk.office.database.begin() as connection:
        withdraw_act(connection, "case", "2017-11-20", now=desk.office.now)
    desk.project()
    assert desk.propose().overdue == 1


def test_r7_11_where_data_are_compared_first_nobody_can_approve_before(desk: Desk) -> None:
    desk.on("2020-12-31")
    desk.put_in_force("HZ-2020")
    assert desk.propose().overdue == 0
    desk.on("2021-01-01")
    assert desk.propose().overdue == 1
    desk.ladder(desk.stop_id)
    with desk.guard() as guard, pytest.raises(NotAllowed, match="still missing: comparison"):
        guard.approve(desk.stop_id, by="Li Na", why="nobody came")
    with desk.guard() as guard:
        guard.record_comparison(
            desk.stop_id, is_sign_found=False, day=desk.today, by="Zhao Min", proof="five bodies asked"
        )
    desk.approve(desk.stop_id)


def stopped_in_december(desk: Desk) -> None:
    desk.on("2017-12-01")
    desk.put_in_force("SJZ-2017")
    desk.propose()
    desk.stop()


def test_r7_5_r7_6_who_certifies_again_is_restored_with_the_months_between(desk: Desk) -> None:
    stopped_in_december(desk)
    desk.on("2018-03-20")
    with pytest.raises(NotAllowed, match="has not certified again"):
        desk.restore(RestoreReason.CERTIFIED)
    desk.certify("2018-03-20")
    found = desk.restore(RestoreReason.CERTIFIED)
    assert [f"{month:%Y-%m}" for month in found.paid_back] == ["2017-12", "2018-01", "2018-02", "2018-03"]
    assert (desk.file.state, found.approvals_missing) == (BenefitState.PAYING, 0)
    with pytest.raises(NotAllowed, match="nothing is paused or ended"):
        desk.restore(RestoreReason.CERTIFIED)


def test_r7_7_months_of_a_confirmed_prison_term_are_not_paid_back(desk: Desk) -> None:
    stopped_in_december(desk)
    desk.on("2018-04-20")
    desk.report(LifeEventKind.SENTENCE, "2017-12-10", "2018-03-15")
    desk.report(LifeEventKind.MISSING, "2017-12-01", "2018-04-20", confirmed=False)
    desk.certify("2018-04-20")
    found = desk.restore(RestoreReason.CERTIFIED)
    assert [f"{month:%Y-%m}" for month in found.paid_back] == ["2017-12", "2018-03", "2018-04"]


def test_a_restoration_that_no_act_bears_out_needs_two_persons(desk: Desk) -> None:
    stopped_in_december(desk)
    assert desk.restore(RestoreReason.MISTAKE).approvals_missing == 1
    assert desk.file.state is BenefitState.PAUSED
    with pytest.raises(Refused, match="second person"):
        desk.restore(RestoreReason.MISTAKE, "li na")
    assert desk.restore(RestoreReason.MISTAKE, "Wang Fang").paid_back == (date(2017, 12, 1),)
    assert desk.file.state is BenefitState.PAYING
    # The same stop day is no reason for another stop.
    assert desk.propose().overdue == 0


def test_a_proposal_goes_by_itself_when_the_person_comes_and_nobody_can_carry_it_out(desk: Desk) -> None:
    desk.on("2017-12-01")
    desk.put_in_force("SJZ-2017")
    desk.propose()
    stop_id = desk.stop_id
    desk.ladder(stop_id)
    desk.approve(stop_id)
    desk.certify("2017-12-01")
    with desk.guard() as guard, pytest.raises(NotAllowed, match="has certified since"):
        guard.carry_out(stop_id, by="Li Na")
    assert desk.propose() == due.Proposed(0, 0, 1, 0)
    assert desk.file.state is BenefitState.PAYING
    with desk.guard() as guard, pytest.raises(NotFound, match="none of this id"):
        guard.withdraw(stop_id, by="Li Na", why="came")


def test_a_withdrawn_stop_is_not_proposed_again_for_the_same_day(desk: Desk) -> None:
    desk.on("2017-12-01")
    desk.put_in_force("SJZ-2017")
    desk.propose()
    with desk.guard() as guard:
        guard.withdraw(desk.stop_id, by="Li Na", why="in hospital, visited")
    assert desk.propose().overdue == 0


def test_r7_9_a_confirmed_death_proposes_an_end_from_the_month_after(desk: Desk) -> None:
    desk.on("2018-05-20")
    desk.report(LifeEventKind.DEATH, "2018-05-03", confirmed=False)
    assert desk.propose().losses == 0
    desk.report(LifeEventKind.CREMATION, "2018-05-05")
    assert desk.propose().losses == 1
    proposal = desk.file.proposal
    assert proposal is not None
    assert (proposal.stop.effect, proposal.stop.from_month) == (StopEffect.END, date(2018, 6, 1))
    assert desk.propose() == due.Proposed(0, 0, 0, 0)
    file = desk.stop()
    assert (file.state, file.stopped_from) == (BenefitState.ENDED, date(2018, 6, 1))


def test_r7_7_an_end_takes_the_place_of_a_pause_that_is_only_proposed(desk: Desk) -> None:
    desk.on("2017-12-01")
    desk.put_in_force("SJZ-2017")
    desk.propose()
    assert desk.file.state is BenefitState.PAUSE_PROPOSED
    desk.report(LifeEventKind.DEATH, "2017-11-20")
    assert desk.propose().losses == 1
    assert desk.file.state is BenefitState.END_PROPOSED


def test_r7_8_a_loss_for_a_time_is_a_pause_and_its_end_takes_it_back(desk: Desk) -> None:
    desk.on("2018-05-20")
    event_id = desk.report(LifeEventKind.MISSING, "2018-04-10")
    desk.propose()
    file = desk.stop()
    assert (file.state, file.stopped_from) == (BenefitState.PAUSED, date(2018, 5, 1))
    with pytest.raises(NotAllowed, match="still stands"):
        desk.restore(RestoreReason.LOSS_OVER)
    with pytest.raises(NotAllowed, match="certifying alone does not undo it; decide the report"):
        desk.restore(RestoreReason.CERTIFIED)
    with desk.office.database.begin() as connection:
        withdraw_life_event(connection, event_id, now=desk.office.now)
    desk.report(LifeEventKind.MISSING, "2018-04-10", "2018-05-15")
    desk.restore(RestoreReason.LOSS_OVER)
    found = desk.restore(RestoreReason.LOSS_OVER, "Wang Fang")
    assert found.paid_back == (date(2018, 5, 1),)


def test_r7_13_a_cancelled_register_entry_is_a_pause_until_it_is_put_right(desk: Desk) -> None:
    desk.on("2018-05-20")
    desk.report(LifeEventKind.REGISTER_CANCELLED, "2018-05-02")
    assert desk.propose().losses == 1
    proposal = desk.file.proposal
    assert proposal is not None
    assert (proposal.stop.reason, proposal.stop.effect) == (StopReason.REGISTER_CANCELLED, StopEffect.PAUSE)


def test_r7_7_a_release_takes_back_what_the_sentence_proposed(desk: Desk) -> None:
    desk.on("2018-05-20")
    desk.report(LifeEventKind.SENTENCE, "2018-03-01")
    assert desk.propose().losses == 1
    stop_id = desk.stop_id
    desk.ladder(stop_id)
    desk.report(LifeEventKind.RELEASE, "2018-05-19")
    with desk.guard() as guard, pytest.raises(NotAllowed, match="withdrawn or is over"):
        guard.approve(stop_id, by="Li Na", why="in prison")
    assert desk.propose() == due.Proposed(0, 0, 1, 0)


def test_a_confirmed_report_is_not_taken_back_by_one_person(desk: Desk) -> None:
    desk.on("2018-05-20")
    event_id = desk.report(LifeEventKind.DEATH, "2018-05-03")

    def withdraw(by: str) -> bool:
        with desk.office.database.begin() as connection:
            reports = ReportDesk(
                connection, desk.office.keys.cipher, judging=desk.judging, now=desk.office.now, zone=desk.zone
            )
            return reports.withdraw(event_id, by=by, why="another person")

    assert not withdraw("Li Na")
    assert desk.propose().losses == 1
    with pytest.raises(Refused, match="second person"):
        withdraw("li na")
    assert withdraw("Wang Fang")
    assert desk.propose().withdrawn == 1


@pytest.mark.parametrize("kind", [ActKind.SPECIAL, ActKind.ACCEPTED])
def test_an_act_after_a_report_freezes_the_stop_by_the_next_run_at_the_latest(desk: Desk, kind: ActKind) -> None:
    desk.on("2018-05-20")
    desk.report(LifeEventKind.DEATH, "2018-05-03")
    assert desk.propose().losses == 1
    # Half past midnight of the day of the report, where the agency is.
    at = datetime.fromisoformat("2018-05-02T16:30:00+00:00")
    with desk.office.database.begin() as connection:
        act = NewAct(desk.subject_id, kind, Channel.PARTNER, at, "partner:x", "1")
        add_acts(connection, [act], now=desk.office.now)
    assert desk.propose().cases == 1
    assert len(desk.file.frozen_by) == 1
    assert desk.propose().cases == 0


@pytest.mark.parametrize("kind", [ActKind.SILENT, ActKind.SPECIAL])
def test_data_or_an_act_before_the_report_freeze_nothing(desk: Desk, kind: ActKind) -> None:
    desk.on("2018-05-20")
    desk.report(LifeEventKind.DEATH, "2018-05-03")
    desk.propose()
    day = "2018-05-10" if kind is ActKind.SILENT else "2018-05-02"
    at = datetime.fromisoformat(f"{day}T15:30:00+00:00")
    with desk.office.database.begin() as connection:
        act = NewAct(desk.subject_id, kind, Channel.DATA, at, "feed:x", "1")
        add_acts(connection, [act], now=desk.office.now)
    assert desk.propose().cases == 0


def test_a_sign_of_life_found_late_takes_the_approvals_with_it_and_they_can_be_given_again(desk: Desk) -> None:
    desk.on("2017-12-01")
    desk.put_in_force("SJZ-2017")
    desk.propose()
    stop_id = desk.stop_id
    desk.ladder(stop_id)
    desk.approve(stop_id)
    for is_sign_found in (True, False):
        with desk.guard() as guard:
            guard.record_comparison(stop_id, is_sign_found=is_sign_found, day=desk.today, by="Zhao Min", proof="asked")
    with desk.guard() as guard, pytest.raises(NotAllowed, match="2 more person"):
        guard.carry_out(stop_id, by="Li Na")
    desk.approve(stop_id)


def test_r7_10_r7_12_what_was_paid_after_a_death_that_was_told_late_is_claimed_back(desk: Desk) -> None:
    desk.on("2018-08-20")
    with pytest.raises(Refused, match="nothing to claim back"):
        recover(desk, RecoveryReason.OVERPAID)
    desk.report(LifeEventKind.DEATH, "2018-05-31")
    found = recover(desk, RecoveryReason.OVERPAID)
    assert [f"{month:%Y-%m}" for month in found.overpaid] == ["2018-06", "2018-07", "2018-08"]
    assert len(desk.file.recoveries) == 1


def recover(desk: Desk, reason: RecoveryReason, **declared: str) -> Any:
    with desk.office.database.begin() as connection:
        return open_recovery(
            connection,
            desk.office.keys.cipher,
            desk.subject_id,
            "pension",
            reason=reason,
            by="Li Na",
            why="by the papers",
            declared=declared,
            now=desk.office.now,
            zone=desk.zone,
        )


def test_r7_15_data_that_disagree_with_the_lists_open_a_recovery(desk: Desk) -> None:
    found = recover(desk, RecoveryReason.MISMATCH, birth_date="1941-01-01", region="east")
    assert found.disagreeing == ("birth_date",)
    with pytest.raises(Refused, match="agrees with what the lists say"):
        recover(desk, RecoveryReason.MISMATCH, region="east")
    with pytest.raises(Refused, match="unknown fields: name"):
        recover(desk, RecoveryReason.MISMATCH, name="x")


def test_r7_14_three_months_stopped_without_a_trace_opens_a_recovery_once(desk: Desk) -> None:
    stopped_in_december(desk)
    desk.on("2018-03-01")
    assert desk.propose().recoveries == 0
    desk.on("2018-03-02")
    assert desk.propose().recoveries == 1
    assert desk.propose().recoveries == 0
    assert desk.file.state is BenefitState.PAUSED


def test_r7_14_who_left_a_trace_since_is_not_without_one(desk: Desk) -> None:
    stopped_in_december(desk)
    desk.on("2018-03-02")
    desk.certify("2018-01-05")
    assert desk.propose().recoveries == 0


def test_r7_17_a_person_can_propose_what_no_pack_says_and_it_takes_the_same_ladder(desk: Desk) -> None:
    desk.on("2018-05-20")
    with desk.guard() as guard:
        stop_id = guard.propose(
            desk.subject_id,
            "pension",
            reason=StopReason.OTHER_BY_LAW,
            effect=StopEffect.PAUSE,
            from_month=date(2018, 6, 1),
            by="Zhao Min",
            why="false claim, police told",
        )
    with desk.guard() as guard, pytest.raises(NotAllowed, match="still missing: message"):
        guard.carry_out(stop_id, by="Li Na")
    for step in LADDER:
        with desk.guard() as guard:
            guard.record_step(
                stop_id, step, StepOutcome.NOT_POSSIBLE, day=desk.today, by="Zhao Min", proof="under investigation"
            )
    with desk.guard() as guard, pytest.raises(NotAllowed, match="who proposed it") as refused:
        guard.approve(stop_id, by="zhao MIN", why="my own")
    assert refused.value.code == "took_in"
    desk.approve(stop_id)
    with desk.guard() as guard, pytest.raises(NotAllowed, match="who approved it"):
        guard.record_comparison(stop_id, is_sign_found=False, day=desk.today, by="Li Na", proof="asked")
    with desk.guard() as guard:
        assert guard.carry_out(stop_id, by="Li Na").stopped_from == date(2018, 6, 1)


@pytest.mark.parametrize(
    ("step", "day", "proof", "says"),
    [
        (LadderStep.CALL, date(2017, 12, 1), "note", "next step of the ladder is the message"),
        (LadderStep.MESSAGE, date(2017, 12, 2), "note", "still to come"),
        (LadderStep.MESSAGE, date(2017, 1, 1), "note", "too early"),
        (LadderStep.MESSAGE, date(2017, 12, 1), " ", "1 to 1000 characters"),
        (LadderStep.MESSAGE, date(2017, 12, 1), "x" * 1001, "1 to 1000 characters"),
    ],
)
def test_a_step_that_proves_nothing_is_refused(desk: Desk, step: LadderStep, day: date, proof: str, says: str) -> None:
    desk.on("2017-12-01")
    desk.put_in_force("SJZ-2017")
    desk.propose()
    with desk.guard() as guard, pytest.raises(Refused, match=says):
        guard.record_step(desk.stop_id, step, StepOutcome.REACHED, day=day, by="Li Na", proof=proof)
    assert desk.file.events == 1


def test_what_does_not_exist_is_said(desk: Desk) -> None:
    with desk.guard() as guard:
        with pytest.raises(NotFound, match="none of this id"):
            guard.approve("no-such-stop", by="Li Na", why="x")
        with pytest.raises(NotFound, match="no benefit of scheme"):
            guard.freeze(desk.subject_id, "other", "case", by="Li Na", why="x")
        with pytest.raises(Refused, match="only rule packs say so"):
            guard.propose(
                desk.subject_id,
                "pension",
                reason=StopReason.OVERDUE,
                effect=StopEffect.PAUSE,
                from_month=date(2018, 6, 1),
                by="Li Na",
                why="x",
            )


def test_a_case_holds_a_benefit_up_by_hand_until_it_is_lifted(desk: Desk) -> None:
    desk.on("2017-12-01")
    desk.put_in_force("SJZ-2017")
    with desk.guard() as guard:
        guard.freeze(desk.subject_id, "pension", "case-1", by="Li Na", why="appeal")
    assert desk.propose().overdue == 0
    with desk.guard() as guard:
        guard.unfreeze(desk.subject_id, "pension", "case-1", by="Li Na", why="decided")
    assert desk.propose().overdue == 1


def test_what_is_written_is_encrypted_and_events_are_never_changed(desk: Desk) -> None:
    stopped_in_december(desk)
    rows = desk.office.rows("SELECT kind, text_sealed, body::text AS body FROM benefit_events ORDER BY number")
    (message, *_) = [row for row in rows if row.kind == "step_taken"]
    cipher = desk.office.keys.cipher
    assert open_text(cipher, desk.subject_id, bytes(message.text_sealed)) == "message: note 7"
    assert all("note 7" not in row.body and b"note 7" not in bytes(row.text_sealed or b"") for row in rows)
    for statement in (
        "UPDATE benefit_events SET day = day + 1",
        "DELETE FROM benefit_events",
        "TRUNCATE benefit_events",
        "UPDATE benefit_events SET subject_id = 'x'",
        "UPDATE benefit_events SET subject_id = 'x', text_sealed = NULL, day = day + 1",
    ):
        with pytest.raises(DBAPIError, match="never changed or removed"), desk.office.database.begin() as connection:
            connection.execute(text(statement))
    with desk.office.database.begin() as connection:
        connection.execute(text("DELETE FROM subjects WHERE subject_id = :id"), {"id": desk.subject_id})
    assert len(desk.office.rows("SELECT 1 FROM benefit_events")) == len(rows)


def test_files_that_are_rebuilt_are_the_same(desk: Desk) -> None:
    desk.office.import_people(3, first=10)
    desk.office.list_since("2001-07-01")
    stopped_in_december(desk)
    for subject_id in desk.office.people:
        other = Desk(desk.office, subject_id)
        other.project()
    desk.propose()
    with desk.guard() as guard:
        guard.freeze(desk.subject_id, "pension", "case-1", by="Li Na", why="appeal")
    desk.on("2018-03-20")
    desk.certify("2018-03-20")
    desk.restore(RestoreReason.CERTIFIED)
    every = "SELECT * FROM benefit_files ORDER BY subject_id, scheme"
    before = [tuple(row) for row in desk.office.rows(every)]
    assert len(before) == 4
    with desk.office.database.begin() as connection:
        connection.execute(text("UPDATE benefit_files SET state = 'ended', events = 0, frozen_by = '{}'"))
    assert rebuild_files(desk.office.database) == 4
    assert [tuple(row) for row in desk.office.rows(every)] == before


def test_where_somebody_stands_with_every_pack_and_benefit(desk: Desk) -> None:
    stopped_in_december(desk)
    with desk.office.database.begin() as connection:
        found = status_of_person(connection, desk.subject_id, desk.today)
        assert (found.state, found.open_cases) == (CertificationState.NEVER_CERTIFIED, 0)
        assert [reason.pack_id for reason in found.reasons] == ["SJZ-2017"]
        (line,) = found.benefits
        assert (line.scheme, line.state, line.stopped_from) == ("pension", BenefitState.PAUSED, date(2017, 12, 1))
        with pytest.raises(NotFound):
            status_of_person(connection, "nobody", desk.today)
    desk.on("2018-05-02")
    desk.put_in_force("GZ-2018")
    with desk.office.database.begin() as connection:
        both = status_of_person(connection, desk.subject_id, desk.today)
    assert [reason.pack_id for reason in both.reasons] == ["SJZ-2017", "GZ-2018"]
    assert both.strictest is both.reasons[0]
