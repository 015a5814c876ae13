from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from protocol.evidence import EvidenceKind, EvidenceResult, EvidenceStatus
from protocol.explain import LANGUAGES, explain, explain_measures, sentence_of

ROOT = Path(__file__).resolve().parents[3]
TEXTS = tomllib.loads((ROOT / "protocol" / "explanations.toml").read_text(encoding="utf-8"))


@dataclass
class Reasons:
    """Follows every expression that ends as the `reason` of an `EvidenceResult` back to the words it may be."""

    sinks: dict[str, set[tuple[int, str]]] = field(default_factory=lambda: defaultdict(set))
    """By function: position and name of the parameters that become a reason."""
    found: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Reason to the files that give it."""
    unresolved: set[str] = field(default_factory=set)

    def follow(self, name: str, tree: ast.Module) -> None:
        for scope in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
            for call in _calls_of(scope):
                called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
                for position, keyword in set(self.sinks.get(called, ())):
                    given = [word.value for word in call.keywords if word.arg == keyword]
                    given += call.args[position : position + 1] if position >= 0 else []
                    for value in given:
                        self.resolve(value, scope, name)

    def resolve(self, value: ast.expr, scope: ast.AST, name: str) -> None:
        match value:
            case ast.Constant(value=str() as reason):
                self.found[reason].add(name)
            case ast.IfExp(body=body, orelse=orelse):
                self.resolve(body, scope, name)
                self.resolve(orelse, scope, name)
            case ast.Tuple(elts=elements):
                for element in elements:
                    self.resolve(element, scope, name)
            case ast.Subscript(value=whole):
                self.resolve(whole, scope, name)
            case ast.Name(id=variable) if isinstance(scope, ast.FunctionDef):
                self._resolve_variable(variable, scope, name)
            case _:
                self.unresolved.add(f"{name}:{value.lineno}: {ast.unparse(value)}")

    def _resolve_variable(self, variable: str, scope: ast.FunctionDef, name: str) -> None:
        parameters = [parameter.arg for parameter in scope.args.args if parameter.arg != "self"]
        if variable in parameters:
            self.sinks[scope.name].add((parameters.index(variable), variable))
        elif variable in [parameter.arg for parameter in scope.args.kwonlyargs]:
            self.sinks[scope.name].add((-1, variable))
        else:
            assigned = [
                node.value
                for node in ast.walk(scope)
                if isinstance(node, ast.Assign)
                and any(isinstance(target, ast.Name) and target.id == variable for target in node.targets)
            ]
            if not assigned:
                self.unresolved.add(f"{name}: {scope.name}: {variable}")
            for value in assigned:
                self.resolve(value, scope, name)


def _calls_of(scope: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of a scope without those of the functions in it."""
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call):
            yield node
        if not isinstance(node, ast.FunctionDef):
            pending += ast.iter_child_nodes(node)


def reasons_in_the_code() -> Reasons:
    files = [path for folder in ("device", "protocol", "fleet") for path in sorted((ROOT / folder).rglob("*.py"))]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files}
    trees = {name: ast.parse(text) for name, text in texts.items() if "vidence" in text}
    reasons = Reasons()
    reasons.sinks["EvidenceResult"].add((-1, "reason"))
    before = -1
    while before != sum(map(len, reasons.sinks.values())):
        before = sum(map(len, reasons.sinks.values()))
        for name, tree in trees.items():
            reasons.follow(name, tree)
    return reasons


def kinds_of(file: str) -> list[EvidenceKind]:
    """Return which kinds a file's reasons belong to: the module's own, or any."""
    kinds = [kind for kind in EvidenceKind if Path(file).stem == kind.value and "evidence" in file]
    return kinds or list(EvidenceKind)


def test_every_reason_in_the_code_has_a_sentence_in_both_languages() -> None:
    reasons = reasons_in_the_code()
    assert not reasons.unresolved
    assert {"follows_light", "flat", "wrong_code", "same_person", "no_pulse", "repeated"} <= reasons.found.keys()
    for reason, names in reasons.found.items():
        for name in names:
            kinds = kinds_of(name)
            explained = [kind for kind in kinds if all(sentence_of(kind, reason, each) for each in LANGUAGES)]
            assert explained == kinds if len(kinds) == 1 else explained, f"{name}: {reason}"


def test_every_text_is_there_in_both_languages_and_asks_for_numbers_in_brackets_only() -> None:
    for section in TEXTS.values():
        for text in section.values():
            assert set(text) == set(LANGUAGES)
            for language in LANGUAGES:
                assert text[language].strip()
                bare = re.sub(r"[(（][^()（）]*[)）]", "", text[language])
                assert set(re.findall(r"\{(\w+)\}", bare)) <= {"value"}


def test_every_measure_that_a_sentence_names_is_explained_itself() -> None:
    sentences = [text for kind, section in TEXTS.items() if kind != "measure" for text in section.values()]
    named = {name for text in sentences for each in text.values() for name in re.findall(r"\{(\w+)\}", each)}
    assert named - {"score", "threshold"} <= set(TEXTS["measure"])


def test_sections_are_kinds_of_evidence() -> None:
    assert set(TEXTS) == {"any", "measure", *(kind.value for kind in EvidenceKind)}


def make(reason: str, **changes: object) -> EvidenceResult:
    return EvidenceResult.model_validate(
        {"kind": EvidenceKind.PLANARITY, "status": EvidenceStatus.FAILED, "reason": reason} | changes
    )


def test_numbers_stand_in_the_sentence() -> None:
    result = make("flat", score=0.0321, threshold=0.07)
    assert explain(result, "en") == (
        "What turned is as flat as a sheet of paper or a screen (depth 0.0321, needed 0.07)."
    )
    assert "0.0321" in explain(result, "zh")


def test_a_bracket_without_its_numbers_is_left_out() -> None:
    assert explain(make("flat", score=0.03), "en") == "What turned is as flat as a sheet of paper or a screen."
    assert explain(make("flat"), "zh") == "转动的物体像纸张或屏幕一样平。"


def test_an_unknown_reason_is_named_as_it_is() -> None:
    assert explain(make("made_of_cheese"), "en") == "planarity: failed, made_of_cheese"


def test_measures_are_explained_in_order() -> None:
    result = make("flat", measures={"turned_frames": 12.0, "moonlight": 0.5})
    assert explain_measures(result, "en") == ("frames turned far enough: 12", "moonlight: 0.5")
    assert explain_measures(result, "zh")[0].startswith("转动足够")


def test_another_language_is_refused() -> None:
    with pytest.raises(ValueError, match="fr"):
        explain(make("flat"), "fr")
    with pytest.raises(ValueError, match="fr"):
        explain_measures(make("flat"), "fr")
