"""`lifecert-provision card` and `labels` as they are typed, on real images."""

from __future__ import annotations

import json
import lzma
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from protocol.provisioning import ProvisioningClaim
from provisioning.cards.contents import MARK
from provisioning.cards.fat import open_boot
from provisioning.cli import app
from tests.unit.provisioning.cards.conftest import START, deb, make_image, program

pytestmark = pytest.mark.provisioning
ClaimFor = Callable[..., ProvisioningClaim]
SECRET = "hunter22secret"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def said(result: Result) -> str:
    return result.stdout + result.stderr


@pytest.fixture
def claim(claim_for: ClaimFor, tmp_path: Path) -> Path:
    path = tmp_path / "t-1.claim"
    path.write_bytes(claim_for().to_bytes())
    return path


@pytest.fixture
def wifi(tmp_path: Path) -> tuple[object, ...]:
    (tmp_path / "pw").write_text(f"{SECRET}\n")
    return ("--wifi-ssid", "Hall", "--wifi-password-file", tmp_path / "pw", "--wifi-country", "CN")


def test_a_card_is_written_again_and_again_and_nothing_secret_is_said(
    image: Path, claim: Path, claim_for: ClaimFor, wifi: tuple[object, ...]
) -> None:
    code = ProvisioningClaim.parse(claim.read_bytes()).code
    before = image.read_bytes()
    told = run("card", image, "--claim", claim, *wifi, "--dry-run")
    assert told.exit_code == 0, told.stderr
    assert "write user-data" in told.stdout
    assert image.read_bytes() == before
    for _ in range(2):
        done = run("card", image, "--claim", claim, *wifi, "--json")
        assert done.exit_code == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["terminal_id"], found["wifi"], found["written"]) == ("t-1", "Hall", True)
        for each in (told, done):
            assert SECRET not in said(each)
            assert code not in said(each)
    boot = open_boot(image)
    assert json.loads(boot.read("lifecert/claim.json") or b"")["code"] == code
    psk = json.loads(boot.read("network-config") or b"")["network"]["wifis"]["wlan0"]["access-points"]["Hall"][
        "password"
    ]
    assert len(psk) == 64
    assert psk not in said(told) + said(done)


