"""Whatever a page of rules or stops can be refused has a code, and a sentence under it in every language."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fleet
import protocol
from fleet.web.texts import load_texts

FLEET, PROTOCOL = Path(fleet.__file__).parent, Path(protocol.__file__).parent
OF_STOPS = [
    FLEET / "benefits/machine.py",
    FLEET / "benefits/guard.py",
    FLEET / "benefits/files.py",
    FLEET / "store/approvals.py",
    FLEET / "store/names.py",
    FLEET / "web/pages/stops.py",
    FLEET / "web/pages/stops_forms.py",
]
OF_RULES = [
    FLEET / "rules/publishing.py",
    FLEET / "status/trials.py",
    FLEET / "status/what_if.py",
    FLEET / "updates/calibration.py",
    FLEET / "store/approvals.py",
    FLEET / "store/names.py",
    FLEET / "web/pages/rules.py",
    FLEET / "web/pages/rules_trials.py",
    PROTOCOL / "rules/shelf.py",
]


def codes_in(path: Path) -> Iterator[tuple[int, str | None]]:
    """Give the line and the code of every refusal and every problem that a module makes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in ("Refused", "NotFound", "NotAllowed"):
            code = next((each.value for each in node.keywords if each.arg == "code"), None)
            yield node.lineno, str(code.value) if isinstance(code, ast.Constant) else None
        elif node.func.id == "Problem" and len(node.args) == 2 and isinstance(node.args[1], ast.Constant):
            yield node.lineno, str(node.args[1].value)


@pytest.mark.parametrize(("group", "paths"), [("stops", OF_STOPS), ("rules", OF_RULES)], ids=["stops", "rules"])
def test_every_refusal_has_a_code_with_a_sentence_in_every_language(group: str, paths: list[Path]) -> None:
    for path in paths:
        found = list(codes_in(path))
        assert found, path
        for line, code in found:
            assert code is not None, f"{path.name}:{line}"
            for language, texts in load_texts().items():
                assert code == "" or code in texts[group]["refused"], f"{path.name}:{line}: {code} in {language}"


def test_every_fault_of_a_pack_has_a_sentence_in_every_language() -> None:
    tree = ast.parse((PROTOCOL / "rules/faults.py").read_text(encoding="utf-8"))
    codes = {
        str(node.elts[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple)
        and len(node.elts) in (2, 3)
        and all(isinstance(each, ast.Constant | ast.JoinedStr | ast.Dict) for each in node.elts)
        and isinstance(node.elts[0], ast.Constant)
        and isinstance(node.elts[0].value, str)
        and "_literal" not in node.elts[0].value
    } - {"enum", "ge"}
    assert {"missing", "unknown_key", "at_most", "day_of_year"} <= codes
    for texts in load_texts().values():
        assert {code for code in codes if code not in texts["rules"]["refused"]} == set()
