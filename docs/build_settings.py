#!/usr/bin/env python3
"""Write `docs/settings.md` from the models of `device.settings`; with `--check`, say whether the page is current."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from device.settings import SecretFile, Section, sections

PAGE = Path(__file__).resolve().parent / "settings.md"
_UNITS = {
    "_per_s": "per second",
    "_s": "seconds",
    "_bytes": "bytes",
    "_pin": "BCM number",
    "_hz": "hertz",
    "_rows": "records",
}
_BOUNDS = (
    ("ge", "≥ {}"),
    ("gt", "> {}"),
    ("le", "≤ {}"),
    ("lt", "< {}"),
    ("min_length", "at least {} long"),
)

_INTRO = """# Settings of the terminal

<!-- Made by docs/build_settings.py from device/settings.py; change those. -->

`lifecert-terminal` and its uplink read one TOML file at start. A key that is not listed here is an error, and all errors of a
file are reported together (exit code 78); `lifecert-terminal check-settings --config FILE` does so on any computer.
Relative paths count from the folder of the file. Where a secret file is asked for,
`credential:NAME` stands for a file handed over by systemd (`LoadCredential=NAME:...`). Thresholds of the certification
session are not settings: they are the fleet's signed policy.
"""


def page() -> str:
    """Return the whole page."""
    parts = [_INTRO]
    for name, model in sections():
        parts.append(f"\n## [{name}]\n\n{(model.__doc__ or '').strip()}\n\n")
        parts.append("| key | unit | values | default | what and why |\n|---|---|---|---|---|\n")
        reasons = _reasons(model)
        parts.extend(_row(key, field, reasons.get(key, "")) for key, field in model.model_fields.items())
    return "".join(parts)


def _reasons(model: type[Section]) -> dict[str, str]:
    """Return what the source says under each field."""
    return {
        field.target.id: " ".join(text.value.value.split())
        for definition in ast.parse(textwrap.dedent(inspect.getsource(model))).body
        if isinstance(definition, ast.ClassDef)
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _row(key: str, field: FieldInfo, why: str) -> str:
    unit = next((text for suffix, text in _UNITS.items() if key.endswith(suffix)), "")
    return f"| `{key}` | {unit} | {_values(field)} | {_default(field)} | {why} |\n"


def _values(field: FieldInfo) -> str:
    bounds = [
        text.format(value)
        for metadata in field.metadata
        for name, text in _BOUNDS
        if (value := getattr(metadata, name, None)) is not None
    ]
    patterns = [f"`{pattern}`" for m in field.metadata if (pattern := getattr(m, "pattern", None))]
    return ", ".join([_type(field.annotation), *bounds, *patterns])


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in {Union, UnionType}:
        return " or ".join(_type(part) for part in arguments if part is not NoneType)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is not None and arguments:
        return _type(arguments[0])
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", SecretFile: "secret file"}
    return "path" if isinstance(annotation, type) and issubclass(annotation, Path) else names.get(annotation, "value")


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "must be given"
    if value is None:
        return "none"
    if isinstance(value, SecretFile):
        value = str(value.path)
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{value}`"


def undocumented() -> list[str]:
    """Return the keys that say nothing about themselves."""

    def keys(name: str, model: type[Section]) -> list[str]:
        reasons = _reasons(model)
        return [f"{name}.{key}" for key in model.model_fields if not reasons.get(key)]

    return [key for name, model in sections() for key in keys(name, model)]


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(
            0
            if PAGE.read_text(encoding="utf-8") == page()
            else "docs/settings.md is not current: run docs/build_settings.py"
        )
    PAGE.write_text(page(), encoding="utf-8")