@pytest.mark.parametrize(
    ("changes", "arguments", "told", "code"),
    [
        (
            {"expires_at": datetime(2026, 1, 1, tzinfo=UTC)},
            (),
            "was good until 2026-01-01 00:00 UTC; get another claim",
            1,
        ),
        ({}, ("--terminal", "t-2"), "is for terminal t-1, not for t-2", 1),
        ({"terminal_id": None}, (), "names no terminal; say which with --terminal", 1),
        ({}, ("--hostname", "Hall_1"), "host name", 1),
        ({}, ("--gateway", "192.0.2.1"), "without --address", 2),
        ({}, ("--wifi-password-file", "x"), "without --wifi-ssid", 2),
        ({}, ("--image", "x"), "--image is for cards", 2),
        ({}, ("--wheelhouse", "nowhere"), "there is no such folder", 1),
        ({}, ("--packages", "nowhere"), "there is no such folder", 1),
        ({}, ("--settings", "nowhere"), "No such file", 1),
        ({}, ("--ssh-key", "nowhere"), "cannot be read as a public key", 1),
        ({}, ("--claims", "x", "--no-labels"), "--claims, --no-labels: with --batch only", 2),
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_nothing_is_written(
    image: Path,
    claim_for: ClaimFor,
    tmp_path: Path,
    changes: dict[str, object],
    arguments: tuple[str, ...],
    told: str,
    code: int,
) -> None:
    path = tmp_path / "c.claim"
    path.write_bytes(claim_for(**changes).to_bytes())
    before = image.read_bytes()
    done = run("card", image, "--claim", path, *arguments)
    assert done.exit_code == code
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert image.read_bytes() == before


def test_a_claim_that_cannot_be_read_a_packed_image_and_no_target_are_said(
    image: Path, claim: Path, tmp_path: Path
) -> None:
    (tmp_path / "torn.claim").write_bytes(claim.read_bytes()[:100])
    torn = run("card", image, "--claim", tmp_path / "torn.claim")
    assert (torn.exit_code, "not a claim" in torn.stderr) == (1, True)
    packed = tmp_path / "os.img.xz"
    packed.write_bytes(b"\xfd7zXZ\0")
    found = run("card", packed, "--claim", claim)
    assert (found.exit_code, "unpack it first" in found.stderr) == (1, True)
    assert run("card", "--claim", claim).exit_code == 2
    assert run("card", tmp_path / "nowhere.img", "--claim", claim).exit_code == 1
    assert run("card", image).exit_code == 2
    mistyped = run("card", "/dev/no-such-card", "--image", image, "--claim", claim)
    assert (mistyped.exit_code, "no card" in mistyped.stderr) == (1, True)
    missing = run("card", image, "--claim", claim, "--wheelhouse", tmp_path / "whelhouse")
    assert (missing.exit_code, "there is no such folder" in missing.stderr) == (1, True)


def test_an_image_stays_as_it_is_where_another_one_is_named(image: Path, claim: Path, tmp_path: Path) -> None:
    before = image.read_bytes()
    done = run("card", image, "--claim", claim, "--out", tmp_path / "t-1.img")
    assert done.exit_code == 0, done.stderr
    assert image.read_bytes() == before
    assert MARK in (open_boot(tmp_path / "t-1.img").read("user-data") or b"")


def test_it_is_said_what_a_terminal_of_such_a_card_would_lack(image: Path, claim: Path, tmp_path: Path) -> None:
    lacks = ("no --wheelhouse", "no --packages", "no [ring_light]", "no [screen]", "no --release-keys", "no --ssh-key")
    told = run("card", image, "--claim", claim, "--dry-run").stderr
    assert [each for each in lacks if each not in told] == []
    parts = tmp_path / "parts.toml"
    parts.write_text('[ring_light]\nkind = "gpiozero"\n[screen]\nkind = "web"\n')
    told = run("card", image, "--claim", claim, "--settings", parts, "--dry-run").stderr
    assert [each for each in lacks if each in told] == [each for each in lacks if each.startswith("no --")]


def test_what_would_be_done_is_what_is_done(image: Path, claim: Path, tmp_path: Path) -> None:
    folder, packed, new = tmp_path / "bootfs", tmp_path / "os.img.xz", tmp_path / "new.img"
    packed.write_bytes(lzma.compress(image.read_bytes(), preset=0))
    for arguments, target, first in (
        ((image, "--out", new), new, f"copy {image} to {new}"),
        ((packed, "--out", new), new, f"unpack {packed} into {new}, and look it over"),
        ((folder,), folder, f"make the folder {folder}"),
    ):
        before = sorted(tmp_path.iterdir())
        told = run("card", *arguments, "--claim", claim, "--dry-run")
        assert told.exit_code == 0, told.stderr
        assert told.stdout.splitlines()[0] == first
        assert f"{target} would be written for terminal t-1" in told.stdout
        assert sorted(tmp_path.iterdir()) == before
        done = run("card", *arguments, "--claim", claim)
        assert done.exit_code == 0, done.stderr
        assert f"{target} is ready for terminal t-1" in done.stdout
        assert "an earlier try" not in done.stderr
        new.unlink(missing_ok=True)
    assert run("card", folder, "--claim", claim, "--dry-run").exit_code == 0
    assert "taking away what an earlier try left" in run("card", folder, "--claim", claim).stderr


@pytest.mark.parametrize("packed", [True, False])
def test_a_new_image_that_was_not_set_up_does_not_stay(claim: Path, tmp_path: Path, packed: bool) -> None:
    # All is well with it, until the room for another megabyte is asked for.
    full = make_image(tmp_path / "full.img", boot_mib=34)
    (tmp_path / "bulk").write_bytes(bytes(32 * 1024 * 1024))
    subprocess.run([program("mcopy"), "-i", f"{full}@@{START * 512}", tmp_path / "bulk", "::/bulk"], check=True)
    source = full
    if packed:
        source = tmp_path / "full.img.xz"
        source.write_bytes(lzma.compress(full.read_bytes(), preset=0))
    (tmp_path / "hardware.txt").write_text("x" * 2_000_000)
    before = sorted(tmp_path.iterdir())
    done = run("card", source, "--out", tmp_path / "new.img", "--claim", claim, "--hardware", tmp_path / "hardware.txt")
    assert (done.exit_code, "MiB are needed" in done.stderr) == (1, True)
    assert sorted(tmp_path.iterdir()) == before


def test_another_terminals_set_up_is_not_written_over_unasked(
    image: Path, claim: Path, claim_for: ClaimFor, tmp_path: Path
) -> None:
    (tmp_path / "t-2.claim").write_bytes(claim_for("t-2").to_bytes())
    (tmp_path / "south.claim").write_bytes(claim_for(fleet_id="south").to_bytes())
    stock = tmp_path / "stock.img"
    stock.write_bytes(image.read_bytes())
    folder = tmp_path / "bootfs"
    for place in (image, folder):
        assert run("card", place, "--claim", claim).exit_code == 0
    before = image.read_bytes()
    for place, other, *more in (
        (image, "t-2"),
        (image, "t-2", "--dry-run"),
        (image, "south"),
        (folder, "t-2"),
        (stock, "t-2", "--out", image),
    ):
        done = run("card", place, "--claim", tmp_path / f"{other}.claim", *more)
        assert done.exit_code == 1
        assert "holds the set-up of terminal t-1 of fleet north; nothing was changed" in done.stderr
    assert image.read_bytes() == before
    assert json.loads((folder / "lifecert/card.json").read_text())["terminal_id"] == "t-1"
    # The same terminal with another claim is no other one.
    (tmp_path / "again.claim").write_bytes(claim_for().to_bytes())
    assert run("card", image, "--claim", tmp_path / "again.claim").exit_code == 0
    assert run("card", image, "--claim", tmp_path / "t-2.claim", "--again").exit_code == 0
    assert json.loads(open_boot(image).read("lifecert/card.json") or b"")["terminal_id"] == "t-2"


def test_a_batch_leaves_what_another_terminal_or_fleet_has_in_its_folder(claim_for: ClaimFor, tmp_path: Path) -> None:
    afternoon = Afternoon(tmp_path, claim_for, 2)
    assert afternoon.made("--no-labels") == [("hall-1", True), ("hall-2", True)]
    for name in ("hall-1", "hall-2"):
        afternoon.claim(name, claim_for(name, fleet_id="south"))
    done = afternoon.run("--no-labels")
    assert done.exit_code == 1
    assert [line.partition(";")[0] for line in done.stderr.splitlines()] == [
        f"hall-{n}: holds the set-up of terminal hall-{n} of fleet north" for n in (1, 2)
    ]
    assert afternoon.made("--no-labels", "--again") == [("hall-1", True), ("hall-2", True)]


def test_a_mounted_boot_partition_is_a_folder_like_any_other(claim: Path, tmp_path: Path) -> None:
    mounted = tmp_path / "bootfs"
    mounted.mkdir()
    (mounted / "config.txt").write_text("[all]\n")
    wrong = run("card", mounted, "--claim", claim)
    assert (wrong.exit_code, "no cmdline.txt" in wrong.stderr) == (1, True)
    (mounted / "cmdline.txt").write_text("x")
    (mounted / "meta-data").write_text("x")
    done = run(
        "card", mounted, "--claim", claim, "--settings", settings_part(tmp_path), "--ssh-key", public_key(tmp_path)
    )
    assert done.exit_code == 0, done.stderr
    assert (mounted / "lifecert/settings.toml").read_text() == '[screen]\nkind = "web"\n'
    assert "ssh-ed25519 AAAA" in (mounted / "user-data").read_text()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[screen]\nkind = web\n", ["part.toml: not TOML"]),
        ('[broker]\nhost = "x"\n', ["part.toml: broker.host: leave it out"]),
        # What only the terminal itself knows: keys, values, and what does not go together, all at once.
        (
            '[screen]\nkin = "web"\n[voice]\nvolume = 2\n[board]\nred_pin = 17\n',
            [
                "part.toml: screen.kin: unknown key, did you mean screen.kind?",
                "part.toml: voice.volume: input should be less than or equal to 1, found 2",
                "part.toml: board: two functions on one pin: GPIO 17",
            ],
        ),
        ('[ring_light]\nkind = "simulated"\n', ["part.toml: ring_light: a simulated light needs a simulated camera"]),
    ],
)
def test_settings_that_a_terminal_would_not_start_with_are_told_before_anything_is_written(
    image: Path, claim: Path, tmp_path: Path, text: str, told: list[str]
) -> None:
    (tmp_path / "part.toml").write_text(text)
    before = image.read_bytes()
    done = run("card", image, "--claim", claim, "--settings", tmp_path / "part.toml")
    assert done.exit_code == 78
    lines = done.stderr.splitlines()
    assert len(lines) == len(told)
    assert [each for each in told if not any(line.startswith(each) for line in lines)] == []
    assert image.read_bytes() == before


