"""What a terminal reaches, tried by its uplink: the terminal's own process has no network."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from device.adapters.clock_system import SystemClock
from device.adapters.reaching_files import FileReaching
from device.adapters.signer_keyfile import KeyfileSigner
from device.app.reaching import UplinkReach, reach_of
from device.errors import ReportsUnavailable
from device.settings import Settings, load_settings
from device.uplink.reaching import REACHED, OwnReach, ReachingForOthers
from protocol.commissioning import CommissioningCheck, Part
from protocol.keys import PrivateKey
from protocol.registration import FleetIdentity


@pytest.fixture
def settings(tmp_path: Path, free_ports: Callable[[], int]) -> Settings:
    for name in ("signing", "sealing"):
        PrivateKey.generate().save(tmp_path / f"{name}.pem")
    fleet = FleetIdentity(fleet_id="north", signing_key=PrivateKey.generate().public())
    (tmp_path / "fleet.json").write_bytes(fleet.to_bytes())
    (tmp_path / "terminal.toml").write_text(
        f"""
[terminal]
fleet_id = "north"
terminal_id = "t-1"
data_dir = "data"
[keys]
signing = "signing.pem"
sealing = "sealing.pem"
storage = "storage.key"
fleet = "fleet.json"
[broker]
host = "localhost"
port = {free_ports()}
"""
    )
    return load_settings(tmp_path / "terminal.toml")


def own(settings: Settings) -> OwnReach:
    return OwnReach(settings, KeyfileSigner(settings.keys.signing.path), SystemClock(settings.clock_path))


def of_all(reach: OwnReach | UplinkReach) -> list[tuple[Part, str, str]]:
    return [(found.part, found.status, found.reason) for found in map(reach.of, REACHED)]


NO_BROKER = [
    (Part.NETWORK, "passed", "good"),
    (Part.BROKER, "failed", "refused"),
    (Part.FLEET, "skipped", "needs"),
]


def test_the_uplink_answers_as_the_terminal_would_with_a_network(settings: Settings) -> None:
    files = FileReaching(settings.reaching_path)
    uplink = ReachingForOthers(files, lambda: own(settings))
    assert not uplink.step(), "nobody asked"
    uplink.start()
    try:
        assert of_all(UplinkReach(files)) == of_all(own(settings)) == NO_BROKER
    finally:
        uplink.stop()
    assert list(settings.reaching_path.iterdir()) == [], "nothing is asked twice"


def test_what_the_uplink_cannot_use_is_what_came_of_it(settings: Settings) -> None:
    settings.keys.fleet.unlink()
    files = FileReaching(settings.reaching_path)
    asked = files.ask()
    assert ReachingForOthers(files, lambda: own(settings)).step()
    found = files.answered(asked)
    assert found is not None
    assert [(each.part, each.reason) for each in found] == [
        (Part.NETWORK, "good"),
        (Part.BROKER, "error"),
        (Part.FLEET, "needs"),
    ]


def test_an_uplink_that_does_not_run_is_told_and_nothing_is_left_for_it(settings: Settings) -> None:
    files = FileReaching(settings.reaching_path)
    assert of_all(UplinkReach(files, patience_s=0.3)) == [
        (Part.NETWORK, "failed", "no_uplink"),
        (Part.BROKER, "skipped", "needs"),
        (Part.FLEET, "skipped", "needs"),
    ]
    assert files.question() is None


def test_an_answer_is_one_to_the_question_that_is_asked_now(settings: Settings) -> None:
    files = FileReaching(settings.reaching_path)
    first, second = files.ask(), files.ask()
    found = (CommissioningCheck(part=Part.NETWORK, status="passed", is_required=True, reason="good"),)
    files.answer(first, found)
    assert (files.question(), files.answered(second)) == (second, None)
    files.answer(second, found)
    assert (files.question(), files.answered(second)) == (None, found)


@pytest.mark.parametrize("content", [b"", b"{", b'{"id": 5}', bytes(1000)])
def test_a_damaged_question_is_none(settings: Settings, content: bytes) -> None:
    files = FileReaching(settings.reaching_path)
    files.ask()
    (settings.reaching_path / "question.json").write_bytes(content)
    assert files.question() is None
    assert not ReachingForOthers(files, lambda: own(settings)).step()


def test_a_disk_that_takes_no_question_is_told(settings: Settings) -> None:
    settings.reaching_path.parent.mkdir(parents=True)
    settings.reaching_path.write_bytes(b"a file where the folder should be")
    with pytest.raises(ReportsUnavailable):
        UplinkReach(FileReaching(settings.reaching_path)).of(Part.NETWORK)


def test_a_process_that_may_make_no_socket_asks_the_uplink(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    signer, clock = KeyfileSigner(settings.keys.signing.path), SystemClock(settings.clock_path)
    assert isinstance(reach_of(settings, signer, clock), OwnReach)

    class NoSocket(socket.socket):
        def __init__(self, family: int = -1, *arguments: int) -> None:
            # As under systemd's RestrictAddressFamilies=.
            raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", NoSocket)
    assert isinstance(reach_of(settings, signer, clock), UplinkReach)
