"""What the technicians' pages say of places and options is so."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest

from device.settings import Updates
from protocol.keys import PrivateKey
from protocol.release_keys import write_release_keys
from provisioning.cards.commands import card
from provisioning.cards.common import common_files
from provisioning.cli import join

pytestmark = pytest.mark.provisioning
ROOT = Path(__file__).resolve().parents[3]
PAGES = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("technician.md", "technician.zh.md")]


def test_the_release_keys_lie_where_the_pages_say(tmp_path: Path) -> None:
    (tmp_path / "release-keys.json").write_bytes(write_release_keys([PrivateKey.generate().public()]))
    found = common_files(wheelhouse=None, packages=None, release_keys=tmp_path / "release-keys.json", hardware=None)
    (on_card,) = (name for name, source in found.items() if b'"keys"' in (source if isinstance(source, bytes) else b""))
    assert len(json.loads(bytes(found[on_card]))["keys"]) == 1  # type: ignore[arg-type]
    on_terminal = Updates().release_keys
    script = bytes(found["lifecert/first-boot"]).decode()  # type: ignore[arg-type]
    assert "settings=$root/etc/lifecert\n" in script
    assert 'put "$card/release-keys.json" "$settings/release-keys.json"' in script
    for page in PAGES:
        assert f"`{on_card}`" in page
        assert f"`{on_terminal}`" in page


def test_what_is_compared_for_the_label_lies_where_the_pages_say() -> None:
    unit = (ROOT / "systemd/lifecert-join.service").read_text(encoding="utf-8")
    (status,) = re.findall(r"--status (\S+)", unit)
    for page in PAGES:
        assert f"tail -n 2 {status}`" in page
        assert len(re.findall(r"`[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}-[0-9A-Z]`", page)) == 1


@pytest.mark.parametrize("command", [card, join])
def test_every_option_on_the_pages_is_one(command: object) -> None:
    name = command.__name__  # type: ignore[attr-defined]
    declared = inspect.getsource(command)  # type: ignore[arg-type]
    known = {f"--{each.replace('_', '-')}" for each in inspect.signature(command).parameters}  # type: ignore[arg-type]
    known |= set(re.findall(r'"(--[a-z-]+)"', declared))
    for page in PAGES:
        commands = re.findall(rf"^[^\n`]*lifecert-provision {name} (?:[^\n]*\\\n)*[^\n]*$", page, re.MULTILINE)
        assert commands
        used = {option for each in commands for option in re.findall(r"--[a-z-]+", each)}
        assert used - known == set()