def settings_part(folder: Path) -> Path:
    (folder / "part.toml").write_text('[screen]\nkind = "web"\n')
    return folder / "part.toml"


def public_key(folder: Path) -> Path:
    (folder / "key.pub").write_text("ssh-ed25519 AAAA li@office\n")
    return folder / "key.pub"


class Afternoon:
    """A list, its claims, and what is made of them."""

    def __init__(self, folder: Path, claim_for: ClaimFor, count: int) -> None:
        self.folder, self.claims, self.out, self.listed = (
            folder,
            folder / "claims",
            folder / "cards",
            folder / "list.csv",
        )
        self.claims.mkdir()
        rows = ["terminal_id,place,area"]
        for number in range(1, count + 1):
            self.claim(f"hall-{number}", claim_for(f"hall-{number}"))
            rows.append(f"hall-{number},东村 {number} 号,east")
        self.listed.write_text("\n".join(rows) + "\n")

    def claim(self, name: str, claim: ProvisioningClaim) -> None:
        (self.claims / f"{name}.claim").write_bytes(claim.to_bytes())

    def run(self, *more: object) -> Result:
        return run("card", "--batch", self.listed, "--claims", self.claims, "--out", self.out, *more)

    def made(self, *more: object) -> list[tuple[str, bool]]:
        done = self.run(*more, "--json")
        assert done.exit_code == 0, done.stderr
        return [(each["terminal_id"], each["is_new"]) for each in json.loads(done.stdout)["cards"]]


