"""Whatever a page can be refused has a code and a sentence in every language, which names just what the refusal tells; none is spare."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter

import pytest

import fleet
from fleet.web.texts import LANGUAGES, REFUSED, groups_in, load_texts

ROOT = Path(fleet.__file__).parents[1]
GROUPS = {
    "fleet/benefits/i_am_here": "people",
    "fleet/benefits/reporting": "people",
    "fleet/benefits/reports": "people",
    "fleet/benefits/": "stops",
    "fleet/exchange/definitions": "rules",
    "fleet/web/pages/exchange_definitions": "definitions",
    "fleet/rules/": "rules",
    "fleet/status/": "rules",
    "fleet/updates/bundles": "rollouts",
    "fleet/updates/rollout": "rollouts",
    "fleet/updates/terminal_settings": "rollouts",
    "fleet/web/pages/terminals_settings": "rollouts",
    "fleet/updates/": "rules",
    "protocol/rules/": "rules",
    "fleet/cases/": "cases",
    "fleet/terminals/": "terminals",
    "fleet/people/": "people",
    "fleet/intake/subjects": "people",
}
"""Which pages show what a function refuses, by what its path begins with; any page shows the others', so every group has a sentence."""
ANSWERED = {"ImportRefused", "RequestRefused", "PackMalformed", "DatabaseUnavailable"}
"""Hold problems, each with a code of its own; or are answered by a page of their own."""
NOT_SAID = {
    # Answered as what does not exist, or by a page or a word of its own.
    "fleet/accounts/changes.py": {"ask"},
    "fleet/accounts/registry.py": {"find", "add_account", "ask_link", "_linkable", "_begin", "_refuse"},
    "fleet/accounts/operators.py": {"_demand_managing", "_set"},
    "fleet/accounts/second_word.py": {"approve", "refuse"},
    "fleet/accounts/turns.py": {"one"},
    "fleet/benefits/history.py": {"_before"},
    "fleet/benefits/i_am_here.py": {"resolve"},
    "fleet/benefits/standing.py": {"status_of_person"},
    "fleet/cases/history.py": {"read", "locked"},
    "fleet/cases/pictures.py": {"_find"},
    "fleet/cases/visits.py": {"_texts"},
    "fleet/intake/details.py": {"change_details"},
    "fleet/people/finding.py": {"_start"},
    # Of the command line, and of `serve`: pages only read where the root is and until when certificates are good.
    "fleet/pki/authority.py": {"_leaf", "read_revocation_list", "renew_issuing"},
    "fleet/pki/broker.py": {"_key"},
    "fleet/pki/files.py": {"load_authority", "make_authority", "renew_authority"},
    "fleet/pki/renewing.py": {"_read", "renew_if_due"},
    "fleet/people/person.py": {"older_history", "whole_document", "record_of_person", "_identity"},
    "fleet/statistics/counts.py": {"count_then", "_check"},
    "fleet/statistics/fairness.py": {"fairness"},
    "fleet/web/pages/people_person.py": {"_more"},
    # What no form can ask for: faults of ours.
    "fleet/cases/letters.py": {"letter"},
    "fleet/cases/catalogue.py": {"body"},
    "fleet/cases/desk.py": {"open_request"},
    "fleet/cases/machine.py": {
        "open_from",
        "advance",
        "replay",
        "demand_other",
        "_joined",
        "_identified",
        "_evidence_added",
    },
    "fleet/cases/opening.py": {"_opening"},
    "fleet/keys.py": {"decrypt", "sealing_key", "load_keys", "_load", "_refuse_half", "_read_secret"},
    "fleet/reminders/sending.py": {"_message"},
    "fleet/intake/photo_checking.py": {"__init__", "look", "_ended"},
    # Files of the command line, and what the programs of gateways send.
    "fleet/duplicates/benefits.py": {"read_shared_key", "check_elsewhere"},
    "fleet/exchange/results_csv.py": {"export_results"},
    "fleet/intake/photo_files.py": {"photo_files"},
    "fleet/references/domains.py": {"_successor", "in_current_domain"},
    "fleet/references/enrol.py": {
        "__post_init__",
        "read_features",
        "features_of_file",
        "_report",
        "read_picture",
        "enrol_within",
        "withdraw",
        "_protected",
    },
    "fleet/reminders/webhook.py": {"verify_callback"},
    "fleet/statistics/export.py": {"export"},
    "fleet/tables/writing.py": {"write_new"},
    "fleet/updates/policy.py": {"read_policy"},
}
"""Functions of modules that pages use whose refusals no page says: each without a code."""


