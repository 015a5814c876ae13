"""What the terminal's own program does at the end of its life, or tells of itself, begun from here; the proof is taken to the fleet."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from protocol.decommissioning import DECOMMISSION_PATH, DecommissionProof, unverified_proof
from protocol.errors import ProtocolError
from provisioning.errors import Ended, FileUnusable, ProvisioningError, SelftestFailed
from provisioning.joining import DOOR, ROOT, posted
from provisioning.selftest import installed_program

SERVICES: Final = (
    *("lifecert-kiosk.service", "lifecert-screen.socket", "lifecert-terminal.service", "lifecert-uplink.service"),
    "lifecert-renew.timer",
)
"""In the order in which they are stopped: a screen that knocks would start the terminal again."""
RENEWAL: Final = "lifecert-renew.service"
"""One that is under way when its timer stops goes on; the timer begins another."""
_MUST_NOT_SEE: Final = frozenset(SERVICES) - {"lifecert-kiosk.service", "lifecert-renew.timer"}
"""The browser alone, of a terminal that is erased already, goes on showing that it is."""
BENEATH: Final = Path("/data/beneath")
"""There until what lies beneath a read-only system's data is destroyed (`provisioning/image/read-only`)."""
_SWEEP: Final = "lifecert-beneath.service"
ERASED: Final = "lifecert-erased.service"
"""Says so on the screen of a terminal that is erased; of any other its start is left out by its own conditions."""


def run_terminal(arguments: Sequence[str], *, program: Path | None = None) -> None:
    """Run the terminal's program with whoever sits here before it.

    Raises:
        Ended: if it ends with an error, of which it has said all.
        SelftestFailed: if it is missing, or was ended.
    """
    found = program or installed_program()
    try:
        done = subprocess.run([str(found), *arguments], check=False)
    except OSError as error:
        raise SelftestFailed(f"{found}: {error.strerror}; is the terminal program installed?") from error
    if done.returncode < 0:
        raise SelftestFailed(f"{found.name} {arguments[0]}: ended by signal {-done.returncode}; run this again")
    if done.returncode:
        raise Ended(done.returncode)


def sweep_beneath(out: Path, mark: Path = BENEATH) -> None:
    """Have that destroyed which lies beneath a read-only system's data, where no start came to it: an erasure does not reach it.

    Args:
        out: the statement that all keys are destroyed. It is taken away where they are not; another run of the erasure gives it again.
        mark: there as long as something lies beneath.

    Raises:
        ProvisioningError: if something still does.
    """
    if not mark.exists():
        return
    # What it says is in the log; what counts is whether the mark has gone.
    _systemctl("start", _SWEEP)
    if mark.exists():
        out.unlink(missing_ok=True)
        raise ProvisioningError(
            f"the terminal is erased, but {mark} is there: old keys lie beneath the data, where no erasure reaches them; "
            "run /opt/lifecert/image/read-only sweep, and this again. Nobody has the statement before that"
        )


@contextmanager
def services_stopped() -> Iterator[None]:
    """Stop the terminal's services while something is done that they must not see; those that ran start again afterwards.

    One that was erased meanwhile says so on its screen. Where no systemd runs them there is nothing to do.
    """
    running = [unit for unit in SERVICES if _systemctl("is-active", "--quiet", unit)]
    if not _MUST_NOT_SEE & set(running):
        running = []
    if running:
        _systemctl("stop", *running)
    # It counts as no active one while it runs: it is stopped in any case, once nothing begins it any more.
    _systemctl("stop", RENEWAL)
    try:
        yield
    finally:
        if running:
            _systemctl("start", "--no-block", *reversed(running))
            _systemctl("start", "--no-block", ERASED)


def _systemctl(*arguments: str) -> bool:
    try:
        return subprocess.run(["systemctl", *arguments], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def tell_fleet(token: bytes, keys: Path, *, now: datetime) -> DecommissionProof:
    """Take the proof to the fleet's door; again changes nothing there.

    Args:
        token: the signed statement.
        keys: folder with the fleet's root certificate and where its door is, which stay when the keys go.
        now: what the clock says, right or wrong.

    Raises:
        ProvisioningError: if the fleet does not take it, or cannot be reached; the file still proves it.
    """
    try:
        door, root = (keys / DOOR).read_text(), (keys / ROOT).read_text()
    except OSError as error:
        raise FileUnusable(f"{error.filename or keys}: {error.strerror}; take the file to the fleet") from error
    answer = posted(door, root, DECOMMISSION_PATH, token, now)
    try:
        taken, meant = DecommissionProof.parse(answer), unverified_proof(token)
    except ProtocolError as error:
        raise ProvisioningError(f"{door}: an answer that cannot be read: {error}") from error
    if taken != meant:
        raise ProvisioningError(f"{door}: took another statement; take the file to the fleet")
    return taken
