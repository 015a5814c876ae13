from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from protocol.keys import PrivateKey
from protocol.release_keys import public_keys
from provisioning.cards.common import common_files
from provisioning.cards.wheelhouse import make_wheelhouse
from provisioning.errors import FileUnusable
from provisioning.wheels import missing_from

pytestmark = pytest.mark.provisioning


def wheel(
    folder: Path, name: str, version: str = "1.0", needs: tuple[str, ...] = (), tag: str = "py3-none-any"
) -> Path:
    """Make a small wheel as a build tool would."""
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {need}" for need in needs)]
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", "x = 1\n")
        file.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        file.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: {tag}\n")
        file.writestr(f"{info}/RECORD", "")
    return path


def pin(path: Path) -> str:
    name, version = path.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Registry:
    """A folder of wheels and a list of what is wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out, self.listed = folder / "registry", folder / "out", folder / "card.txt"
        self.folder.mkdir()
        own = folder / "own"
        own.mkdir()
        self.own = wheel(
            own,
            "lifecert",
            needs=(
                "small>=1",
                'old; python_version < "3.12"',
                'extra1; extra == "terminal"',
                'other; extra == "fleet"',
            ),
        )
        self.wheels = [
            wheel(self.folder, "pip"),
            wheel(self.folder, "small", tag="cp313-cp313-manylinux_2_28_aarch64"),
            wheel(self.folder, "extra1"),
        ]
        self.listed.write_text("".join(map(pin, self.wheels)))

    def make(self) -> list[Path]:
        return make_wheelhouse(
            self.out, machine="aarch64", python="3.13", requirements=self.listed, wheel=self.own, find_links=self.folder
        )


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def test_a_folder_for_another_computer_is_filled_and_complete_and_goes_on_a_card(registry: Registry) -> None:
    registry.out.mkdir()
    wheel(registry.out, "small", "0.9")
    names = [path.name for path in registry.make()]
    assert names == [
        "extra1-1.0-py3-none-any.whl",
        "lifecert-1.0-py3-none-any.whl",
        "pip-1.0-py3-none-any.whl",
        "requirements.txt",
        "small-1.0-cp313-cp313-manylinux_2_28_aarch64.whl",
    ]
    assert (registry.out / "requirements.txt").read_text().endswith(pin(registry.own))
    files = common_files(wheelhouse=registry.out, packages=None, release_keys=None, hardware=None)
    assert {f"lifecert/wheelhouse/{name}" for name in names} <= set(files)


def test_what_is_missing_is_missed_here(registry: Registry) -> None:
    registry.listed.write_text("".join(map(pin, registry.wheels[:2])))
    with pytest.raises(FileUnusable, match="not complete: lifecert needs extra1"):
        registry.make()
    assert not (registry.out / "requirements.txt").exists()
    with pytest.raises(FileUnusable, match=r"requirements\.txt is missing"):
        common_files(wheelhouse=registry.out, packages=None, release_keys=None, hardware=None)


def test_what_was_changed_on_its_way_is_refused(registry: Registry) -> None:
    registry.wheels[2].write_bytes(registry.wheels[2].read_bytes() + b"x")
    with pytest.raises(FileUnusable, match=r"(?i)hash"):
        registry.make()


def test_conditions_are_the_terminals_and_not_this_computers(tmp_path: Path) -> None:
    wheel(
        tmp_path,
        "a",
        needs=('b; python_version < "3.12"', 'c; platform_machine == "aarch64"', "d<1", 'e; extra == "x"'),
    )
    wheel(tmp_path, "d", "2.0")
    assert missing_from(tmp_path, machine="aarch64", python="3.13") == ["a needs c", "a needs d<1"]
    assert missing_from(tmp_path, machine="x86_64", python="3.11") == ["a needs b", "a needs d<1"]


@pytest.mark.parametrize(
    ("machine", "python", "told"),
    [("armv7l", "3.13", "machine"), ("aarch64", "3", "Python"), ("aarch64", "4.1", "Python")],
)
def test_another_machine_or_python_is_told(registry: Registry, machine: str, python: str, told: str) -> None:
    with pytest.raises(FileUnusable, match=told):
        make_wheelhouse(
            registry.out,
            machine=machine,
            python=python,
            requirements=registry.listed,
            wheel=registry.own,
            find_links=registry.folder,
        )


def test_release_keys_are_public_ones(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = PrivateKey.generate().public().model_dump()
    for keys, told in (
        ({"keys": [{**key, "d": "c"}]}, "private key"),
        ({"keys": []}, "1 to 16 keys"),
        ([], "not a JWK set"),
        # A terminal would take none of these.
        ({"keys": [{**key, "x": "a"}]}, "release keys|public key"),
        ({"keys": [key] * 17}, "1 to 16 keys"),
    ):
        path.write_text(json.dumps(keys))
        with pytest.raises(FileUnusable, match=told):
            common_files(wheelhouse=None, packages=None, release_keys=path, hardware=None)
    path.write_text(json.dumps({"keys": [key]}))
    found = common_files(wheelhouse=None, packages=None, release_keys=path, hardware=None)
    written = found["lifecert/release-keys.json"]
    assert isinstance(written, bytes)
    assert [each.model_dump() for each in public_keys(written)] == [key]
