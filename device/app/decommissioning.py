"""Takes a terminal out of service for good: what it holds is erased, and its last key signs what was done before it goes.

The journal is on the disk before anything is erased, and no terminal with one serves anybody. Every step may be cut off by a power cut
and is done again by the next run; the key that signs outlives everything but its own statement.

Root does this, in a folder that the terminal's own user may fill with whatever it likes: nothing there is followed, nothing there is
believed but what the fleet signed, and journal and proof lie where only root may write.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from device.adapters.attachments_sqlite import SqliteAttachmentStore
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.references_sqlite import erase_all, held_in
from device.adapters.signer_keyfile import load_fleet_identity, load_private_key
from device.erasure import ErasureProof, overwrite
from device.errors import CommandsUnavailable, DecommissionRefused, DeviceError, KeyUnusable
from device.settings import SecretFile, Settings
from device.storage import replace_file
from device.updates.marks import Held
from protocol.commands import COMMAND_TYP, CommandKind, TerminalCommand
from protocol.decommissioning import DecommissionProof, ErasedPart, read_proof, sign_proof, unverified_proof
from protocol.envelope import verify
from protocol.errors import ProtocolError

logger = logging.getLogger(__name__)

JOURNAL = "decommission.json"
PROOF = "decommission-proof.jws"
TOLD = "decommission-proof.told"
"""The proof, once the fleet has it."""
ASKED = "decommission.asked"
"""The fleet's signed command, put into the data folder by the terminal's process; root's unit `lifecert-decommission.path` looks for it."""
_MOST_ASKED = 16 * 1024
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
    search: tuple[int, int | None, str] | None = None
    """Bytes searched, traces found (None where there was nothing to look for), digest of that; None until the roster is erased."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was put onto a stick just before: the newest of everything."""

    records: int = 0
    pictures: int = 0


def is_decommissioned(settings: Settings) -> bool:
    """Say whether this terminal is, or is being, decommissioned."""
    return any((settings.decommission_dir / name).exists() for name in (JOURNAL, PROOF, TOLD))


def is_asked_to_be_erased(settings: Settings) -> bool:
    """Say whether the end of this terminal was asked for and has not begun: whoever erases it must meet nobody who is being served."""
    return (settings.terminal.data_dir / ASKED).exists()


def check_asked(settings: Settings, now: datetime) -> None:
    """Check, before anything is stopped for it, that this terminal is being erased already, or that the fleet asks for it now.

    Raises:
        DecommissionRefused: if neither is so; then it is not asked for any more.
        DeviceError: if the fleet's identity cannot be read; likewise.
    """
    if is_decommissioned(settings):
        return
    try:
        _check_signed(settings, now)
    except DeviceError:
        forget_asked(settings)
        raise


def forget_asked(settings: Settings) -> None:
    """Do as if the end of this terminal had not been asked for."""
    (settings.terminal.data_dir / ASKED).unlink(missing_ok=True)


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
    is_asked: bool = False,
    on_step: OnStep = lambda _step: None,
) -> bytes:
    """Erase this terminal and return its signed statement; called again, it goes on where it was cut off.

    Args:
        settings: of the terminal; its keys name files that this program may destroy.
        out: where the statement is put, before the last key goes.
        exported: what a stick has of what the fleet has not confirmed.
        lose: how many records and pictures are given up; must be exactly as many as there are.
        now: the time.
        is_asked: whether it is begun only if the fleet asks for it; without it a person does.
        on_step: is told what is done next.

    Raises:
        DecommissionRefused: if records or pictures would be lost that nobody gave up, or the fleet does not ask; nothing was done.
        DeviceError: if a file cannot be erased; nothing is signed before everything is.
    """
    try:
        with _papers(settings) as papers, _closed(settings.terminal.data_dir):
            if _proof_in(papers) is None:
                journal = _begun(papers / JOURNAL)
                if journal is None:
                    journal = _begin_or_forget(settings, exported=exported, lose=lose, now=now(), is_asked=is_asked)
                    on_step("journal")
                    replace_file(papers / JOURNAL, journal.model_dump_json().encode())
                _prove(settings, _erase(settings, journal, on_step), now, on_step)
            token = _believed(settings, papers)
            on_step(f"write {out.name}")
            replace_file(out, token)
            _destroy(settings.keys.signing.path, on_step)
            _destroy(papers / JOURNAL, on_step)
    except OSError as error:
        raise DecommissionRefused(
            f"{error.filename or settings.terminal.data_dir}: {error.strerror}; put that right and try again"
        ) from error
    return token


