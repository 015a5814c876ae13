"""A fleet and a broker as an agency runs them: `lifecert-fleet` as a program, and Mosquitto with the files the fleet wrote."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from demo.processes import end
from fleet.store.database import Database

FLEET_ID = "north"
BY = ("--by", "Li Na")
"""Whoever gives the orders."""
_LISTENS_S = 60.0


class Agency:
    """A fleet and a broker, as programs.

    Args:
        folder: for settings, data, logs and the broker's files.
        database_url: of an empty database.
        ports: of broker, door and console, all of them free.
        name: by which terminals reach door and broker.
        extra: more lines of the settings, of `[provisioning]` first.
    """

    def __init__(
        self, folder: Path, database_url: str, ports: tuple[int, int, int], *, name: str = "localhost", extra: str = ""
    ) -> None:
        self.folder = folder
        self.database_url = database_url
        self.broker_port, self.door_port, web_port = ports
        self.broker_dir = folder / "broker"
        self.config = folder / "fleet.toml"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._name = name
        self.config.write_text(
            f"""
fleet_id = "{FLEET_ID}"
data_dir = "fleet-data"
database = "{database_url}"
[web]
port = {web_port}
[broker]
mode = "external"
host = "localhost"
port = {self.broker_port}
ca_file = "{self.broker_dir}/trusted.pem"
certificate_file = "{self.broker_dir}/fleet.pem"
key_file = "{self.broker_dir}/fleet.key"
[provisioning]
port = {self.door_port}
names = ["{name}"]
broker_host = "{name}"
broker_port = {self.broker_port}
broker_dir = "{self.broker_dir}"
{extra}
"""
        )

    def run(self, *arguments: str) -> str:
        """Give one order on the command line and return what it said."""
        done = subprocess.run(
            [*self._program(), *arguments, "--config", str(self.config)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def make(self) -> None:
        """Make fleet, authority and the broker's files."""
        self.run("init")
        self.run("pki", "init", *BY)
        hosts = {"localhost", self._name}
        self.run(
            *("pki", "broker-config", *(word for host in sorted(hosts) for word in ("--host", host))),
            *("--out", str(self.broker_dir), *BY),
        )

    def start(self) -> None:
        """Start the broker and the fleet."""
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        assert program, "mosquitto is not installed: make system-packages"
        (self.folder / "mosquitto.conf").write_text(f"user root\ninclude_dir {self.broker_dir}\n")
        self._broker = self._begin([program, "-c", str(self.folder / "mosquitto.conf")], "broker.log")
        self._begin([*self._program(), "serve", "--config", str(self.config)], "fleet.log")

    def wait_open(self) -> None:
        """Wait until the door for new terminals is open."""
        deadline = time.monotonic() + _LISTENS_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.door_port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "fleet.log").read_text()
                time.sleep(0.05)
            else:
                return

    def reload(self) -> None:
        """What systemd does when the list is another one (systemd/lifecert-broker-reload.path)."""
        self._broker.send_signal(signal.SIGHUP)

    def broker_log(self) -> str:
        """Return what the broker said so far."""
        return (self.folder / "broker.log").read_text(errors="replace")

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """Return what the database answers."""
        with closing(Database(self.database_url)) as database, database.begin() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def stop(self) -> None:
        """End both in order."""
        have_ended = [end(each) for each in reversed(self._processes)]
        assert all(have_ended), "not when it was asked"

    def _begin(self, command: list[str], log: str) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("wb") as file:
            self._processes.append(subprocess.Popen(command, stdout=file, stderr=file))
        return self._processes[-1]

    @staticmethod
    def _program() -> list[str]:
        return [sys.executable, "-c", "from fleet.cli import main; main()"]
