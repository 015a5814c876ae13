"""The arm64 machine of `.ci/vm-image`, emulated: its serial console with times, a shell in it, its network, and its power switch."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

IMAGE = Path(__file__).resolve().parents[2] / ".build" / "vm"
_EMULATED = ("-accel", "tcg,thread=multi", "-smp", "2")
_COUNTED = ("-accel", "tcg,thread=single", "-smp", "1", "-icount", "shift=0")
"""One core whose clock moves by a nanosecond with every instruction: the same on a busy computer as on an idle one."""
HERE = "10.0.2.2"
"""This computer, as the machine sees it. Source: QEMU's documentation, "Using the user mode network stack"."""
PI_4, PI_5 = "cortex-a72", "cortex-a76"
"""The processors of a Raspberry Pi 4 and 5; emulated, the second works off networks three times as fast (it has `asimddp`)."""
_PATIENT = "systemd.default_device_timeout_sec=900"
"""On a computer that has much else to do the emulated disks come late, and systemd gives up waiting after 90 s."""
_GREETING_S = 300.0
_MEMORY_MB = 1024
_SHELL_END = re.compile(rb"@@(\d+)\n")


class MachineFailed(Exception):
    """The machine did not do what it should; the message says what was waited for and what it said last."""


@dataclass(frozen=True, slots=True)
class Drive:
    """An image that the machine has as a disk."""

    name: str
    image: Path
    is_writable: bool = True


def set_up(data: Path) -> tuple[Drive, ...]:
    """The machine that came set up: its system is never written to, its data partition is the given file."""
    return Drive("root", IMAGE / "root.img", is_writable=False), Drive("data", data)