def note_told(settings: Settings) -> None:
    """Note that the fleet has the statement, so that nobody takes it there again.

    Raises:
        DecommissionRefused: if that cannot be noted.
    """
    try:
        with _papers(settings) as papers:
            if (papers / PROOF).exists():
                (papers / PROOF).replace(papers / TOLD)
                _settle(papers)
    except OSError as error:
        raise DecommissionRefused(f"{error.filename}: {error.strerror}") from error


def ask_to_be_erased(settings: Settings, token: bytes) -> bool:
    """Have this terminal erased by whoever may touch its keys, which a service may not; return False if something would be lost.

    Args:
        settings: of the terminal.
        token: the command as the fleet signed it.

    Raises:
        DeviceError: if that cannot be found out or asked for now.
    """
    records, pictures = unconfirmed(settings)
    if records or pictures:
        logger.warning("not erased, the fleet lacks records=%d pictures=%d", records, pictures)
        return False
    try:
        replace_file(settings.terminal.data_dir / ASKED, token)
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


@contextmanager
def _papers(settings: Settings) -> Iterator[Path]:
    """Give the folder of journal and proof, for nobody else as long as it is used.

    Raises:
        DecommissionRefused: if another program works there, or another user may write there.
        OSError: if it cannot be made.
    """
    folder = settings.decommission_dir
    try:
        folder.mkdir(parents=True)
        # Whatever the mask is: the terminal's own user must see that there is a proof.
        folder.chmod(0o755)
    except FileExistsError:
        pass
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise DecommissionRefused(f"{folder}: must be a folder that only the user who runs this may write to")
    held = Held()
    if not held.hold(folder, is_alone=True):
        raise DecommissionRefused(f"{folder}: another program is erasing this terminal")
    try:
        yield folder
    finally:
        held.let_go()


@contextmanager
def _closed(folder: Path) -> Iterator[None]:
    """Keep another user's programs out of their own folder meanwhile: what is looked at there stays what it is until it is opened.

    A power cut leaves it closed until systemd gives it back (`StateDirectory=`).

    Raises:
        OSError: if that cannot be done.
    """
    found = folder.stat() if folder.exists() else None
    if found is None or found.st_uid == os.geteuid():
        yield
        return
    os.chown(folder, os.geteuid(), os.getegid())
    try:
        folder.chmod(0o700)
        yield
    finally:
        folder.chmod(stat.S_IMODE(found.st_mode))
        os.chown(folder, found.st_uid, found.st_gid)


def _proof_in(papers: Path) -> Path | None:
    return next((papers / name for name in (PROOF, TOLD) if (papers / name).exists()), None)


def _believed(settings: Settings, papers: Path) -> bytes:
    """Return the statement; as long as the key that signed it is here and no zeros are written over it, it is checked by it."""
    path = _proof_in(papers)
    if path is None:
        raise DecommissionRefused(f"{papers / PROOF}: is gone; try again")
    token = path.read_bytes()
    terminal = settings.terminal
    try:
        key = load_private_key(settings.keys.signing.path).public()
    except KeyUnusable:
        key = None
    try:
        said = unverified_proof(token) if key is None else read_proof(token, key)
    except ProtocolError as error:
        raise DecommissionRefused(f"{path}: {error}; remove it and try again") from error
    if (said.fleet_id, said.terminal_id) != (terminal.fleet_id, terminal.terminal_id):
        raise DecommissionRefused(f"{path}: of another terminal; remove it and try again")
    return token


def _check_signed(settings: Settings, now: datetime) -> None:
    """Check that the fleet asks this terminal to be erased, now.

    Raises:
        DecommissionRefused: if it does not.
        DeviceError: if the fleet's identity cannot be read.
    """
    path, terminal = settings.terminal.data_dir / ASKED, settings.terminal
    fleet = load_fleet_identity(settings.keys.fleet, fleet_id=terminal.fleet_id).signing_key
    try:
        # Whoever put it there need not be who should have.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            token = file.read(_MOST_ASKED)
        signed = verify(token, key_of=fleet.only, typ=COMMAND_TYP)
        command = TerminalCommand.parse(signed.payload)
    except OSError as error:
        raise DecommissionRefused(f"{path}: {error.strerror}; the fleet does not ask for this") from error
    except ProtocolError as error:
        raise DecommissionRefused(f"{path}: {error}; the fleet does not ask for this") from error
    if (command.fleet_id, command.terminal_id) != (terminal.fleet_id, terminal.terminal_id):
        raise DecommissionRefused(f"{path}: the fleet asks another terminal")
    if command.kind is not CommandKind.DECOMMISSION:
        raise DecommissionRefused(f"{path}: the fleet asks for something else, {command.kind}")
    if command.expires_at <= now:
        raise DecommissionRefused(f"{path}: the fleet asked for this until {command.expires_at:%Y-%m-%d %H:%M} UTC")


