"""Takes a terminal out of service for good: what it holds is erased, and its last key signs what was done before it goes.

The journal is on the disk before anything is erased, and no terminal with one serves anybody. Every step may be cut off by a power cut
and is done again by the next run; the key that signs outlives everything but its own statement.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.references_sqlite import erase_all, held_in
from device.adapters.signer_keyfile import load_private_key
from device.erasure import ErasureProof, overwrite
from device.errors import CommandsUnavailable, DecommissionRefused
from device.settings import SecretFile, Settings
from device.storage import replace_file
from protocol.decommissioning import DecommissionProof, ErasedPart, sign_proof, unverified_proof
from protocol.errors import ProtocolError

logger = logging.getLogger(__name__)

JOURNAL = "decommission.json"
PROOF = "decommission-proof.jws"
ASKED = "decommission.asked"
"""Made by the terminal's process when the fleet asks; root's unit `lifecert-decommission.path` looks for it."""
_MOST_PARTS = 60
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9._-]")
_KEY_ENDINGS = ("", ".pem", ".key")
"""Of the file behind a systemd credential, which has the credential's name."""

OnStep = Callable[[str], None]
"""Told of each step before it is done."""


class _Journal(BaseModel):
    """What is known before anything is erased, and what was found on the way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    begun_at: datetime
    parts: tuple[ErasedPart, ...]
    subjects: int
    references: int
    records_confirmed: int
    records_exported: int
    records_lost: int
    pictures_exported: int
    pictures_lost: int
    last_counter: int
    search: tuple[int, int, str] | None = None
    """Bytes searched, traces found, digest of what was looked for; None until the roster is erased."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was put onto a stick just before: the newest of everything."""

    records: int = 0
    pictures: int = 0


def is_decommissioned(settings: Settings) -> bool:
    """Say whether this terminal is, or is being, decommissioned."""
    return (settings.terminal.data_dir / JOURNAL).exists() or (settings.terminal.data_dir / PROOF).exists()


def with_key_files(settings: Settings) -> Settings:
    """Return settings that name the files which systemd reads, where they name credentials of that folder."""

    def found(secret: SecretFile) -> SecretFile:
        candidates = [secret.path.with_name(secret.path.name + ending) for ending in _KEY_ENDINGS]
        return SecretFile(next((path for path in candidates if path.exists()), secret.path))

    keys = settings.keys
    files = {name: found(getattr(keys, name)) for name in ("signing", "sealing", "storage")}
    return settings.model_copy(update={"keys": keys.model_copy(update=files)})


def decommission(
    settings: Settings,
    *,
    out: Path,
    exported: Exported,
    lose: int,
    now: Callable[[], datetime],
    on_step: OnStep = lambda _step: None,
) -> bytes:
    """Erase this terminal and return its signed statement; called again, it goes on where it was cut off.

    Args:
        settings: of the terminal; its keys name files that this program may destroy.
        out: where the statement is put, before the last key goes.
        exported: what a stick has of what the fleet has not confirmed.
        lose: how many records and pictures are given up; must be exactly as many as there are.
        now: the time.
        on_step: is told what is done next.

    Raises:
        DecommissionRefused: if records or pictures would be lost that nobody gave up; nothing was done.
        DeviceError: if a file cannot be erased; nothing is signed before everything is.
    """
    folder = settings.terminal.data_dir
    try:
        if not (folder / PROOF).exists():
            journal = _begun(folder / JOURNAL)
            if journal is None:
                journal = _begin_or_forget(settings, exported=exported, lose=lose, now=now())
                on_step("journal")
                replace_file(folder / JOURNAL, journal.model_dump_json().encode())
            _prove(settings, _erase(settings, journal, on_step), now, on_step)
        token = (folder / PROOF).read_bytes()
        on_step(f"write {out.name}")
        replace_file(out, token)
        _destroy(settings.keys.signing.path, on_step)
        _destroy(folder / JOURNAL, on_step)
    except OSError as error:
        raise DecommissionRefused(
            f"{error.filename or folder}: {error.strerror}; put that right and try again"
        ) from error
    return token


