"""Everything that a job refuses has a sentence in both languages."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import fleet
import protocol
from fleet.errors import ImportRefused, NotFound, Refused
from fleet.web.phrases import catalogue, reasons

HERE = Path(fleet.__file__).parent
JOBS = (
    *(HERE / "tables" / f"{name}.py" for name in ("reading", "encodings", "workbooks")),
    *(HERE / "exchange" / f"{name}.py" for name in ("deliveries", "checking", "cycles", "resolving", "taking_up")),
    *(HERE / "intake" / f"{name}.py" for name in ("areas", "handed_in", "unit_lists", "key_lists", "people_table")),
    *(HERE / "store" / f"{name}.py" for name in ("approvals", "names")),
    HERE / "partners" / "registry.py",
    HERE / "duplicates" / "queue.py",
    HERE / "reminders" / "results.py",
    *(HERE / "privacy" / f"{name}.py" for name in ("consent", "filing")),
    Path(protocol.__file__).parent / "documents.py",
    Path(protocol.__file__).parent / "names.py",
)
ELSEWHERE = ("cannot be read", "machine-readable zone", "HandedIn(", "ListLine(")
"""What no page can meet: files on a disk, what terminals scan, and how objects are shown to programmers."""
FACTS = {
    "hint": "",
    "also": "",
    "wrong": "half a character",
    "named": "feed deaths: delivery 2 of 2026-10",
    "name": "name",
    "column": "since",
    "definition.code.name": "direction",
    "_SAVE": "save it as CSV UTF-8",
    "path": "file",
    "fault or f'with a {SEPARATOR}, which divides names'": "empty",
    "_NAMES[found]": "identity number",
    "columns[first].shape": "numbers",
    "columns[second].shape": "dates",
    "first": "name",
    "second": "since",
    "', '.join(too_long)": "name, since",
    "where": "line 3",
    "row.where": "line 3",
    "rows[0].where": "line 2",
    "rows[-1].where": "line 3",
    "given[0].where": "line 2",
    "given.where": "line 2",
    "other.where": "line 2",
    "deaths[0].where": "line 2",
    "death.where": "line 2",
    "sentences[0].where": "line 2",
    "error": "identity number: 17 digits and a digit or X expected",
    "fault": "empty",
    "problem": "empty",
}


def said(path: Path) -> Iterator[str]:
    """Give every sentence that a module raises or lists as a problem, with something for what it names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.expr):
            parts = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            yield from (text for part in parts if (text := text_of(part)) is not None and " " in text)
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in ("Refused", "NotFound", "Malformed"):
            arguments = node.args[:1]
        elif name == "append" or name in ("refuse", "ImportRefused"):
            arguments = [found for each in node.args for found in (each.elts if isinstance(each, ast.List) else [each])]
        else:
            continue
        for argument in arguments:
            written = text_of(argument)
            if written is not None and " " in written:
                yield written


def text_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else fact_of(part) for part in node.values)
    return None


def fact_of(part: ast.expr) -> str:
    assert isinstance(part, ast.FormattedValue)
    written = ast.unparse(part.value)
    if isinstance(part.value, ast.Name) and written == "name":
        return "identity number"
    return FACTS.get(written, "7")


@pytest.mark.parametrize("path", JOBS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_refusal_has_a_sentence_in_chinese(path: Path) -> None:
    found = list(said(path))
    assert found
    lost = [each for each in found if catalogue().say(each, "zh") is None]
    assert [each for each in lost if not any(word in each for word in ELSEWHERE)] == []


def test_parts_of_a_sentence_are_said_each() -> None:
    problems = [
        "file: line 3: document_number: identity number: the check digit does not fit; was a digit mistyped?",
        "file: line 4: same row id as file: line 2, and says something else",
        "line 2: code: 1 to 32 letters, digits and hyphens expected",
        "line 5: kind: death or burial expected",
    ]
    assert reasons(ImportRefused(problems), "zh") == [
        "第 3 行：“证件号码”：身份证号码校验位不符，是否有数字写错？",
        "第 4 行：行编号与第 2 行相同，内容不同",
        "第 2 行：编号应为 1 至 32 个字母、数字或连字符",
        "第 5 行：“事件类型”：应为：死亡、安葬",
    ]
    assert reasons(ImportRefused(problems), "en")[1] == "line 4: same row id as line 2, and says something else"


def test_english_names_no_command() -> None:
    found = Refused("feed deaths: delivery 2 of 2026-10: a zero report is here; take it back with --corrects 0")
    assert reasons(found, "en") == ["a zero report is here; take it back by saying that this corrects 0"]
    for phrase in catalogue().phrases:
        for sentence in phrase.sentences.values():
            assert "lifecert-fleet" not in sentence
            assert "--" not in sentence


def test_what_has_no_sentence_is_in_the_log_under_the_number_that_the_reader_gets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        (told,) = reasons(NotFound("something quite new"), "zh")
    number = told.partition("编号 ")[2][:8]
    assert number in caplog.text
    assert "something quite new" in caplog.text
    assert "something" not in told
