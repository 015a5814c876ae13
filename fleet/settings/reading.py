"""Reads the settings file, with every problem of it at once."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fleet.errors import SettingsInvalid
from fleet.settings.part import Part
from fleet.settings.whole import Settings


def load_settings(path: Path) -> Settings:
    """Read a settings file.

    Raises:
        SettingsInvalid: with every problem found, each naming file and key.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsInvalid([f"{path}: no such file; `lifecert-fleet init --fleet-id NAME` writes one"]) from error
    except OSError as error:
        raise SettingsInvalid([f"{path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid([f"{path}: not TOML: {error}"]) from error
    try:
        settings = Settings.model_validate(found)
    except ValidationError as error:
        raise SettingsInvalid([f"{path}: {problem}" for problem in _problems(error)]) from error
    return _absolute(settings, path.parent.resolve())


def _absolute(settings: Settings, start: Path) -> Settings:
    parts = {}
    for name, part in settings:
        if isinstance(part, Part):
            files = {key: start / value for key, value in part if isinstance(value, Path)}
            parts[name] = part.model_copy(update=files)
    return settings.model_copy(update={"data_dir": start / settings.data_dir, **parts})


def _problems(error: ValidationError) -> list[str]:
    return [_problem(found["loc"], found["type"], found["msg"]) for found in error.errors(include_input=False)]


def _problem(where: tuple[int | str, ...], kind: str, message: str) -> str:
    key = ".".join(map(str, where)) or "settings"
    if kind != "extra_forbidden":
        return f"{key}: {message.removeprefix('Value error, ')}"
    known = _keys_of(where[:-1])
    near = difflib.get_close_matches(str(where[-1]), known, n=1)
    return f"{key}: unknown key" + (f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}")


def _keys_of(where: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for name in where:
        model = model.model_fields[str(name)].annotation
    return list(model.model_fields)
