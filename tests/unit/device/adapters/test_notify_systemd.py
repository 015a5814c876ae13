from __future__ import annotations

import socket
from pathlib import Path

import pytest

from device.adapters.notify_systemd import SystemdNotifier


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_hears_what_a_service_says(tmp_path: Path, kind: str) -> None:
    name = str(tmp_path / "n") if kind == "path" else f"@lifecert-test-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name if kind == "path" else "\0" + name[1:])
        systemd.settimeout(5)
        notifier = SystemdNotifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"})
        assert notifier.watchdog_s == 30
        notifier.ready("up")
        notifier.alive()
        notifier.status("busy")
        notifier.stopping()
        heard = [systemd.recv(200).decode() for _ in range(4)]
    assert heard == ["READY=1\nSTATUS=up", "WATCHDOG=1", "STATUS=busy", "STOPPING=1"]


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    notifier = SystemdNotifier({})
    assert notifier.watchdog_s is None
    notifier.ready("up")
    notifier.alive()
    SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "1"}).alive()
