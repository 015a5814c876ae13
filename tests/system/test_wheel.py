"""What is installed from a wheel is what runs from the checkout."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.system.conftest import PACKAGES

pytestmark = pytest.mark.system
_DATA = ".data/data/share/lifecert/"


def test_a_wheel_holds_every_file_of_the_packages_and_the_units(project_source: Path, project_wheel: Path) -> None:
    wanted = {
        str(path.relative_to(project_source))
        for package in (*PACKAGES, "systemd")
        for path in (project_source / package).rglob("*")
        if path.is_file()
    }
    held = {name.rpartition(_DATA)[2] for name in zipfile.ZipFile(project_wheel).namelist()}
    assert (wanted | {"requirements/card.txt"}) - held == set()