def test_cards_of_a_list_are_made_once_and_go_on_where_they_were_cut_off(
    base_image: Path, claim_for: ClaimFor, tmp_path: Path
) -> None:
    afternoon = Afternoon(tmp_path, claim_for, 3)
    assert afternoon.made("--image", base_image) == [("hall-1", True), ("hall-2", True), ("hall-3", True)]
    assert sorted(path.name for path in afternoon.out.iterdir()) == [
        "claims.pdf",
        "hall-1.img",
        "hall-2.img",
        "hall-3.img",
        "labels.pdf",
    ]
    for name in ("claims.pdf", "hall-1.img"):
        assert (afternoon.out / name).stat().st_mode & 0o077 == 0
    for number in (1, 2, 3):
        found = json.loads(open_boot(afternoon.out / f"hall-{number}.img").read("lifecert/claim.json") or b"")
        assert found["terminal_id"] == f"hall-{number}"
    # Cut off: one is missing, one is not whole, and what was being made lies about.
    (afternoon.out / "hall-1.img").unlink()
    open_boot(afternoon.out / "hall-2.img").remove("user-data")
    (afternoon.out / ".hall-2.img.new").write_bytes(b"x")
    assert afternoon.made("--image", base_image, "--no-labels") == [
        ("hall-1", True),
        ("hall-2", True),
        ("hall-3", False),
    ]
    assert not list(afternoon.out.glob(".*"))
    afternoon.claim("hall-3", claim_for("hall-3"))
    assert afternoon.made("--image", base_image, "--no-labels")[2] == ("hall-3", True)
    assert afternoon.made("--image", base_image, "--no-labels", "--again")[0] == ("hall-1", True)


