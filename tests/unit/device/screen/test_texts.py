"""The screen's texts: in both languages the same, and one for everything that can be shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from device.desk.state import BY_RECEIVER, NO_PLACE
from device.desk.tasks import STEPS, TASKS, Step, Task
from device.desk.view import Problem, Screen, StaffWarning
from device.screen.server import LANGUAGES, texts_json
from device.session.acquiring import CLAIM_LINES
from protocol.cases import PhotoCheck
from protocol.documents import DocumentKind
from protocol.outcomes import Outcome
from protocol.slip import SlipVerdict

STATIC = Path(__file__).parents[4] / "device" / "screen" / "static"


def texts(language: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(texts_json(language))["texts"]
    return found


def keys(table: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in table.items():
        found |= keys(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return found


def test_both_languages_say_the_same_with_the_same_blanks() -> None:
    zh, en = texts("zh"), texts("en")
    assert keys(zh) == keys(en)
    for section, table in zh.items():
        for name, text in table.items() if isinstance(table, dict) else ():
            # Chinese writes months as numbers.
            blanks = {str(said).replace("{month_name}", "{month}") for said in (text, en[section][name])}
            assert len({frozenset(re.findall(r"\{\w+\}", said)) for said in blanks}) == 1, name


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_can_be_shown_has_a_text(language: str) -> None:
    found = texts(language)
    cases = {task for task, rule in TASKS.items() if rule.case is not None}
    confirmed = {task for task, rule in TASKS.items() if Step.CONFIRM in rule.steps}
    # An attack is shown as any other session that did not certify; a session whose record could not be kept is none.
    shown = {*Outcome, "not_stored"} - {Outcome.PRESENTATION_ATTACK}
    wanted = {
        "task": set(Task),
        "step": set(Step),
        **{step: set(rule.options) for step, rule in STEPS.items() if rule.kind == "choice"},
        "place": {BY_RECEIVER, NO_PLACE},
        "problem": set(Problem),
        "warning": set(StaffWarning),
        "kind": set(DocumentKind),
        "check": set(PhotoCheck.model_fields["name"].annotation.__args__),  # type: ignore[union-attr]  # a Literal
        "outcome": shown,
        "next": shown,
        "done": cases,
        "confirm": confirmed,
        "done_next": cases,
    }
    for section, names in wanted.items():
        assert {str(name) for name in names} == set(found[section]), section
        assert all(found[section].values()), section


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_said_of_slips_is_there(language: str) -> None:
    said = json.loads(texts_json(language))["slip"]
    assert {str(verdict) for verdict in SlipVerdict} <= set(said["verdict"])
    assert said["outcome"]["certified"]


def test_the_page_draws_every_screen() -> None:
    script = (STATIC / "app.js").read_text(encoding="utf-8")
    pages = script[script.index("const PAGES") :]
    for screen in Screen:
        assert re.search(rf"\b{screen}\b", pages), screen


def test_the_page_names_no_text_that_is_not_there() -> None:
    found = texts("zh")
    for script in STATIC.glob("*.js"):
        for section, name in re.findall(r'\bw\("(\w+)", "(\w+)"', script.read_text(encoding="utf-8")):
            assert name in found[section], f"{script.name}: {section}.{name}"


def test_no_text_is_there_that_the_page_does_not_name() -> None:
    found = texts("zh")
    scripts = "".join(script.read_text(encoding="utf-8") for script in STATIC.glob("*.js"))
    for section in ("button", "page"):
        for name in found[section]:
            assert f'"{name}"' in scripts, f"{section}.{name}"


def test_no_text_stands_in_the_page_itself() -> None:
    for script in STATIC.glob("*.js"):
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", script.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"[\u4e00-\u9fff]", code), script.name


def test_the_page_knows_every_kind_of_document_and_every_line_an_idle_terminal_may_say() -> None:
    pages = (STATIC / "pages.js").read_text(encoding="utf-8")
    kinds = re.search(r"KINDS = \[(.*?)\]", pages, re.DOTALL)
    idle = re.search(r"SAID_WHEN_IDLE = new Set\(\[(.*?)\]", pages, re.DOTALL)
    assert kinds is not None
    assert idle is not None
    assert set(re.findall(r'"(\w+)"', kinds[1])) == set(DocumentKind)
    assert set(re.findall(r'"(\w+)"', idle[1])) == {*map(str, CLAIM_LINES.values()), "present_card", "button_stuck"}