@dataclass(frozen=True)
class Refusal:
    """One place that refuses, or finds a problem."""

    kind: str
    path: str
    line: int
    function: str
    codes: frozenset[str]
    """Of which it has one; none where there is no code."""
    facts: frozenset[str]
    is_passed_on: bool
    """Whether the code is told elsewhere: by its class, or by what was found wrong before."""

    @property
    def group(self) -> str:
        """Texts of the pages that show it."""
        own = re.match(r"fleet/web/pages/([a-z]+)", self.path)
        default = REFUSED if own is None else own[1]
        where = f"{self.path}:{self.function}"
        return next((group for prefix, group in GROUPS.items() if where.startswith(prefix)), default)


@cache
def trees() -> dict[str, ast.Module]:
    paths = [path for folder in ("fleet", "protocol") for path in sorted((ROOT / folder).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def kinds() -> frozenset[str]:
    """Return the names of all errors that are reported, and of problems."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"FleetError", "ProtocolError", "Problem"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return frozenset(found - ANSWERED)


@cache
def refusals() -> tuple[Refusal, ...]:
    return tuple(each for path, tree in trees().items() for each in refusals_in(path, tree))


def refusals_in(path: str, tree: ast.AST, function: str = "") -> Iterator[Refusal]:
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield from refusals_in(path, node, inside)
        if isinstance(node, ast.Call) and (name := made_by(node)) is not None and is_ours(name, path):
            code = next((each.value for each in node.keywords if each.arg == "code"), None)
            if name == "Problem" and len(node.args) > 1:
                code = node.args[1]
            facts = {each.arg or ast.unparse(each.value) for each in node.keywords} - {"code", "key"}
            codes = frozenset() if code is None else codes_of(code)
            is_passed_on = name in with_one_code() or (code is not None and not codes)
            yield Refusal(name, path, node.lineno, inside, codes, frozenset(facts), is_passed_on)


def made_by(call: ast.Call) -> str | None:
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if name in kinds():
        return name
    # How an error begins, which may give all of its kind one code.
    return "super" if gives_code(call) else None


def is_ours(name: str, path: str) -> bool:
    """Return whether it is the problem of `protocol.errors`: the interface for other systems has one of its own."""
    return name != "Problem" or path == "protocol/errors.py" or "protocol.errors.Problem" in imported(trees()[path])


def gives_code(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "__init__"
        and any(each.arg == "code" and isinstance(each.value, ast.Constant) for each in node.keywords)
    )


@cache
def with_one_code() -> frozenset[str]:
    """Return the errors whose class gives them their code."""
    return frozenset(
        node.name
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(gives_code(each) for each in ast.walk(node))
    )


def codes_of(code: ast.expr) -> frozenset[str]:
    if isinstance(code, ast.IfExp):
        return codes_of(code.body) | codes_of(code.orelse)
    return frozenset({code.value}) if isinstance(code, ast.Constant) and isinstance(code.value, str) else frozenset()


@cache
def used_by_pages() -> frozenset[str]:
    """Return the modules that pages use, and those that these use."""
    modules = {path.removesuffix(".py").replace("/", ".").removesuffix(".__init__"): path for path in trees()}
    found: set[str] = set()
    left = [name for name in modules if name.startswith("fleet.web")]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [each for each in imported(trees()[modules[name]]) if each in modules]
    return frozenset(path for name, path in modules.items() if name in found)


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def places_in(sentence: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(sentence) if name)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_a_sentence_that_names_what_the_refusal_tells(language: str) -> None:
    texts = load_texts()[language]
    wrong = []
    for each in refusals():
        sentences = texts[each.group][REFUSED]
        wrong += [
            f"{each.path}:{each.line}: {code} in {each.group}: {sorted(each.facts)}"
            for code in each.codes - {""}
            if code not in sentences or places_in(sentences[code]) != each.facts
        ]
    assert "\n".join(wrong) == ""


def test_whatever_pages_use_refuses_with_a_code() -> None:
    bare: dict[str, set[str]] = {}
    for each in refusals():
        is_bare = not (each.codes - {""}) and not each.is_passed_on
        if is_bare and each.path in used_by_pages() and each.path.startswith("fleet/"):
            bare.setdefault(each.path, set()).add(each.function)
    assert bare == NOT_SAID


def test_nobody_raises_an_error_that_says_nothing() -> None:
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name):
                assert node.exc.id not in kinds(), f"{path}:{node.lineno}"


def test_only_who_knows_the_codes_by_data_gives_one_that_cannot_be_read_here() -> None:
    found = {each.path for each in refusals() if each.is_passed_on and each.path.startswith("fleet/")}
    found -= {each.path for each in refusals() if each.kind in with_one_code()}
    pages = {f"fleet/web/pages/{name}.py" for name in ("photos", "rules_results")}
    assert found == {"fleet/cases/desk.py", "fleet/cases/files.py", "fleet/web/beside.py", *pages}


def test_what_documents_and_names_lack_has_a_code() -> None:
    paths = {"protocol/documents.py", "protocol/names.py", "protocol/mrz.py"}
    found = [each for each in refusals() if each.path in paths]
    assert {each.path for each in found} == paths
    assert [each for each in found if not each.codes] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_left_over(language: str) -> None:
    raised = {code for each in refusals() for code in each.codes} | {"unknown"}
    for group, texts in groups_in(language).items():
        sentences = texts.get(REFUSED, {})
        own = {code for path in (*pages_of(group), *codes_in_tables(group)) for code in strings_in(path)}
        if isinstance(sentences, dict):
            left = set(sentences) - raised - own
            assert {code for code in left if not code.startswith("photo_")} == set(), group


def pages_of(group: str) -> list[str]:
    """Return the modules of pages that ask for the texts of a group."""
    pages = [path for path in trees() if path.startswith("fleet/web/pages/")]
    return [path for path in pages if f'texts["{group}"]' in (ROOT / path).read_text(encoding="utf-8")]


def codes_in_tables(group: str) -> list[str]:
    """Return modules that keep codes as data: the faults of packs, and what a request to the desk lacks."""
    faults = [
        "protocol/rules/faults.py",
        "protocol/rules/pack.py",
        "protocol/policy.py",
        "fleet/exchange/definitions.py",
    ]
    return {"rules": faults, "cases": ["fleet/cases/desk.py"]}.get(group, [])


def strings_in(path: str) -> set[str]:
    return {
        node.value for node in ast.walk(trees()[path]) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_every_group_says_names_no_command(language: str) -> None:
    for sentence in groups_in(language)[REFUSED][REFUSED].values():
        assert "lifecert-fleet" not in sentence
        assert "--" not in sentence


def test_photographs_are_measured_in_every_language() -> None:
    for language in LANGUAGES:
        found = {code for code in groups_in(language)["cases"][REFUSED] if code.startswith("photo_")}
        assert {"photo_bytes", "photo_longer_side_px", "photo_shorter_side_px"} <= found


def test_every_fault_of_a_pack_has_a_sentence_in_every_language() -> None:
    codes = {
        str(node.elts[0].value)
        for node in ast.walk(trees()["protocol/rules/faults.py"])
        if isinstance(node, ast.Tuple)
        and len(node.elts) in (2, 3)
        and all(isinstance(each, ast.Constant | ast.JoinedStr | ast.Dict) for each in node.elts)
        and isinstance(node.elts[0], ast.Constant)
        and isinstance(node.elts[0].value, str)
        and "_literal" not in node.elts[0].value
    } - {"enum", "ge"}
    assert {"missing", "unknown_key", "at_most", "day_of_year"} <= codes
    for texts in load_texts().values():
        assert {code for code in codes if code not in texts["rules"][REFUSED]} == set()
