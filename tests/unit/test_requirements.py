"""The hash-pinned lists have all that the project says it needs, at one version each, and name no place to fetch it from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LISTS = {
    "dev": (("dev",), "3.11", "x86_64"),
    "fleet": (("fleet",), "3.11", "x86_64"),
    "terminal": (("terminal", "provision"), "3.11", "aarch64"),
    "card": (("terminal", "provision"), "3.13", "aarch64"),
    "camera": (("terminal", "camera"), "3.13", "aarch64"),
}
"""Which extras each is for, and on what it is installed at least."""
PIN = re.compile(r"^(\S+==\S+(?: ; [^\\\n]+)?) ?((?:\\\n {4}--hash=sha256:[0-9a-f]{64} ?)*)$", re.MULTILINE)


def wanted(*extras: str) -> Iterator[Requirement]:
    """Give what the project needs with these extras, and what those name of it again."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for text in project["dependencies"]:
        yield Requirement(text)
    for extra in extras:
        for text in project["optional-dependencies"][extra]:
            found = Requirement(text)
            if found.name == project["name"]:
                yield from wanted(*found.extras)
            else:
                yield found


def pinned(name: str) -> list[tuple[Requirement, str]]:
    """Return the pins of a list, each with its hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    found = PIN.findall(text)
    # Nothing stands in it but pins: no option, no address.
    assert PIN.sub("", text).strip() == ""
    return [(Requirement(pin), hashes) for pin, hashes in found]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_pins_all_that_is_needed_by_hash(name: str) -> None:
    extras, python, machine = LISTS[name]
    there = {**default_environment(), "python_version": python, "sys_platform": "linux", "platform_machine": machine}

    def counts(requirement: Requirement) -> bool:
        return requirement.marker is None or requirement.marker.evaluate(there)

    pins = pinned(name)
    assert [str(pin) for pin, hashes in pins if not hashes] == []
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin, _ in pins if counts(pin)}
    missing = [
        str(each)
        for each in wanted(*extras)
        if counts(each)
        and not each.specifier.contains(versions.get(canonicalize_name(each.name), "0"), prereleases=True)
    ]
    assert missing == []


@pytest.mark.parametrize("name", [name for name in LISTS if name != "dev"])
def test_what_is_installed_is_what_is_tested(name: str) -> None:
    tested = {(canonicalize_name(pin.name), str(pin.specifier)) for pin, _ in pinned("dev")}
    names = {name for name, _ in tested}
    found = {(canonicalize_name(pin.name), str(pin.specifier)) for pin, _ in pinned(name)}
    assert {each for each in found if each[0] in names} - tested == set()