def ask_to_be_erased(settings: Settings) -> bool:
    """Have this terminal erased by whoever may touch its keys, which a service may not; return False if something would be lost.

    Raises:
        DeviceError: if that cannot be found out or asked for now.
    """
    records, pictures = unconfirmed(settings)
    if records or pictures:
        logger.warning("not erased, the fleet lacks records=%d pictures=%d", records, pictures)
        return False
    try:
        replace_file(settings.terminal.data_dir / ASKED, b"")
    except OSError as error:
        raise CommandsUnavailable(f"{ASKED}: {error.strerror}") from error
    return True


def statement_of(token: bytes) -> DecommissionProof:
    """Return what a statement of this terminal's says.

    Raises:
        DecommissionRefused: if the file is none.
    """
    try:
        return unverified_proof(token)
    except ProtocolError as error:
        raise DecommissionRefused(f"{PROOF}: {error}") from error


def unconfirmed(settings: Settings) -> tuple[int, int]:
    """Return how many records, and pictures of cases, the fleet has not confirmed.

    Raises:
        DeviceError: if the databases cannot be read.
    """
    records, _, _ = _records(settings)
    return records, _pictures(settings)


def _begin_or_forget(settings: Settings, *, exported: Exported, lose: int, now: datetime) -> _Journal:
    try:
        return _begin(settings, exported=exported, lose=lose, now=now)
    except DecommissionRefused:
        # Whoever asked is answered by this, and must not be obeyed by surprise some day.
        (settings.terminal.data_dir / ASKED).unlink(missing_ok=True)
        raise


def _begin(settings: Settings, *, exported: Exported, lose: int, now: datetime) -> _Journal:
    subjects, references = held_in(settings.references_path, settings.keys.storage.path)
    waiting, confirmed, counter = _records(settings)
    pictures = _pictures(settings)
    records_lost, pictures_lost = max(0, waiting - exported.records), max(0, pictures - exported.pictures)
    lost = records_lost + pictures_lost
    if lost != lose:
        raise DecommissionRefused(
            f"{records_lost} records and {pictures_lost} pictures are here that the fleet has not confirmed and no stick has."
            " Bring the terminal onto its network, or put them onto a stick with --export DIR."
            f" To give them up for ever: --lose-records {lost}"
        )
    return _Journal(
        begun_at=now,
        parts=tuple(_parts(settings)),
        subjects=subjects,
        references=references,
        records_confirmed=confirmed,
        records_exported=waiting - records_lost,
        records_lost=records_lost,
        pictures_exported=pictures - pictures_lost,
        pictures_lost=pictures_lost,
        last_counter=counter,
    )


def _begun(path: Path) -> _Journal | None:
    try:
        return _Journal.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise DecommissionRefused(
            f"{path}: cannot be read; the rest is to be erased by writing the card anew"
        ) from error


def _erase(settings: Settings, journal: _Journal, on_step: OnStep) -> _Journal:
    folder = settings.terminal.data_dir
    # The keys first: without them all that a card may still hold of old blocks is noise.
    on_step("erase roster and storage key")
    done = erase_all(settings.references_path, settings.keys.storage.path)
    if not done.is_key_destroyed:
        raise DecommissionRefused(f"{settings.keys.storage.path}: cannot be destroyed; run this as root")
    if journal.search is None:
        journal = journal.model_copy(update={"search": _searched(done.proof)})
        on_step("journal")
        replace_file(folder / JOURNAL, journal.model_dump_json().encode())
    for path in _secrets(settings):
        _destroy(path, on_step)
    for path in _held_files(folder):
        _destroy(path, on_step)
    for path in sorted((each for each in folder.rglob("*") if each.is_dir() and not each.is_symlink()), reverse=True):
        path.rmdir()
    return journal


