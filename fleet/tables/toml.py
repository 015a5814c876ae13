"""Writes settings-like data as TOML, and tells where a text is none."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

_PLACE = re.compile(r"at line (\d+), column (\d+)")


def written(found: Mapping[str, Any]) -> str:
    """Return data as TOML: values first, then a table for each mapping.

    Args:
        found: texts, numbers, true and false, lists and mappings of them; what is None is left out.
    """
    return "\n".join(_lines(found, "")).strip() + "\n"


def place_of(error: tomllib.TOMLDecodeError) -> tuple[int, int]:
    """Return line and column at which a text stops being TOML; zeros where that is its end."""
    found = _PLACE.search(str(error))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _lines(found: Mapping[str, Any], table: str) -> Iterator[str]:
    values = {key: value for key, value in found.items() if value is not None and not isinstance(value, Mapping)}
    if table and (values or not found):
        yield f"\n[{table}]"
    for key, value in values.items():
        # Texts, numbers, true, false and lists of JSON are written so in TOML, too.
        yield f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}"
    for key, value in found.items():
        if isinstance(value, Mapping):
            yield from _lines(value, f"{table}.{_key(key)}" if table else _key(key))


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
