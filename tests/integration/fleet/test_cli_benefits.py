"""`lifecert-fleet benefits`, `life` and `history` as they are typed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text
from typer.testing import CliRunner

from fleet.app import Fleet, look_at_reports_since, make_handler, open_fleet
from fleet.cli import app
from fleet.clock import day_of
from fleet.exchange.effects import settle
from fleet.exchange.reports import take_in
from fleet.ingest.messages import Inbound
from fleet.settings import load_settings
from fleet.status.projection import project
from fleet.store import terminals
from fleet.store.life_events import NewLifeEvent, add_life_events
from protocol.documents import check_digit
from protocol.rules.life import LifeEventKind
from protocol.topics import Kind

pytestmark = pytest.mark.integration
DIGITS = "99999919400101001"
BY = ("--by", "Li Na")
WANG = ("--by", "Wang Fang")
WHY = ("--reason", "nobody came")


@dataclass
class Program:
    """The program in a folder with settings, and one person on the lists who never came."""

    folder: Path
    subject_id: str = ""
    token: str = ""

    def run(self, *arguments: str, given: str | None = None) -> Result:
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            return CliRunner(env={"COLUMNS": "240"}).invoke(app, list(arguments), input=given)
        finally:
            os.chdir(here)

    def done(self, *arguments: str) -> Result:
        found = self.run(*arguments)
        assert found.exit_code == 0, found.stderr
        return found

    def told(self, *arguments: str) -> Any:
        return json.loads(self.done(*arguments, "--json").stdout)

    def refused(self, *arguments: str) -> str:
        found = self.run(*arguments)
        assert found.exit_code == 1
        assert found.stderr.count("\n") == 1
        return found.stderr

    def stop_id(self) -> str:
        (row,) = self.told("benefits", "list")["benefits"]
        return str(row["stop_id"])

    def opened(self) -> Any:
        return open_fleet(load_settings(self.folder / "fleet.toml"))

    def actions(self) -> list[str]:
        with self.opened() as fleet, fleet.database.begin() as connection:
            return list(connection.execute(text("SELECT action FROM audit_log ORDER BY entry")).scalars())


@pytest.fixture
def program(tmp_path: Path, database_url: str) -> Program:
    found = Program(tmp_path)
    url = database_url.replace("+psycopg", "")
    (tmp_path / "fleet.toml").write_text(f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{url}"\n')
    (tmp_path / "people.csv").write_text(
        "document_number,name,area,scheme,category,benefit_start\n"
        f"{DIGITS}{check_digit(DIGITS)},甲,east,pension,retired,2001-07-01\n"
    )
    found.done("init", "--identity", "identity.json")
    found.done("import-subjects", "people.csv")
    with found.opened() as fleet, fleet.database.begin() as connection:
        row = connection.execute(text("SELECT subject_id, claim_token FROM subjects")).one()
        # Listed for long: before that nobody would be asked for anything.
        connection.execute(text("UPDATE subjects SET created_at = '2001-07-01T00:00Z'"))
        zone = fleet.settings.zone()
        project(connection, [row.subject_id], zone=zone, today=day_of(fleet.clock(), zone))
    found.subject_id, found.token = row.subject_id, row.claim_token
    return found


def certify(program: Program, terminal: Any, fleet: Fleet) -> None:
    """Let the person pass at a terminal, an hour ago."""
    at = fleet.clock() - timedelta(hours=1)
    with fleet.database.begin() as connection:
        terminals.add_terminal(
            connection,
            "t-1",
            area="east",
            signing_key=terminal.signing.public(),
            sealing_key=terminal.sealing.public(),
            now=at,
        )
        connection.execute(
            text(
                "INSERT INTO references_ SELECT subject_id, repeat('c', 32), 'f', repeat('d', 64), 'test', 'd1', 80,"
                " 'live', 'consent', :at, :until FROM subjects"
            ),
            {"at": at - timedelta(days=600), "until": (at + timedelta(days=600)).date()},
        )
    envelope = terminal.next(subject_id=program.subject_id, token=program.token, at=at)
    make_handler(fleet).handle([Inbound(str(terminal.topic(Kind.RECORD)), envelope, fleet.clock())])


def test_the_whole_way_of_a_stop_and_back(program: Program, make_fleet_terminal: Callable[..., Any]) -> None:
    assert program.told("benefits", "propose") == {
        "overdue": 1,
        "losses": 0,
        "withdrawn": 0,
        "recoveries": 0,
        "cases": 0,
        "steps": 0,
    }
    stop_id = program.stop_id()
    assert "still missing: message, call, visit" in program.refused("benefits", "approve", stop_id, *BY, *WHY)
    for step, outcome, proof in (
        ("message", "not_reached", "delivery 17"),
        ("call", "not_possible", "has no telephone"),
        ("visit", "not_reached", "door closed, neighbour asked"),
    ):
        given = ("--step", step, "--outcome", outcome, "--proof", proof)
        found = program.done("benefits", "step", stop_id, *given, "--by", "Zhao Min")
    assert "complete: two persons can approve" in found.stderr
    assert "1 of 2" in program.done("benefits", "approve", stop_id, *BY, *WHY).stderr
    assert "second person" in program.refused("benefits", "approve", stop_id, *BY, *WHY)
    assert "1 more person" in program.refused("benefits", "carry-out", stop_id, *BY)
    program.done("benefits", "approve", stop_id, *WANG, *WHY)
    assert "the benefit is paused" in program.done("benefits", "carry-out", stop_id, *BY).stderr
    (line,) = program.told("benefits", "show", program.subject_id)["benefits"]
    assert (line["state"], line["frozen"]) == ("paused", False)

    restore = ("benefits", "restore", program.subject_id, "--scheme", "pension", *BY, "--reason", "was abroad")
    assert "has not certified again" in program.refused(*restore, "--because", "certified")
    assert program.told(*restore, "--because", "mistake")["approvals_missing"] == 1
    program.done("publish-policy")
    with program.opened() as fleet:
        certify(program, make_fleet_terminal(), fleet)
    found_back = program.told(*restore, "--because", "certified")
    assert (found_back["state"], len(found_back["paid_back"])) == ("paying", 1)
    (line,) = program.told("benefits", "show", program.subject_id)["benefits"]
    (repaid,) = line["repaid"]
    assert repaid["paid_back"] == found_back["paid_back"]
    assert f"months paid back: {repaid['paid_back'][0]}" in program.done("history", program.subject_id, *BY).stderr

    told = program.told("history", program.subject_id, *BY)
    kinds = [entry["kind"] for entry in told["entries"]]
    assert kinds[0] == "reference_made"
    assert kinds.index("record") < kinds.index("benefit.stop_proposed") < kinds.index("benefit.restored")
    assert kinds.count("benefit.step_taken") == 3
    assert kinds.count("approval.benefit_stop") == 2
    written = [entry["detail"].get("written") for entry in told["entries"]]
    assert {"has no telephone", "was abroad", "nobody came"} <= set(written)
    assert told["now"]["benefits"][0]["state"] == "paying"
    assert "door closed" in program.done("history", program.subject_id, *BY).stdout
    assert program.actions()[-2:] == ["subject.history_viewed"] * 2


def test_i_am_here_from_report_to_decision(program: Program, make_fleet_terminal: Callable[..., Any]) -> None:
    program.done("publish-policy")
    report = ("life", "report", program.subject_id, "--kind", "death", "--since", "2026-01-05", "--source", "unit")
    days = ("--reported-on", "2026-01-20", "--paper", "2026-17")
    taken = program.told(*report, *days, *BY)
    assert (taken["family_late_days"], taken["unit_late_days"] > 0, taken["claim_late"]) == (8, True, True)
    assert "is here already" in program.done(*report, *days, *BY).stderr
    with program.opened() as fleet:
        certify(program, make_fleet_terminal(), fleet)
    (case,) = program.told("benefits", "i-am-here")["cases"]
    assert case["subject_id"] == program.subject_id
    assert program.told("benefits", "propose")["overdue"] == 0
    shown = program.told("benefits", "show", program.subject_id)
    assert (shown["open_cases"], shown["benefits"][0]["frozen"]) == (1, True)

    withdraw = ("life", "withdraw", taken["report_id"], *BY, *WHY)
    assert "decide with `benefits i-am-here`" in program.refused(*withdraw)
    alive = ("benefits", "i-am-here", program.subject_id, "--alive", "--reason", "came to the counter")
    assert program.told(*alive, *BY)["approvals_missing"] == 1
    assert "second person" in program.refused(*alive, *BY)
    assert "1 reports taken back, the pass counts" in program.done(*alive, *WANG).stderr
    shown = program.told("benefits", "show", program.subject_id)
    assert (shown["state"], shown["open_cases"], shown["benefits"][0]["frozen"]) == ("certified", 0, False)
    assert program.told("benefits", "i-am-here") == {"cases": []}
    assert "none of this id stands" in program.refused("life", "withdraw", taken["report_id"], *BY, *WHY)
    kinds = [entry["kind"] for entry in program.told("history", program.subject_id, *BY)["entries"]]
    assert {"life_event", "life_event_withdrawn", "i_am_here", "i_am_here_decided", "approval.i_am_here.alive"} <= set(
        kinds
    )


def test_a_loss_that_is_over_or_was_wrong(program: Program) -> None:
    report = ("life", "report", program.subject_id, "--kind", "missing", "--since", "2026-01-05", "--source", "family")
    taken = program.told(*report, "--reported-on", "2026-01-06", *BY)
    assert (taken["family_late_days"], taken["unit_late_days"]) == (0, None)
    report_id = taken["report_id"]
    assert "a day after 2026-01-05" in program.refused("life", "over", report_id, "--on", "2026-01-05", *BY, *WHY)
    found = program.done("life", "over", report_id, "--on", "2026-02-03", *BY, *WHY).stderr
    new_id = found.split()[-1]
    assert "none of this id stands" in program.refused("life", "withdraw", report_id, *BY, *WHY)
    program.done("life", "withdraw", new_id, *BY, *WHY)
    assert program.actions()[-3:] == ["life_event.reported", "life_event.ended", "life_event.withdrawn"]


def stay_in_hospital(program: Program) -> None:
    """Have a confirmed stay in hospital, some days ago, certify the person unnoticed."""
    with program.opened() as fleet, fleet.database.begin() as connection:
        now, zone = fleet.clock(), fleet.settings.zone()
        day = day_of(now, zone) - timedelta(days=3)
        stay = NewLifeEvent(program.subject_id, LifeEventKind.HOSPITAL, day, None, "feed:h", "h-1", confirmed=True)
        add_life_events(connection, [stay], now=now)
        assert settle(connection, [program.subject_id], zone=zone, now=now).certified == 1


def silent_acts(program: Program) -> tuple[int, str | None]:
    """Return how many silent acts stand, and by which kind of act the status says that the person is certified."""
    with program.opened() as fleet, fleet.database.begin() as connection:
        acts = connection.execute(text("SELECT count(*) FROM acts WHERE kind = 'silent' AND withdrawn_at IS NULL"))
        return acts.scalar_one(), connection.execute(text("SELECT last_act_kind FROM statuses")).scalar_one()


@pytest.mark.parametrize("kind", ["death", "register_cancelled"])
def test_r4_27_a_report_of_the_family_takes_a_silent_act_back_and_its_withdrawal_gives_it_back(
    program: Program, kind: str
) -> None:
    stay_in_hospital(program)
    assert silent_acts(program) == (1, "silent")
    report = ("life", "report", program.subject_id, "--kind", kind, "--since", "2026-01-05", "--source", "family")
    report_id = program.told(*report, "--reported-on", "2026-01-06", *BY)["report_id"]
    assert silent_acts(program) == (0, None)
    program.done("life", "withdraw", report_id, *BY, *WHY)
    assert silent_acts(program) == (1, "silent")
    if kind == "register_cancelled":
        report_id = program.told(*report, "--reported-on", "2026-01-06", "--paper", "7", *BY)["report_id"]
        program.done("life", "over", report_id, "--on", "2026-01-07", *BY, *WHY)
        assert silent_acts(program) == (1, "silent")


def test_r4_27_who_is_found_alive_has_the_silent_act_back(
    program: Program, make_fleet_terminal: Callable[..., Any]
) -> None:
    program.done("publish-policy")
    stay_in_hospital(program)
    report = ("life", "report", program.subject_id, "--kind", "death", "--since", "2026-01-05", "--source", "unit")
    program.told(*report, "--reported-on", "2026-01-20", *BY)
    with program.opened() as fleet:
        certify(program, make_fleet_terminal(), fleet)
    alive = ("benefits", "i-am-here", program.subject_id, "--alive", "--reason", "came to the counter")
    program.done(*alive, *BY)
    assert silent_acts(program)[0] == 0
    program.done(*alive, *WANG)
    assert silent_acts(program)[0] == 1


@pytest.mark.parametrize("kind", [LifeEventKind.DEATH, LifeEventKind.REGISTER_CANCELLED])
def test_r4_27_a_partners_report_takes_a_silent_act_back(program: Program, kind: LifeEventKind) -> None:
    stay_in_hospital(program)
    with program.opened() as fleet:
        now = fleet.clock()
        with fleet.database.begin() as connection:
            told = NewLifeEvent(program.subject_id, kind, date(2026, 1, 5), None, "partner:p", "1", confirmed=False)
            assert take_in(connection, [told], now=now, zone=fleet.settings.zone()) == 1
        # What the interface calls once the reports are stored.
        assert look_at_reports_since(fleet, now) == 0
        assert silent_acts(program) == (0, None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"--since": "2999-01-01", "--reported-on": "2999-01-01"}, "is still to come"),
        ({"--reported-on": "2026-01-04"}, "go forward"),
        ({"--reported-on": "2999-01-04"}, "go forward"),
        ({"--kind": "hospital"}, "expected"),
        ({"--kind": "release"}, "lifecert-fleet life over"),
        ({"--until": "2026-02-01"}, "a death has none"),
        ({"--kind": "missing", "--until": "2026-01-05"}, "after it began"),
    ],
)
def test_r7_8_a_form_that_cannot_be_right_is_refused(program: Program, changes: dict[str, str], says: str) -> None:
    given = {"--kind": "death", "--since": "2026-01-05", "--source": "family", "--reported-on": "2026-01-06", **changes}
    typed = [part for pair in given.items() for part in pair]
    assert says in program.refused("life", "report", program.subject_id, *typed, *BY)
    with program.opened() as fleet, fleet.database.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM life_events")).scalar_one() == 0


def test_r7_17_r7_18_a_false_claim_shows_the_range_of_the_fine(program: Program) -> None:
    recover = (
        "benefits",
        "recover",
        program.subject_id,
        "--scheme",
        "pension",
        *BY,
        "--reason",
        "somebody else's face",
    )
    found = program.told(*recover, "--because", "false_claim", "--amount", "1200.50")
    assert found["fine"] == ["2401.00", "6002.50"]
    assert "fine lies between" in program.done(*recover, "--because", "false_claim", "--amount", "10").stderr
    assert program.run(*recover, "--because", "false_claim", "--amount", "-1").exit_code == 2
    assert program.run(*recover, "--because", "false_claim", "--amount", "much").exit_code == 2
    assert program.run(*recover, "--because", "mismatch", "--declared", "birth_date").exit_code == 2
    mismatch = program.told(*recover, "--because", "mismatch", "--declared", "birth_date=1941-01-01")
    assert mismatch["fields"] == ["birth_date"]
    settle = (
        "benefits",
        "settle",
        mismatch["recovery_id"],
        "--outcome",
        "legal_action",
        *BY,
        "--reason",
        "refused to pay",
    )
    assert "is closed: legal_action" in program.done(*settle).stderr
    assert "none of this id is open" in program.refused(*settle)


def test_a_stop_by_hand_is_compared_frozen_and_withdrawn(program: Program) -> None:
    by_hand = ("benefits", "propose", "--subject", program.subject_id, "--scheme", "pension", "--from-month", "2027-01")
    assert program.run(*by_hand).exit_code == 2
    stop_id = program.told(*by_hand, *BY, *WHY, "--because", "register_cancelled")["stop_id"]
    found = program.done("benefits", "compare", stop_id, "--nothing-found", "--proof", "five bodies", *BY)
    assert "still missing: message, call, visit" in found.stderr
    found = program.done("benefits", "compare", stop_id, "--sign-found", "--proof", "train ticket", *BY)
    assert "withdraw the stop" in found.stderr
    freeze = ("benefits", "freeze", program.subject_id, "--scheme", "pension", "--case", "c-1", *BY, *WHY)
    assert "held up by 1 cases" in program.done(*freeze).stderr
    assert "held up by 0 cases" in program.done(*freeze, "--lift").stderr
    assert "the benefit is paying" in program.done("benefits", "withdraw", stop_id, *BY, *WHY).stderr
    assert program.told("benefits", "list") == {"benefits": []}
    (listed,) = program.told("benefits", "list", "--state", "paying")["benefits"]
    assert listed["stop_id"] is None
    assert "pause_proposed" not in program.done("benefits", "list").stdout
    assert program.told("rebuild-status") == {"statuses": 1, "benefit_files": 1}


def test_who_or_what_does_not_exist_is_said(program: Program) -> None:
    nobody = "neither an id nor a document number of somebody here"
    for command in (
        ("history", "nobody", *BY),
        ("benefits", "show", "nobody"),
        ("benefits", "i-am-here", "nobody", "--alive", *BY, *WHY),
        ("reminders", "steps", "nobody"),
        ("reminders", "opt-out", "nobody", "--channel", "sms", *BY),
    ):
        assert nobody in program.refused(*command)
    other = "99999919400101002"
    unknown = program.run("history", "-", *BY, given=other + check_digit(other))
    assert (unknown.exit_code, unknown.stderr) == (1, f"{nobody}\n")
    assert "none of this id" in program.refused("benefits", "carry-out", "no-stop", *BY)
    here = ("benefits", "i-am-here", program.subject_id, "--alive", *BY, *WHY)
    assert "waits for a decision" in program.refused(*here)
    assert program.run("benefits", "i-am-here", "nobody", *BY, *WHY).exit_code == 2
    assert program.done("benefits", "i-am-here").exit_code == 0


def test_somebody_is_named_by_document_number_too_and_it_can_be_given_by_input(program: Program) -> None:
    number = DIGITS + check_digit(DIGITS)

    def given(*arguments: str) -> Result:
        found = program.run(*arguments, given=f"{number}\n")
        assert found.exit_code == 0, found.stderr
        assert number not in found.stdout + found.stderr
        return found

    assert program.told("benefits", "show", number)["subject_id"] == program.subject_id
    assert json.loads(given("benefits", "show", "-", "--json").stdout)["subject_id"] == program.subject_id
    assert json.loads(given("history", "-", *BY, "--json").stdout)["now"]["subject_id"] == program.subject_id
    report = ("--kind", "missing", "--since", "2026-01-05", "--source", "family", "--reported-on", "2026-01-06")
    assert "is taken in" in given("life", "report", "-", *report, *BY).stderr
    freeze = ("benefits", "freeze", "-", "--scheme", "pension", "--case", "c-1", *BY, *WHY)
    assert "held up by 1 cases" in given(*freeze).stderr
    assert "held up by 0 cases" in given(*freeze, "--lift").stderr
    propose = ("benefits", "propose", "--subject", "-", "--scheme", "pension", "--from-month", "2030-01", *BY, *WHY)
    assert "is proposed" in given(*propose).stderr
    assert json.loads(given("reminders", "steps", "-", "--json").stdout) == {"steps": []}
    assert program.subject_id in given("reminders", "opt-out", "-", "--channel", "sms", *BY).stderr
    restore = program.run(
        "benefits", "restore", "-", "--scheme", "pension", "--because", "certified", *BY, *WHY, given=number
    )
    assert "neither an id" not in restore.stderr
    assert json.loads(given("cases", "answers", "--person", "-", "--json").stdout) is not None
