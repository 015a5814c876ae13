"""What is wrong with a rule pack, a problem for each fault, in the words of whoever writes packs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from protocol.errors import Problem

_DAY_OF_YEAR = ("day_of_year", "a day of the year like 12-20 expected")
_LIKE = {
    "pack_id": ("pack_id", "an id like LZ-2019 expected"),
    "sources": ("rule_id", "the id of a rule like R2-5 expected"),
    **dict.fromkeys(("opens", "closes", "day", "from_day"), _DAY_OF_YEAR),
}
"""What is expected of keys that have a form of their own: code and sentence."""
_OF_TYPE = {
    "missing": ("missing", "is missing"),
    "string": ("text", "text in quotation marks expected"),
    "int": ("whole_number", "a whole number expected"),
    "date": ("date", "a date like 2026-11-01 expected"),
    "bool": ("true_or_false", "true or false expected"),
    "tuple": ("list", "a list in square brackets expected"),
    "too_short": ("one_at_least", "at least one expected"),
    "model": ("table", "a table of keys expected"),
    "dict": ("table", "a table of keys expected"),
    "none": ("left_out", "must be left out"),
}
"""By what the kind of a fault begins with: code and sentence."""


def faults_in(error: ValidationError, model: type[BaseModel], *, own: frozenset[str] | None = None) -> list[Problem]:
    """Return every fault of a pack: its key and what is wrong with it, each once, in the order of the keys of the model.

    Args:
        error: what reading it raised.
        model: as what it was read.
        own: kinds of faults that the model itself finds; without them those of packs.
    """
    known = OWN if own is None else own
    said: dict[str, Said] = {}
    for each in error.errors(include_url=False, include_input=False):
        # A day of the year may be a value or a text; in a file it is a text.
        if each["type"] != "is_instance_of":
            said.setdefault(_key(each["loc"], model), _sentence(each, model, known))
    return [
        Problem(f"{key}: {sentence}" if key else sentence, code, key=key, **facts)
        for key, (code, sentence, facts) in said.items()
    ]


def _key(loc: Sequence[int | str], model: type[BaseModel]) -> str:
    found: list[str] = []
    for part, _ in _walk(loc, model):
        if isinstance(part, int):
            found[-1] += f" (place {part + 1})"
        else:
            found.append(part)
    return ".".join(found)


def _walk(loc: Sequence[int | str], model: type[BaseModel]) -> Iterator[tuple[int | str, type[BaseModel] | None]]:
    """Give each part of a place that stands in the file, with the table in which it stands."""
    within: type[BaseModel] | None = model
    choices: list[type[BaseModel]] = []
    for part in loc:
        if isinstance(part, str) and "[" in part:
            continue
        chosen = [each for each in choices if part in get_args(each.model_fields["kind"].annotation)]
        if chosen:
            # The kind of a table, by which the reader told which one it is; it is no key.
            within, choices = chosen[0], []
            continue
        yield part, within
        if within is not None and part in within.model_fields:
            tables = list(_tables(within.model_fields[str(part)].annotation))
            within = tables[0] if len(tables) == 1 else None
            choices = tables if len(tables) > 1 else []


def _tables(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _tables(each)


Said = tuple[str, str, Mapping[str, object]]
"""Code, sentence and facts."""


def _sentence(each: Mapping[str, Any], model: type[BaseModel], own: frozenset[str]) -> Said:
    kind, context = str(each["type"]), each.get("ctx", {})
    places = list(_walk(each["loc"], model))
    name = next((str(part) for part, _ in reversed(places) if isinstance(part, str)), "")
    if kind == "extra_forbidden":
        table = places[-1][1]
        near = difflib.get_close_matches(name, [] if table is None else list(table.model_fields), 1)
        if near:
            return "unknown_key_near", f"unknown key; did you mean {near[0]}?", {"near": near[0]}
        return "unknown_key", "unknown key", {}
    if kind in own:
        return kind, str(each["msg"]), context
    if kind == "value_error":
        return ("day_of_year" if name in _LIKE else "unusable"), str(context["error"]), {}
    if kind.startswith("union_tag"):
        tags = str(context.get("expected_tags", "the kinds that the schema has"))
        return (
            "kind_of_table",
            f"kind: one of {tags} expected",
            {"expected": context.get("expected_tags", "kind = ...")},
        )
    if kind in ("enum", "literal_error"):
        return "one_of", f"{context['expected']} expected", {"expected": context["expected"]}
    bounds = {
        "greater_than_equal": ("at_least", "at least {} expected", "ge"),
        "less_than_equal": ("at_most", "at most {} expected", "le"),
        "string_too_long": ("characters_at_most", "at most {} characters expected", "max_length"),
    }
    if kind in bounds:
        code, sentence, limit = bounds[kind]
        return code, sentence.format(context[limit]), {"limit": context[limit]}
    if kind == "string_too_short":
        return "empty", "must not be empty", {}
    if name in _LIKE and kind != "missing":
        return *_LIKE[name], {}
    found: Iterator[Said] = ((code, said, {}) for start, (code, said) in _OF_TYPE.items() if kind.startswith(start))
    return next(found, ("unusable", "cannot be read; docs/rule-pack.schema.json says what is expected", {}))


OWN = frozenset(
    {"stop_day", "no_sign_of_life", "points", "until_before_from", "silent_and_points", "forbids_own_window"}
)
"""Kinds of faults that packs themselves find (`PydanticCustomError`); each is its own code."""
