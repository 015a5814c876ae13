#!/usr/bin/env python3
"""Write `docs/settings-fleet.md` from the models of `fleet.settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fleet.settings import Settings

PAGE = Path(__file__).resolve().parent / "settings-fleet.md"
_UNITS = {"_s": "seconds", "_months": "months", "_days": "days", "_mib": "MiB", "_messages": "messages"}
_INTRO = """# Settings of the fleet

<!-- Made by docs/build_fleet_settings.py from fleet/settings/; change those. -->

`lifecert-fleet` reads one TOML file at start (`--config`, by default `fleet.toml`). A key that is not listed here is an error, and all
errors of a file are reported together (exit code 78). Relative paths count from the folder of the file.
"""


def page() -> str:
    """Return the whole page."""
    plain = {name: field for name, field in Settings.model_fields.items() if _section(field.annotation) is None}
    parts = [_INTRO, _table("Top of the file", Settings, plain)]
    for name, field in Settings.model_fields.items():
        model = _section(field.annotation)
        if model is not None:
            parts.append(_table(f"[{name}]", model, dict(model.model_fields)))
    return "".join(parts)


def undocumented() -> list[str]:
    """Return the keys that say nothing about themselves."""
    models: list[type[BaseModel]] = [Settings]
    models += [m for f in Settings.model_fields.values() if (m := _section(f.annotation)) is not None]
    return [key for model in models for key, field in model.model_fields.items() if not field.description]


def _section(annotation: Any) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _table(title: str, model: type[BaseModel], fields: dict[str, Any]) -> str:
    schema = model.model_json_schema()["properties"]
    text = f"\n## {title}\n\n{(model.__doc__ or '').strip()}\n\n"
    text += "| key | unit | values | default | what and why |\n|---|---|---|---|---|\n"
    for key, field in fields.items():
        unit = next((name for suffix, name in _UNITS.items() if key.endswith(suffix)), "")
        says = " ".join((field.description or "").split())
        text += f"| `{key}` | {unit} | {_values(schema[key])} | {_default(field)} | {says} |\n"
    return text


def _values(schema: dict[str, Any]) -> str:
    choice = next((part for part in schema.get("anyOf", ()) if part.get("type") != "null"), schema)
    if "enum" in choice:
        return " or ".join(f"`{value}`" for value in choice["enum"])
    bounds = [f"{sign} {choice[name]:g}" for name, sign in _BOUNDS.items() if name in choice]
    pattern = [f"`{choice['pattern']}`" for _ in range("pattern" in choice)]
    kind = "path" if choice.get("format") == "path" else _KINDS[choice["type"]]
    return ", ".join([kind, *bounds, *pattern])


_KINDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "array": "list of text",
    "object": "table",
}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def _default(field: Any) -> str:
    if field.is_required():
        return "must be given"
    if field.default is None:
        return "none"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    value = field.default.get_secret_value() if hasattr(field.default, "get_secret_value") else field.default
    return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