def test_without_an_image_a_folder_is_made_for_each_boot_partition(claim_for: ClaimFor, tmp_path: Path) -> None:
    afternoon = Afternoon(tmp_path, claim_for, 2)
    assert afternoon.made("--no-labels") == [("hall-1", True), ("hall-2", True)]
    assert MARK in (afternoon.out / "hall-2/user-data").read_bytes()
    (afternoon.out / "hall-1/user-data").unlink()
    assert afternoon.made("--no-labels") == [("hall-1", True), ("hall-2", False)]


def test_nothing_is_made_of_a_list_in_which_anything_is_wrong(
    base_image: Path, claim_for: ClaimFor, root_certificate: str, tmp_path: Path
) -> None:
    afternoon = Afternoon(tmp_path, claim_for, 4)
    (afternoon.claims / "hall-1.claim").unlink()
    afternoon.claim("hall-2", claim_for("hall-1"))
    afternoon.claim("hall-3", claim_for("hall-3", expires_at=datetime(2026, 1, 1, tzinfo=UTC)))
    listed = afternoon.listed.read_text()
    afternoon.listed.write_text(f"{listed}Hall 5,,\n")
    done = afternoon.run("--image", base_image)
    afternoon.listed.write_text(listed)
    assert done.exit_code == 1
    for told in (
        "list.csv: line 6: terminal_id: small letters",
        "line 2: hall-1: no claim",
        "line 3: hall-2.claim: is for terminal hall-1",
        "line 4: hall-3.claim: was good until",
    ):
        assert told in done.stderr
    assert not afternoon.out.exists()
    for name in ("hall-1", "hall-2", "hall-3"):
        afternoon.claim(name, claim_for(name))
    afternoon.claim("hall-4", claim_for("hall-4", fleet_id="south"))
    foreign = afternoon.run("--image", base_image)
    assert foreign.exit_code == 1
    assert "hall-4: its claim is of fleet south" in foreign.stderr
    assert not afternoon.out.exists()
    afternoon.claim("hall-4", claim_for("hall-4"))
    (tmp_path / "torn.pub").write_text("ssh-ed25519\n")
    tried = afternoon.run("--image", base_image, "--ssh-key", tmp_path / "torn.pub", "--dry-run")
    assert (tried.exit_code, "SSH key 1: not a public key" in tried.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--wifi-ssid", "Hall", "--wifi-hidden"),
            "--wifi-ssid, --wifi-hidden: not with --batch; there it is said by column wifi_ssid, column wifi_hidden",
        ),
        (("--hostname", "x"), "--hostname: not with --batch; there it is said by column host_name"),
        (
            ("--code", "x", "--terminal", "t-1"),
            "--code, --terminal: not with --batch; there it is said by the folder of --claims, column terminal_id",
        ),
        (("--force-device", "sda"), "--force-device: not with --batch"),
    ],
)
def test_what_is_one_terminals_own_is_not_said_for_a_list(
    claim_for: ClaimFor, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    afternoon = Afternoon(tmp_path, claim_for, 1)
    done = afternoon.run(*options)
    assert (done.exit_code, done.stderr) == (2, f"{told}\n")
    assert not afternoon.out.exists()


def test_labels_need_no_networks(claim_for: ClaimFor, tmp_path: Path) -> None:
    afternoon = Afternoon(tmp_path, claim_for, 1)
    afternoon.listed.write_text("终端编号,place,区划代码,wifi_ssid,wifi_password_file\nhall-1,东村,east,Hall,nowhere\n")
    done = run("labels", "--list", afternoon.listed, "--claims", afternoon.claims, "--out", tmp_path / "sheets")
    assert done.exit_code == 0, done.stderr
    refused = afternoon.run()
    assert (refused.exit_code, "wifi_country: two capital letters" in refused.stderr) == (1, True)


def test_packages_without_the_cameras_library_are_remarked_upon(claim: Path, tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    deb(folder, "cage")
    without = run("card", tmp_path / "bootfs", "--claim", claim, "--packages", folder)
    assert (without.exit_code, "python3-picamera2 is none of them" in without.stderr) == (0, True)
    deb(folder, "python3-picamera2", architecture="all")
    with_it = run("card", tmp_path / "bootfs", "--claim", claim, "--packages", folder)
    assert (with_it.exit_code, "picamera2" in with_it.stderr) == (0, False)
    assert (tmp_path / "bootfs/lifecert/packages/cage_1_arm64.deb").exists()


def test_labels_are_printed_again(claim_for: ClaimFor, tmp_path: Path) -> None:
    afternoon = Afternoon(tmp_path, claim_for, 2)
    done = run("labels", "--list", afternoon.listed, "--claims", afternoon.claims, "--out", tmp_path / "sheets")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "sheets/labels.pdf").read_bytes().startswith(b"%PDF")


def test_without_mtools_it_is_said_what_to_install(
    image: Path, claim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("card", image, "--claim", claim)
    assert done.exit_code == 1
    assert "package mtools" in done.stderr


def test_the_kernels_own_devices_are_never_taken_for_a_card(claim: Path) -> None:
    done = run("card", "/dev/null", "--claim", claim, "--yes")
    assert (done.exit_code, "neither an image file nor a card" in done.stderr) == (1, True)
    disk = subprocess.run(["findmnt", "-no", "SOURCE", "/"], capture_output=True, text=True, check=False).stdout.strip()
    if Path(disk).is_block_device():
        own = run("card", disk, "--claim", claim, "--yes", "--force-device", Path(disk).name)
        assert own.exit_code == 1
        assert "mounted at" in own.stderr or "name the whole card" in own.stderr


@pytest.fixture
def card_in_reader(tmp_path: Path) -> Iterator[Path]:
    """A block device of the kernel's, 8 GB of which nothing is stored."""
    with (tmp_path / "card").open("wb") as file:
        file.truncate(8_000_000_000)
    made = subprocess.run(
        ["losetup", "--find", "--show", tmp_path / "card"], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no loop device here: {made.stderr}")
    yield Path(made.stdout.strip())
    subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


def test_a_card_gets_its_image_and_its_set_up_and_nobody_else_comes_between(
    card_in_reader: Path, base_image: Path, claim: Path, tmp_path: Path
) -> None:
    name = card_in_reader.name
    asked = ("card", card_in_reader, "--claim", claim, "--image", base_image)
    stays = run(*asked, "--yes")
    assert (stays.exit_code, f"--force-device {name}" in stays.stderr) == (1, True)
    no = CliRunner().invoke(app, [*map(str, asked), "--force-device", name], input="n\n")
    assert (no.exit_code, "nothing was written" in no.stderr, "8.0 GB" in no.stderr) == (1, True, True)
    descriptor = os.open(card_in_reader, os.O_RDWR | os.O_EXCL)
    busy = run(*asked, "--force-device", name, "--yes")
    os.close(descriptor)
    assert (busy.exit_code, "one program at a time" in busy.stderr) == (1, True)
    done = run(*asked, "--force-device", name, "--yes")
    assert done.exit_code == 0, done.stderr
    assert MARK in (open_boot(card_in_reader).read("user-data") or b"")
    with (tmp_path / "card").open("rb") as card, base_image.open("rb") as image:
        assert card.read(512) == image.read(512)
