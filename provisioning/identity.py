"""The identity of a terminal: its keys, its registration, and the fleet it trusts."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from protocol.errors import ProtocolError
from protocol.keys import PrivateKey
from protocol.registration import FleetIdentity, TerminalRegistration, read_registration, sign_registration
from provisioning.errors import AlreadyThere, FileUnusable

SIGNING: Final = "signing.pem"
SEALING: Final = "sealing.pem"
STORAGE: Final = "storage.key"
REGISTRATION: Final = "registration.jws"
FLEET: Final = "fleet.json"
_MADE: Final = (SIGNING, SEALING, STORAGE, REGISTRATION)
"""In the order in which they come into their places: what the fleet is told of is the last, and nobody knows a key without it."""
_SCRATCH: Final = ".identity-"
_STORAGE_KEY_BYTES: Final = 32
"""What the terminal's roster encryption takes: AES-256."""


def make_identity(fleet_id: str, terminal_id: str, folder: Path, *, moment: datetime) -> TerminalRegistration:
    """Make a terminal's keys (mode 0600) and its self-signed registration in a folder.

    Nothing that exists is ever replaced: a key that was registered and then lost is a terminal that has to be registered again. What an
    earlier try left that was cut off before there was a registration is no key of anybody's; it is taken away, and new ones are made.

    Raises:
        AlreadyThere: if one of the files exists, or somebody else makes them at this moment.
        FileUnusable: if an id is not a valid one, or the folder cannot be written.
    """
    signing, sealing = PrivateKey.generate(), PrivateKey.generate()
    try:
        registration = TerminalRegistration(
            fleet_id=fleet_id,
            terminal_id=terminal_id,
            signing_key=signing.public(),
            sealing_key=sealing.public(),
            made_at=moment,
        )
    except ValidationError as error:
        keys = ", ".join(str(found["loc"][0]) for found in error.errors())
        raise FileUnusable(f"{keys}: lower-case letters, digits and dashes expected, 63 at most") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            _sweep(folder)
            if existing := [name for name in _MADE if (folder / name).exists()]:
                raise AlreadyThere(
                    f"{folder}: has {', '.join(existing)} already; nothing was changed. Name another folder, or move them away."
                )
            _write_all(folder, signing, sealing, sign_registration(registration, signing))
    except (BlockingIOError, FileExistsError) as error:
        raise AlreadyThere(f"{folder}: somebody else is making an identity there; nothing was changed") from error
    except OSError as error:
        raise FileUnusable(f"{folder}: {error.strerror}") from error
    return registration


def sweep_identity(folder: Path) -> None:
    """Take away what a try to make an identity left that was cut off: copies of keys, and keys that nobody knows.

    Raises:
        OSError: if that cannot be done.
    """
    if any(folder.glob(f"{_SCRATCH}*")):
        with _alone(folder):
            _sweep(folder)


def accept_fleet(source: Path, folder: Path) -> tuple[FleetIdentity, bool]:
    """Check a fleet's identity and put it beside the terminal's keys.

    An identity with the same signing key that only adds the fleet's sealing key takes the place of the one without.

    Returns:
        The identity, and whether it was new; the same identity may be accepted again.

    Raises:
        FileUnusable: if the file is no fleet identity, or is of another fleet than the registration in the folder.
        AlreadyThere: if the folder holds another fleet's identity, or another key of this fleet.
    """
    try:
        data = source.read_bytes()
        identity = FleetIdentity.parse(data)
        identity.signing_key.key()
        if identity.sealing_key is not None:
            identity.sealing_key.key()
        registered = _registered_fleet(folder)
    except OSError as error:
        raise FileUnusable(f"{error.filename}: {error.strerror}") from error
    except ProtocolError as error:
        raise FileUnusable(
            f"{source.name}: not a fleet identity: {error}; get it from the fleet with lifecert-fleet"
        ) from error
    if registered is not None and registered != identity.fleet_id:
        raise FileUnusable(
            f"{source.name}: identity of fleet {identity.fleet_id!r}, this terminal is of {registered!r}"
        )
    target = folder / FLEET
    if target.exists():
        known = _known(target)
        if known is not None and identity in (known, _without_sealing_key(known)):
            return known, False
        if known != _without_sealing_key(identity):
            raise AlreadyThere(
                f"{target}: holds another identity; nothing was changed. Move it away if the fleet's key was really replaced."
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_sure(target, identity.to_bytes())
    except OSError as error:
        raise FileUnusable(f"{target}: {error.strerror}") from error
    return identity, True


def write_sure(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put `data` in the place of a file: after a power cut the old or the new one is there, whole.

    Raises:
        OSError: if it cannot be written.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        # Units that write beside keys have a mask that would keep the services from reading what is not secret.
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    _sync(path.parent)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a folder while an identity is made in it. Raises `BlockingIOError` if somebody else does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # It ends with the process, however that ends.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    for scratch in sorted(folder.glob(f"{_SCRATCH}*")):
        _take_away(scratch, folder)


def _take_away(scratch: Path, folder: Path) -> None:
    """Take away where an identity was made, and what came of it into its place if the registration did not."""
    if not (folder / REGISTRATION).exists():
        # That by which they are known is the last to go: this can be cut off as well.
        for name in _MADE:
            if _is_same(scratch / name, folder / name):
                (folder / name).unlink()
        _sync(folder)
    shutil.rmtree(scratch)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except FileNotFoundError:
        return False


def _write_all(folder: Path, signing: PrivateKey, sealing: PrivateKey, registration: bytes) -> None:
    # Made in a folder beside and linked in: a link fails where a file exists, a rename would replace it.
    scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=folder))
    try:
        signing.save(scratch / SIGNING)
        sealing.save(scratch / SEALING)
        descriptor = os.open(scratch / STORAGE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(_STORAGE_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        (scratch / REGISTRATION).write_bytes(registration)
        _sync(scratch / REGISTRATION)
        # What is linked is known by its name in here, and a registration says that all the rest is there: each is sure before the next.
        _sync(scratch)
        _sync(folder)
        for name in _MADE:
            if name == REGISTRATION:
                _sync(folder)
            os.link(scratch / name, folder / name)
        _sync(folder)
    finally:
        _take_away(scratch, folder)


def _registered_fleet(folder: Path) -> str | None:
    path = folder / REGISTRATION
    return read_registration(path.read_bytes()).fleet_id if path.exists() else None


def _known(path: Path) -> FleetIdentity | None:
    try:
        return FleetIdentity.parse(path.read_bytes())
    except ProtocolError:
        return None


def _without_sealing_key(identity: FleetIdentity) -> FleetIdentity:
    return identity.model_copy(update={"sealing_key": None})


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
