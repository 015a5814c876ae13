"""An identity that is being made, cut off at any moment, is there or can be made, and no copy of a key stays."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from protocol.keys import PrivateKey
from protocol.registration import read_registration
from provisioning.errors import AlreadyThere
from provisioning.identity import REGISTRATION, SEALING, SIGNING, STORAGE, make_identity, sweep_identity
from tests.cutting import is_cut_off

pytestmark = pytest.mark.provisioning
MOMENT = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)
FILES = sorted((SIGNING, SEALING, STORAGE, REGISTRATION))


def make(folder: Path) -> None:
    make_identity("north", "t-1", folder, moment=MOMENT)


def files(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.is_file()) if folder.exists() else []


def is_whole(folder: Path) -> bool:
    registration = read_registration((folder / REGISTRATION).read_bytes())
    pairs = ((registration.signing_key, SIGNING), (registration.sealing_key, SEALING))
    return all(key == PrivateKey.load(folder / name).public() for key, name in pairs) and (
        len((folder / STORAGE).read_bytes()) == 32
    )


@pytest.mark.parametrize("torn", [False, True])
def test_it_is_there_or_can_be_made_after_a_cut_anywhere(tmp_path: Path, torn: bool) -> None:
    at, left, begun = 0, set(), 0
    while True:
        folder = tmp_path / str(at)
        was_cut = is_cut_off(lambda: make(folder), folder, at=at, torn=torn)  # noqa: B023 - called at once
        found = files(folder)
        if not was_cut:
            break
        left.add(len(found))
        if REGISTRATION in found:
            assert found == FILES, "a registration is there with all its keys, or not at all"
            before = (folder / REGISTRATION).read_bytes()
            sweep_identity(folder)
            assert (folder / REGISTRATION).read_bytes() == before
        else:
            make(folder)
            begun += 1
        assert sorted(each.name for each in folder.iterdir()) == FILES
        assert is_whole(folder)
        at += 1
    assert left == {0, 1, 2, 3, 4}
    assert begun > 5


def test_what_is_taken_up_again_may_be_cut_off_as_well(tmp_path: Path) -> None:
    def cut_off_before_registration(folder: Path) -> bool:
        assert is_cut_off(lambda: make(folder), folder, at=before), "it never came to that"
        return files(folder) == sorted({*FILES} - {REGISTRATION})

    before = 0
    while not cut_off_before_registration(tmp_path / f"tried {before}"):
        before += 1
    at = 0
    while True:
        folder = tmp_path / str(at)
        assert cut_off_before_registration(folder)
        if not is_cut_off(lambda: make(folder), folder, at=at):  # noqa: B023 - called at once
            break
        if not (folder / REGISTRATION).exists():
            make(folder)
        sweep_identity(folder)
        assert sorted(each.name for each in folder.iterdir()) == FILES
        assert is_whole(folder)
        at += 1
    assert at > 10


@pytest.mark.parametrize("number", range(4))
def test_whoever_interrupts_it_may_begin_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    done: list[object] = []

    def link(source: Path, target: Path) -> None:
        if len(done) == number:
            raise KeyboardInterrupt
        done.append(target)
        real(source, target)

    real = os.link
    monkeypatch.setattr(os, "link", link)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(os, "link", real)
    make(tmp_path)
    assert is_whole(tmp_path)


def test_a_key_that_no_cut_explains_stays(tmp_path: Path) -> None:
    PrivateKey.generate().save(tmp_path / SIGNING)
    before = (tmp_path / SIGNING).read_bytes()
    # Nor is one taken for what was cut off because there is a folder of that kind.
    (tmp_path / ".identity-x").mkdir()
    PrivateKey.generate().save(tmp_path / ".identity-x" / SIGNING)
    with pytest.raises(AlreadyThere, match=r"signing\.pem"):
        make(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [SIGNING]
    assert (tmp_path / SIGNING).read_bytes() == before
