"""The wiring picture is current and shows every pin of the settings."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from device.header import PINS, physical
from device.settings import Board

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_wiring", ROOT / "docs" / "build_wiring.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_current(builder: ModuleType) -> None:
    assert (ROOT / "docs" / "wiring.svg").read_text(encoding="utf-8") == builder.picture(), "run make docs"


def test_every_pin_is_there_with_both_numbers_and_where_it_leads(builder: ModuleType) -> None:
    texts = [element.text for element in ET.fromstring(builder.picture()).iter() if element.text]
    assert set(builder.LEADS) == set(Board().pins())
    assert all(lead.text in texts for lead in builder.LEADS.values())
    assert all(str(number) in texts for number in range(1, 41))
    assert all(f"GPIO {pin}" in texts for pin in PINS if isinstance(pin, int))


def test_the_picture_follows_the_settings(builder: ModuleType) -> None:
    moved = builder.picture(Board(start_pin=5))
    squares = re.findall(r'fill="(#\w+)" stroke="#555555"/>', moved)
    assert squares[physical(5) - 1] == builder.LEADS["start_pin"].colour
    assert squares[physical(17) - 1] == "#ffffff"