def _prove(settings: Settings, journal: _Journal, now: Callable[[], datetime], on_step: OnStep) -> None:
    terminal = settings.terminal
    searched, traces, digest = journal.search or (0, 0, "0" * 64)
    proof = DecommissionProof(
        fleet_id=terminal.fleet_id,
        terminal_id=terminal.terminal_id,
        finished_at=now(),
        searched_bytes=searched,
        traces=traces,
        content_sha256=digest,
        **journal.model_dump(exclude={"search", "parts"}),
        parts=journal.parts,
    )
    on_step("sign")
    token = sign_proof(proof, load_private_key(settings.keys.signing.path))
    replace_file(terminal.data_dir / PROOF, token)


def _searched(proof: ErasureProof) -> tuple[int, int, str]:
    return proof.searched_bytes, proof.found, proof.digest


def _destroy(path: Path, on_step: OnStep) -> None:
    """Overwrite a file with zeros and remove it; one that is gone is done."""
    on_step(f"erase {path.name}")
    try:
        if not path.is_symlink():
            overwrite(path)
            on_step(f"remove {path.name}")
        path.unlink()
    except FileNotFoundError:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _secrets(settings: Settings) -> list[Path]:
    broker = settings.broker
    tls = (
        []
        if broker.tls_key is None or broker.tls_certificate is None
        else [broker.tls_key.path, broker.tls_certificate]
    )
    return [settings.keys.storage.path, settings.keys.sealing.path, *tls]


def _held_files(folder: Path) -> list[Path]:
    """Return all that lies in the data folder but the papers of the decommissioning itself."""
    if not folder.exists():
        return []
    kept = {folder / JOURNAL, folder / PROOF}
    return sorted(path for path in folder.rglob("*") if path not in kept and (path.is_symlink() or not path.is_dir()))


def _parts(settings: Settings) -> Iterator[ErasedPart]:
    secrets = [path for path in _secrets(settings) if path.exists()]
    files = _held_files(settings.terminal.data_dir)
    named = [*secrets, *files][:_MOST_PARTS]
    for path in named:
        yield ErasedPart(
            name=_UNNAMEABLE.sub("_", path.name)[:64],
            kind=_kind(path, settings),
            bytes_overwritten=path.lstat().st_size,
            public_key=load_private_key(path).key_id if path == settings.keys.sealing.path else None,
        )
    rest = [*secrets, *files][_MOST_PARTS:]
    if rest:
        yield ErasedPart(
            name=f"others-{len(rest)}", kind="file", bytes_overwritten=sum(path.lstat().st_size for path in rest)
        )


def _kind(path: Path, settings: Settings) -> Literal["key", "database", "file"]:
    broker = settings.broker
    keys = {settings.keys.storage.path, settings.keys.sealing.path, broker.tls_key.path if broker.tls_key else None}
    if path in keys:
        return "key"
    return "database" if ".sqlite" in path.name else "file"


def _records(settings: Settings) -> tuple[int, int, int]:
    """Return how many records are not confirmed, how many are, and the last counter."""
    if not settings.outbox_path.exists():
        return 0, 0, 0
    outbox = SqliteOutbox(settings.outbox_path, max_rows=settings.outbox.max_rows, max_bytes=settings.outbox.max_bytes)
    try:
        counts = outbox.counts()
    finally:
        outbox.close()
    # What the fleet refuses it keeps a copy of; a person there has to look, and nothing more can be done here.
    waiting, stored = counts.pending + counts.published, counts.stored or 0
    return waiting, stored - waiting - counts.refused, stored


def _pictures(settings: Settings) -> int:
    if not settings.attachments_path.exists():
        return 0
    store = SqliteAttachmentStore(settings.attachments_path, max_bytes=settings.outbox.max_bytes)
    try:
        return store.counts().waiting
    finally:
        store.close()
