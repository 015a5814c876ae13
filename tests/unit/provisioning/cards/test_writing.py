from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from protocol.provisioning import ProvisioningClaim
from provisioning.cards.contents import FOLDER, MARK, USER_DATA, Wanted
from provisioning.cards.fat import Boot, FolderBoot, open_boot
from provisioning.cards.planning import plan
from provisioning.cards.writing import is_finished, look_over, steps, what_is_on, write
from provisioning.errors import FileUnusable, NotWritten, WrongImage
from tests.unit.provisioning.cards.conftest import OF_THE_IMAGE, make_image, program

pytestmark = pytest.mark.provisioning
ClaimFor = Callable[..., ProvisioningClaim]


class PowerGone(Exception):
    """The plug was pulled."""


class CutBoot:
    """A boot partition whose power goes at one of the steps that change it: that step is done in part, or not at all."""

    def __init__(self, boot: Boot, at: int | None, *, is_torn: bool = False) -> None:
        self._boot, self._at, self._is_torn = boot, at, is_torn
        self.count = 0

    def names(self, folder: str = "") -> frozenset[str]:
        return self._boot.names(folder)

    def read(self, name: str) -> bytes | None:
        return self._boot.read(name)

    def free(self) -> int:
        return self._boot.free()

    def make_folder(self, name: str) -> None:
        self._step(lambda: self._boot.make_folder(name))

    def write(self, folder: str, sources: Mapping[str, Path | bytes]) -> None:
        torn = dict(sources)
        last = sorted(torn)[-1]
        torn[last] = torn[last][: len(torn[last]) // 2] if isinstance(torn[last], bytes) else b"half"
        self._step(lambda: self._boot.write(folder, sources), lambda: self._boot.write(folder, torn))

    def rename(self, old: str, new: str) -> None:
        self._step(lambda: self._boot.rename(old, new))

    def remove(self, name: str) -> None:
        self._step(lambda: self._boot.remove(name))

    def sync(self) -> None:
        self._boot.sync()

    def _step(self, does: Callable[[], None], half: Callable[[], None] | None = None) -> None:
        self.count += 1
        if self.count == self._at:
            if self._is_torn and half is not None:
                half()
            raise PowerGone
        does()


def nothing(_text: str) -> None:
    return


def of_the_image(folder: Path) -> FolderBoot:
    folder.mkdir(parents=True)
    for name, data in OF_THE_IMAGE.items():
        (folder / name).write_bytes(data)
    return FolderBoot(folder)


def is_whole(boot: Boot, files: Mapping[str, Path | bytes]) -> bool:
    return all(boot.read(name) == data for name, data in files.items() if name != USER_DATA)


@pytest.fixture
def files(claim_for: ClaimFor, tmp_path: Path) -> dict[str, Path | bytes]:
    wheel = tmp_path / "a.whl"
    wheel.write_bytes(b"w" * 3000)
    common = {f"{FOLDER}/first-boot": b"#!/bin/sh\n", f"{FOLDER}/wheelhouse/a.whl": wheel}
    return plan(Wanted(claim_for(), "t-1", "t-1"), common)


def test_what_would_be_done_is_a_short_list_of_short_lines(files: dict[str, Path | bytes]) -> None:
    wheels: dict[str, Path | bytes] = {
        f"{FOLDER}/wheelhouse/a_wheel_with_a_long_name-{number}-cp313-cp313-manylinux_2_34_aarch64.whl": b"w" * 1000
        for number in range(40)
    }
    told = steps({**files, **wheels})
    assert f"write {FOLDER}/wheelhouse (41 files, 43000 bytes)" in told
    assert told[-2:] == ["read all of it back", "write user-data"]
    assert f"write {FOLDER}/claim.json ({len(files[f'{FOLDER}/claim.json'])} bytes)" in told  # type: ignore[arg-type]
    assert len(told) < 15
    assert max(map(len, told)) <= 80


@pytest.mark.parametrize("is_torn", [False, True], ids=["cut", "torn"])
@pytest.mark.parametrize("is_second", [False, True], ids=["new", "again"])
def test_after_a_cut_at_any_step_a_card_starts_as_nothing_or_as_it_should_and_the_next_try_repairs_it(
    files: dict[str, Path | bytes], claim_for: ClaimFor, tmp_path: Path, is_second: bool, is_torn: bool
) -> None:
    before = plan(Wanted(claim_for("t-0"), "t-0", "t-0"), {f"{FOLDER}/first-boot": b"old", f"{FOLDER}/old.whl": b"o"})

    def begun(folder: Path) -> FolderBoot:
        boot = of_the_image(folder)
        if is_second:
            write(boot, before, say=nothing)
        return boot

    whole = CutBoot(begun(tmp_path / "whole"), None)
    write(whole, {**files, f"{FOLDER}/wheelhouse/a.whl": b"w" * 3000}, say=nothing)
    assert whole.count > 8
    for at in range(1, whole.count + 1):
        boot = begun(tmp_path / str(at))
        with pytest.raises(PowerGone):
            write(CutBoot(boot, at, is_torn=is_torn), files_with(files), say=nothing)
        started_by = boot.read(USER_DATA)
        if started_by == files[USER_DATA]:
            assert is_whole(boot, files_with(files))
        elif started_by == before[USER_DATA]:
            assert is_whole(boot, before)
        else:
            assert started_by in (None, OF_THE_IMAGE[USER_DATA])
        look_over(boot)
        write(boot, files_with(files), say=nothing)
        assert is_finished(boot, files_with(files))
        assert boot.read(f"{FOLDER}/old.whl") is None


def files_with(files: dict[str, Path | bytes]) -> dict[str, Path | bytes]:
    return {name: data if isinstance(data, bytes) else data.read_bytes() for name, data in files.items()}


def test_a_real_image_is_written_and_read_back(image: Path, files: dict[str, Path | bytes]) -> None:
    boot = open_boot(image)
    look_over(boot)
    assert not is_finished(boot, files)
    write(boot, files, say=nothing)
    write(boot, files, say=nothing)
    assert is_finished(boot, files)
    assert is_whole(boot, files_with(files))
    assert boot.read("config.txt") == OF_THE_IMAGE["config.txt"]
    checked = subprocess.run(
        [program("mtype"), "-i", f"{image}@@4M", "::/user-data"], capture_output=True, check=True
    ).stdout
    assert MARK in checked


def test_a_card_that_gives_back_something_else_is_told(image: Path, files: dict[str, Path | bytes]) -> None:
    class Forgetful(CutBoot):
        def read(self, name: str) -> bytes | None:
            found = super().read(name)
            return found[:-1] if found and name.endswith("a.whl") else found

    with pytest.raises(NotWritten, match=r"a\.whl: what was read back is something else"):
        write(Forgetful(open_boot(image), None), files, say=nothing)
    assert MARK not in (open_boot(image).read(USER_DATA) or b"")


def test_what_does_not_fit_is_told_before_anything_is_written(
    image: Path, files: dict[str, Path | bytes], tmp_path: Path
) -> None:
    with (tmp_path / "large.whl").open("wb") as large:
        large.truncate(60 * 2**20)
    with pytest.raises(WrongImage, match=r"MiB free, .* are needed"):
        write(open_boot(image), {**files, f"{FOLDER}/wheelhouse/large.whl": tmp_path / "large.whl"}, say=nothing)
    assert open_boot(image).read(USER_DATA) == OF_THE_IMAGE[USER_DATA]


def test_what_a_card_holds_is_said_before_it_is_overwritten(
    image: Path, files: dict[str, Path | bytes], tmp_path: Path
) -> None:
    assert what_is_on(image) == "a system for a Raspberry Pi"
    write(open_boot(image), files, say=nothing)
    assert what_is_on(image) == "the set-up of terminal t-1 of fleet north"
    (tmp_path / "text.img").write_text("not an image")
    assert what_is_on(tmp_path / "text.img") == "nothing that a Raspberry Pi starts from"


def test_images_of_something_else_are_told(tmp_path: Path) -> None:
    other = make_image(tmp_path / "other.img", boot_mib=36, files={"bootmgr": b"x"})
    with pytest.raises(WrongImage, match=r"no cmdline\.txt and no config\.txt"):
        look_over(open_boot(other))
    old = make_image(tmp_path / "old.img", boot_mib=36, files={"config.txt": b"x", "cmdline.txt": b"x"})
    with pytest.raises(WrongImage, match="takes no set-up"):
        look_over(open_boot(old))
    (tmp_path / "text.img").write_text("not an image")
    with pytest.raises(WrongImage, match=r"text\.img: no partition table"):
        open_boot(tmp_path / "text.img")
    with pytest.raises(FileUnusable, match="No such file"):
        open_boot(tmp_path / "nowhere.img")


def test_steps_name_files_and_show_none(files: dict[str, Path | bytes]) -> None:
    told = "\n".join(steps(files))
    assert told.endswith(f"write {USER_DATA}")
    assert "lifecert/claim.json (" in told
    assert b"BEGIN CERTIFICATE" not in told.encode()
