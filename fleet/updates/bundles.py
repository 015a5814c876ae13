"""Bundles at the fleet: taken in after the release key has vouched for them, kept as they came, given to whoever knows their digest.

The fleet holds no release key and can make no bundle (docs/decisions/0016).
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from fleet.audit.log import note
from fleet.errors import NotFound, Refused
from fleet.keys import FieldCipher
from fleet.store import bundles
from fleet.store.bundles import StoredBundle
from fleet.store.database import Database
from fleet.store.desired import is_wanted_somewhere
from fleet.store.names import cleaned
from fleet.store.rollouts import rollouts_in
from fleet.updates.rollout import State
from protocol.bundle import CHUNK_BYTES, MAX_BUNDLE_BYTES, Bundle, check_files, read_bundle
from protocol.envelope import key_id_of
from protocol.errors import Expired, Malformed, ProtocolError
from protocol.keys import PublicJwk
from protocol.release_keys import read_release_keys

_ID = re.compile(r"[0-9a-f]{64}")
_LARGEST = MAX_BUNDLE_BYTES + 1024 * 1024


def bundle_folder(data_dir: Path) -> Path:
    """Return where the files of bundles lie."""
    return data_dir / "updates"


def bundle_file(folder: Path, bundle_id: str) -> Path | None:
    """Return the file of a bundle, which may not be there; None if this is no bundle's id."""
    return folder / f"{bundle_id}.bundle" if _ID.fullmatch(bundle_id) else None


def release_keys(path: Path | None) -> Callable[[str], PublicJwk | None]:
    """Return what gives the release key of a key id.

    Raises:
        Refused: if no file is named in the settings, or it cannot be read.
    """
    if path is None:
        raise Refused(
            "provisioning.release_keys: name the file that `lifecert-provision bundle key` wrote",
            code="no_release_keys",
        )
    try:
        return read_release_keys(path.read_bytes())
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}", code="release_keys_unreadable") from error
    except ProtocolError as error:
        raise Refused(f"{path}: {error}", code="release_keys_unreadable") from error


def add_bundle(
    database: Database,
    cipher: FieldCipher,
    source: Path,
    folder: Path,
    *,
    key_of: Callable[[str], PublicJwk | None],
    by: str,
    now: datetime,
) -> StoredBundle:
    """Take a bundle in: checked whole while it is copied, in its place only then, and known only after that.

    Args:
        database: the fleet's.
        cipher: the fleet's.
        source: the bundle's file.
        folder: where bundles lie.
        key_of: gives the release key of a key id, or None.
        by: who brings it.
        now: in UTC.

    Raises:
        Refused: if it is none, is not signed by a release key, is over, is there already, or has the number of another.
    """
    name = cleaned(by)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as opened, _copied(opened, folder, key_of=key_of, now=now) as (bundle, fresh):
            stored = StoredBundle(
                bundle_id=bundle.bundle_id,
                kind=bundle.manifest.kind,
                number=bundle.manifest.number,
                label=bundle.manifest.label,
                size=bundle.size,
                manifest=_told(bundle),
                key_id=key_id_of(bundle.token),
                added_at=now,
                added_by_sealed=cipher.encrypt(name, subject_id=bundle.bundle_id, field_name="added_by"),
            )
            with database.begin() as connection:
                _take(connection, stored)
                # A file whose row does not come to be is nobody's harm; a row without its file would be.
                fresh.chmod(0o644)
                fresh.replace(folder / f"{bundle.bundle_id}.bundle")
                _sync(folder)
                _note(connection, cipher, "bundle.added", stored, by=name, now=now)
    except OSError as error:
        raise Refused(f"{error.filename or source}: {error.strerror}", code="bundle_unreadable") from error
    except ProtocolError as error:
        raise Refused(f"{source.name}: {error}", code="bundle_refused", why=error.code or "malformed") from error
    return stored


def remove_bundle(
    database: Database, cipher: FieldCipher, bundle_id: str, folder: Path, *, by: str, now: datetime
) -> StoredBundle:
    """Delete a bundle's file; what was rolled out with it stays to be read.

    Raises:
        NotFound: if there is none of this id, or several begin so.
        Refused: if a terminal is asked for it, or a roll-out of it has not ended.
    """
    with database.begin() as connection:
        found = find_bundle(connection, bundle_id)
        if found.removed_at is not None:
            raise NotFound(f"bundle {bundle_id}: is removed already", code="bundle_unknown")
        if is_wanted_somewhere(connection, found.bundle_id) or any(
            each.bundle_id == found.bundle_id
            for each in rollouts_in(connection, (State.WAITING, State.RUNNING, State.PAUSED))
        ):
            raise Refused(f"bundle {found.bundle_id[:16]}: terminals are asked for it", code="bundle_wanted")
        bundles.set_removed(connection, found.bundle_id, now=now)
        _note(connection, cipher, "bundle.removed", found, by=by, now=now)
    path = bundle_file(folder, found.bundle_id)
    if path is not None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}", code="bundle_unreadable") from error
    return found


def find_bundle(connection: Connection, bundle_id: str) -> StoredBundle:
    """Return a bundle by its id, or the first characters of it.

    Raises:
        NotFound: if none begins so, or several do.
    """
    found = bundles.find_by_prefix(connection, bundle_id) if re.fullmatch(r"[0-9a-f]{8,64}", bundle_id) else None
    if found is None:
        raise NotFound(
            f"bundle {bundle_id}: none begins so, or several do; 8 characters of its id at least are expected",
            code="bundle_unknown",
        )
    return found


@contextmanager
def _copied(
    source: BinaryIO, folder: Path, *, key_of: Callable[[str], PublicJwk | None], now: datetime
) -> Iterator[tuple[Bundle, Path]]:
    """Give a checked copy of a bundle beside the others, gone at the end unless it was moved: what was checked is what is kept."""
    descriptor, name = tempfile.mkstemp(prefix=".incoming-", dir=folder)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as copy:
            _copy(source, copy)
            copy.seek(0)
            bundle = read_bundle(copy, key_of=key_of)
            check_files(copy, bundle)
            if now >= bundle.manifest.expires_at:
                raise Expired("its time is over: no terminal takes it", code="expired")
            copy.flush()
            os.fsync(copy.fileno())
        yield bundle, fresh
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    copied = 0
    while chunk := source.read(CHUNK_BYTES):
        copied += len(chunk)
        if copied > _LARGEST:
            raise Malformed(f"larger than {_LARGEST} bytes", code="too_long")
        target.write(chunk)


def _take(connection: Connection, stored: StoredBundle) -> None:
    other = bundles.same_number(connection, stored)
    if other is not None:
        raise Refused(
            f"{stored.kind} {stored.number}: is bundle {other[:16]} already; give another number",
            code="bundle_number",
            kind=stored.kind.value,
            number=stored.number,
        )
    if not bundles.add_bundle(connection, stored):
        raise Refused(f"bundle {stored.bundle_id[:16]}: is here already", code="bundle_known")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _told(bundle: Bundle) -> dict[str, object]:
    found: dict[str, object] = json.loads(bundle.manifest.model_dump_json(exclude={"files"}))
    return found | {"files": len(bundle.manifest.files)}


def _note(
    connection: Connection, cipher: FieldCipher, action: str, bundle: StoredBundle, *, by: str, now: datetime
) -> None:
    note(
        connection,
        cipher,
        actor=by,
        action=action,
        object_kind="bundle",
        object_id=bundle.bundle_id,
        detail={"kind": bundle.kind.value, "number": bundle.number, "label": bundle.label},
        now=now,
    )