def _begin_or_forget(settings: Settings, *, exported: Exported, lose: int, now: datetime, is_asked: bool) -> _Journal:
    try:
        if is_asked:
            _check_signed(settings, now)
        _no_links(settings)
        return _begin(settings, exported=exported, lose=lose, now=now)
    except (DeviceError, OSError):
        # Whoever asked is answered by this, and must not be obeyed by surprise some day.
        forget_asked(settings)
        raise


def _no_links(settings: Settings) -> None:
    """See that the databases are files: SQLite would follow a link, and write where it leads.

    Raises:
        DecommissionRefused: if one is something else.
    """
    for database in (settings.references_path, settings.outbox_path, settings.attachments_path):
        for path in database.parent.glob(f"{database.name}*"):
            if not stat.S_ISREG(path.lstat().st_mode):
                raise DecommissionRefused(f"{path}: is not a file; remove it and try again")


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
    papers = settings.decommission_dir
    _no_links(settings)
    # The keys first: without them all that a card may still hold of old blocks is noise.
    on_step("erase roster and storage key")
    done = erase_all(settings.references_path, settings.keys.storage.path)
    if not done.is_key_destroyed:
        raise DecommissionRefused(f"{settings.keys.storage.path}: cannot be destroyed; run this as root")
    if journal.search is None:
        journal = journal.model_copy(update={"search": _searched(done.proof)})
        on_step("journal")
        replace_file(papers / JOURNAL, journal.model_dump_json().encode())
    for path in _secrets(settings):
        _destroy(path, on_step)
    _empty(settings.terminal.data_dir, on_step)
    return journal


def _prove(settings: Settings, journal: _Journal, now: Callable[[], datetime], on_step: OnStep) -> None:
    terminal = settings.terminal
    searched, traces, digest = journal.search or (0, None, "0" * 64)
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
    replace_file(settings.decommission_dir / PROOF, token)


def _searched(proof: ErasureProof) -> tuple[int, int | None, str]:
    is_searched = proof.looked_for > 0 and proof.searched_bytes > 0
    return proof.searched_bytes, proof.found if is_searched else None, proof.digest


def _destroy(path: Path, on_step: OnStep, *, folder: int | None = None) -> None:
    """Overwrite a file with zeros and remove it; one that is gone is done, and of what is no file only the name goes."""
    on_step(f"erase {path.name}")
    try:
        if stat.S_ISREG(os.lstat(path, dir_fd=folder).st_mode):
            overwrite(path, folder=folder)
            on_step(f"remove {path.name}")
        os.unlink(path, dir_fd=folder)
    except FileNotFoundError:
        return
    if folder is None:
        _settle(path.parent)
    else:
        os.fsync(folder)


def _empty(folder: Path, on_step: OnStep) -> None:
    """Destroy all that lies in a folder. Each folder is worked on as it was opened: none becomes a link meanwhile."""
    if not folder.exists():
        return
    for _, folders, files, opened in os.fwalk(folder.resolve(), topdown=False):
        for name in sorted(files):
            _destroy(Path(name), on_step, folder=opened)
        for name in folders:
            if stat.S_ISDIR(os.lstat(name, dir_fd=opened).st_mode):
                os.rmdir(name, dir_fd=opened)
            else:
                _destroy(Path(name), on_step, folder=opened)


def _settle(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _secrets(settings: Settings) -> list[Path]:
    broker = settings.broker
    tls = (
        []
        if broker.tls_key is None or broker.tls_certificate is None
        else [broker.tls_key.path, broker.tls_certificate]
    )
    return [settings.keys.storage.path, settings.keys.sealing.path, *tls]


def _held_files(folder: Path) -> list[Path]:
    """Return all that lies in the data folder."""
    if not folder.exists():
        return []
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


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
        counts = store.counts()
        # Of a picture that it refuses the fleet keeps nothing, unlike of a record: the one here is the only one.
        return counts.waiting + counts.refused
    finally:
        store.close()
