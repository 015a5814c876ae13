"""Sockets that come from systemd, and that they work where no socket of one's own would."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys

import pytest

LAUNCH = 'exec 3<&"$1"; shift; export LISTEN_PID=$$; exec "$@"'
"""What systemd does: descriptor 3 is the socket, and the number of the process is named."""
SERVE = """
import os, socket
from device.adapters.sockets_systemd import inherited_socket
listening = inherited_socket("screen")
assert listening is not None and not os.get_inheritable(listening.fileno())
devices = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
try:
    socket.create_connection(listening.getsockname(), timeout=5)
    own = "reaches the port"
except OSError:
    own = "reaches nothing"
accepted, _ = listening.accept()
accepted.sendall(f"{devices} {own}".encode())
accepted.close()
"""
ASK = """
import sys
from device.adapters.sockets_systemd import inherited_socket
from device.errors import DeviceError
try:
    print(inherited_socket("screen"))
except DeviceError as error:
    print(error)
"""


def launch(passed: socket.socket, *command: str, names: str = "screen", count: str = "1") -> subprocess.Popen[str]:
    bash = shutil.which("bash")
    assert bash
    return subprocess.Popen(
        [bash, "-c", LAUNCH, "bash", str(passed.fileno()), *command],
        pass_fds=(passed.fileno(),),
        env={"LISTEN_FDS": count, "LISTEN_FDNAMES": names},
        stdout=subprocess.PIPE,
        text=True,
    )


def asked(passed: socket.socket, **options: str) -> str:
    answer, _ = launch(passed, sys.executable, "-c", ASK, **options).communicate(timeout=60)
    return answer.strip()


def test_a_service_without_a_network_serves_a_browser_outside_through_the_socket_it_was_given() -> None:
    unshare = shutil.which("unshare")
    assert unshare, "unshare of util-linux is not installed"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = launch(listening, unshare, "--map-root-user", "--net", sys.executable, "-c", SERVE)
        with socket.create_connection(listening.getsockname(), timeout=60) as browser, browser.makefile() as answer:
            seen = answer.read()
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert seen == "['lo'] reaches nothing"


def test_a_socket_has_its_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert "127.0.0.1" in asked(listening)
        assert asked(listening, names="console") == "None"
        assert asked(listening, names="console:screen") == "None"
        assert asked(listening, count="many") == "None"


def test_a_socket_for_other_computers_is_refused() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listening:  # what is being refused
        assert "a listening TCP socket of the loopback address expected, found one of 0.0.0.0" in asked(listening)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_socket_that_does_not_listen_is_refused(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        assert "a listening TCP socket of the loopback address expected" in asked(other)


def test_a_socket_of_another_family_is_refused() -> None:
    pair = socket.socketpair()
    with pair[0], pair[1]:
        assert "found one of AF_UNIX" in asked(pair[0])