class Machine:
    """One start of the machine, from power on to power off.

    Args:
        drives: its disks, `/dev/vda` first.
        log: takes what the serial console says.
        root: where its system is.
        processor: which it has.
        is_counted: whether the machine's time counts its instructions instead of passing.
        ssh_port: a port of this computer that leads to the machine's 22; with one it has a network, in which this computer is `HERE`.
    """

    def __init__(
        self,
        drives: Sequence[Drive],
        *,
        log: Path,
        root: str = "/dev/vda",
        processor: str = PI_4,
        is_counted: bool = False,
        ssh_port: int | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vm-")
        shell, control = (Path(self._folder.name, name) for name in ("shell", "qmp"))
        self.lines: list[tuple[float, str]] = []
        """What the serial console said, with seconds since power on."""
        self._spoke = threading.Condition()
        self._log = log.open("w", encoding="utf-8")
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            [
                *("nice", "-n", "19", "qemu-system-aarch64"),
                *("-M", "virt", "-cpu", processor, *(_COUNTED if is_counted else _EMULATED)),
                *("-m", str(_MEMORY_MB), "-display", "none", "-no-reboot", *_network(ssh_port)),
                *("-kernel", str(IMAGE / "kernel"), "-initrd", str(IMAGE / "initrd")),
                *("-append", f"console=ttyAMA0 panic=-1 systemd.show_status=1 {_PATIENT} root={root}"),
                *(word for number, drive in enumerate(drives, start=2) for word in _disk(drive, number)),
                *(
                    "-device",
                    "virtio-serial-pci,addr=8",
                    "-chardev",
                    f"socket,id=shell,path={shell},server=on,wait=off",
                ),
                *("-device", "virtconsole,chardev=shell"),
                *("-qmp", f"unix:{control},server=on,wait=off", "-serial", "stdio", "-monitor", "none"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._shell = self._connect(shell)
        self._control = self._connect(control)
        self._answers = self._control.makefile("rb")
        self._answers.readline()
        self._order("qmp_capabilities")
        self._is_greeted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_power()

    def wait_for(self, pattern: str, *, timeout_s: float, since_s: float = 0.0) -> float:
        """Wait until the serial console has said something, and return when that was, in seconds since power on.

        Raises:
            MachineFailed: if it has not by then, or the machine is off.
        """
        wanted = re.compile(pattern)
        deadline = time.monotonic() + timeout_s
        seen = 0
        with self._spoke:
            while True:
                for at_s, line in self.lines[seen:]:
                    if at_s >= since_s and wanted.search(line):
                        return at_s
                seen = len(self.lines)
                left_s = deadline - time.monotonic()
                if left_s <= 0 or (self._process.poll() is not None and not self._reader.is_alive()):
                    last = "\n".join(line for _, line in self.lines[-15:])
                    raise MachineFailed(
                        f"{pattern!r} was not seen within {timeout_s:.0f} s; the console ends with\n{last}"
                    )
                self._spoke.wait(min(left_s, 1.0))

    def run(self, command: str, *, timeout_s: float = 300.0, may_fail: bool = False) -> str:
        """Run one line of shell in the machine and return what it printed.

        Raises:
            MachineFailed: if it does not end in time, or not with 0.
        """
        self._greet(timeout_s)
        self._shell.sendall(command.encode() + b"\n")
        printed, code = self._answer(command, timeout_s)
        if code and not may_fail:
            raise MachineFailed(f"{command}: exit {code}: {printed}")
        return printed

    def start_order(self, command: str) -> None:
        """Give a line of shell without waiting for its end: for what ends with the machine's."""
        self._greet(_GREETING_S)
        self._shell.sendall(command.encode() + b"\n")

    def written(self, drive: str) -> int:
        """Return how many writes a disk has taken since power on."""
        found = self._order("query-blockstats")
        return next(int(entry["stats"]["wr_operations"]) for entry in found if entry.get("device") == drive)

    def wait_off(self, *, timeout_s: float) -> None:
        """Wait until the machine has switched itself off, which is also what a restart of its own is.

        Raises:
            MachineFailed: if it is still on by then.
        """
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise MachineFailed(f"the machine is still on after {timeout_s:.0f} s") from None

    def cut_power(self) -> None:
        """Switch the machine off as a power cut does. May be called twice."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._shell.close()
        self._answers.close()
        self._control.close()
        self._log.close()
        self._folder.cleanup()

    @property
    def computer_s(self) -> float:
        """Processor time that the emulation has taken of this computer, in seconds: the work of a start, however long it had to wait."""
        # Fields 14 and 15 of the whole; the name before may hold anything but the last bracket. Source: proc(5).
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def now_s(self) -> float:
        """Seconds since power on."""
        return time.monotonic() - self._began

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as console:
            for raw in console:
                line = raw.decode(errors="replace").rstrip()
                with self._spoke:
                    self.lines.append((self.now_s, line))
                    self._spoke.notify_all()
                self._log.write(f"{self.now_s:8.3f} {line}\n")
                self._log.flush()

    def _greet(self, timeout_s: float) -> None:
        # What is said before the shell is there is lost.
        if not self._is_greeted:
            self._is_greeted = True
            self._answer("shell", timeout_s)

    def _answer(self, command: str, timeout_s: float) -> tuple[str, int]:
        self._shell.settimeout(timeout_s)
        got = b""
        try:
            while (end := _SHELL_END.search(got)) is None:
                piece = self._shell.recv(65536)
                if not piece:
                    raise MachineFailed(f"{command}: the machine went off")
                got += piece
        except TimeoutError:
            raise MachineFailed(f"{command}: no end within {timeout_s:.0f} s, printed {got.decode()!r}") from None
        return got[: end.start()].decode(), int(end[1])

    def _order(self, command: str) -> Any:
        self._control.sendall(json.dumps({"execute": command}).encode() + b"\n")
        for line in self._answers:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise MachineFailed(f"qemu: {command}: {answer['error']['desc']}")
        raise MachineFailed(f"qemu: {command}: it ended")

    def _connect(self, path: Path) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)

        def is_there() -> bool:
            try:
                client.connect(str(path))
            except OSError:
                return False
            return True

        wait_until(is_there, f"qemu's socket {path.name}", timeout_s=20)
        return client


def _network(ssh_port: int | None) -> tuple[str, ...]:
    if ssh_port is None:
        return ("-nic", "none")
    return (
        *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{ssh_port}-:22"),
        *("-device", "virtio-net-pci,netdev=net,addr=7,romfile="),
    )


def _disk(drive: Drive, address: int) -> tuple[str, ...]:
    how = "cache=writeback" if drive.is_writable else "readonly=on"
    return (
        *("-drive", f"if=none,id={drive.name},file={drive.image},format=raw,{how}"),
        *("-device", f"virtio-blk-pci,drive={drive.name},addr={address}"),
    )


def wait_until(condition: Callable[[], object], what: str, *, timeout_s: float, poll_s: float = 0.2) -> None:
    """Wait for a condition.

    Raises:
        MachineFailed: if it is still false by then.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise MachineFailed(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(poll_s)


def say(text: str) -> None:
    """Tell whoever waits."""
    print(f"test-vm: {text}", file=sys.stderr)  # noqa: T201 - a command line


def command_line(play: Callable[[Path], dict[str, Any]], name: str, about: str) -> int:
    """Run a story on the command line, alone with the image, and print what came of it."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=IMAGE / name, help="where consoles and all else of the run are kept"
    )
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    with (IMAGE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build or run of the machine is under way; wait for it")
            return 1
        try:
            report = play(folder)
        except MachineFailed as error:
            say(f"{error}\n(the consoles are in {folder})")
            return 1
    print(json.dumps(report, indent=2))  # noqa: T201 - the result
    return 0
