"""What is wrong with a rule pack, a sentence for each fault, in the words of whoever writes packs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_LIKE = {
    "pack_id": "an id like LZ-2019 expected",
    "sources": "the id of a rule like R2-5 expected",
    "opens": "a day of the year like 12-20 expected",
    "closes": "a day of the year like 12-20 expected",
    "day": "a day of the year like 12-20 expected",
    "from_day": "a day of the year like 12-20 expected",
}
"""What is expected of keys that have a form of their own."""
_OF_TYPE = {
    "missing": "is missing",
    "string": "text in quotation marks expected",
    "int": "a whole number expected",
    "date": "a date like 2026-11-01 expected",
    "bool": "true or false expected",
    "tuple": "a list in square brackets expected",
    "too_short": "at least one expected",
    "model": "a table of keys expected",
    "dict": "a table of keys expected",
    "none": "must be left out",
}
"""By what the kind of a fault begins with."""


def faults_in(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return every fault of a pack: its key and what is wrong with it, each once, in the order of the keys of the model.

    Args:
        error: what reading it raised.
        model: as what it was read.
    """
    said: dict[str, str] = {}
    for each in error.errors(include_url=False, include_input=False):
        # A day of the year may be a value or a text; in a file it is a text.
        if each["type"] != "is_instance_of":
            said.setdefault(_key(each["loc"], model), _sentence(each, model))
    return [f"{key}: {sentence}" if key else sentence for key, sentence in said.items()]


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


def _sentence(each: Mapping[str, Any], model: type[BaseModel]) -> str:
    kind, context = str(each["type"]), each.get("ctx", {})
    places = list(_walk(each["loc"], model))
    name = next((str(part) for part, _ in reversed(places) if isinstance(part, str)), "")
    if kind == "extra_forbidden":
        table = places[-1][1]
        near = difflib.get_close_matches(name, [] if table is None else list(table.model_fields), 1)
        return f"unknown key; did you mean {near[0]}?" if near else "unknown key"
    if kind == "value_error":
        return str(context["error"])
    if kind.startswith("union_tag"):
        return f"kind: one of {context.get('expected_tags', 'the kinds that the schema has')} expected"
    if kind in ("enum", "literal_error"):
        return f"{context['expected']} expected"
    if kind == "greater_than_equal":
        return f"at least {context['ge']} expected"
    if kind == "less_than_equal":
        return f"at most {context['le']} expected"
    if kind == "string_too_long":
        return f"at most {context['max_length']} characters expected"
    if kind == "string_too_short":
        return "must not be empty"
    if name in _LIKE and kind != "missing":
        return _LIKE[name]
    found = (said for start, said in _OF_TYPE.items() if kind.startswith(start))
    return next(found, "cannot be read; docs/rule-pack.schema.json says what is expected")
