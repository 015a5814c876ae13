"""The steps of a case, from what is handed in to the letter, as they are typed."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from fleet.app import make_handler, open_fleet
from fleet.ingest.messages import Inbound
from fleet.settings import load_settings
from fleet.store import terminals
from protocol.documents import check_digit
from protocol.outcomes import Outcome
from protocol.topics import Kind

pytestmark = pytest.mark.integration

NUMBER = "99999919400101001" + check_digit("99999919400101001")


@pytest.fixture
def run(
    program_in: Callable[..., Callable[..., Any]],
    make_data_dir: Callable[[], Path],
    make_fleet_terminal: Callable[..., Any],
    feature_program: tuple[str, ...],
    database_url: str,
) -> Callable[..., Result]:
    """A fleet with one person, an appeal and two attacks; the program that finds faces finds none in a JPEG."""
    folder = make_data_dir()
    command = json.dumps(list(feature_program))
    (folder / "fleet.toml").write_text(
        f'fleet_id = "north"\ndata_dir = "data"\ndatabase = "{database_url}"\n[references]\ncommand = {command}\n'
    )
    (folder / "people.csv").write_text(
        f"document_number,name,area,scheme,category,benefit_start\n{NUMBER},王甲,east,pension,retired,2001-07-01\n"
    )

    invoke = program_in(folder)
    assert invoke("init", "--identity", "identity.json").exit_code == 0
    assert invoke("import-subjects", "people.csv").exit_code == 0
    terminal = make_fleet_terminal()
    with open_fleet(load_settings(folder / "fleet.toml")) as fleet:
        now = fleet.clock()
        with fleet.database.begin() as connection:
            terminals.add_terminal(
                connection,
                "t-1",
                area="east",
                signing_key=terminal.signing.public(),
                sealing_key=terminal.sealing.public(),
                now=now,
            )
        outcomes = (Outcome.REVIEW, Outcome.PRESENTATION_ATTACK, Outcome.PRESENTATION_ATTACK)
        records = [terminal.next(outcome=outcome, at=now - timedelta(hours=1)) for outcome in outcomes]
        topic = str(terminal.topic(Kind.RECORD))
        make_handler(fleet).handle([Inbound(topic, record, now) for record in records])
    return invoke


def told(done: Result) -> Any:
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def picture(path: Path, size: tuple[int, int] = (800, 600), seed: int = 1) -> str:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=60)
    path.write_bytes(out.getvalue())
    return str(path)


def test_alarms_come_first_and_are_counted_by_terminal_and_day(run: Callable[..., Result]) -> None:
    kinds = [line["kind"] for line in told(run("cases", "list", "--json"))["cases"]]
    assert kinds == ["attack_alarm", "attack_alarm", "appeal"]
    (counted,) = told(run("cases", "alarms", "--json"))["alarms"]
    assert (counted["terminal_id"], counted["alarms"], counted["open"]) == ("t-1", 2, 2)
    (appeal,) = told(run("cases", "list", "--kind", "appeal", "--json"))["cases"]
    assert (appeal["state"], appeal["late"]) == ("evidence_complete", False)
    assert told(run("cases", "list", "--late", "--json"))["cases"] == []
    assert told(run("cases", "rebuild", "--json")) == {"cases": 3, "put_in_order": 0, "corrected": 0}
    assert "attack_alarm" in run("cases", "list").stdout


def test_a_special_certification_from_the_desk_to_the_letter(run: Callable[..., Result], tmp_path: Path) -> None:
    opened = ("cases", "open", "special", "--person", NUMBER, "--reason", "paralysed", "--by", "Wu", "--json")
    missing = run(*opened)
    assert (missing.exit_code, missing.stderr) == (1, "on: the day of the newspaper expected\n")
    assert "Traceback" not in missing.output
    day = (datetime.fromtimestamp(time.time(), UTC) - timedelta(days=4)).date().isoformat()
    answer = told(run(*opened, "--on", day))
    case_id = answer["case_id"]
    assert (answer["state"], answer["lacking"]) == ("opened", ["identity_card", "with_newspaper"])
    assert re.fullmatch("20[0-9]{2}-[0-9]{6}", answer["number"])

    small = run(
        "cases", "add", case_id, picture(tmp_path / "s.jpg", (500, 400)), "--role", "identity_card", "--by", "Wu"
    )
    assert small.exit_code == 1
    assert [line.split(": ")[1] for line in small.stderr.strip().splitlines()] == ["longer_side_px", "shorter_side_px"]
    card, paper = picture(tmp_path / "1.jpg"), picture(tmp_path / "2.jpg", seed=2)
    told(run("cases", "add", case_id, card, "--role", "identity_card", "--by", "Wu", "--json"))
    added = run("cases", "add", case_id, paper, "--role", "with_newspaper", "--by", "Wu", "--json")
    assert "one_face: 0, 1 asked for; the reviewers are told" in added.stderr
    assert told(added)["state"] == "evidence_complete"

    assert run("cases", "review", case_id, "--by", "Wu").exit_code == 1, "who took it in does not review"
    out = tmp_path / "card.jpg"
    look = run("cases", "photo", case_id, "identity_card", "--out", str(out), "--reader", "An", "--reason", "Review")
    assert (look.exit_code, out.read_bytes()) == (0, Path(card).read_bytes())
    for name, expected in (("An", "in_review"), ("Bo", "passed")):
        shown_of = told(run("cases", "show", case_id, "--json"))
        seen = told(run("cases", "review", case_id, "--by", name, "--json"))
        assert seen["newspaper_date"] == day
        assert [picture["checks"][-1]["name"] for picture in seen["pictures"]] == ["shorter_side_px", "one_face"]
        said = (
            "cases",
            "decide",
            case_id,
            "passed",
            "--reason",
            "person_and_alive",
            "--note",
            f"by {name}",
            "--by",
            name,
        )
        assert told(run(*said, "--json"))["state"] == expected
        assert run(*said).exit_code == 1
        if name == "Bo":
            assert "person_and_alive" not in json.dumps(seen["history"]), "the other's verdict is not shown"
        verdicts = [
            entry["detail"].get("reason")
            for entry in told(run("history", shown_of["subject_id"], "--by", name, "--json"))["entries"]
            if entry["kind"] == "case.verdict"
        ]
        assert verdicts == ([None] if name == "An" else ["person_and_alive"] * 2), "told once it is decided"
    shown = told(run("cases", "show", case_id, "--by", "Li", "--json"))
    assert [step["note"] for step in shown["history"] if step["step"] == "verdict"] == ["by An", "by Bo"]
    assert shown["evidence_until"] > shown["decided_at"]
    assert "by An" not in run("cases", "show", case_id).stdout, "notes are for those who say who they are"

    written = run("cases", "letter", case_id, "--language", "en", "--by", "Li").stdout
    assert "Dear 王甲," in written
    assert "It was accepted." in written
    (answer,) = told(run("cases", "answers", "--person", NUMBER, "--json"))["answers"]
    assert (answer["state"], answer["kind"]) == ("passed", "special")
    assert run("cases", "letter", case_id, "--language", "fr", "--by", "Li").exit_code == 1


def test_bad_input_is_one_clear_line(run: Callable[..., Result]) -> None:
    for arguments, said in (
        (("cases", "open", "recovery", "--person", NUMBER, "--reason", "x", "--by", "Wu"), "not opened by hand"),
        (("cases", "review", "0" * 32, "--by", "Wu"), "there is none of this id"),
        (("cases", "letter", "0" * 32, "--by", "Wu"), "there is none of this id"),
        (("cases", "open", "remote_form", "--person", NUMBER, "--reason", "distance", "--by", "Wu"), "who helped"),
    ):
        done = run(*arguments)
        assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
        assert said in done.stderr
        assert NUMBER not in done.output


def test_visits_are_asked_for_planned_and_listed(run: Callable[..., Result], tmp_path: Path) -> None:
    asked = (
        "cases",
        "visits",
        "request",
        "--person",
        NUMBER,
        "--reason",
        "bedridden",
        "--place",
        "=Lane 3",
        "--by",
        "Wu",
    )
    (case_id,) = told(run(*asked, "--json"))["cases"]
    assert run(*asked).exit_code == 1, "one is asked for already"
    planned = ("cases", "visits", "plan", case_id, "--on", "2999-01-05", "--by", "Wu", "--worker")
    assert run(*planned, "nobody").exit_code == 1
    assert run(*planned, "t-1").exit_code == 0
    listed = ("cases", "visits", "list", "--worker", "t-1", "--on", "2999-01-05", "--by", "Wu", "--out")
    for form, language, words in (
        ("csv", "en", ("Worker or terminal", "王甲", "\t=Lane 3", "long in bed")),
        ("html", "zh", ("上门认证名单", "王甲", "=Lane 3", "长期卧床")),
    ):
        out = tmp_path / f"list.{form}"
        done = run(*listed, str(out), "--form", form, "--language", language)
        assert done.exit_code == 0, done.stderr
        text = out.read_text(encoding="utf-8-sig")
        assert all(word in text for word in words)
        assert out.stat().st_mode & 0o077 == 0
        assert run(*listed, str(out)).exit_code == 2, "never over another file"


def test_special_persons_are_visited_by_themselves(run: Callable[..., Result]) -> None:
    mark = ("cases", "visits", "mark", "--person", NUMBER, "--reason", "age", "--place", "Lane 3", "--by", "Wu")
    assert run(*mark, "--review-on", "2020-01-01").exit_code == 1
    assert run(*mark, "--review-on", "2999-01-01").exit_code == 0
    assert [p["reason"] for p in told(run("cases", "visits", "special", "--json"))["special_persons"]] == ["age"]
    made = ("cases", "visits", "round", "--until", "2999-01-01", "--by", "Wu", "--json")
    assert len(told(run(*made))["cases"]) == 1
    assert told(run(*made)) == {"cases": []}
    assert run("cases", "visits", "unmark", "--person", NUMBER, "--by", "Wu").exit_code == 0
    assert run("cases", "visits", "unmark", "--person", NUMBER, "--by", "Wu").exit_code == 1
    assert "subject" in run("cases", "visits", "special").stdout
