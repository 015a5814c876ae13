"""Ports and processes of the demo."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from demo import processes
from demo.processes import DemoError, end, free_port


def test_a_free_port_is_none_that_is_given_to_connections_that_go_out() -> None:
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    # Where next to all are given there is no room below them.
    assert max(free_port() for _ in range(200)) < max(first_given, 2 * processes._FIRST_PORT)


def test_no_port_is_an_error_and_no_endless_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "is_free", lambda _port: False)
    with pytest.raises(DemoError, match="no free TCP port"):
        free_port()


@pytest.mark.parametrize(
    ("does", "has_ended"), [("pass", True), ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", False)]
)
def test_a_program_that_does_not_end_when_it_is_asked_is_killed_and_told(
    monkeypatch: pytest.MonkeyPatch, does: str, has_ended: bool
) -> None:
    monkeypatch.setattr(processes, "_STOP_S", 30.0 if has_ended else 0.5)
    program = f"import signal, time; {does}; print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert end(process) is has_ended
        assert process.returncode == (-signal.SIGTERM if has_ended else -signal.SIGKILL)
