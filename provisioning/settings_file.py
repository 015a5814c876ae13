"""The terminal's settings file, made from what the technician brought and what joining told. Pure."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from provisioning.errors import SettingsRefused
from provisioning.identity import FLEET, SEALING, SIGNING, STORAGE

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_GIVEN: Final = {"terminal": ("fleet_id", "terminal_id"), "keys": ("signing", "sealing", "storage")}
"""What this module sets and nobody else."""
RELEASE_KEYS: Final = "release-keys.json"
"""Beside the settings: who may sign updates."""
CREDENTIALS: Final = {
    "signing": f"credential:{SIGNING.partition('.')[0]}",
    "sealing": f"credential:{SEALING.partition('.')[0]}",
    "storage": f"credential:{STORAGE.partition('.')[0]}",
}
"""The keys as systemd gives them to the services of an installed terminal, and to nobody else."""
KEY_FILES: Final = {"signing": SIGNING, "sealing": SEALING, "storage": STORAGE}
"""The keys beside the settings, where no service of the system's is meant."""


def parse_part(text: str, *, name: str = "settings") -> dict[str, Any]:
    """Read what a technician wrote for the terminal: any of its settings but who it is, its keys and its broker.

    Args:
        text: the file.
        name: of the file, for messages.

    Raises:
        SettingsRefused: if it is no TOML, or says what joining says.
    """
    try:
        part = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsRefused(f"{name}: not TOML: {error}") from error
    said = [f"{table}.{key}" for table, keys in _GIVEN.items() for key in keys if key in _table(part, table, file=name)]
    said += [f"broker.{key}" for key in _table(part, "broker", file=name) if key != "keep_alive_s"]
    if said:
        raise SettingsRefused(f"{name}: {', '.join(said)}: leave it out, it comes with the claim")
    return part


def complete(
    part: Mapping[str, Any],
    *,
    fleet_id: str,
    terminal_id: str,
    broker_host: str,
    broker_port: int,
    files: Mapping[str, str],
    keys: Mapping[str, str] = CREDENTIALS,
) -> str:
    """Return the whole file. The fleet's identity and who may sign updates lie beside it, where the part does not say otherwise.

    Args:
        part: what `parse_part` read.
        fleet_id: the fleet that was joined.
        terminal_id: who this terminal is there.
        broker_host: as the fleet told it.
        broker_port: likewise.
        files: `tls_ca`, `tls_certificate` and `tls_key`, from the folder of the settings.
        keys: where the terminal's keys are, `CREDENTIALS` or `KEY_FILES`.
    """
    beside: dict[str, dict[str, Any]] = {"keys": {"fleet": FLEET}, "updates": {"release_keys": RELEASE_KEYS}}
    made: dict[str, dict[str, Any]] = {
        "terminal": {"fleet_id": fleet_id, "terminal_id": terminal_id},
        "keys": {**keys},
        "broker": {"host": broker_host, "port": broker_port, **files},
    }
    tables = {name: {**beside.get(name, {}), **_table(part, name), **made.get(name, {})} for name in (*made, "updates")}
    return to_toml({**part, **tables})


def wants(part: Mapping[str, Any], text: str) -> bool:
    """Say whether settings that were made before are what they would be made as from this part.

    Args:
        part: what `parse_part` read.
        text: the settings that are there.
    """
    try:
        there = tomllib.loads(text)
        made = complete(
            part,
            fleet_id=there["terminal"]["fleet_id"],
            terminal_id=there["terminal"]["terminal_id"],
            broker_host=there["broker"]["host"],
            broker_port=there["broker"]["port"],
            files={key: there["broker"][key] for key in there["broker"] if key.startswith("tls_")},
            keys={key: there["keys"][key] for key in KEY_FILES},
        )
    except (ValueError, KeyError, TypeError):
        # Somebody wrote them by hand.
        return False
    return tomllib.loads(made) == there


def to_toml(values: Mapping[str, Any]) -> str:
    """Return a table of plain values, lists and tables as TOML. Source: TOML 1.0.0."""
    return "".join(_lines(values, ())).lstrip("\n")


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = [f"\n[{'.'.join(map(_key, path))}]\n"] if path and (plain or not table) else []
    lines += [f"{_key(key)} = {_value(value)}\n" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _lines(value, (*path, key))
    return lines


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(key)} = {_value(each)}' for key, each in value.items())}}}"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _text(value: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _table(part: Mapping[str, Any], name: str, *, file: str = "settings") -> Mapping[str, Any]:
    found = part.get(name, {})
    if not isinstance(found, Mapping):
        raise SettingsRefused(f"{file}: {name} is a table of its own: [{name}]")
    return found
