"""The script that ends a browser which shows no page any more."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.screen.server import WebScreen
from device.screen.viewfinder import LatestFrame

SCRIPT = Path(__file__).resolve().parents[3] / "systemd" / "lifecert-kiosk"
BROWSER = ("/bin/sh", "-c", "echo > /dev/fd/$0; exec sleep 600")
"""A browser that shows nothing, and says to the pipe that is its argument that it has started."""


class Life:
    """Whether a browser runs: it holds the other end of a pipe, which ends with the last process that has it."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()

    def wait_for_start(self) -> None:
        assert self._read(20) == b"\n"

    def wait_for_end(self) -> None:
        self.let_go()
        while found := self._read(20):
            assert found == b"\n"

    def has_ended(self) -> bool:
        """To be asked after its start."""
        self.let_go()
        return bool(select.select([self._reading], [], [], 0)[0])

    def let_go(self) -> None:
        """Leave the other end to the browser alone."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def close(self) -> None:
        self.let_go()
        os.close(self._reading)

    def _read(self, timeout_s: float) -> bytes:
        assert select.select([self._reading], [], [], timeout_s)[0], "nothing from the browser"
        return os.read(self._reading, 1)


@pytest.fixture
def life() -> Iterator[Life]:
    made = Life()
    yield made
    made.close()


@pytest.fixture
def port() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def kiosk(port: socket.socket, life: Life) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*command: object, misses: int = 3) -> subprocess.Popen[str]:
        environment = {**os.environ, "KIOSK_EVERY_S": "0.05", "KIOSK_MISSES": str(misses)}
        number = port.getsockname()[1]
        process = subprocess.Popen(
            [SCRIPT, str(number), *map(str, command)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=[life.writing],
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=20)


def test_a_browser_without_a_page_is_ended(kiosk: Callable[..., subprocess.Popen[str]], life: Life) -> None:
    process = kiosk(*BROWSER, life.writing)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "no page was connected" in said
    life.wait_for_end()


def test_a_browser_with_a_page_is_left_alone_until_the_page_is_gone(
    kiosk: Callable[..., subprocess.Popen[str]], port: socket.socket, life: Life
) -> None:
    with socket.create_connection(port.getsockname()):
        process = kiosk(*BROWSER, life.writing)
        life.wait_for_start()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        assert not life.has_ended()
    assert process.wait(timeout=20) == 1
    life.wait_for_end()


def test_a_browser_whose_page_hangs_is_ended(
    kiosk: Callable[..., subprocess.Popen[str]], port: socket.socket, life: Life, eventually: Callable[..., None]
) -> None:
    ahead_s = 0.0
    screen = WebScreen(0, LatestFrame(), listening=port, now_s=lambda: time.monotonic() + ahead_s)
    screen.start(lambda _: None)
    number = port.getsockname()[1]
    with socket.create_connection(("127.0.0.1", number)) as page:
        # It asks for everything and reads nothing.
        page.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{number}\r\n\r\n".encode())
        eventually(lambda: screen.is_watched, "the page")
        process = kiosk(*BROWSER, life.writing)
        life.wait_for_start()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        ahead_s = 12.0
        assert process.wait(timeout=20) == 1
        life.wait_for_end()
    screen.stop()


def test_a_browser_that_ends_by_itself_ends_the_kiosk_with_its_own_code(
    kiosk: Callable[..., subprocess.Popen[str]],
) -> None:
    assert kiosk("/bin/sh", "-c", "exit 7", misses=100).wait(timeout=20) == 7


def test_who_ends_the_kiosk_ends_the_browser(kiosk: Callable[..., subprocess.Popen[str]], life: Life) -> None:
    process = kiosk(*BROWSER, life.writing, misses=10_000)
    life.wait_for_start()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    life.wait_for_end()
