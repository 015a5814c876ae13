"""The script that ends a browser which shows no page any more."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "systemd" / "lifecert-kiosk"
BROWSER = ("/bin/sh", "-c", 'echo $$ > "$0"; exec sleep 600')
"""A browser that shows nothing, and writes its number to the file that is its argument."""


@pytest.fixture
def port() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def kiosk(port: socket.socket) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*command: object, misses: int = 3) -> subprocess.Popen[str]:
        environment = {**os.environ, "KIOSK_EVERY_S": "0.05", "KIOSK_MISSES": str(misses)}
        number = port.getsockname()[1]
        process = subprocess.Popen(
            [SCRIPT, str(number), *map(str, command)], env=environment, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=20)


def is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody has waited for has ended, too.
    return " Z " not in Path(f"/proc/{number}/stat").read_text(encoding="ascii")


def number_of(browser: Path, eventually: Callable[..., None]) -> int:
    eventually(lambda: browser.exists() and browser.read_text().strip(), "the browser has started")
    return int(browser.read_text())


def test_a_browser_without_a_page_is_ended(
    kiosk: Callable[..., subprocess.Popen[str]], tmp_path: Path, eventually: Callable[..., None]
) -> None:
    process = kiosk(*BROWSER, tmp_path / "browser")
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "no page was connected" in said
    number = number_of(tmp_path / "browser", eventually)
    eventually(lambda: not is_running(number))


def test_a_browser_with_a_page_is_left_alone_until_the_page_is_gone(
    kiosk: Callable[..., subprocess.Popen[str]],
    port: socket.socket,
    tmp_path: Path,
    eventually: Callable[..., None],
) -> None:
    with socket.create_connection(port.getsockname()):
        process = kiosk(*BROWSER, tmp_path / "browser")
        number = number_of(tmp_path / "browser", eventually)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        assert is_running(number)
    assert process.wait(timeout=20) == 1


def test_a_browser_that_ends_by_itself_ends_the_kiosk_with_its_own_code(
    kiosk: Callable[..., subprocess.Popen[str]],
) -> None:
    assert kiosk("/bin/sh", "-c", "exit 7", misses=100).wait(timeout=20) == 7


def test_who_ends_the_kiosk_ends_the_browser(
    kiosk: Callable[..., subprocess.Popen[str]], tmp_path: Path, eventually: Callable[..., None]
) -> None:
    process = kiosk(*BROWSER, tmp_path / "browser", misses=10_000)
    number = number_of(tmp_path / "browser", eventually)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    eventually(lambda: not is_running(number))
