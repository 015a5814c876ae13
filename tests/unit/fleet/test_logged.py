"""Whatever is written into the audit log has words in every language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fleet
from fleet.terminals.changing import ChangeKind
from fleet.web.logged import choices, details, kind, what, which
from fleet.web.texts import LANGUAGES, load_texts

ROOT = Path(fleet.__file__).parent
ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
WRITERS = re.compile(r"_?note|note_change|note_audit|noted|_changed|_save")
"""Functions that write an entry, or hand an action on to one that does."""
OTHERS = {"case.answered", "certification.accepted", "status.changed"}
"""Kinds of messages to partners."""


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def texts_in(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def actions_written() -> dict[str, str]:
    """Return every action that stands in the code, and where."""
    found = {f"terminal.{each.value}": "terminals/changing.py" for each in ChangeKind}
    for path, tree in modules():
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and WRITERS.fullmatch(name_of(node))]
        if not calls:
            continue
        # An action may come by way of a constant or a returned value.
        found |= {each: path.name for each in texts_in(tree) if ACTION.fullmatch(each)}
        for call in calls:
            for keyword in call.keywords:
                if keyword.arg == "action" and isinstance(keyword.value, ast.JoinedStr) and path.name != "changing.py":
                    begins = next(texts_in(keyword.value))
                    verbs = {
                        verb
                        for other in calls
                        for argument in other.args
                        for verb in texts_in(argument)
                        if re.fullmatch(r"[a-z_]+", verb)
                    }
                    assert verbs, path
                    found |= {f"{begins}{verb}": path.name for verb in verbs}
    ends = (".toml", ".html", ".json")
    return {
        action: where
        for action, where in found.items()
        if action not in OTHERS and not action.endswith(ends) and not re.match(r"([a-z]|fleet|http)\.", action)
    }


def kinds_written() -> set[str]:
    return {
        keyword.value.value
        for _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "object_kind" and isinstance(keyword.value, ast.Constant) and WRITERS.fullmatch(name_of(node))
    } | {
        call.args[place].value  # type: ignore[attr-defined]
        for _, tree in modules()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and name_of(call) == "note" and len(call.args) == 4
        for place in (2,)
        if isinstance(call.args[2], ast.Constant)
    }


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_action_that_is_written_has_a_word_and_no_word_is_spare(language: str) -> None:
    texts = load_texts()[language]
    written = actions_written()
    assert len(written) > 150
    assert {action: where for action, where in written.items() if what(texts, action) == action} == {}
    offered = {action for _, _, actions in choices(texts) for action, _ in actions}
    assert offered - set(written) == set()


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_kind_of_thing_has_a_word(language: str) -> None:
    texts = load_texts()[language]
    written = kinds_written()
    assert len(written) > 25
    assert {each for each in written if each not in texts["logged"]["kinds"]} == set()


def test_details_are_told_in_words() -> None:
    texts = load_texts()["zh"]
    found = {
        "areas": ["1301"],
        "typed": False,
        "people": 1250,
        "state": "passed",
        "scheme": "enterprise_pension",
        "picture": "ab12",
        "unit": "",
        "later": "x",
    }
    said = [(each.name, each.value, each.is_code) for each in details(texts, found, {"1301": "石家庄市"})]
    assert said == [
        ("地区", "石家庄市", False),
        ("按姓名或号码查询", "否", False),
        ("人数", "1,250", False),
        ("状态", "通过", False),
        ("险种", "企业职工基本养老保险", False),
        ("照片摘要", "ab12", True),
        ("later", "x", True),
    ]


def test_what_a_later_version_wrote_is_shown_as_it_stands() -> None:
    texts = load_texts()["zh"]
    assert what(texts, "moon.seen") == "moon.seen"
    assert what(texts, "case.seen_twice") == "case.seen_twice"
    assert kind(texts, "moon") == "moon"
    assert which(texts, "0af3") is None
    assert which(texts, "all") == "全部"
