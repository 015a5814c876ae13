"""Programs as processes: started, asked, ended or killed."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

T = TypeVar("T")

_BIN = Path(sys.executable).parent
_STOP_S = 20.0
_POLL_S = 0.05
_FIRST_PORT = 10_000
_TRIES = 1_000


class DemoError(Exception):
    """The demo cannot go on; the message says which program did what."""


_CALL_S = 180


def call(program: str, *arguments: str, given: str | None = None) -> str:
    """Run a program of ours to its end and return what it printed.

    Raises:
        DemoError: if it did not exit with 0, which carries what it said, or not at all.
    """
    try:
        done = subprocess.run(
            [str(_BIN / program), *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=_CALL_S,
        )
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"{program} {arguments[0]}: no answer in {_CALL_S} s; is the computer very busy?") from error
    if done.returncode != 0:
        raise DemoError(f"{program} {arguments[0]}: exit {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def end(process: subprocess.Popen[Any], how: signal.Signals = signal.SIGTERM) -> bool:
    """Ask a program to end and insist after a while; return whether it ended when it was asked."""
    process.send_signal(how)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


class Program:
    """A program of ours that runs until it is stopped; its messages go to a log file."""

    def __init__(self, log: Path, program: str, *arguments: str) -> None:
        self._command = [str(_BIN / program), *arguments]
        self._log = log
        self._file: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self._file = self._log.open("ab")
        # A session of its own: Ctrl-C reaches the demo, which then stops everything in order.
        self._process = subprocess.Popen(
            self._command, stdout=self._file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def check(self) -> None:
        """Raise `DemoError` if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            said = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise DemoError(f"{' '.join(self._command[:2])}: ended with {self._process.returncode}: {said}")

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end; insist after a while. Can be called twice."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        end(self._process, how)
        self._process = None
        if self._file is not None:
            self._file.close()
            self._file = None


def ask(control: Path, order: dict[str, Any], *, timeout_s: float = 180.0) -> dict[str, Any]:
    """Give a simulated terminal an order and return its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(control))
        connection.sendall(json.dumps(order).encode() + b"\n")
        with connection.makefile("rb") as answers:
            line = answers.readline()
    if not line:
        raise DemoError(f"terminal: no answer to {order['do']}")
    found: dict[str, Any] = json.loads(line)
    return found


def wait_for(what: str, attempt: Callable[[], T | None], *, timeout_s: float, alive: Sequence[Program] = ()) -> T:
    """Return what `attempt` gives once that is not None.

    Raises:
        DemoError: if the time runs out or one of the programs ends.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for program in alive:
            program.check()
        found = attempt()
        if found is not None:
            return found
        time.sleep(_POLL_S)
    raise DemoError(f"{what}: not within {timeout_s:.0f} s")


def free_port() -> int:
    """Return a TCP port of this machine nobody uses now, and none that the system gives to connections that go out.

    Who tries again and again to reach a program that is not there yet would be given its port at last, and be connected to itself.
    Where the system gives next to all of them, it is a low one.

    Raises:
        DemoError: if none is found.
    """
    # Source: Linux, ip-sysctl, ip_local_port_range.
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(_TRIES):
        port = _FIRST_PORT + secrets.randbelow(max(first_given, 2 * _FIRST_PORT) - _FIRST_PORT)
        if is_free(port):
            return port
    raise DemoError(f"no free TCP port from {_FIRST_PORT} on")


def is_free(port: int) -> bool:
    """Return whether a program could listen on this TCP port of this machine now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
